#include "agent/run/run_state_keeper.h"

#include <optional>
#include <string>
#include <vector>

#include "agent/checkpoint/run_state_file.h"
#include "agent/pipeline/timestamps.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/timestamps/timestamps.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// What comes next: notes what reaches it.
class NextObserver : public DeliveryObserver {
 public:
  void OnConnected(const v1::ServerWelcome&) override { calls.emplace_back("connected"); }
  void OnDisconnected(const absl::Status&, absl::Duration) override {
    calls.emplace_back("disconnected");
  }
  void OnCaughtUp(const std::string&) override { calls.emplace_back("caught up"); }
  void OnGap(const std::string&, const v1::Gap&) override { calls.emplace_back("gap"); }
  void OnRejected(const v1::RejectedSession&) override { calls.emplace_back("rejected"); }
  void OnLogTrouble(const std::string&, const absl::Status&) override {
    calls.emplace_back("log trouble");
  }
  void OnCheckpointTrouble(const absl::Status&) override {
    calls.emplace_back("checkpoint trouble");
  }
  void OnAcknowledged(const std::string&) override { calls.emplace_back("acknowledged"); }
  void OnStatus(const v1::AgentStatus&) override { calls.emplace_back("status"); }

  std::vector<std::string> calls;
};

class RunStateKeeperTest : public testing::Test {
 protected:
  RunStateKeeperTest() { Start(); }

  void Start(const std::string& host = "mx1") {
    keeper_.reset();
    keeper_.emplace(RunStateOptions{.dir = folder_.path(),
                                    .host = host,
                                    .agent_version = "0.1.0",
                                    .server = "localhost:4625",
                                    .interval_min = absl::Seconds(3),
                                    .now = [this] { return now_; }},
                    next_);
  }

  // What `mxtally-agent status` would find.
  agent::v1::RunState OnDisk() {
    const absl::StatusOr<std::optional<agent::v1::RunState>> state = ReadRunState(folder_.path());
    EXPECT_TRUE(state.ok() && state->has_value());
    return state.ok() && state->has_value() ? **state : agent::v1::RunState();
  }

  static v1::Gap GapFrom(absl::Time start) {
    v1::Gap gap;
    gap.set_reason(v1::GAP_REASON_FILE_GONE);
    *gap.mutable_start_time() = ToTimestamp(start);
    *gap.mutable_end_time() = ToTimestamp(start + absl::Hours(1));
    gap.set_bytes_min(100);
    return gap;
  }

  const TemporaryFolder folder_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  NextObserver next_;
  std::optional<RunStateKeeper> keeper_;
};

TEST_F(RunStateKeeperTest, WritesAtTheStartWhoRuns) {
  const agent::v1::RunState state = OnDisk();
  EXPECT_EQ(state.host(), "mx1");
  EXPECT_EQ(state.server(), "localhost:4625");
  EXPECT_EQ(GetTimestamp(state.start_time()), now_);
  EXPECT_FALSE(state.connected());
}

TEST_F(RunStateKeeperTest, ConnectionIsWrittenWhenItChanges) {
  now_ += absl::Seconds(1);
  keeper_->OnConnected({});
  EXPECT_TRUE(OnDisk().connected());
  EXPECT_EQ(GetTimestamp(OnDisk().connected_change_time()), now_);

  keeper_->OnDisconnected(absl::OkStatus(), absl::ZeroDuration());
  EXPECT_TRUE(OnDisk().connected()) << "the server let the stream end";

  now_ += absl::Seconds(1);
  const absl::Time since = now_;
  keeper_->OnDisconnected(absl::UnavailableError("refused"), absl::Seconds(1));
  now_ += absl::Seconds(1);
  keeper_->OnDisconnected(absl::UnavailableError("refused again"), absl::Seconds(1));
  EXPECT_FALSE(OnDisk().connected());
  EXPECT_EQ(GetTimestamp(OnDisk().connected_change_time()), since);
  EXPECT_EQ(OnDisk().connection_failure(), "UNAVAILABLE: refused again");
}

