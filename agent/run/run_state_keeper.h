// Keeps what `mxtally-agent status` tells: notes what the delivery reports, hands
// it on to the next observer, and writes the state file.
//
// Changes of the connection and troubles are written at once, progress at most
// every few seconds.  A write that fails is left out: the checkpoint in the
// same folder fails as well, and its trouble is reported.
// One thread only.

#ifndef MXTALLY_AGENT_RUN_RUN_STATE_KEEPER_H_
#define MXTALLY_AGENT_RUN_RUN_STATE_KEEPER_H_

#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/run/delivery_observer.h"
#include "mxtally/agent/v1/run_state.pb.h"

namespace mxtally {

struct RunStateOptions {
  std::string dir;
  std::string host;
  std::string agent_version;
  std::string server;
  // Shortest time between two writes of progress.
  absl::Duration interval_min = absl::Seconds(3);
  std::function<absl::Time()> now = absl::Now;
};

class RunStateKeeper final : public ForwardingObserver {
 public:
  // Goes on from the file that is there, and writes it.  `next` must outlive it.
  RunStateKeeper(RunStateOptions options, DeliveryObserver& next);
  // Writes what there is at the end: no connection.
  ~RunStateKeeper() override;

  void OnConnected(const v1::ServerWelcome& welcome) override;
  void OnDisconnected(const absl::Status& status, absl::Duration delay) override;
  void OnGap(const std::string& log, const v1::Gap& gap) override;
  void OnRejected(const v1::RejectedSession& rejected) override;
  void OnLogTrouble(const std::string& log, const absl::Status& status) override;
  void OnCheckpointTrouble(const absl::Status& status) override;
  void OnAcknowledged(const std::string& log) override;
  void OnStatus(const v1::AgentStatus& status) override;

 private:
  agent::v1::LogState& StateOf(const std::string& log);
  void SetConnected(bool connected, const std::string& failure);
  void Write();
  void WriteIfDue();

  const RunStateOptions options_;
  agent::v1::RunState state_;
  absl::Time progress_written_ = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_RUN_RUN_STATE_KEEPER_H_
