// The command line of a program that has commands.

#ifndef MXTALLY_PROTO_OPTIONS_COMMAND_LINE_H_
#define MXTALLY_PROTO_OPTIONS_COMMAND_LINE_H_

#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace mxtally {

// Parses `words`, the arguments without the program's name.  Returns the exit status where
// that is all: help or the version was asked for, which `out` got, or usage was wrong,
// which `err` tells (OptionSet::kBadUsage).  The program's help ends with that of
// `main_command`.
std::optional<int> ParseWords(std::vector<std::string> words, CLI::App& app,
                              const CLI::App& main_command, std::ostream& out, std::ostream& err);

}  // namespace mxtally

#endif  // MXTALLY_PROTO_OPTIONS_COMMAND_LINE_H_
