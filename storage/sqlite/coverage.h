// Which log time was read: the rules, and the table of intervals.
//
// A batch covers the log time between its cuts.  Where its beginning has no
// time (nothing was read before) that is the end of its last gap, else its
// first session's stamp, else only its end.  Gaps are taken out.
//
// Time after the last line is covered by the watermark: when the end of the log
// was reached at wall-clock time T, no line up to T is missing.  This tells a
// quiet hour from one that was not read.  T says nothing about the time between
// the last line of an old log and the day it was read, though: a file of 2013
// read today leaves the years between unknown.  So [last line, T] is covered
// only if
//   - the log was at its end before, at W: then [max(last line, W), T] is; or
//   - T is less than an hour after the last line.
// Otherwise a new interval starts at T, from which the log is being followed.
// For the same reason lines that come after W cover time from W on only, not
// from the line before.
//
// A T earlier than the last line (clocks differ) covers nothing.
//
// In a log of many hosts the watermark says little of a single one: its lines
// may have got lost, or be late, on their way into that log.  So its silence
// is taken for quiet for an hour; after that nothing since its last line is
// covered, until the next line comes and covers what was before it.

#ifndef MXTALLY_STORAGE_SQLITE_COVERAGE_H_
#define MXTALLY_STORAGE_SQLITE_COVERAGE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "mxtally/v1/ingest.pb.h"
#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {

// Nanoseconds since 1970, both ends included.
struct Interval {
  int64_t start_ns = 0;
  int64_t end_ns = 0;

  friend bool operator==(const Interval&, const Interval&) = default;
};

// What the lines of `batch` cover.
std::vector<Interval> CoveredByLines(const v1::SessionBatch& batch);
// What those of one other host in it cover.
std::vector<Interval> CoveredByPart(const v1::SessionBatch& batch, const v1::HostPart& part);

// What reaching the end of the log at `caught_up_ns` covers.  `log_end_ns`:
// stamp of the last line.  `once`: nothing says that the log is still being
// written, so an old last line is followed by nothing known.
std::optional<Interval> CoveredByWatermark(std::optional<int64_t> log_end_ns,
                                           std::optional<int64_t> followed_since_ns,
                                           int64_t caught_up_ns, bool once);

// Whether a host that wrote its last line at `last_line_ns` is taken for quiet
// where the end of the log of many hosts was reached at `caught_up_ns`.
bool IsQuiet(int64_t last_line_ns, int64_t caught_up_ns);

// Last line before a gap and first line after it.  A side that is not known
// reaches to the end of time.
Interval GapInterval(const v1::Gap& gap);

// The table of intervals: sorted and disjoint for each log.
class CoverageTable {
 public:
  explicit CoverageTable(Connection& db) : db_(db) {}

  // Joins it with those it meets.
  void Add(int64_t host_id, int64_t log_id, Interval interval);
  // Takes it out of those it meets.
  void Remove(int64_t host_id, int64_t log_id, Interval interval);

 private:
  Connection& db_;
  Statement select_{db_,
                    "SELECT start_ns, end_ns FROM coverage WHERE host_id = ?1 AND log_id = ?2 AND "
                    "start_ns <= ?3 ORDER BY start_ns DESC"};
  Statement remove_{db_,
                    "DELETE FROM coverage WHERE host_id = ?1 AND log_id = ?2 AND start_ns = ?3"};
  Statement insert_{
      db_, "INSERT INTO coverage (host_id, log_id, start_ns, end_ns) VALUES (?1, ?2, ?3, ?4)"};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_COVERAGE_H_
