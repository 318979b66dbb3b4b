#include "proto/options/option_set.h"

#include <CLI/CLI.hpp>
#include <initializer_list>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "proto/options/toml_file.h"
#include "proto/options/values.h"

namespace mxtally {
namespace {

constexpr char kConfig[] = "config";

std::string RangeText(const std::string& min, const std::string& max) {
  return max.empty() ? absl::StrCat("at least ", min) : absl::StrCat("from ", min, " to ", max);
}

absl::StatusOr<int64_t> ParseInteger(const std::string& text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) return WrongValue("an integer", text);
  return value;
}

}  // namespace

std::vector<std::string> ChangedOptions(const OptionValues& before, const OptionValues& after,
                                        absl::Span<const char* const> reloadable) {
  std::vector<std::string> changed;
  const auto add = [&](const std::string& name) {
    if (!absl::c_linear_search(reloadable, name)) changed.push_back(name);
  };
  for (const auto& [name, value] : before) {
    const auto now = after.find(name);
    if (now == after.end() || now->second != value) add(name);
  }
  for (const auto& [name, value] : after) {
    if (before.find(name) == before.end()) add(name);
  }
  absl::c_sort(changed);
  return changed;
}

struct OptionSet::Option {
  Definition definition;

  // Written by CLI11, by whichever command was given.
  std::string word;
  std::vector<std::string> words;
  bool flag = false;
  std::vector<CLI::Option*> on_command_line;

  // Where the value is from, in the words of an error; empty: the default.
  std::string place;
  int file_line = 0;  // 0: not from the file.
  std::string value;  // Of that place, in one text.
  bool rejected = false;

  bool given() const {
    return absl::c_any_of(on_command_line, [](const CLI::Option* o) { return o->count() > 0; });
  }
};

OptionSet::OptionSet(std::string environment_prefix) : prefix_(std::move(environment_prefix)) {
  Define({.kind = Kind::kText,
          .name = kConfig,
          .type = "FILE",
          .help = "TOML file with options",
          .default_text = "",
          .take = [this](const std::vector<std::string>& words) {
            config_path_ = words.front();
            return absl::OkStatus();
          }});
}

OptionSet::~OptionSet() = default;

// ---- Definitions

void OptionSet::Define(Definition definition) {
  options_.push_back(std::make_unique<Option>());
  options_.back()->definition = std::move(definition);
}

void OptionSet::Text(std::string name, std::string type, std::string help, std::string& target) {
  Define({.kind = Kind::kText,
          .name = std::move(name),
          .type = std::move(type),
          .help = std::move(help),
          .default_text = target,
          .take = [&target](const std::vector<std::string>& words) {
            target = words.front();
            return absl::OkStatus();
          }});
}

void OptionSet::List(std::string name, std::string type, const std::string& help,
                     std::vector<std::string>& target) {
  Define({.kind = Kind::kList,
          .name = std::move(name),
          .type = std::move(type),
          .help = absl::StrCat(help, "; repeatable"),
          .default_text = absl::StrJoin(target, ","),
          .take = [&target](const std::vector<std::string>& words) {
            target = words;
            return absl::OkStatus();
          }});
}

void OptionSet::Flag(std::string name, std::string help, bool& target) {
  Define({.kind = Kind::kFlag,
          .name = std::move(name),
          .type = "",
          .help = std::move(help),
          .default_text = "",
          .take = [&target](const std::vector<std::string>& words) {
            if (words.front() != "true" && words.front() != "false") {
              return WrongValue("true or false", words.front());
            }
            target = words.front() == "true";
            return absl::OkStatus();
          }});
}

void OptionSet::Integer(std::string name, std::string help, int64_t& target, IntegerRange range) {
  const std::string expected = absl::StrCat(
      "an integer ", RangeText(absl::StrCat(range.min),
                               range.max == IntegerRange().max ? "" : absl::StrCat(range.max)));
  Define({.kind = Kind::kNumber,
          .name = std::move(name),
          .type = "N",
          .help = std::move(help),
          .default_text = absl::StrCat(target),
          .take = [&target, range, expected](const std::vector<std::string>& words) {
            const absl::StatusOr<int64_t> value = ParseInteger(words.front());
            if (!value.ok() || *value < range.min || *value > range.max) {
              return WrongValue(expected, words.front());
            }
            target = *value;
            return absl::OkStatus();
          }});
}

