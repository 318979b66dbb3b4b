// What a GetTlsStatsRequest asks, names resolved and checked.  Pure, except
// that zone names are looked up among the system's zones.

#ifndef MXTALLY_SERVER_STATS_REQUEST_H_
#define MXTALLY_SERVER_STATS_REQUEST_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mxtally/v1/stats.pb.h"
#include "server/completeness/interval.h"
#include "server/stats/fields.h"
#include "server/stats/zone.h"
#include "storage/store.h"

namespace mxtally {

struct OrderKey {
  Field field;
  bool descending = false;

  friend bool operator==(const OrderKey&, const OrderKey&) = default;
};

struct TlsStatsQuestion {
  Interval window;  // Whole hours.

  // All but its times and offset, which are those of each piece.
  StatsQuery query;
  absl::TimeZone zone;
  // One, unless buckets need local time.
  std::vector<ZonePiece> pieces;

  std::vector<OrderKey> order_by;
  int64_t limit = 0;
};

// Absence of a value means what stats.proto says.
//   INVALID_ARGUMENT  names the field, what was found and what would be right
absl::StatusOr<TlsStatsQuestion> ParseRequest(const v1::GetTlsStatsRequest& request,
                                              absl::Time now);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_REQUEST_H_
