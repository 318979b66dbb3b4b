// Statistics from the rollups.
//
// A query takes the smallest tier that has its labels: the fleet's unless hosts
// matter, whole UTC days from a day tier and what is left at the window's ends
// from an hour tier, and the narrow tier where its four labels are enough.
//
// SQL gives the tier's rows in the order of their key; they are summed here,
// by a group number looked up with their label set.  GROUP BY would sort them
// first, which takes several times as long.

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
absl::StatusOr<StatsResult> QueryStats(Connection& db, const StatsQuery& query);
absl::StatusOr<std::optional<absl::Time>> NewestHour(Connection& db,
                                                     const std::vector<std::string>& hosts,
                                                     const LabelFilter& filter);

struct KnownHost {
  int64_t host_id = 0;
  std::string name;
};

// Those of `names` that are known, or all of them for none; by name.
std::vector<KnownHost> FindHosts(Connection& db, const std::vector<std::string>& names);

// Whole hours since 1970, split at UTC days; empty parts have start = end.
struct HourRange {
  int64_t start = 0;
  int64_t end = 0;  // Excluded.
};
struct SplitWindow {
  HourRange before;  // Hours before the first whole day.
  HourRange days;    // Whole days, in days since 1970.
  HourRange after;
};
SplitWindow Split(HourRange hours);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_STATS_QUERY_H_
