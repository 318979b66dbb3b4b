#include "proto/options/test_kill.h"

#include <signal.h>

#include <string>

#include "gtest/gtest.h"

namespace mxtally {
namespace {

absl::StatusOr<std::function<void()>> Read(const std::string& text) {
  std::string other = "MXTALLY_TEST=x";
  std::string variable = "MXTALLY_TEST_KILL=" + text;
  char* const environment[] = {other.data(), variable.data(), nullptr};
  return ReadTestKill(environment, "before_checkpoint");
}

TEST(TestKillTest, NothingMeansNever) {
  auto kill = Read("");
  ASSERT_TRUE(kill.ok());
  for (int i = 0; i < 100; ++i) (*kill)();
}

TEST(TestKillTest, NoVariableMeansNever) {
  char* const environment[] = {nullptr};
  auto kill = ReadTestKill(environment, "before_checkpoint");
  ASSERT_TRUE(kill.ok());
  for (int i = 0; i < 100; ++i) (*kill)();
}

TEST(TestKillTest, ProbabilityZeroMeansNever) {
  auto kill = Read("before_checkpoint:0:1");
  ASSERT_TRUE(kill.ok());
  for (int i = 0; i < 100; ++i) (*kill)();
}

TEST(TestKillDeathTest, ProbabilityOneMeansAtOnce) {
  auto kill = Read("before_checkpoint:1:1");
  ASSERT_TRUE(kill.ok());
  EXPECT_EXIT((*kill)(), testing::KilledBySignal(SIGKILL), "");
}

TEST(TestKillTest, AnythingElseIsTold) {
  for (const char* text : {"x", "before_checkpoint:1", "after:1:1", "before_checkpoint:x:1",
                           "before_checkpoint:2:1", "before_checkpoint:1:x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Read(text).status())) << text;
  }
}

}  // namespace
}  // namespace mxtally
