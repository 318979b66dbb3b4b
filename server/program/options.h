// The options of mxtally-server, on the command line, in the environment and in
// the configuration file.  To add one of `serve`, see DefineServeOptions() in
// options.cc and proto/options/option_set.h.

#ifndef MXTALLY_SERVER_PROGRAM_OPTIONS_H_
#define MXTALLY_SERVER_PROGRAM_OPTIONS_H_

#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "proto/options/option_set.h"
#include "server/program/database_commands.h"
#include "server/serve/server.h"

namespace mxtally {

// `serve`.
struct ServeOptions {
  ServerOptions server;
  std::string log_level = "info";  // "debug", "info", "warn" or "error".
  OptionValues values;             // As they were given.
};

// A command to carry out, or the exit status of one that is done: 0 after
// --help, --version and a `check` that found nothing, 2 for wrong usage, 78 for
// a wrong configuration file.
using CommandLine = std::variant<ServeOptions, AuditOptions, BackupOptions, ReopenOptions, int>;

// Reads the words after the program's name, the environment ("NAME=VALUE", up
// to a null pointer), and the configuration file that they name.  Tells on
// `out` what was asked for, on `err` everything that is wrong, what was
// expected and what was found.
CommandLine ParseCommandLine(std::vector<std::string> words, char* const* environment,
                             std::ostream& out, std::ostream& err);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_OPTIONS_H_
