#include "agent/uplink/backoff.h"

#include "gtest/gtest.h"

namespace mxtally {
namespace {

class BackoffTest : public testing::Test {
 protected:
  double random_ = 1;
  Backoff backoff_{{.base = absl::Milliseconds(500), .max = absl::Seconds(60), .random = [this] {
                      return random_;
                    }}};
};

TEST_F(BackoffTest, BoundDoublesWithEveryFailure) {
  EXPECT_EQ(backoff_.Next(), absl::Milliseconds(500));
  EXPECT_EQ(backoff_.Next(), absl::Seconds(1));
  EXPECT_EQ(backoff_.Next(), absl::Seconds(2));
}

TEST_F(BackoffTest, BoundStopsAtTheMaximum) {
  for (int i = 0; i < 100; ++i) backoff_.Next();
  EXPECT_EQ(backoff_.Next(), absl::Seconds(60));
}

TEST_F(BackoffTest, DelayIsAnyPartOfTheBound) {
  random_ = 0;
  EXPECT_EQ(backoff_.Next(), absl::ZeroDuration());
  random_ = 0.25;
  EXPECT_EQ(backoff_.Next(), absl::Milliseconds(250));
}

TEST_F(BackoffTest, ServersDelayIsTheMinimumAndJitterComesOnTop) {
  random_ = 0;
  EXPECT_EQ(backoff_.Next(absl::Seconds(7)), absl::Seconds(7));
  random_ = 1;
  EXPECT_EQ(backoff_.Next(absl::Seconds(7)), absl::Seconds(8));
}

TEST_F(BackoffTest, SuccessBeginsAnew) {
  for (int i = 0; i < 5; ++i) backoff_.Next();
  backoff_.Reset();
  EXPECT_EQ(backoff_.Next(), absl::Milliseconds(500));
}

TEST_F(BackoffTest, HopelessFailureWaitsLongAtOnce) {
  backoff_.Exhaust();
  EXPECT_EQ(backoff_.Next(), absl::Seconds(60));
}

TEST(BackoffRandomTest, DefaultStaysWithinTheBound) {
  Backoff backoff({.base = absl::Seconds(1), .max = absl::Seconds(1), .random = nullptr});
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration delay = backoff.Next();
    EXPECT_GE(delay, absl::ZeroDuration());
    EXPECT_LE(delay, absl::Seconds(1));
  }
}

}  // namespace
}  // namespace mxtally
