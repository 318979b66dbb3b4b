// `mxtally-agent status`.

#ifndef MXTALLY_AGENT_CLI_STATUS_COMMAND_H_
#define MXTALLY_AGENT_CLI_STATUS_COMMAND_H_

#include <functional>
#include <ostream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mxtally {

struct StatusOptions {
  std::string state_dir;
  std::string format = "table";  // Or "json".
  std::function<absl::Time()> now = absl::Now;
};

// Tells where the agent of a state directory stands, whether it runs or not,
// and without asking it or the server.  Returns the exit status:
//   0   it runs and delivers
//   1   the directory cannot be read; `err` says why
//   3   it does not run
//   4   it runs, but has no connection, or a trouble that is told
int Status(const StatusOptions& options, std::ostream& out, std::ostream& err);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_STATUS_COMMAND_H_
