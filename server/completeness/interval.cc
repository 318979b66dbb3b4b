#include "server/completeness/interval.h"

#include <algorithm>
#include <utility>

namespace mxtally {

IntervalSet Union(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.start < b.start; });
  IntervalSet set;
  for (const Interval& interval : intervals) {
    if (interval.empty()) continue;
    if (!set.empty() && interval.start <= set.back().end) {
      set.back().end = std::max(set.back().end, interval.end);
    } else {
      set.push_back(interval);
    }
  }
  return set;
}

IntervalSet Difference(const IntervalSet& set, const IntervalSet& removed) {
  IntervalSet rest;
  auto hole = removed.begin();
  for (Interval piece : set) {
    // A hole that ends before this piece ends before every later one.
    while (hole != removed.end() && hole->end <= piece.start) ++hole;
    for (auto cut = hole; cut != removed.end() && cut->start < piece.end; ++cut) {
      if (cut->start > piece.start) rest.push_back({piece.start, cut->start});
      piece.start = cut->end;
    }
    if (!piece.empty()) rest.push_back(piece);
  }
  return rest;
}

IntervalSet Clip(const IntervalSet& set, const Interval& bounds) {
  IntervalSet clipped;
  for (const Interval& interval : set) {
    const Interval part{std::max(interval.start, bounds.start), std::min(interval.end, bounds.end)};
    if (!part.empty()) clipped.push_back(part);
  }
  return clipped;
}

}  // namespace mxtally
