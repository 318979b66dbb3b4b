// Says how much of the truth an answer holds.  Pure.
//
// A log is covered in log time where the store says so, except for its gaps.
// Windows are whole hours, so the hour that a log ends in counts as covered
// when the end of the log was reached later than that: the rest of an old
// log's last hour holds nothing.  In the window in which a host begins, each of
// its logs begins with the first line read of it: nothing tells that there was
// more.  A day that was dropped to be read again may be read from any log.
//
// A host is expected from the earlier of its registration and its first line
// until it is retired, anew when it comes back, and must be read up to the
// needed end: the end of the window, or `lag_max` ago when the window is still
// open.  Each expected host is one of three:
//
//   reporting  each of its logs is covered at the needed end, or its end was
//              reached at a wall-clock time after that; at least one log is known
//   silent     not reporting, and not heard of for `silent_after`
//   lagging    not reporting, but heard of
//
// So a host that has gone silent since still reports for a window that was
// read through.  Holes do not change a host's kind, but the answer is not
// complete.
//
// Sessions count when they end.  Those that are open at the end of a log are
// normal; only one that is older than `open_max` makes the window that holds
// its beginning incomplete.

#ifndef MXTALLY_SERVER_COMPLETENESS_COMPLETENESS_H_
#define MXTALLY_SERVER_COMPLETENESS_COMPLETENESS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "mxtally/v1/completeness.pb.h"
#include "server/completeness/interval.h"
#include "storage/store.h"

namespace mxtally {

struct CompletenessOptions {
  // Four life signs of an agent.
  absl::Duration lag_max = absl::Seconds(60);
  absl::Duration silent_after = absl::Seconds(60);
  absl::Duration open_max = absl::Hours(1);

  // Counts that the answer would need are gone before this time.
  absl::Time counts_since = absl::InfinitePast();
};

// The completeness of an answer over `window` from `hosts`, which are what the
// store knows of the hosts asked for, cut to the window.  `asked` names those
// hosts, empty for all; one that the store does not know makes the answer
// incomplete, so that a misspelt name does not pass for an idle host.
v1::Completeness CompletenessOf(absl::Span<const HostCoverage> hosts,
                                absl::Span<const std::string> asked, const Interval& window,
                                absl::Time now, const CompletenessOptions& options = {});

}  // namespace mxtally

#endif  // MXTALLY_SERVER_COMPLETENESS_COMPLETENESS_H_
