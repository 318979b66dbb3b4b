// Removes what is older than the retention, in small bites, and seals days.
//
// A host's day goes through three states, host_day.seal: open; sealed, while
// its sessions are removed; sealed and without sessions.  It is sealed first,
// in a transaction of its own, so that rollups never move by a session whose
// twin was removed.  Counts by hour and day go period by period for each host,
// from the oldest on.
//
// A bite is one transaction that ends after about its budget; each statement in
// it removes a few hundred rows.

#ifndef MXTALLY_STORAGE_SQLITE_RETENTION_H_
#define MXTALLY_STORAGE_SQLITE_RETENTION_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/sqlite/connection.h"
#include "storage/store.h"

namespace mxtally::sqlite {

// Whether days take sessions.  Remembers answers; Forget() when seals change.
class SealTable {
 public:
  explicit SealTable(Connection& db) : db_(db) {}

  bool IsSealed(int64_t host_id, int64_t day);
  // Days before this one take nothing any more.
  void SetFirstDay(int64_t day) { first_day_ = day; }
  void Forget();

 private:
  using HostDay = std::pair<int64_t, int64_t>;

  Connection& db_;
  Statement select_{db_, "SELECT seal FROM host_day WHERE host_id = ?1 AND day = ?2"};
  int64_t first_day_ = INT64_MIN;
  // Sessions come by host and time: mostly the answer before is the next one.
  std::optional<HostDay> last_;
  bool last_sealed_ = false;
  absl::flat_hash_map<HostDay, bool> known_;
};

// One thread only, but for kept_since().
class Retainer {
 public:
  // Rows that a bite removed.
  struct Removed {
    int64_t sessions = 0;
    int64_t others = 0;  // Counts and intervals.
  };

  // Both must outlive it.
  Retainer(Connection& db, SealTable& seals, const Retention& retention);

  // Reads again what is kept, after a transaction that was rolled back.
  void Load();

  // One bite, within a transaction; true if there is more to do.  The caches of
  // rollups are to be forgotten after it.
  bool Bite(absl::Time now, absl::Duration budget);
  // Of the last bite.  Holds once its transaction is committed.
  const Removed& removed() const { return removed_; }
  // Whether Bite() has something to do.
  bool HasWork(absl::Time now);

  // First day of which sessions are kept; nullopt: there are none.
  std::optional<int64_t> OldestSessionDay();

  // As Store::ReopenDay, within a transaction.
  absl::Status Reopen(const std::string& host, absl::CivilDay day);

  KeptSince kept_since() const;

 private:
  // Periods before `end` are to go from a table.
  struct Removal {
    const char* table;
    const char* owner;   // First column of its key.
    const char* period;  // Second one.
    int64_t end;
    int64_t step;     // Periods that one statement removes at most.
    bool of_writers;  // Else of hosts.
  };
  struct RemovalStatements {
    RemovalStatements(Connection& db, const Removal& removal);
    const Removal removal;
    Statement oldest;
    Statement remove;
  };

  using Deadline = std::chrono::steady_clock::time_point;

  // First periods to keep.
  static int64_t FirstDay(absl::Time now, absl::Duration kept);
  void AdvanceKeptSince(absl::Time now);
  std::vector<Removal> Removals() const;

  // Each returns true when it has nothing more to do.
  bool SealDays(absl::Time now);
  bool RemoveSessions(Deadline deadline);
  bool RemovePeriods(Deadline deadline);
  bool RemovePeriodsOf(RemovalStatements& statements, int64_t owner_id, Deadline deadline);
  void RemoveIntervals(int64_t host_id);

  bool FindSealable(absl::Time now);
  bool FindSealed();

  Connection& db_;
  SealTable& seals_;
  const Retention retention_;

  // First hour and day that are whole; INT64_MIN: all are.
  std::atomic<int64_t> first_hour_ = INT64_MIN;
  std::atomic<int64_t> first_day_ = INT64_MIN;
  // Periods are removed host by host; nullopt: done, up to the next day.
  std::optional<int64_t> next_host_ = 0;
  Removed removed_;

  Statement sealable_{db_,
                      "SELECT host_id, day FROM host_day WHERE seal < 2 AND seal = 0 AND "
                      "day < ?1 AND inserted_ns < ?2 ORDER BY day LIMIT ?3"};
  Statement sealed_{db_, "SELECT host_id, day FROM host_day WHERE seal < 2 AND seal = 1 LIMIT 1"};
  // Of each of the two the index knows the first.
  Statement oldest_session_day_{
      db_,
      "SELECT min(day) FROM (SELECT min(day) AS day FROM host_day WHERE seal < 2 AND seal = 0 "
      "UNION ALL SELECT min(day) FROM host_day WHERE seal < 2 AND seal = 1)"};
  Statement set_seal_{db_, "UPDATE host_day SET seal = ?3 WHERE host_id = ?1 AND day = ?2"};
  Statement nth_session_{db_,
                         "SELECT stamp_ns FROM session WHERE host_id = ?1 AND stamp_ns >= ?2 AND "
                         "stamp_ns < ?3 ORDER BY stamp_ns LIMIT 1 OFFSET ?4"};
  Statement remove_sessions_{
      db_, "DELETE FROM session WHERE host_id = ?1 AND stamp_ns >= ?2 AND stamp_ns < ?3"};
  Statement next_host_id_{db_,
                          "SELECT host_id FROM host WHERE host_id >= ?1 ORDER BY host_id LIMIT 1"};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_RETENTION_H_