TEST_F(RunStateKeeperTest, ProgressIsWrittenAtMostEveryFewSeconds) {
  now_ += absl::Seconds(3);
  keeper_->OnAcknowledged("a.log");
  const absl::Time written = now_;
  EXPECT_EQ(GetTimestamp(OnDisk().logs(0).acknowledged_time()), written);
  now_ += absl::Seconds(2);
  keeper_->OnAcknowledged("a.log");
  EXPECT_EQ(GetTimestamp(OnDisk().logs(0).acknowledged_time()), written);
  now_ += absl::Seconds(1);
  v1::AgentStatus status;
  status.add_logs()->set_log("a.log");
  status.mutable_logs(0)->set_bytes_behind(7);
  keeper_->OnStatus(status);
  EXPECT_EQ(OnDisk().logs(0).status().bytes_behind(), 7);
  EXPECT_EQ(GetTimestamp(OnDisk().logs(0).acknowledged_time()), written + absl::Seconds(2));
}

TEST_F(RunStateKeeperTest, GapFoundAgainIsOneGap) {
  keeper_->OnGap("a.log", GapFrom(now_));
  keeper_->OnGap("a.log", GapFrom(now_));
  keeper_->OnGap("a.log", GapFrom(now_ + absl::Hours(5)));
  EXPECT_EQ(OnDisk().logs(0).gap_count(), 2);
  EXPECT_THAT(OnDisk().logs(0).gaps(), SizeIs(2));
}

TEST_F(RunStateKeeperTest, OnlyTheNewestGapsAreKeptAndAllAreCounted) {
  for (int i = 0; i < 40; ++i) keeper_->OnGap("a.log", GapFrom(now_ + absl::Hours(i)));
  EXPECT_EQ(OnDisk().logs(0).gap_count(), 40);
  ASSERT_THAT(OnDisk().logs(0).gaps(), SizeIs(16));
  EXPECT_EQ(GetTimestamp(OnDisk().logs(0).gaps(15).start_time()), now_ + absl::Hours(39));
}

TEST_F(RunStateKeeperTest, TroublesAreWrittenAndEnd) {
  keeper_->OnLogTrouble("", absl::NotFoundError("no folder"));
  keeper_->OnLogTrouble("a.log", absl::PermissionDeniedError("no"));
  keeper_->OnCheckpointTrouble(absl::ResourceExhaustedError("full"));
  EXPECT_THAT(OnDisk().search_trouble(), HasSubstr("no folder"));
  EXPECT_THAT(OnDisk().logs(0).trouble(), HasSubstr("PERMISSION_DENIED"));
  EXPECT_THAT(OnDisk().checkpoint_trouble(), HasSubstr("full"));
  keeper_->OnLogTrouble("", absl::OkStatus());
  keeper_->OnLogTrouble("a.log", absl::OkStatus());
  keeper_->OnCheckpointTrouble(absl::OkStatus());
  EXPECT_EQ(OnDisk().search_trouble() + OnDisk().logs(0).trouble() + OnDisk().checkpoint_trouble(),
            "");
}

TEST_F(RunStateKeeperTest, EndIsWrittenAndTheNextStartGoesOn) {
  keeper_->OnConnected({});
  keeper_->OnGap("a.log", GapFrom(now_));
  keeper_->OnAcknowledged("a.log");
  keeper_.reset();
  EXPECT_FALSE(OnDisk().connected());
  EXPECT_EQ(OnDisk().connection_failure(), "stopped");
  Start();
  EXPECT_EQ(OnDisk().logs(0).gap_count(), 1);
  EXPECT_TRUE(OnDisk().logs(0).has_acknowledged_time());
  EXPECT_EQ(OnDisk().connection_failure(), "");
}

TEST_F(RunStateKeeperTest, StateOfAnotherHostIsNotTakenOver) {
  keeper_->OnAcknowledged("a.log");
  Start("mx2");
  EXPECT_THAT(OnDisk().logs(), SizeIs(0));
}

TEST_F(RunStateKeeperTest, EverythingReachesTheNextObserver) {
  keeper_->OnConnected({});
  keeper_->OnDisconnected(absl::UnavailableError(""), absl::Seconds(1));
  keeper_->OnCaughtUp("a");
  keeper_->OnGap("a", {});
  keeper_->OnRejected({});
  keeper_->OnLogTrouble("a", absl::OkStatus());
  keeper_->OnCheckpointTrouble(absl::OkStatus());
  keeper_->OnAcknowledged("a");
  keeper_->OnStatus({});
  EXPECT_THAT(next_.calls,
              testing::ElementsAre("connected", "disconnected", "caught up", "gap", "rejected",
                                   "log trouble", "checkpoint trouble", "acknowledged", "status"));
}

}  // namespace
}  // namespace mxtally
