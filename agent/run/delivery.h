// Drives logs, stream and checkpoint: reads batches, sends them, and writes the
// checkpoint when they are acknowledged.
//
// After every break of the stream each log is opened again at its last
// acknowledged state, exactly as after a restart of the process: there is one
// way to go on, and it is exercised all the time.  Nothing is read while there
// is no stream, and no more than the window while there is one.
//
// One thread only, but for RequestStop().  It never waits: the caller does,
// for as long as Step() says.

#ifndef MXTALLY_AGENT_RUN_DELIVERY_H_
#define MXTALLY_AGENT_RUN_DELIVERY_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/run/checkpoint_keeper.h"
#include "agent/run/delivery_observer.h"
#include "agent/run/followed_logs.h"
#include "agent/uplink/backoff.h"
#include "agent/uplink/in_flight.h"
#include "agent/uplink/ingest_stream.h"
#include "agent/uplink/mailbox.h"

namespace mxtally {

inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

struct DeliveryOptions {
  // Host of the records, and the agent's release.
  std::string host;
  std::string agent_version;

  FollowedLogsOptions logs;
  v1::SourceKind source_kind = v1::SOURCE_KIND_FILES;
  // What the MTA's configuration says; nullopt: not known (yet).  Must not wait.
  std::function<std::optional<v1::MtaConfig>()> mta_config = [] { return std::nullopt; };
  // New logs are looked for this often.
  absl::Duration find_interval = absl::Seconds(10);

  // Reads each log to its end once, delivers it and is done.
  bool once = false;

  // Bytes of batches sent and not acknowledged.  Larger values keep a distant
  // server busier and read more again after a break.
  int64_t window_bytes_max = 4 * 1024 * 1024;

  // A change of a log is read this much later, with those that come meanwhile:
  // a busy log costs few batches.
  absl::Duration gather = absl::Seconds(1);
  // Logs are looked at this often although nothing was reported of them.
  absl::Duration poll_interval = absl::Seconds(1);

  absl::Duration status_interval = absl::Seconds(15);
  // Patience for the welcome, for the end of a stream that everything was sent
  // on, and for the last acknowledgements when stopping.
  absl::Duration welcome_timeout = absl::Seconds(30);
  absl::Duration close_timeout = absl::Seconds(3);

  BackoffOptions backoff;

  // A clock that nobody sets: only differences count.
  std::function<absl::Time()> clock = SteadyNow;
};

class Delivery {
 public:
  // All borrowed; they must outlive the delivery.
  Delivery(DeliveryOptions options, IngestClient& client, Mailbox& mailbox,
           CheckpointKeeper& checkpoint, DeliveryObserver& observer);
  ~Delivery();

  // How long the caller may wait before it calls Step() again, if the mailbox
  // stays empty.
  struct Pause {
    absl::Duration timeout;
    // Whether it should end too when a log changes; then call LogsChanged().
    bool watch_logs = false;
  };

  // Does what can be done now.
  Pause Step();

  // Logs may have changed: they are read after `gather`.
  void LogsChanged();

  // Calls `apply` when no log is open and nothing is in flight, and then goes on
  // from the last acknowledged state: for a change of what decides records.
  void Reload(std::function<void()> apply);

  // Whether it is over: everything delivered (`once`), or stopped.
  bool done() const { return result_.has_value(); }
  // After done(): why not everything was delivered, if so.
  absl::Status result() const { return result_.value_or(absl::OkStatus()); }

  // Stops reading, waits a little for acknowledgements, writes the checkpoint.
  // From any thread.
  void RequestStop();

 private:
  enum class State { kDisconnected, kOpening, kStreaming, kClosing };

  void Connect(absl::Time now);
  void Disconnect(const absl::Status& status, absl::Time now);
  void TakeEvents(absl::Time now);
  absl::Status TakeMessage(const v1::StreamSessionsResponse& message, absl::Time now);
  absl::Status TakeWelcome(const v1::StreamSessionsResponse& message, absl::Time now);
  absl::Status TakeAcknowledgement(int64_t sequence);

  // What is to be done on a stream.
  void Stream(absl::Time now);
  bool MayRead(absl::Time now);
  bool HasRoom() const;
  void SendBatch(absl::Time now);
  void SendStatus(absl::Time now);
  void Write(std::string request);
  void CloseStream(absl::Time now);
  // Carries out a reload if it may be now.
  void ApplyReload(absl::Time now);

  void FindLogs(absl::Time now);
  void StoreCheckpoint(absl::Time now);
  // Result of a delivery that was asked to stop.
  absl::Status Stopped() const;
  void Finish(absl::Status result, absl::Time now);
  Pause UntilNextTask(absl::Time now) const;

  const DeliveryOptions options_;
  IngestClient& client_;
  Mailbox& mailbox_;
  CheckpointKeeper& checkpoint_;
  DeliveryObserver& observer_;
  FollowedLogs logs_;
  std::atomic<bool> stop_requested_ = false;

  State state_ = State::kDisconnected;
  std::unique_ptr<IngestStream> stream_;
  std::string database_id_;
  InFlight in_flight_;
  bool writing_ = false;
  // kDisconnected: next attempt.  kOpening, kClosing: end of patience.
  absl::Time deadline_ = absl::InfinitePast();
  Backoff backoff_;
  absl::Duration retry_delay_min_;

  absl::Time find_at_ = absl::InfinitePast();
  absl::Time status_at_ = absl::InfinitePast();
  // `once`: the status after the last acknowledgement was sent; what came of the logs.
  bool said_all_ = false;
  absl::Status logs_result_;

  // Whether a log may have more to read; if not, when they are looked at again.
  bool reading_ = false;
  absl::Time look_at_;
  bool gathering_ = false;

  std::optional<absl::Time> stop_at_;
  std::function<void()> reload_;  // Null: none is asked for.
  bool checkpoint_trouble_ = false;
  std::optional<absl::Status> result_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_RUN_DELIVERY_H_
