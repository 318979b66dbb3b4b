// The options of a program, each defined once, in one line, for the command
// line, the environment and the TOML file; the first of these three that has
// an option decides.  For an option "state-dir" of a set with the prefix
// "MXTALLY_AGENT_" they are
//
//   --state-dir /var/lib/x            the command line
//   MXTALLY_AGENT_STATE_DIR           the environment; set and empty is as not set
//   state-dir = "/var/lib/x"          the file, which --config FILE names, or
//                                     MXTALLY_AGENT_CONFIG
//
// Lists are repeated on the command line, TOML arrays in the file, and
// separated by commas in the environment.  Flags are "true" or "false".
//
// To add an option, add a member with its default to the struct that the
// others are read into, and one line beside theirs:
//
//   set.Text("tls-cert", "FILE", "Certificate of this server", words.tls_cert);
//
// A value that needs more than its type is read by a parser of one's own
// ("expected ..., found ..." is enough, the set adds the place):
//
//   set.Value("listen", "ADDR:PORT", "Where gRPC listens", options.listen,
//             ParseListenAddress, options.listen.ToString());
//
// or is judged when all options are known, by Reject().  Nothing more: help,
// environment, file, `check` and the list of known keys follow.
//
// One thread only.

#ifndef MXTALLY_PROTO_OPTIONS_OPTION_SET_H_
#define MXTALLY_PROTO_OPTIONS_OPTION_SET_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace CLI {
class App;
}

namespace mxtally {

struct TomlEntry;

// What was given for each option, by name; options that were not are absent.
using OptionValues = std::map<std::string, std::string>;

// Names of the options that differ, but for those that are `reloadable`.
std::vector<std::string> ChangedOptions(const OptionValues& before, const OptionValues& after,
                                        absl::Span<const char* const> reloadable = {});

class OptionSet {
 public:
  // Exit status of wrong usage: of the command line, or of the environment.
  static constexpr int kBadUsage = 2;
  // Exit status of a wrong configuration file: EX_CONFIG of <sysexits.h>.
  static constexpr int kBadConfiguration = 78;

  explicit OptionSet(std::string environment_prefix);
  ~OptionSet();
  OptionSet(const OptionSet&) = delete;
  OptionSet& operator=(const OptionSet&) = delete;

  // Definitions.  `name` without dashes; `type` is shown by --help; `target`
  // holds the default now and the value after Read(), and must outlive the set.
  void Text(std::string name, std::string type, std::string help, std::string& target);
  void List(std::string name, std::string type, const std::string& help,
            std::vector<std::string>& target);
  void Flag(std::string name, std::string help, bool& target);

  // From `min` to `max`, both included.
  struct IntegerRange {
    int64_t min = 0;
    int64_t max = std::numeric_limits<int64_t>::max();
  };
  void Integer(std::string name, std::string help, int64_t& target, IntegerRange range);
  // With a unit, "64KiB"; see ParseBytesValue().
  void Bytes(std::string name, std::string help, int64_t& target, IntegerRange range);

  struct DurationRange {
    absl::Duration min = absl::ZeroDuration();
    absl::Duration max = absl::InfiniteDuration();
  };
  // With a unit, "30d"; see ParseDurationValue().
  void Duration(std::string name, std::string help, absl::Duration& target, DurationRange range);

  // One of `values`.
  void Choice(std::string name, const std::vector<std::string>& values, std::string help,
              std::string& target);

  // Anything that `parse` reads from a text: std::string -> absl::StatusOr<T>.
  template <typename T, typename Parse>
  void Value(const std::string& name, const std::string& type, const std::string& help, T& target,
             Parse parse, const std::string& default_text = "") {
    Define({.kind = Kind::kText,
            .name = name,
            .type = type,
            .help = help,
            .default_text = default_text,
            .take = [&target, parse = std::move(parse)](const std::vector<std::string>& words) {
              absl::StatusOr<T> value = parse(words.front());
              if (!value.ok()) return value.status();
              target = *std::move(value);
              return absl::OkStatus();
            }});
  }

  // Offers --config and the options (only those named, if any are) to the
  // parser of a command.  May be called for several commands.
  void AddTo(CLI::App& command, const std::vector<std::string>& names = {});

  // After the command line was parsed: reads the file and `environment`
  // ("NAME=VALUE" as in environ, up to a null pointer) and sets the targets.
  // Everything that is wrong is remembered, also where another place decides.
  void Read(char* const* environment);

  // What the place that decides has, to tell later what a reload changed.
  OptionValues values() const;

  // Whether the command line has the option.
  bool OnCommandLine(const std::string& name);

  // The file that --config or the environment names; empty: none.  After Read().
  const std::string& config_path() const { return config_path_; }

  // Adds an error about the value of an option, found when all are known:
  // "PLACE: " and `expected`, and `found`, which is empty for nothing.  Not a
  // second one about the same option.
  void Reject(const std::string& name, const std::string& expected, const std::string& found);
  // The same with a text that says it all.
  void Reject(const std::string& name, const absl::Status& status);

  // Whether nothing is wrong; if not, every error on a line of its own: those of
  // the file as "FILE:LINE: KEY: expected EXPECTED, found FOUND", and the status
  // to exit with.
  bool ok() const { return file_errors_.empty() && usage_errors_.empty(); }
  std::string errors() const;
  int exit_status() const { return usage_errors_.empty() ? kBadConfiguration : kBadUsage; }

 private:
  enum class Kind { kText, kNumber, kFlag, kList };
  using Take = std::function<absl::Status(const std::vector<std::string>&)>;

  struct Definition {
    Kind kind = Kind::kText;
    std::string name;
    std::string type;
    std::string help;
    std::string default_text;
    Take take;
  };
  // A definition, what the command line had of it, and where its value is from.
  struct Option;

  struct FileError {
    int line;  // 0: of the file as a whole.
    std::string text;
  };

  void Define(Definition definition);
  Option* Find(const std::string& name);
  std::string Variable(const std::string& name) const;
  void ReadFile();
  static absl::Status CheckType(Kind kind, const TomlEntry& entry);
  void ReadEnvironment(char* const* environment);
  void ReadCommandLine();

  const std::string prefix_;
  std::vector<std::unique_ptr<Option>> options_;
  std::string config_path_;
  bool file_unreadable_ = false;
  std::vector<FileError> file_errors_;
  std::vector<std::string> usage_errors_;
};

}  // namespace mxtally

#endif  // MXTALLY_PROTO_OPTIONS_OPTION_SET_H_
