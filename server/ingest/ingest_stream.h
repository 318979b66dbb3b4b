// One agent's stream: a state machine between gRPC's callbacks and the writer.
//
//     kHello -> kOpening -> kOpen -> kFlushing -> kEnding -> kFinished
//
// The hello leads to kOpening, the stored cuts to kOpen, Close() to kFlushing,
// and the word that all is committed to kEnding; a failed commit and a vanished
// agent lead there at once.
//
// Reads stop with kOpen.  What was read is still committed and acknowledged
// while the stream is kFlushing, whatever the reason for its end.
//
// Locks and threads: callbacks of gRPC and of the writer come on any thread.
// Each changes the state under the lock and then calls Pump(), which starts
// operations of gRPC one after another, outside of the lock, and on one thread
// at a time.  So gRPC may call back from within; Finish() comes after all other
// operations have been started; and no write is outstanding then.

#ifndef MXTALLY_SERVER_INGEST_INGEST_STREAM_H_
#define MXTALLY_SERVER_INGEST_INGEST_STREAM_H_

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "mxtally/v1/ingest.pb.h"
#include "proto/mutex/mutex.h"
#include "proto/timestamps/timestamps.h"
#include "server/ingest/agent_quotas.h"
#include "server/ingest/connected_hosts.h"
#include "server/ingest/host_incidents.h"
#include "server/ingest/ingest_options.h"
#include "server/ingest/observer.h"
#include "server/ingest/writer.h"

namespace mxtally {

// What all streams of a service share.  Outlives them.
struct IngestShared {
  const IngestOptions options;
  const std::string database_id;
  IngestObserver& observer;
  Writer& writer;
  ConnectedHosts& connected;
  AgentQuotas& quotas;
  HostIncidents& incidents;
};

// Messages are parsed here and not by gRPC, which would report one that cannot
// be parsed in the same way as the end of the stream.
class IngestStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                           public Writer::Client,
                           public std::enable_shared_from_this<IngestStream> {
 public:
  // `context` is the call's.  `on_done` is called once, as the last thing that
  // gRPC calls.  Until then the caller keeps the stream alive; the writer may
  // hold it longer.
  IngestStream(IngestShared& shared, const grpc::CallbackServerContext& context, StreamOwner owner,
               std::function<void(IngestStream*)> on_done);

  // Reads the hello, unless the owner has too many streams.
  void Start();

  // Ends the stream with `status` when all that was read is committed and
  // acknowledged.  The agent is told to stay away for `retry_delay`.
  void Close(const absl::Status& status, std::optional<absl::Duration> retry_delay);

  // gRPC's callbacks.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // The writer's.
  void OnOpened(absl::StatusOr<std::vector<v1::StoredCut>> cuts) override;
  void OnCommitted(int64_t sequence) override;
  void OnFailed(const absl::Status& status) override;
  void OnNoted(int64_t bytes) override;
  void OnFlushed() override;
  void OnRoom() override;

 private:
  enum class Phase { kHello, kOpening, kOpen, kFlushing, kEnding, kFinished };
  enum class Operation { kNone, kRead, kWrite, kFinish };

  // A batch that is queued.
  struct Outstanding {
    int64_t sequence = 0;
    int64_t bytes = 0;
    std::vector<v1::RejectedSession> rejected;
  };

  // A message as it came and parsed, with the arena that owns both.
  struct Request {
    std::unique_ptr<google::protobuf::Arena> arena;
    std::string_view serialized;
    v1::StreamSessionsRequest* message = nullptr;

    int64_t bytes() const { return static_cast<int64_t>(serialized.size()); }
  };
  absl::StatusOr<Request> Parse();
  absl::Status Take(Request request);
  absl::Status TakeHello(const v1::AgentHello& hello);
  absl::Status TakeBatch(Request request);
  absl::Status TakeStatus(const v1::AgentStatus& status, int64_t bytes);
  // By how much the clock of the agent that sent `message` now is ahead.
  template <typename Message>
  std::optional<absl::Duration> ClockAhead(const Message& message) const {
    if (!message.has_wall_time()) return std::nullopt;
    return GetTimestamp(message.wall_time()) - shared_.options.now();
  }
  // Reports an agent that is at work beside a newer one.
  void NoteNewerAgent(const v1::AgentStatus& status);
  // Whether a collector may send for all hosts that the batch names parts of.
  absl::Status CheckParts(const v1::SessionBatch& batch);
  // Takes the records that fail out of the batch, in both forms.
  std::vector<v1::RejectedSession> RemoveRejected(v1::SessionBatch& batch, Writer::Batch& work);

  void Pump();
  Operation NextOperation() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BuildResponse() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseLocked(const absl::Status& status, std::optional<absl::Duration> retry_delay)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends at once; what is queued is not waited for.
  void EndLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseAfter(grpc::Alarm& alarm, absl::Duration delay, void (IngestStream::*expired)());
  // Counts this stream as one of `agent`'s.  RESOURCE_EXHAUSTED: it must end.
  absl::Status CountFor(const std::string& agent);
  absl::Status Charge(int64_t bytes, int64_t sessions);
  absl::Status Report(const AgentQuotas::Hit& hit, const std::string& agent);
  void OnHelloWaitOver();
  void OnAgeReached();

  IngestShared& shared_;
  const grpc::CallbackServerContext& context_;  // Until OnDone().
  const StreamOwner owner_;
  const std::function<void(IngestStream*)> on_done_;

  // Belong to gRPC while a read or a write is outstanding.
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;

  grpc::Alarm hello_alarm_;
  grpc::Alarm age_alarm_;

  // Written before the phase leaves kHello, constant from then on.
  std::string host_;
  std::string agent_version_;
  std::string counted_for_;  // Empty: for nobody.

  int64_t number_ = 0;  // As ConnectedHosts has it.
  // Of a collector: for whom it may send.
  std::optional<CollectedHosts> collecting_;

  // The reading thread's.
  std::optional<absl::Duration> quota_delay_;  // Of a quota that was hit.
  // Hosts of which parts came on this stream.
  absl::flat_hash_set<std::string> collected_;

  Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kHello;
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool write_broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_for_room_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_status_ ABSL_GUARDED_BY(mutex_);

  int64_t read_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Outstanding> outstanding_ ABSL_GUARDED_BY(mutex_);

  // What the agent has not been told yet.
  std::optional<v1::ServerWelcome> welcome_ ABSL_GUARDED_BY(mutex_);
  int64_t acked_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t told_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::RejectedSession> rejected_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> retry_delay_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_INGEST_STREAM_H_
