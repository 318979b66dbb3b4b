// The one place where gRPC's threads meet the agent's thread: they only leave
// events here, everything else runs on the agent's thread.  Thread-safe.

#ifndef MXTALLY_AGENT_UPLINK_MAILBOX_H_
#define MXTALLY_AGENT_UPLINK_MAILBOX_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "mxtally/v1/ingest.pb.h"
#include "proto/mutex/mutex.h"

namespace mxtally {

struct StreamEvent {
  enum class Type {
    kMessage,  // `message` came.
    kWritten,  // The message given to Write() is on its way, or lost with the stream.
    kEnded,    // No further message will come.
  };
  Type type = Type::kMessage;
  v1::StreamSessionsResponse message;
};

// Bounded by its users: a stream has one read and one write under way.
class Mailbox {
 public:
  // Called after each Post() and Wake(), on their thread, without a lock.
  explicit Mailbox(std::function<void()> on_post = [] {}) : on_post_(std::move(on_post)) {}

  void Post(StreamEvent event);
  // Ends a Wait() without an event.
  void Wake();

  std::optional<StreamEvent> Take();
  // Drops events that nobody wants any more.
  void Clear();

  // Returns when there is an event, after Wake(), or after `timeout`.
  void Wait(absl::Duration timeout);

 private:
  const std::function<void()> on_post_;

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<StreamEvent> events_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_UPLINK_MAILBOX_H_
