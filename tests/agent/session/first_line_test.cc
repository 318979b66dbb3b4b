#include "agent/session/first_line.h"

#include "gtest/gtest.h"

namespace mxtally {
namespace {

absl::Time At(int second) { return absl::FromUnixSeconds(1'000'000 + second); }

TEST(FirstLineTest, ReturnsAfterLaterLines) {
  FirstLine first;
  EXPECT_FALSE(first.Returns("a", At(0)));
  EXPECT_FALSE(first.Returns("b", At(1)));
  EXPECT_TRUE(first.Returns("a", At(0)));
  EXPECT_FALSE(first.Returns("b", At(1)));
  EXPECT_TRUE(first.Returns("a", At(0)));
}

TEST(FirstLineTest, ItsRepetitionInPlaceIsNoReturn) {
  FirstLine first;
  EXPECT_FALSE(first.Returns("a", At(0)));
  EXPECT_FALSE(first.Returns("a", At(0)));
}

TEST(FirstLineTest, AClockThatWasSetBackBringsOtherLines) {
  FirstLine first;
  EXPECT_FALSE(first.Returns("a", At(0)));
  EXPECT_FALSE(first.Returns("b", At(1)));
  EXPECT_FALSE(first.Returns("c", At(0)));
}

TEST(FirstLineTest, IsKnownAfterARestart) {
  FirstLine first;
  EXPECT_FALSE(first.Returns("a", At(0)));
  FirstLine other;
  other.Restore(first.state(), At(5));
  EXPECT_TRUE(other.Returns("a", At(0)));
}

}  // namespace
}  // namespace mxtally
