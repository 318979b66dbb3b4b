// How long to wait before the next attempt: exponential, with full jitter, so
// that ten thousand agents that lost one server do not come back at once.

#ifndef MXTALLY_AGENT_UPLINK_BACKOFF_H_
#define MXTALLY_AGENT_UPLINK_BACKOFF_H_

#include <functional>

#include "absl/time/time.h"

namespace mxtally {

struct BackoffOptions {
  // Bound of the first delay; it doubles with every failure up to `max`.
  absl::Duration base = absl::Milliseconds(500);
  absl::Duration max = absl::Seconds(60);
  // Uniform in [0, 1).  Empty: from the system's entropy.
  std::function<double()> random;
};

// One thread only.
class Backoff {
 public:
  explicit Backoff(BackoffOptions options);

  // Delay before the next attempt.  `at_least` is the server's wish; the jitter
  // comes on top of it, because it told all agents the same.
  absl::Duration Next(absl::Duration at_least = absl::ZeroDuration());

  // Things went well: the next delay is a short one.
  void Reset() { failures_ = 0; }
  // Trying soon cannot help: the next delay is a long one.
  void Exhaust() { failures_ = kFailuresMax; }

 private:
  static constexpr int kFailuresMax = 30;

  const BackoffOptions options_;
  std::function<double()> random_;
  int failures_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_UPLINK_BACKOFF_H_