void OptionSet::Bytes(std::string name, std::string help, int64_t& target, IntegerRange range) {
  const std::string expected =
      RangeText(BytesText(range.min), range.max == IntegerRange().max ? "" : BytesText(range.max));
  Define({.kind = Kind::kNumber,
          .name = std::move(name),
          .type = "BYTES",
          .help = std::move(help),
          .default_text = BytesText(target),
          .take = [&target, range, expected](const std::vector<std::string>& words) {
            const absl::StatusOr<int64_t> value = ParseBytesValue(words.front());
            if (!value.ok()) return value.status();
            if (*value < range.min || *value > range.max) {
              return WrongValue(expected, words.front());
            }
            target = *value;
            return absl::OkStatus();
          }});
}

void OptionSet::Duration(std::string name, std::string help, absl::Duration& target,
                         DurationRange range) {
  const std::string expected =
      RangeText(DurationText(range.min),
                range.max == absl::InfiniteDuration() ? "" : DurationText(range.max));
  Define({.kind = Kind::kNumber,
          .name = std::move(name),
          .type = "DURATION",
          .help = std::move(help),
          .default_text = DurationText(target),
          .take = [&target, range, expected](const std::vector<std::string>& words) {
            const absl::StatusOr<absl::Duration> value = ParseDurationValue(words.front());
            if (!value.ok()) return value.status();
            if (*value < range.min || *value > range.max) {
              return WrongValue(expected, words.front());
            }
            target = *value;
            return absl::OkStatus();
          }});
}

void OptionSet::Choice(std::string name, const std::vector<std::string>& values, std::string help,
                       std::string& target) {
  Define({.kind = Kind::kText,
          .name = std::move(name),
          .type = absl::StrJoin(values, "|"),
          .help = std::move(help),
          .default_text = target,
          .take = [&target, values](const std::vector<std::string>& words) {
            if (!absl::c_linear_search(values, words.front())) {
              return WrongValue(absl::StrCat("one of ", absl::StrJoin(values, ", ")),
                                words.front());
            }
            target = words.front();
            return absl::OkStatus();
          }});
}

// ---- Reading

void OptionSet::AddTo(CLI::App& command, const std::vector<std::string>& names) {
  for (const std::unique_ptr<Option>& option : options_) {
    const Definition& definition = option->definition;
    if (!names.empty() && definition.name != kConfig &&
        !absl::c_linear_search(names, definition.name)) {
      continue;
    }
    const std::string flag = absl::StrCat("--", definition.name);
    const std::string help = absl::StrCat(definition.help, " [", Variable(definition.name), "]");
    CLI::Option* on_command_line = nullptr;
    switch (definition.kind) {
      case Kind::kFlag:
        on_command_line = command.add_flag(flag, option->flag, help);
        break;
      case Kind::kList:
        on_command_line = command.add_option(flag, option->words, help)->delimiter(',');
        break;
      case Kind::kText:
      case Kind::kNumber:
        on_command_line = command.add_option(flag, option->word, help);
        break;
    }
    if (!definition.type.empty()) on_command_line->type_name(definition.type);
    if (!definition.default_text.empty()) on_command_line->default_str(definition.default_text);
    option->on_command_line.push_back(on_command_line);
  }
}

void OptionSet::Read(char* const* environment) {
  // From the place that decides least to the one that decides most, so that
  // what is overridden is checked too.  But first of all: which file?
  Option& config = *Find(kConfig);
  const std::string variable = absl::StrCat(Variable(kConfig), "=");
  for (char* const* entry = environment; *entry != nullptr; ++entry) {
    if (absl::StartsWith(*entry, variable)) config_path_ = *entry + variable.size();
  }
  if (config.given()) config_path_ = config.word;
  if (!config_path_.empty()) ReadFile();
  ReadEnvironment(environment);
  ReadCommandLine();
}

void OptionSet::ReadFile() {
  absl::StatusOr<std::vector<TomlEntry>> entries = ReadTomlFile(config_path_);
  if (!entries.ok()) {
    file_unreadable_ = true;
    file_errors_.push_back({0, std::string(entries.status().message())});
    return;
  }
  std::vector<std::string> keys;
  for (const std::unique_ptr<Option>& option : options_) {
    if (option->definition.name != kConfig) keys.push_back(option->definition.name);
  }
  for (const TomlEntry& entry : *entries) {
    const std::string place = absl::StrCat(config_path_, ":", entry.line, ": ", entry.key);
    if (!absl::c_linear_search(keys, entry.key)) {
      file_errors_.push_back(
          {entry.line, absl::StrCat(place, ": expected one of ", absl::StrJoin(keys, ", "),
                                    ", found an unknown key")});
      continue;
    }
    Option& option = *Find(entry.key);
    option.place = place;
    option.file_line = entry.line;
    option.value = absl::StrJoin(entry.values, ",");
    absl::Status taken = CheckType(option.definition.kind, entry);
    if (taken.ok()) taken = option.definition.take(entry.values);
    if (!taken.ok()) Reject(entry.key, taken);
  }
}

