// A failpoint for end-to-end tests, set by the environment variable
// MXTALLY_TEST_KILL: the process kills itself where a crash hurts most.

#ifndef MXTALLY_PROTO_OPTIONS_TEST_KILL_H_
#define MXTALLY_PROTO_OPTIONS_TEST_KILL_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace mxtally {

// "PLACE:PROBABILITY:SEED" -> what to run at `place`: with this probability it sends
// SIGKILL to the process.  Not set, or empty: never.  `environment`: "NAME=VALUE" as in
// environ, up to a null pointer.
//   INVALID_ARGUMENT   not of this form, or for another place
absl::StatusOr<std::function<void()>> ReadTestKill(char* const* environment,
                                                   const std::string& place);

}  // namespace mxtally

#endif  // MXTALLY_PROTO_OPTIONS_TEST_KILL_H_
