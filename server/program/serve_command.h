// `mxtally-server serve`.

#ifndef MXTALLY_SERVER_PROGRAM_SERVE_COMMAND_H_
#define MXTALLY_SERVER_PROGRAM_SERVE_COMMAND_H_

#include "server/serve/server.h"

namespace mxtally {

// Serves until SIGTERM or SIGINT.  Returns the exit status: 0, or 1 after a
// failure that it tells on standard error, or 2 when an option turns out to be
// wrong.
int Serve(const ServerOptions& options);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_SERVE_COMMAND_H_