absl::Status OptionSet::CheckType(Kind kind, const TomlEntry& entry) {
  using Type = TomlEntry::Type;
  const auto expect = [&entry](const char* expected, std::initializer_list<Type> types) {
    if (absl::c_linear_search(types, entry.type)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("expected ", expected, ", found ", entry.found));
  };
  switch (kind) {
    case Kind::kText:
      return expect("a string", {Type::kText});
    case Kind::kNumber:
      return expect("an integer, or a string with a number and its unit",
                    {Type::kInteger, Type::kText});
    case Kind::kFlag:
      return expect("true or false, without quotes", {Type::kFlag});
    case Kind::kList:
      return expect("an array of strings", {Type::kList, Type::kText});
  }
  return absl::OkStatus();
}

void OptionSet::ReadEnvironment(char* const* environment) {
  for (char* const* entry = environment; *entry != nullptr; ++entry) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    if (!absl::StartsWith(variable.first, prefix_) || variable.second.empty()) continue;
    const auto known = absl::c_find_if(options_, [&](const std::unique_ptr<Option>& option) {
      return Variable(option->definition.name) == variable.first;
    });
    if (known == options_.end()) {
      std::vector<std::string> names;
      for (const std::unique_ptr<Option>& option : options_) {
        names.push_back(Variable(option->definition.name));
      }
      usage_errors_.push_back(absl::StrCat(variable.first, ": expected one of ",
                                           absl::StrJoin(names, ", "),
                                           ", found an unknown variable"));
      continue;
    }
    Option& option = **known;
    option.place = variable.first;
    option.file_line = 0;
    const std::vector<std::string> words =
        option.definition.kind == Kind::kList
            ? std::vector<std::string>(absl::StrSplit(variable.second, ',', absl::SkipEmpty()))
            : std::vector<std::string>{variable.second};
    option.value = absl::StrJoin(words, ",");
    if (absl::Status s = option.definition.take(words); !s.ok()) {
      Reject(option.definition.name, s);
    }
  }
}

void OptionSet::ReadCommandLine() {
  for (const std::unique_ptr<Option>& option : options_) {
    if (!option->given()) continue;
    option->place = absl::StrCat("--", option->definition.name);
    option->file_line = 0;
    std::vector<std::string> words;
    switch (option->definition.kind) {
      case Kind::kList:
        words = option->words;
        break;
      case Kind::kFlag:
        words = {option->flag ? "true" : "false"};
        break;
      case Kind::kText:
      case Kind::kNumber:
        words = {option->word};
        break;
    }
    option->value = absl::StrJoin(words, ",");
    if (absl::Status s = option->definition.take(words); !s.ok()) {
      Reject(option->definition.name, s);
    }
  }
}

OptionValues OptionSet::values() const {
  OptionValues values;
  for (const std::unique_ptr<Option>& option : options_) {
    if (!option->place.empty()) values[option->definition.name] = option->value;
  }
  return values;
}

bool OptionSet::OnCommandLine(const std::string& name) { return Find(name)->given(); }

// ---- Errors

void OptionSet::Reject(const std::string& name, const std::string& expected,
                       const std::string& found) {
  Reject(name, WrongValue(expected, found));
}

void OptionSet::Reject(const std::string& name, const absl::Status& status) {
  Option& option = *Find(name);
  // What is nowhere belongs into the file, if there is one.
  const bool nowhere = option.place.empty();
  if (option.rejected || (nowhere && file_unreadable_)) return;
  option.rejected = true;
  std::string place = option.place;
  if (nowhere) place = absl::StrCat(config_path_.empty() ? "--" : config_path_ + ": ", name);
  std::string text = absl::StrCat(place, ": ", std::string(status.message()));
  if (option.file_line > 0 || (nowhere && !config_path_.empty())) {
    file_errors_.push_back({option.file_line, std::move(text)});
  } else {
    usage_errors_.push_back(std::move(text));
  }
}

std::string OptionSet::errors() const {
  std::string text;
  for (const std::string& error : usage_errors_) absl::StrAppend(&text, error, "\n");
  std::vector<FileError> file_errors = file_errors_;
  absl::c_stable_sort(file_errors,
                      [](const FileError& a, const FileError& b) { return a.line < b.line; });
  for (const FileError& error : file_errors) absl::StrAppend(&text, error.text, "\n");
  return text;
}

OptionSet::Option* OptionSet::Find(const std::string& name) {
  for (const std::unique_ptr<Option>& option : options_) {
    if (option->definition.name == name) return option.get();
  }
  return nullptr;
}

std::string OptionSet::Variable(const std::string& name) const {
  return absl::StrCat(prefix_, absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
}

}  // namespace mxtally
