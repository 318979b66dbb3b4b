#include "server/ingest/agent_quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

class AgentQuotasTest : public testing::Test {
 protected:
  AgentQuotas Create(AgentQuotaOptions options) {
    options.now = [this] { return now_; };
    return AgentQuotas(std::move(options));
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

TEST_F(AgentQuotasTest, RatesAreUnlimitedByDefault) {
  AgentQuotas quotas = Create({});
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(quotas.Take("mx1", int64_t{1} << 40, int64_t{1} << 40).has_value());
  }
}

TEST_F(AgentQuotasTest, ABurstIsFreeAndTheAverageHolds) {
  AgentQuotas quotas = Create({.sessions_per_second = 100, .burst = absl::Seconds(10)});
  EXPECT_FALSE(quotas.Take("mx1", 0, 1000).has_value());
  const std::optional<AgentQuotas::Hit> hit = quotas.Take("mx1", 0, 500);
  ASSERT_TRUE(hit.has_value());
  EXPECT_EQ(hit->quota, Quota::kSessions);
  EXPECT_EQ(hit->wait, absl::Seconds(15));
  now_ += hit->wait;
  EXPECT_FALSE(quotas.Take("mx1", 0, 1000).has_value());
}

TEST_F(AgentQuotasTest, WhatIsNotUsedIsNotSaved) {
  AgentQuotas quotas = Create({.bytes_per_second = 100, .burst = absl::Seconds(1)});
  EXPECT_FALSE(quotas.Take("mx1", 100, 0).has_value());
  now_ += absl::Hours(1);
  EXPECT_FALSE(quotas.Take("mx1", 100, 0).has_value());
  const std::optional<AgentQuotas::Hit> hit = quotas.Take("mx1", 1, 0);
  ASSERT_TRUE(hit.has_value());
  EXPECT_EQ(hit->quota, Quota::kBytes);
  EXPECT_EQ(hit->message, "quota of this agent: expected at most 100 bytes per second, found more");
}

TEST_F(AgentQuotasTest, AgentsDoNotShareTheirs) {
  AgentQuotas quotas = Create({.streams_max = 1, .sessions_per_second = 1});
  EXPECT_TRUE(quotas.Take("mx1", 0, 1000).has_value());
  EXPECT_FALSE(quotas.Take("mx2", 0, 1).has_value());
  EXPECT_FALSE(quotas.AddStream("mx2").has_value());
}

TEST_F(AgentQuotasTest, OpeningAnotherStreamResetsNothing) {
  AgentQuotas quotas = Create({.sessions_per_second = 1, .burst = absl::Seconds(10)});
  EXPECT_FALSE(quotas.AddStream("mx1").has_value());
  EXPECT_TRUE(quotas.Take("mx1", 0, 60).has_value());
  quotas.RemoveStream("mx1");
  const std::optional<AgentQuotas::Hit> early = quotas.AddStream("mx1");
  ASSERT_TRUE(early.has_value());
  EXPECT_EQ(early->wait, absl::Minutes(1));
  now_ += absl::Minutes(1);
  EXPECT_FALSE(quotas.AddStream("mx1").has_value());
}

TEST_F(AgentQuotasTest, StreamsAreCountedWhileTheyAreOpen) {
  AgentQuotas quotas = Create({.streams_max = 2});
  EXPECT_FALSE(quotas.AddStream("mx1").has_value());
  EXPECT_FALSE(quotas.AddStream("mx1").has_value());
  const std::optional<AgentQuotas::Hit> hit = quotas.AddStream("mx1");
  ASSERT_TRUE(hit.has_value());
  EXPECT_EQ(hit->quota, Quota::kStreams);
  EXPECT_EQ(hit->message, "quota of this agent: expected at most 2 streams at a time, found more");
  quotas.RemoveStream("mx1");
  EXPECT_FALSE(quotas.AddStream("mx1").has_value());
}

TEST_F(AgentQuotasTest, AgentsThatAreGoneAreForgottenAndDebtorsAreNot) {
  AgentQuotas quotas = Create({.streams_max = 1, .sessions_per_second = 1});
  EXPECT_FALSE(quotas.AddStream("here").has_value());
  EXPECT_FALSE(quotas.AddStream("debtor").has_value());
  quotas.Take("debtor", 0, 3600);
  quotas.RemoveStream("debtor");
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = absl::StrCat("mx", i);
    EXPECT_FALSE(quotas.AddStream(name).has_value());
    quotas.RemoveStream(name);
  }
  EXPECT_LE(quotas.size(), 1100);
  EXPECT_TRUE(quotas.AddStream("here").has_value());
  EXPECT_TRUE(quotas.AddStream("debtor").has_value());
}

}  // namespace
}  // namespace mxtally
