// A failpoint for end-to-end tests, set by the environment variable
// MXTALLY_TEST_KILL: the server kills itself where a crash hurts most.

#ifndef MXTALLY_SERVER_PROGRAM_TEST_KILL_H_
#define MXTALLY_SERVER_PROGRAM_TEST_KILL_H_

#include <functional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mxtally {

// "after_commit:PROBABILITY:SEED" -> what to run between each commit and its
// acknowledgements: with this probability it sends SIGKILL to the process.
//   INVALID_ARGUMENT  not of this form
absl::StatusOr<std::function<void()>> ParseTestKill(absl::string_view spec);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_TEST_KILL_H_
