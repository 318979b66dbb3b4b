// Statistics from the rollups.
//
// A query takes the smallest tier that has its labels: the fleet's unless hosts
// matter, whole UTC days from a day tier and what is left at the window's ends
// from an hour tier, and the narrow tiers, whole weeks first, where their four
// labels are enough.
//
// SQL gives a tier's rows in the order of their key; they are summed here, by a
// group number looked up with their label set.  GROUP BY would sort them first,
// which takes three times as long.

#ifndef MXTALLY_STORAGE_SQLITE_STATS_QUERY_H_
#define MXTALLY_STORAGE_SQLITE_STATS_QUERY_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sqlite/connection.h"
#include "storage/store.h"

namespace mxtally::sqlite {

// As Store::QueryStats and Store::NewestHour.  `db` is a reader's.
absl::StatusOr<StatsResult> QueryStats(Connection& db, const StatsQuery& query, int rows_max);
absl::StatusOr<std::optional<absl::Time>> NewestHour(Connection& db,
                                                     const std::vector<std::string>& hosts,
                                                     const LabelFilter& filter);

struct KnownHost {
  int64_t host_id = 0;
  std::string name;
};

// Those of `names` that are known, or all of them for none; by name.
std::vector<KnownHost> FindHosts(Connection& db, const std::vector<std::string>& names);

// Periods since 1970.
struct Range {
  int64_t start = 0;
  int64_t end = 0;  // Excluded.

  bool empty() const { return start >= end; }
};

// A range split at longer periods: hours at days, or days at weeks.
struct SplitRange {
  Range before;  // What is before the first whole longer period.
  Range whole;   // In longer periods.
  Range after;
};
SplitRange Split(Range range, int64_t periods);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_STATS_QUERY_H_
