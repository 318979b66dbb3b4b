// Moves the rollups and the counters of host hours.
//
// What a transaction counts is gathered in memory by host and hour, and written
// by Flush() as one change for each row of each tier.  The label sets of an
// hour stay in memory beyond the transaction, because each new one must be
// checked against the bound; Forget() after a transaction that was rolled back.

#ifndef MXTALLY_STORAGE_SQLITE_ROLLUP_WRITER_H_
#define MXTALLY_STORAGE_SQLITE_ROLLUP_WRITER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "storage/rollup.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/identities.h"
#include "storage/sqlite/tiers.h"

namespace mxtally::sqlite {

// Columns of host_hour and host_day, and totals of host.
struct HostCounts {
  int64_t sessions = 0;
  int64_t folded = 0;
  int64_t key_conflicts = 0;
  int64_t rejected = 0;
  int64_t sealed = 0;

  HostCounts& operator+=(const HostCounts& other);
  friend bool operator==(const HostCounts&, const HostCounts&) = default;
};

class RollupWriter {
 public:
  explicit RollupWriter(Connection& db);

  // Label sets that this hour of a host counts sessions under.
  int64_t LabelSets(int64_t host_id, int64_t hour);
  bool Counts(int64_t host_id, int64_t hour, int64_t label_set_id);

  // Counts, or takes back, one session.
  void Add(int64_t host_id, int64_t hour, LabelSetIds labels, const Measures& measures);
  void Subtract(int64_t host_id, int64_t hour, LabelSetIds labels, const Measures& measures);
  void AddCounts(int64_t host_id, int64_t hour, const HostCounts& counts);

  // `now`: when days take what was counted.
  void Flush(absl::Time now);
  void Forget();

 private:
  struct Cell {
    int64_t narrow_id = 0;
    int64_t sessions = 0;  // As they will be stored.
    Measures change;       // Not yet written.
  };
  struct Hour {
    absl::flat_hash_map<int64_t, Cell> cells;  // By label set, only with sessions or a change.
    int64_t label_sets = 0;                    // With sessions.
    HostCounts counts_change;
    bool changed = false;
  };
  // A change of one row of a tier.
  struct Change {
    int64_t owner_id;
    int64_t period;
    int64_t label_set_id;
    Measures measures;
  };
  struct TierStatements {
    TierStatements(Connection& db, const Tier& tier);
    Statement add;
    Statement remove_empty;
  };
  using HostHour = std::pair<int64_t, int64_t>;

  Hour& Find(int64_t host_id, int64_t hour);
  Hour& Changing(int64_t host_id, int64_t hour);
  void Move(Hour& hour, LabelSetIds labels, const Measures& by);
  std::vector<Change> ChangesOf(const Tier& tier) const;
  void FlushTier(const Tier& tier, TierStatements& statements);
  void FlushCounts(absl::Time now);

  Connection& db_;
  std::vector<std::unique_ptr<TierStatements>> tiers_;  // As kTiers.
  Statement load_{db_,
                  "SELECT r.label_set_id, l.narrow_id, r.sessions FROM rollup_host_hour r "
                  "JOIN label_set l USING (label_set_id) WHERE r.host_id = ?1 AND r.hour = ?2"};
  Statement add_hour_counts_;
  Statement add_day_counts_;
  Statement day_took_sessions_{
      db_, "UPDATE host_day SET inserted_ns = ?3 WHERE host_id = ?1 AND day = ?2"};
  Statement add_host_counts_{
      db_,
      "UPDATE host SET sessions = sessions + ?2, folded = folded + ?3, key_conflicts = "
      "key_conflicts + ?4, rejected = rejected + ?5, sealed = sealed + ?6 WHERE host_id = ?1"};
  absl::flat_hash_map<HostHour, std::unique_ptr<Hour>> hours_;
  int64_t cells_ = 0;  // Of all hours.
  std::vector<HostHour> changed_;
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_ROLLUP_WRITER_H_
