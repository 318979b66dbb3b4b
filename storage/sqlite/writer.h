// The one connection that writes, and checkpoints the WAL.
//
// SQLite's own checkpoints are off: they would run within a commit, whoever
// waits for it.  Here a passive one, which never waits for readers, follows the
// commit after which the WAL has grown by a certain size.  While any reader
// looks at the WAL it cannot begin anew; when it has become too large, the
// checkpoint waits for readers, shortly, and cuts the file.
//
// One thread only, except for `checkpoints_failed` and `kept_since`.

#ifndef MXTALLY_STORAGE_SQLITE_WRITER_H_
#define MXTALLY_STORAGE_SQLITE_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/host_writer.h"
#include "storage/sqlite/identities.h"
#include "storage/sqlite/log_writer.h"
#include "storage/sqlite/retention.h"
#include "storage/sqlite/rollup_writer.h"
#include "storage/sqlite/session_writer.h"
#include "storage/store.h"

namespace mxtally::sqlite {

class Writer {
 public:
  // `db` is migrated and stays with the writer.
  Writer(std::unique_ptr<Connection> db, const StoreOptions& options);

  // As the methods of Store.
  absl::StatusOr<std::vector<BatchOutcome>> Commit(absl::Span<const HostBatch> batches);
  absl::Status Touch(absl::Span<const HostSighting> sightings);
  absl::Status ExpectHosts(absl::Span<const std::string> hosts);
  absl::StatusOr<absl::Time> RetireHost(const std::string& host, absl::Time time);
  absl::StatusOr<bool> Maintain(absl::Duration budget);
  absl::Status ReopenDay(const std::string& host, absl::CivilDay day);
  KeptSince kept_since() const { return retainer_.kept_since(); }

  // Figures of retention for /metrics, as Store::Gauges().  Since the start, but
  // for the times.
  std::vector<std::pair<std::string, double>> RetentionGauges() const;

  // Checkpoints that an error or a reader prevented.
  int64_t checkpoints_failed() const { return checkpoints_failed_; }

 private:
  // A host that a batch tells of.
  struct Target {
    int64_t host_id = 0;
    bool taken = true;  // Not: another kind of source is known for it.
    bool told = false;
    std::optional<int64_t> last_session_ns = {};
  };
  // By name.
  using Targets = std::map<std::string, Target, std::less<>>;

  absl::StatusOr<bool> MaintainOnce(absl::Duration budget);
  BatchOutcome Apply(const HostBatch& batch, absl::Time now);
  Targets TargetsOf(const HostBatch& batch, absl::Time now);
  void PutSessions(const HostBatch& batch, Targets& targets, BatchOutcome& outcome,
                   std::map<std::pair<int64_t, int64_t>, int64_t>& sealed_by_hour);
  // Ends a transaction.
  absl::Status Finish(Transaction& transaction);
  void CheckpointIfLarge();

  const std::unique_ptr<Connection> db_;
  const std::function<absl::Time()> now_;
  const int64_t page_bytes_;
  int wal_pages_ = 0;               // After the last commit.
  int64_t checkpointed_bytes_ = 0;  // WAL size at the last checkpoint.
  std::atomic<int64_t> checkpoints_failed_ = 0;

  // Of retention.
  std::atomic<int64_t> sessions_removed_ = 0;
  std::atomic<int64_t> others_removed_ = 0;
  std::atomic<int64_t> maintain_failures_ = 0;
  std::atomic<int64_t> maintained_seconds_ = 0;          // Nothing was left to do; 0: never yet.
  std::atomic<int64_t> oldest_session_day_ = INT64_MAX;  // INT64_MAX: no sessions.

  HostIds hosts_{*db_};
  LabelSetTable label_sets_{*db_};
  RollupWriter rollups_{*db_};
  SealTable seals_{*db_};
  Retainer retainer_;
  SessionWriter sessions_;
  LogWriter logs_{*db_};
  HostWriter host_writer_{*db_, hosts_};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_WRITER_H_
