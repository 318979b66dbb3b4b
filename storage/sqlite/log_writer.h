// The logs of hosts: where their counts end, what was read, what is missing.
//
// What was read is covered, also when it is read again.  The counts of a batch
// apply where it starts at the stored cut, or where it does not say where it
// starts, or where nothing of the log is stored.  Else its lines are being read
// again.  A batch without a start may also be one that is sent again: it is
// when it ends at the stored cut, or, unless it reports gaps, at or before it
// in the same file.

#ifndef MXTALLY_STORAGE_SQLITE_LOG_WRITER_H_
#define MXTALLY_STORAGE_SQLITE_LOG_WRITER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "mxtally/v1/ingest.pb.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/coverage.h"
#include "storage/sqlite/tls_logging.h"

namespace mxtally::sqlite {

class LogWriter {
 public:
  explicit LogWriter(Connection& db);

  enum class Reading { kFirst, kAgain, kSentAgain };

  // Applies counts, gaps, coverage and cut of a batch.  Unless it returns
  // kFirst its lines were counted before, and only coverage may have changed.
  // `foreign` is counted as lines of other hosts, beside those of the batch.
  Reading Apply(int64_t host_id, const v1::SessionBatch& batch,
                absl::Span<const v1::HourCounts> foreign = {});

  // Applies the part of another host; after Apply() of its batch, which
  // returned `reading`.  `collector`: name of the batch's host.
  void ApplyPart(int64_t host_id, int64_t collector_id, const std::string& collector,
                 const v1::SessionBatch& batch, const v1::HostPart& part, Reading reading);

  // Takes note of what an agent told about a log.
  void Note(int64_t host_id, const v1::LogStatus& status);

 private:
  struct Log {
    int64_t host_id = 0;
    int64_t log_id = 0;
    std::string name;
    std::optional<std::string> cut;  // Serialized.
    std::optional<int64_t> caught_up_ns;
    std::optional<int64_t> log_time_ns;
    std::optional<int64_t> oldest_open_ns;
    int64_t bytes_behind = 0;
    int64_t open_sessions = 0;
  };

  Log Load(int64_t host_id, const std::string& name);
  void Save(const Log& log);
  void AddCounts(const Log& log, absl::Span<const v1::HourCounts* const> counts);
  // Of a log of many hosts, to all that were met in it.
  void AddGaps(const Log& log, const v1::SessionBatch& batch);
  void AddGap(int64_t host_id, int64_t log_id, const v1::Gap& gap, const v1::SessionBatch& batch);
  void AddCoverage(const Log& log, const v1::SessionBatch& batch);
  // Moves the watermark, never back.
  void CatchUp(Log& log, int64_t caught_up_ns, std::optional<int64_t> followed_since_ns, bool once);

  Connection& db_;
  CoverageTable coverage_{db_};
  TlsLoggingTable tls_logging_{db_};
  Statement select_{db_,
                    "SELECT log_id, cut, caught_up_ns, log_time_ns, oldest_open_ns, bytes_behind, "
                    "open_sessions FROM log WHERE host_id = ?1 AND name = ?2"};
  Statement last_id_{db_, "SELECT max(log_id) FROM log WHERE host_id = ?1"};
  Statement insert_{db_, "INSERT INTO log (host_id, log_id, name) VALUES (?1, ?2, ?3)"};
  Statement update_{db_,
                    "UPDATE log SET cut = ?3, caught_up_ns = ?4, log_time_ns = ?5, "
                    "oldest_open_ns = ?6, bytes_behind = ?7, open_sessions = ?8 "
                    "WHERE host_id = ?1 AND log_id = ?2"};
  Statement set_collector_{db_,
                           "UPDATE log SET collector_host_id = ?3, collector_log_id = (SELECT "
                           "log_id FROM log WHERE host_id = ?3 AND name = ?4) "
                           "WHERE host_id = ?1 AND log_id = ?2 AND collector_host_id IS NULL"};
  Statement collected_{db_,
                       "SELECT host_id, log_id FROM log "
                       "WHERE collector_host_id = ?1 AND collector_log_id = ?2"};
  Statement add_totals_{
      db_,
      "UPDATE log SET lines_read = lines_read + ?3, lines_unrecognized = lines_unrecognized + ?4, "
      "lines_oversized = lines_oversized + ?5, lines_foreign_host = lines_foreign_host + ?6, "
      "cut_sessions = cut_sessions + ?7, evicted_sessions = evicted_sessions + ?8, "
      "lines_suppressed = lines_suppressed + ?9 "
      "WHERE host_id = ?1 AND log_id = ?2"};
  Statement add_hour_;
  Statement add_day_;
  Statement add_gap_{db_,
                     "INSERT INTO gap (host_id, log_id, start_ns, end_ns, reason, bytes_min) "
                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
                     "ON CONFLICT DO UPDATE SET bytes_min = max(bytes_min, excluded.bytes_min)"};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_LOG_WRITER_H_
