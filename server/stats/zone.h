// Time zones of whole hours, and buckets of local time.  Rollups are kept by
// UTC hour, so days and buckets of another zone can be made of them only where
// its offset is a whole number of hours.

#ifndef MXTALLY_SERVER_STATS_ZONE_H_
#define MXTALLY_SERVER_STATS_ZONE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/completeness/interval.h"

namespace mxtally {

// Finds "UTC", "+01:00", "-5", or "Europe/Amsterdam"; empty is UTC.
//   INVALID_ARGUMENT  no such zone, or an offset of half hours
absl::StatusOr<absl::TimeZone> FindZone(const std::string& name);

// Part of a window in which the zone's offset does not change.
struct ZonePiece {
  Interval window;
  absl::Duration offset;

  friend bool operator==(const ZonePiece&, const ZonePiece&) = default;
};

// Splits `window`, which is whole UTC hours, at the zone's changes of offset.
// An hour in which the offset changes goes with what it ends in.
//   INVALID_ARGUMENT  the offset is not a whole number of hours somewhere in the window
absl::StatusOr<std::vector<ZonePiece>> SplitByOffset(const Interval& window,
                                                     const absl::TimeZone& zone);

// When the bucket really began that starts at `start` if the zone had always
// had `offset`.  A day begins at local midnight also when its offset changes
// later on, so both halves of that day get the same beginning.
absl::Time BucketStart(absl::Time start, absl::Duration offset, const absl::TimeZone& zone);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_ZONE_H_
