// `mxtally-agent run`.

#ifndef MXTALLY_AGENT_CLI_RUN_COMMAND_H_
#define MXTALLY_AGENT_CLI_RUN_COMMAND_H_

#include "agent/cli/options.h"

namespace mxtally {

// Follows the logs until SIGTERM or SIGINT, or with `once` until all is
// delivered.  Returns the exit status: 0, or 1 after a failure that it tells
// on standard error, or 2 when an option turns out to be wrong.
int Run(const RunOptions& options);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_RUN_COMMAND_H_
