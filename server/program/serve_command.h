// `mxtally-server serve`.

#ifndef MXTALLY_SERVER_PROGRAM_SERVE_COMMAND_H_
#define MXTALLY_SERVER_PROGRAM_SERVE_COMMAND_H_

#include <string>
#include <vector>

#include "server/program/options.h"

namespace mxtally {

// Serves until SIGTERM or SIGINT.  On SIGHUP the options are read again from
// `words` and `environment`, as ParseCommandLine() did: what can change while
// the server runs does, what cannot is named in the log, and where anything is
// wrong nothing changes.  Tells the service manager what happens, and feeds its
// watchdog as long as the store's writer gets on.
//
// Returns the exit status: 0, or 1 after a failure that it tells on standard
// error, or 2 when an option turns out to be wrong.
int Serve(const ServeOptions& options, const std::vector<std::string>& words,
          char* const* environment);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_SERVE_COMMAND_H_
