// Asks Postfix's `postconf` for the settings that decide what the log shows.

#ifndef MXTALLY_AGENT_POSTCONF_POSTCONF_H_
#define MXTALLY_AGENT_POSTCONF_POSTCONF_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

struct PostconfOptions {
  // The first that can be executed is asked.
  std::vector<std::string> programs = {"/usr/sbin/postconf", "/usr/local/sbin/postconf",
                                       "/usr/bin/postconf", "/usr/pkg/sbin/postconf"};

  // After so much time, or output in bytes, it is killed.
  absl::Duration timeout = absl::Seconds(5);
  size_t output_bytes_max = 16 * 1024;
};

// Runs the program without a shell and waits for its answer.  From any thread.
//   NOT_FOUND           there is none
//   DEADLINE_EXCEEDED   it took too long
//   RESOURCE_EXHAUSTED  it said too much
//   UNAVAILABLE         it could not be run, or failed
absl::StatusOr<v1::MtaConfig> AskPostconf(const PostconfOptions& options);

// Reads lines of "name = value".  What is not known, malformed or too long for
// the message is left out.
v1::MtaConfig ParsePostconf(std::string_view output);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_POSTCONF_POSTCONF_H_
