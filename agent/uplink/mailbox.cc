#include "agent/uplink/mailbox.h"

#include <algorithm>
#include <chrono>

namespace mxtally {

void Mailbox::Post(StreamEvent event) {
  {
    MutexLock lock(mutex_);
    events_.push_back(std::move(event));
  }
  changed_.notify_one();
  on_post_();
}

void Mailbox::Wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
  on_post_();
}

std::optional<StreamEvent> Mailbox::Take() {
  MutexLock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  StreamEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Mailbox::Clear() {
  MutexLock lock(mutex_);
  events_.clear();
}

void Mailbox::Wait(absl::Duration timeout) {
  // Far ahead, yet within the range of the clock.
  const auto until = std::chrono::steady_clock::now() +
                     absl::ToChronoMilliseconds(std::min(timeout, absl::Hours(24)));
  MutexLock lock(mutex_);
  while (events_.empty() && !woken_) {
    if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
  }
  woken_ = false;
}

}  // namespace mxtally
