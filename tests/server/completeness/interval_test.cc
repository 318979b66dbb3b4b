#include "server/completeness/interval.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>
#include <vector>

namespace mxtally {
namespace {

absl::Time T(int second) { return absl::FromUnixSeconds(second); }
Interval I(int start, int end) { return {T(start), T(end)}; }

TEST(IntervalTest, UnionJoinsWhatOverlapsOrMeets) {
  EXPECT_EQ(Union({I(5, 7), I(1, 3), I(3, 4), I(6, 9)}), (IntervalSet{I(1, 4), I(5, 9)}));
}

TEST(IntervalTest, UnionDropsWhatIsEmpty) { EXPECT_EQ(Union({I(3, 3), I(5, 4)}), IntervalSet()); }

TEST(IntervalTest, OneHoleMayReachOverSeveralIntervals) {
  EXPECT_EQ(Difference({I(0, 4), I(6, 10), I(12, 14)}, {I(2, 13)}),
            (IntervalSet{I(0, 2), I(13, 14)}));
}

TEST(IntervalTest, SeveralHolesMayLieInOneInterval) {
  EXPECT_EQ(Difference({I(0, 10)}, {I(0, 1), I(3, 4), I(9, 12)}), (IntervalSet{I(1, 3), I(4, 9)}));
}

TEST(IntervalTest, ClipKeepsWhatLiesWithinBounds) {
  EXPECT_EQ(Clip({I(0, 3), I(4, 6), I(8, 9)}, I(2, 8)), (IntervalSet{I(2, 3), I(4, 6)}));
}

// Seconds of a set, the slow way.
std::set<int> Seconds(const std::vector<Interval>& intervals) {
  std::set<int> seconds;
  for (int s = 0; s < 40; ++s) {
    for (const Interval& i : intervals) {
      if (i.start <= T(s) && T(s) < i.end) seconds.insert(s);
    }
  }
  return seconds;
}

TEST(IntervalTest, RandomSetsAgreeWithSetsOfSeconds) {
  std::mt19937 random(1);
  const auto some = [&random] {
    std::vector<Interval> intervals(random() % 6);
    for (Interval& i : intervals) {
      const int start = static_cast<int>(random() % 40);
      i = I(start, start + static_cast<int>(random() % 9));
    }
    return intervals;
  };
  for (int round = 0; round < 5000; ++round) {
    const std::vector<Interval> a = some();
    const std::vector<Interval> b = some();
    const IntervalSet left = Union(a);
    EXPECT_EQ(Seconds(left), Seconds(a));
    std::set<int> expected;
    const std::set<int> removed = Seconds(b);
    for (const int s : Seconds(a)) {
      if (removed.count(s) == 0) expected.insert(s);
    }
    const IntervalSet rest = Difference(left, Union(b));
    EXPECT_EQ(Seconds(rest), expected);
    EXPECT_EQ(Union(rest), rest) << "sorted and disjoint";
  }
}

}  // namespace
}  // namespace mxtally
