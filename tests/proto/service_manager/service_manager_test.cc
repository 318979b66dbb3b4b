#include "proto/service_manager/service_manager.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;

class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManager Manager(absl::Duration watchdog = absl::InfiniteDuration()) {
    return ServiceManager({.notify = [this](const std::string& text) { sent_.push_back(text); },
                           .watchdog = watchdog,
                           .now = [this] { return now_; }});
  }
  std::vector<std::string> Take() { return std::exchange(sent_, {}); }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  std::vector<std::string> sent_;
};

TEST_F(ServiceManagerTest, LifeIsToldInOrder) {
  ServiceManager manager = Manager();
  manager.Ready("serving");
  manager.Reloading();
  manager.Reloaded();
  manager.Stopping("draining");
  EXPECT_THAT(Take(), ElementsAre("READY=1\nSTATUS=serving",
                                  MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"), "READY=1",
                                  "STOPPING=1\nSTATUS=draining"));
}

TEST_F(ServiceManagerTest, StatusIsSentWhenItChangesAndIsOneLine) {
  ServiceManager manager = Manager();
  manager.Ready("a");
  Take();
  manager.SetStatus("a");
  EXPECT_THAT(Take(), IsEmpty());
  manager.SetStatus("no\nREADY=1");
  manager.SetStatus("no\nREADY=1");
  EXPECT_THAT(Take(), ElementsAre("STATUS=no READY=1"));
}

TEST_F(ServiceManagerTest, WatchdogIsFedOftenEnoughAndNotForEachStep) {
  ServiceManager manager = Manager(absl::Seconds(60));
  EXPECT_EQ(manager.feed_interval(), absl::Seconds(30));
  for (int second = 0; second < 60; ++second) {
    for (int step = 0; step < 10; ++step) manager.Feed();
    now_ += absl::Seconds(1);
  }
  EXPECT_THAT(Take(), ElementsAre("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"));
}

TEST_F(ServiceManagerTest, ClockSetBackDoesNotStarveTheWatchdog) {
  ServiceManager manager = Manager(absl::Seconds(60));
  manager.Feed();
  now_ -= absl::Hours(1);
  manager.Feed();
  EXPECT_EQ(sent_.size(), 2);
}

TEST_F(ServiceManagerTest, NobodyIsFedWhereNobodyWaits) {
  ServiceManager manager = Manager();
  manager.Feed();
  EXPECT_THAT(sent_, IsEmpty());
  EXPECT_EQ(manager.feed_interval(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace mxtally
