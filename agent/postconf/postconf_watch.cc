#include "agent/postconf/postconf_watch.h"

#include <utility>

namespace mxtally {

PostconfWatch::PostconfWatch(PostconfWatchOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

PostconfWatch::~PostconfWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

std::optional<v1::MtaConfig> PostconfWatch::config() const {
  const std::lock_guard lock(mutex_);
  return config_;
}

void PostconfWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    absl::StatusOr<v1::MtaConfig> config = options_.ask();
    lock.lock();
    // A host without Postfix has none, which is no error.
    config_ = config.ok() ? std::optional(*std::move(config)) : std::nullopt;
    stopped_.wait_for(lock, absl::ToChronoNanoseconds(options_.interval),
                      [this] { return stopping_; });
  }
}

}  // namespace mxtally
