// What the listener has to tell: counters and log lines for main, evidence for tests.

#ifndef MXTALLY_SERVER_LISTENER_OBSERVER_H_
#define MXTALLY_SERVER_LISTENER_OBSERVER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace mxtally {

enum class ConnectionRefusal {
  kAddress,      // Its address has as many as it may.
  kDescriptors,  // The process has no descriptors left to serve it.
};
inline constexpr int kConnectionRefusalCount = 2;

// "address", "descriptors".
absl::string_view ConnectionRefusalName(ConnectionRefusal refusal);

// Called from the listener's thread, never under a lock.  Must not block.
class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;

  // A connection was closed before anything was read of it.  `address`: of the
  // peer, without port; empty where not known.
  virtual void OnConnectionRefused(const std::string& /*address*/, ConnectionRefusal /*refusal*/) {}
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_LISTENER_OBSERVER_H_
