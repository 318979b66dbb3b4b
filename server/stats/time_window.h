// The window of a request.  Pure.

#ifndef MXTALLY_SERVER_STATS_TIME_WINDOW_H_
#define MXTALLY_SERVER_STATS_TIME_WINDOW_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/completeness/interval.h"

namespace mxtally {

// Reads a duration back from `now`, "24h", "90m", "7d", "2w", or an interval of
// two times, "2026-11-01T00:00Z/2026-11-08T00:00Z", and widens it to whole
// hours.  Empty: "24h".  A time may have seconds with a fraction, and an offset
// instead of "Z"; without either, and as a date alone, it is local to `zone`.
//   INVALID_ARGUMENT  says what was found and what would be right
absl::StatusOr<Interval> ParseWindow(const std::string& text, const absl::TimeZone& zone,
                                     absl::Time now);

// "2026-11-01T00:00:00Z/2026-11-08T00:00:00Z".
std::string FormatWindow(const Interval& window);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_TIME_WINDOW_H_
