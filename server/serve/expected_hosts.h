// The list of hosts that are expected whether an agent has come from them or
// not: a file of names, one a line.  "#" begins a comment.

#ifndef MXTALLY_SERVER_SERVE_EXPECTED_HOSTS_H_
#define MXTALLY_SERVER_SERVE_EXPECTED_HOSTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace mxtally {

// The names, in lower case.
//   NOT_FOUND           the file cannot be read
//   INVALID_ARGUMENT    file, line, what was expected and what was found
absl::StatusOr<std::vector<std::string>> ReadExpectedHosts(const std::string& path);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_SERVE_EXPECTED_HOSTS_H_
