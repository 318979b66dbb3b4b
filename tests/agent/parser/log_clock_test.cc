#include "agent/parser/log_clock.h"

#include "gtest/gtest.h"

namespace mxtally {
namespace {

class LogClockTest : public testing::Test {
 protected:
  // Takes a stamp and returns the log's time, both in minutes.
  int64_t Take(int64_t minute) {
    clock_.Take(absl::UnixEpoch() + absl::Minutes(minute));
    return absl::ToInt64Minutes(clock_.now() - absl::UnixEpoch());
  }

  LogClock clock_{absl::Minutes(2), absl::Minutes(60)};
};

TEST_F(LogClockTest, FollowsStepsEitherWay) {
  EXPECT_EQ(Take(1000), 1000);
  EXPECT_EQ(Take(1060), 1060);
  EXPECT_EQ(Take(1000), 1000);
}

TEST_F(LogClockTest, MovesOnInSteps) {
  Take(1000);
  EXPECT_EQ(Take(1001), 1000);
  EXPECT_EQ(Take(1002), 1002);
  EXPECT_EQ(Take(1001), 1001);
}

TEST_F(LogClockTest, AStrayStampMovesNothing) {
  Take(1000);
  EXPECT_EQ(Take(90000), 1000);
  EXPECT_EQ(Take(1005), 1005);
  EXPECT_EQ(Take(0), 1005);
  EXPECT_EQ(Take(1010), 1010);
}

TEST_F(LogClockTest, TheSecondLineThereConfirmsAJump) {
  Take(1000);
  EXPECT_EQ(Take(1300), 1000);
  EXPECT_EQ(Take(1310), 1310);
  EXPECT_EQ(Take(100), 1310);
  EXPECT_EQ(Take(100), 100);
}

TEST_F(LogClockTest, StrayStampsThatDisagreeConfirmNothing) {
  Take(1000);
  EXPECT_EQ(Take(90000), 1000);
  EXPECT_EQ(Take(20000), 1000);
  EXPECT_EQ(Take(0), 1000);
}

TEST_F(LogClockTest, SparseLogMovesOnOneLineLate) {
  Take(1000);
  EXPECT_EQ(Take(1200), 1000);
  EXPECT_EQ(Take(1400), 1400);
  EXPECT_EQ(Take(1600), 1400);
}

TEST_F(LogClockTest, ALineInPlaceEndsTheWaitForASecondOne) {
  Take(1000);
  Take(90000);
  Take(1005);
  EXPECT_EQ(Take(90000), 1005);
}

TEST_F(LogClockTest, RestoredClockGoesOn) {
  Take(1000);
  Take(1300);
  LogClock other(absl::Minutes(2), absl::Minutes(60));
  other.Restore(clock_.state());
  EXPECT_TRUE(other.Take(absl::UnixEpoch() + absl::Minutes(1301)));
  EXPECT_EQ(other.now(), absl::UnixEpoch() + absl::Minutes(1301));
}

}  // namespace
}  // namespace mxtally
