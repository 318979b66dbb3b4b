#include "proto/options/toml_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

// Far beyond any that a person writes; a device file named by mistake has no end.
constexpr size_t kFileBytesMax = 1 << 20;
constexpr size_t kFoundBytesMax = 60;

absl::StatusOr<std::string> ReadText(const std::string& path) {
  const auto failed = [&path] { return absl::ErrnoToStatus(errno, path); };
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "re"), &fclose);
  if (file == nullptr) return failed();
  std::string text(kFileBytesMax + 1, '\0');
  text.resize(fread(text.data(), 1, text.size(), file.get()));
  if (ferror(file.get()) != 0) return failed();
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected at most ", kFileBytesMax, " bytes, found more"));
  }
  return text;
}

std::string_view NameOf(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date with time";
    default:
      return "another value";
  }
}

TomlEntry EntryOf(const toml::key& key, const toml::node& node) {
  TomlEntry entry;
  entry.key = std::string(key.str());
  entry.line = static_cast<int>(key.source().begin.line);
  if (const auto* text = node.as_string()) {
    entry.type = TomlEntry::Type::kText;
    entry.values = {text->get()};
    entry.found = absl::StrCat("the string \"", text->get().substr(0, kFoundBytesMax), "\"");
  } else if (const auto* integer = node.as_integer()) {
    entry.type = TomlEntry::Type::kInteger;
    entry.values = {absl::StrCat(integer->get())};
    entry.found = absl::StrCat("the integer ", integer->get());
  } else if (const auto* flag = node.as_boolean()) {
    entry.type = TomlEntry::Type::kFlag;
    entry.values = {flag->get() ? "true" : "false"};
    entry.found = absl::StrCat("the boolean ", entry.values.front());
  } else {
    entry.found = NameOf(node.type());
    if (const auto* list = node.as_array()) {
      entry.type = TomlEntry::Type::kList;
      for (const toml::node& element : *list) {
        if (const auto* text = element.as_string()) {
          entry.values.push_back(text->get());
        } else {
          entry.type = TomlEntry::Type::kOther;
          entry.found = "an array with an element that is no string";
        }
      }
    }
  }
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<TomlEntry>> ReadTomlFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadText(path);
  if (!text.ok()) return text.status();
  const toml::parse_result parsed = toml::parse(std::string_view(*text));
  if (!parsed) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":", parsed.error().source().begin.line,
                                                   ": ",
                                                   std::string(parsed.error().description())));
  }
  std::vector<TomlEntry> entries;
  for (auto&& [key, node] : parsed.table()) entries.push_back(EntryOf(key, node));
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return entries;
}

}  // namespace mxtally
