// `mxtally-agent run`.

#ifndef MXTALLY_AGENT_CLI_RUN_COMMAND_H_
#define MXTALLY_AGENT_CLI_RUN_COMMAND_H_

#include <string>
#include <vector>

#include "agent/cli/options.h"

namespace mxtally {

// Follows the logs until SIGTERM or SIGINT, or with `once` until all is
// delivered.  On SIGHUP the options are read again from `words` and
// `environment`, as ParseCommandLine() did: what can change while the agent
// runs does, what cannot is named in the log, and where anything is wrong
// nothing changes.  Tells the service manager what happens, and feeds its
// watchdog from the loop that delivers.  Returns the exit status: 0, or 1 after a failure that it
// tells on standard error, or 2 when an option turns out to be wrong.
int Run(const RunOptions& options, const std::vector<std::string>& words, char* const* environment);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_RUN_COMMAND_H_
