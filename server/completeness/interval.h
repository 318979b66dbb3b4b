// Sets of time, as sorted disjoint intervals.  Pure.

#ifndef MXTALLY_SERVER_COMPLETENESS_INTERVAL_H_
#define MXTALLY_SERVER_COMPLETENESS_INTERVAL_H_

#include <vector>

#include "absl/time/time.h"

namespace mxtally {

// The end is excluded.
struct Interval {
  absl::Time start;
  absl::Time end;

  bool empty() const { return start >= end; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

// Sorted, disjoint, none empty.
using IntervalSet = std::vector<Interval>;

// What any of `intervals` holds, in any order, overlapping or empty.
IntervalSet Union(std::vector<Interval> intervals);

// What `set` holds and `removed` does not.
IntervalSet Difference(const IntervalSet& set, const IntervalSet& removed);

// What of `set` lies within `bounds`.
IntervalSet Clip(const IntervalSet& set, const Interval& bounds);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_COMPLETENESS_INTERVAL_H_
