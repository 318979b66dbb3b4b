#include "agent/cli/test_kill.h"

#include "gtest/gtest.h"

namespace mxtally {
namespace {

TEST(TestKillTest, NothingMeansNever) {
  auto kill = ParseTestKill("");
  ASSERT_TRUE(kill.ok());
  for (int i = 0; i < 100; ++i) (*kill)();
}

TEST(TestKillTest, ProbabilityZeroMeansNever) {
  auto kill = ParseTestKill("before_checkpoint:0:1");
  ASSERT_TRUE(kill.ok());
  for (int i = 0; i < 100; ++i) (*kill)();
}

TEST(TestKillDeathTest, ProbabilityOneMeansAtOnce) {
  auto kill = ParseTestKill("before_checkpoint:1:1");
  ASSERT_TRUE(kill.ok());
  EXPECT_EXIT((*kill)(), testing::KilledBySignal(SIGKILL), "");
}

TEST(TestKillTest, AnythingElseIsTold) {
  for (const char* text : {"x", "before_checkpoint:1", "after:1:1", "before_checkpoint:x:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTestKill(text).status())) << text;
  }
}

}  // namespace
}  // namespace mxtally
