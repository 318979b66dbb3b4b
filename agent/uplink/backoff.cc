#include "agent/uplink/backoff.h"

#include <algorithm>
#include <random>
#include <utility>

namespace mxtally {

Backoff::Backoff(BackoffOptions options) : options_(std::move(options)), random_(options_.random) {
  if (random_) return;
  random_ = [engine = std::minstd_rand(std::random_device()())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

absl::Duration Backoff::Next(absl::Duration at_least) {
  absl::Duration bound = options_.base;
  for (int i = 0; i < failures_ && bound < options_.max; ++i) bound *= 2;
  if (failures_ < kFailuresMax) ++failures_;
  return at_least + std::min(bound, options_.max) * random_();
}

}  // namespace mxtally
