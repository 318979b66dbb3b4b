// What the operator may want to know of the delivery.

#ifndef MXTALLY_AGENT_RUN_DELIVERY_OBSERVER_H_
#define MXTALLY_AGENT_RUN_DELIVERY_OBSERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

// Called on the agent's thread.
class DeliveryObserver {
 public:
  virtual ~DeliveryObserver() = default;

  // The server welcomed the agent.
  virtual void OnConnected(const v1::ServerWelcome& welcome) = 0;

  // The stream ended; OK when the server wished so.  The next attempt is made
  // after `delay`.
  virtual void OnDisconnected(const absl::Status& status, absl::Duration delay) = 0;

  // All of a log up to its end is acknowledged, for the first time on this stream.
  virtual void OnCaughtUp(const std::string& log) = 0;

  virtual void OnGap(const std::string& log, const v1::Gap& gap) = 0;

  virtual void OnRejected(const v1::RejectedSession& rejected) = 0;

  // A log cannot be read now; it is tried again.  OK: it can be again.  Called
  // when the trouble changes.
  virtual void OnLogTrouble(const std::string& log, const absl::Status& status) = 0;

  // The checkpoint could not be written; it is tried again.  OK: it was.
  virtual void OnCheckpointTrouble(const absl::Status& status) = 0;

  // A batch of `log` was acknowledged.
  virtual void OnAcknowledged(const std::string& /*log*/) {}

  // The server is told this.
  virtual void OnStatus(const v1::AgentStatus& /*status*/) {}
};

// Hands everything on, for observers that look at some of it on its way.
class ForwardingObserver : public DeliveryObserver {
 public:
  // `next` must outlive it.
  explicit ForwardingObserver(DeliveryObserver& next) : next_(next) {}

  void OnConnected(const v1::ServerWelcome& welcome) override { next_.OnConnected(welcome); }
  void OnDisconnected(const absl::Status& status, absl::Duration delay) override {
    next_.OnDisconnected(status, delay);
  }
  void OnCaughtUp(const std::string& log) override { next_.OnCaughtUp(log); }
  void OnGap(const std::string& log, const v1::Gap& gap) override { next_.OnGap(log, gap); }
  void OnRejected(const v1::RejectedSession& rejected) override { next_.OnRejected(rejected); }
  void OnLogTrouble(const std::string& log, const absl::Status& status) override {
    next_.OnLogTrouble(log, status);
  }
  void OnCheckpointTrouble(const absl::Status& status) override {
    next_.OnCheckpointTrouble(status);
  }
  void OnAcknowledged(const std::string& log) override { next_.OnAcknowledged(log); }
  void OnStatus(const v1::AgentStatus& status) override { next_.OnStatus(status); }

 private:
  DeliveryObserver& next_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_RUN_DELIVERY_OBSERVER_H_
