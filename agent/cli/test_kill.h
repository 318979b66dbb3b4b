// A failpoint for tests: the agent kills itself where that hurts most.

#ifndef MXTALLY_AGENT_CLI_TEST_KILL_H_
#define MXTALLY_AGENT_CLI_TEST_KILL_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace mxtally {

// Reads "before_checkpoint:PROBABILITY:SEED": before each write of the
// checkpoint, after the acknowledgement, the process gets SIGKILL with this
// probability.  Empty: never.
//   INVALID_ARGUMENT   says what was expected and found
absl::StatusOr<std::function<void()>> ParseTestKill(const std::string& text);

// The same of the environment variable MXTALLY_TEST_KILL.
absl::StatusOr<std::function<void()>> TestKillFromEnvironment();

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_TEST_KILL_H_
