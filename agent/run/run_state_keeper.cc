#include "agent/run/run_state_keeper.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/checkpoint/run_state_file.h"
#include "agent/pipeline/timestamps.h"

namespace mxtally {
namespace {

using agent::v1::LogState;

constexpr int kGapsMax = 16;
// As many as the checkpoint knows.
constexpr int kLogsMax = 1024;

std::string Text(const absl::Status& status) {
  if (status.ok()) return "";
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", std::string(status.message()));
}

bool Same(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp& b) {
  return a.seconds() == b.seconds() && a.nanos() == b.nanos();
}

// The bytes may differ: more of the gap may have become known.
bool Same(const v1::Gap& a, const v1::Gap& b) {
  return a.reason() == b.reason() && Same(a.start_time(), b.start_time()) &&
         Same(a.end_time(), b.end_time());
}

}  // namespace

RunStateKeeper::RunStateKeeper(RunStateOptions options, DeliveryObserver& next)
    : ForwardingObserver(next), options_(std::move(options)) {
  absl::StatusOr<std::optional<agent::v1::RunState>> before = ReadRunState(options_.dir);
  if (before.ok() && before->has_value() && (*before)->host() == options_.host) {
    state_.mutable_logs()->Swap((*before)->mutable_logs());
    for (LogState& log : *state_.mutable_logs()) log.clear_trouble();
  }
  state_.set_host(options_.host);
  state_.set_agent_version(options_.agent_version);
  state_.set_server(options_.server);
  *state_.mutable_start_time() = ToTimestamp(options_.now());
  Write();
}

RunStateKeeper::~RunStateKeeper() { SetConnected(false, "stopped"); }

void RunStateKeeper::OnConnected(const v1::ServerWelcome& welcome) {
  SetConnected(true, "");
  ForwardingObserver::OnConnected(welcome);
}

void RunStateKeeper::OnDisconnected(const absl::Status& status, absl::Duration delay) {
  // A stream that the server let end is opened again at once.
  if (!status.ok()) SetConnected(false, Text(status));
  ForwardingObserver::OnDisconnected(status, delay);
}

void RunStateKeeper::OnGap(const std::string& log, const v1::Gap& gap) {
  LogState& state = StateOf(log);
  // Until it is acknowledged, a gap is found again on each stream.
  const bool known = std::any_of(state.gaps().begin(), state.gaps().end(),
                                 [&gap](const v1::Gap& other) { return Same(other, gap); });
  if (!known) {
    state.set_gap_count(state.gap_count() + 1);
    if (state.gaps_size() >= kGapsMax) state.mutable_gaps()->DeleteSubrange(0, 1);
    *state.add_gaps() = gap;
    Write();
  }
  ForwardingObserver::OnGap(log, gap);
}

void RunStateKeeper::OnRejected(const v1::RejectedSession& rejected) {
  state_.set_rejected_sessions(state_.rejected_sessions() + 1);
  ForwardingObserver::OnRejected(rejected);
}

void RunStateKeeper::OnLogTrouble(const std::string& log, const absl::Status& status) {
  if (log.empty()) {
    state_.set_search_trouble(Text(status));
  } else {
    StateOf(log).set_trouble(Text(status));
  }
  Write();
  ForwardingObserver::OnLogTrouble(log, status);
}

void RunStateKeeper::OnCheckpointTrouble(const absl::Status& status) {
  state_.set_checkpoint_trouble(Text(status));
  Write();
  ForwardingObserver::OnCheckpointTrouble(status);
}

void RunStateKeeper::OnAcknowledged(const std::string& log) {
  *StateOf(log).mutable_acknowledged_time() = ToTimestamp(options_.now());
  WriteIfDue();
  ForwardingObserver::OnAcknowledged(log);
}

void RunStateKeeper::OnStatus(const v1::AgentStatus& status) {
  for (const v1::LogStatus& log : status.logs()) *StateOf(log.log()).mutable_status() = log;
  WriteIfDue();
  ForwardingObserver::OnStatus(status);
}

LogState& RunStateKeeper::StateOf(const std::string& log) {
  for (LogState& state : *state_.mutable_logs()) {
    if (state.status().log() == log) return state;
  }
  if (state_.logs_size() >= kLogsMax) state_.mutable_logs()->DeleteSubrange(0, 1);
  LogState& state = *state_.add_logs();
  state.mutable_status()->set_log(log);
  return state;
}

void RunStateKeeper::SetConnected(bool connected, const std::string& failure) {
  if (state_.connected() != connected || !state_.has_connected_change_time()) {
    *state_.mutable_connected_change_time() = ToTimestamp(options_.now());
  }
  state_.set_connected(connected);
  state_.set_connection_failure(failure);
  Write();
}

void RunStateKeeper::Write() {
  *state_.mutable_write_time() = ToTimestamp(options_.now());
  WriteRunState(options_.dir, state_).IgnoreError();
}

void RunStateKeeper::WriteIfDue() {
  const absl::Time now = options_.now();
  // Also when the clock was set back.
  if (now < progress_written_ + options_.interval_min && now >= progress_written_) return;
  progress_written_ = now;
  Write();
}

}  // namespace mxtally
