// The one thread that writes to the store.
//
// It takes what all streams have queued, up to a bound, commits the batches of
// it in one transaction, and only then tells the streams.  So one wait for the
// disk serves every stream: a group commit.
//
// Order: what one client submits is done in the order of submission.  A client
// whose batch could not be committed hears so, and must not count on anything
// that it submitted after it.
//
// All methods may be called from any thread.

#ifndef MXTALLY_SERVER_INGEST_WRITER_H_
#define MXTALLY_SERVER_INGEST_WRITER_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "mxtally/v1/ingest.pb.h"
#include "proto/mutex/mutex.h"
#include "server/ingest/host_incidents.h"
#include "server/ingest/observer.h"
#include "storage/store.h"

namespace mxtally {

struct WriterOptions {
  // Bytes, in serialized form, that may be queued or in a transaction before
  // HasRoom() says no.  In memory they are about ten times as many.
  int64_t queue_bytes_max = int64_t{16} << 20;

  // Largest transaction, in bytes of serialized batches, and the most pieces of
  // work between two transactions.  Larger: fewer waits for the disk, later
  // acknowledgements, more WAL.
  int64_t group_bytes_max = int64_t{4} << 20;
  int group_jobs_max = 1024;

  // Shortest time between two writes of life signs.  Larger: fewer
  // transactions, and `last seen` is older by as much.
  absl::Duration touch_interval = absl::Seconds(1);

  // Retention is applied in bites of about this long, between two groups; after
  // one that left more to do, nine times as long is left to agents.  When
  // nothing is left to do, it is asked for again after the interval.
  absl::Duration maintain_budget = absl::Milliseconds(20);
  absl::Duration maintain_interval = absl::Minutes(1);

  // For tests: runs on the writer's thread between a commit and its
  // acknowledgements.
  std::function<void()> after_commit = {};
};

class Writer {
 public:
  // Told what became of what it submitted, on the writer's thread and under no
  // lock.  Must not block.
  class Client {
   public:
    virtual ~Client() = default;
    // Everything of this host that was queued before is done; this is where its counts end.
    virtual void OnOpened(absl::StatusOr<std::vector<v1::StoredCut>> cuts) = 0;
    // Every batch of this client up to `sequence` is durable.
    virtual void OnCommitted(int64_t sequence) = 0;
    // A batch could not be committed: RESOURCE_EXHAUSTED or UNAVAILABLE.
    virtual void OnFailed(const absl::Status& status) = 0;
    // A life sign of `bytes` is no longer queued.
    virtual void OnNoted(int64_t bytes) = 0;
    // Everything that this client submitted before Flush() is in the store.
    virtual void OnFlushed() = 0;
    // There is room in the queue again, after HasRoom() said no.
    virtual void OnRoom() = 0;
  };
  // Shared, because a stream may end while its work is queued.
  using ClientPtr = std::shared_ptr<Client>;

  // A validated batch.
  struct Batch {
    std::string host;
    // Owns the batch.  A session is some thirty small objects; allocating each
    // alone took a third of the server's time.
    std::unique_ptr<google::protobuf::Arena> arena;
    const v1::SessionBatch* batch = nullptr;
    std::vector<std::string_view> serialized;  // As in HostBatch.
    std::vector<RejectedCount> rejected;
    bool collected = false;  // As in HostBatch.
    int64_t bytes = 0;
  };

  // All borrowed; they must outlive the writer.
  Writer(Store& store, IngestObserver& observer, HostIncidents& incidents, WriterOptions options);

  // Does everything that is queued, then stops.
  ~Writer();

  void Open(ClientPtr client, HostSighting sighting);
  void Commit(ClientPtr client, Batch batch);
  void Note(ClientPtr client, HostSighting sighting, int64_t bytes);
  void Flush(ClientPtr client);

  // Runs `work` on the writer's thread, after everything that is queued, and
  // waits for it.  Not to be called from there.
  void Perform(const std::function<void(Store&)>& work);

  // Whether another message may be read.  If not, `client` gets one OnRoom()
  // when it may.
  bool HasRoom(const ClientPtr& client);

  int64_t queue_bytes() const;

  // How long the writer has been at what it does now, since the queue was last
  // empty or a group was last done; zero while there is nothing to do.  For a
  // watchdog: no group takes minutes unless something hangs.
  absl::Duration busy_for() const;

  // How the last write to the store ended, and when that was; InfinitePast when
  // there was none.
  std::pair<absl::Status, absl::Time> last_write() const;

 private:
  struct OpenWork {
    HostSighting sighting;
  };
  struct NoteWork {
    HostSighting sighting;
    int64_t bytes = 0;
  };
  struct FlushWork {};
  // Both live until it is done.
  struct PerformWork {
    const std::function<void(Store&)>* work = nullptr;
    std::promise<void>* done = nullptr;
  };
  struct Job {
    ClientPtr client;
    std::variant<OpenWork, Batch, NoteWork, FlushWork, PerformWork> work;
  };
  using Jobs = std::vector<Job>;
  using Batches = std::vector<const Job*>;

  void Submit(Job job, int64_t bytes);
  void Run();
  // Waits for work and takes a group of it.  Empty when only life signs or
  // maintenance are due; nullopt at the end.
  std::optional<Jobs> TakeGroup();
  void Do(const Jobs& jobs);
  void CommitBatches(const Batches& batches);
  // One transaction.  Acknowledges when it succeeds.
  absl::Status CommitOnce(const Batches& batches);
  // Each client in a transaction of its own, so that one cannot stop the others.
  void CommitApart(const Batches& batches);
  void Fail(const Batches& batches, const absl::Status& status);
  // Takes a life sign to what is to be written.
  void Collect(const HostSighting& sighting);
  bool TouchIsDue() const;
  void Touch();
  // Refuses an agent that reads another kind of source than its host's.
  absl::Status CheckSource(const HostSighting& sighting);
  void MaintainIfDue();
  // Bytes that are no longer queued.
  void Release(int64_t bytes);
  // Remembers and reports how a write ended.
  void Report(const absl::Status& status);

  Store& store_;
  IngestObserver& observer_;
  HostIncidents& incidents_;
  const WriterOptions options_;

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Weak, because a stream that waits for room may end.
  std::vector<std::weak_ptr<Client>> waiting_for_room_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_status_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Since when there is work and no group of it was finished.
  std::optional<std::chrono::steady_clock::time_point> busy_since_ ABSL_GUARDED_BY(mutex_);

  // The writer's thread only: life signs not yet written, one per host.
  absl::flat_hash_map<std::string, HostSighting> sightings_;
  std::chrono::steady_clock::time_point touch_due_;
  std::chrono::steady_clock::time_point maintain_due_ = std::chrono::steady_clock::now();

  std::thread thread_;  // Last, so that it starts when all else is there.
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_WRITER_H_
