// The service that a session came to, or went out from.

#ifndef MXTALLY_AGENT_SESSION_SERVICE_H_
#define MXTALLY_AGENT_SESSION_SERVICE_H_

#include <string>
#include <string_view>

namespace mxtally {

// What a tag says of all sessions of its process.
struct Service {
  std::string name;  // As in session.proto.
  bool wrapper_mode = false;
};

// "smtpd" for a tag that names no service.
Service ServiceOf(std::string_view tag);

// Sets `name` to `text` with what a service's name cannot hold replaced.
void SetServiceName(std::string_view text, std::string& name);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_SERVICE_H_
