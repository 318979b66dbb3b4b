#include "server/ingest/host_incidents.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

constexpr HostIncident kTwoAgents = HostIncident::kTwoAgents;
constexpr HostIncident kOtherSource = HostIncident::kOtherSource;

class HostIncidentsTest : public testing::Test {
 protected:
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  HostIncidents incidents_{[this] { return now_; }, 3};
};

TEST_F(HostIncidentsTest, AreCountedByKindAndHost) {
  EXPECT_FALSE(incidents_.Find(kTwoAgents, "mx1").has_value());
  incidents_.Note(kTwoAgents, "mx1", "a and b");
  now_ += absl::Seconds(15);
  incidents_.Note(kTwoAgents, "mx1", "a and c");
  const auto seen = incidents_.Find(kTwoAgents, "mx1");
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->count, 2);
  EXPECT_EQ(seen->last, now_);
  EXPECT_EQ(seen->detail, "a and c");
  EXPECT_FALSE(incidents_.Find(kOtherSource, "mx1").has_value());
  EXPECT_FALSE(incidents_.Find(kTwoAgents, "mx2").has_value());
}

TEST_F(HostIncidentsTest, AreForgottenWhenTheyDoNotComeAgain) {
  incidents_.Note(kTwoAgents, "mx1", "");
  now_ += HostIncidents::kKept;
  EXPECT_TRUE(incidents_.Find(kTwoAgents, "mx1").has_value());
  now_ += absl::Seconds(1);
  EXPECT_FALSE(incidents_.Find(kTwoAgents, "mx1").has_value());
  incidents_.Note(kTwoAgents, "mx1", "");
  EXPECT_EQ(incidents_.Find(kTwoAgents, "mx1")->count, 1);
}

TEST_F(HostIncidentsTest, AreBoundedAndMakeRoomWhenTheyAreOld) {
  for (int i = 0; i < 10; ++i) incidents_.Note(kTwoAgents, absl::StrCat("mx", i), "");
  EXPECT_TRUE(incidents_.Find(kTwoAgents, "mx2").has_value());
  EXPECT_FALSE(incidents_.Find(kTwoAgents, "mx3").has_value());
  incidents_.Note(kTwoAgents, "mx2", "");
  EXPECT_EQ(incidents_.Find(kTwoAgents, "mx2")->count, 2);
  now_ += HostIncidents::kKept + absl::Seconds(1);
  incidents_.Note(kTwoAgents, "mx9", "");
  EXPECT_TRUE(incidents_.Find(kTwoAgents, "mx9").has_value());
}

}  // namespace
}  // namespace mxtally
