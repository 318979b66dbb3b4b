#include "agent/run/checkpoint_keeper.h"

#include "gtest/gtest.h"
#include "tests/agent/run/fake_checkpoint_file.h"

namespace mxtally {
namespace {

class CheckpointKeeperTest : public testing::Test {
 protected:
  CheckpointKeeperTest() { options_.host = "mx1"; }

  CheckpointKeeper Open() {
    CheckpointKeeper keeper(options_, file_);
    load_status_ = keeper.Load();
    return keeper;
  }
  static agent::v1::LogCheckpoint At(const std::string& log, int64_t offset) {
    agent::v1::LogCheckpoint checkpoint;
    checkpoint.set_log(log);
    checkpoint.mutable_cut()->set_offset(offset);
    return checkpoint;
  }
  static absl::Time Second(int n) { return absl::FromUnixSeconds(1'000'000 + n); }

  FakeCheckpointFile file_;
  CheckpointKeeperOptions options_;
  absl::Status load_status_;
};

TEST_F(CheckpointKeeperTest, FirstStartKnowsNothing) {
  CheckpointKeeper keeper = Open();
  EXPECT_TRUE(load_status_.ok());
  EXPECT_FALSE(keeper.Find("mail.log").has_value());
  EXPECT_EQ(keeper.due(), absl::InfiniteFuture());
}

TEST_F(CheckpointKeeperTest, StoredStateIsFoundAgain) {
  CheckpointKeeper keeper = Open();
  keeper.Acknowledge(At("mail.log", 100), "db1");
  keeper.Acknowledge(At("other.log", 7), "db1");
  keeper.Acknowledge(At("mail.log", 200), "db1");
  ASSERT_TRUE(keeper.Store(Second(0)).ok());
  CheckpointKeeper again = Open();
  ASSERT_TRUE(again.Find("mail.log").has_value());
  EXPECT_EQ(again.Find("mail.log")->cut().offset(), 200);
  EXPECT_EQ(again.Find("mail.log")->database_id(), "db1");
  EXPECT_EQ(again.Find("other.log")->cut().offset(), 7);
}

TEST_F(CheckpointKeeperTest, AcknowledgedStateCountsBeforeItIsStored) {
  CheckpointKeeper keeper = Open();
  keeper.Acknowledge(At("mail.log", 100), "db1");
  EXPECT_EQ(keeper.Find("mail.log")->cut().offset(), 100);
  EXPECT_EQ(file_.attempts, 0);
}

TEST_F(CheckpointKeeperTest, WritesAreDueAtMostOnceAnInterval) {
  CheckpointKeeper keeper = Open();
  keeper.Acknowledge(At("mail.log", 100), "db1");
  EXPECT_LE(keeper.due(), Second(0));
  ASSERT_TRUE(keeper.Store(Second(0)).ok());
  EXPECT_EQ(keeper.due(), absl::InfiniteFuture());
  keeper.Acknowledge(At("mail.log", 200), "db1");
  EXPECT_EQ(keeper.due(), Second(1));
}

TEST_F(CheckpointKeeperTest, FailedWriteIsDueAgain) {
  CheckpointKeeper keeper = Open();
  keeper.Acknowledge(At("mail.log", 100), "db1");
  file_.store_status = absl::ResourceExhaustedError("disk full");
  EXPECT_FALSE(keeper.Store(Second(0)).ok());
  EXPECT_EQ(keeper.due(), Second(1));
  file_.store_status = absl::OkStatus();
  EXPECT_TRUE(keeper.Store(Second(1)).ok());
  EXPECT_EQ(file_.stored->logs(0).cut().offset(), 100);
}

TEST_F(CheckpointKeeperTest, DamagedNewestGivesWayToTheOneBefore) {
  file_.stored.emplace();
  file_.stored->set_host("mx1");
  *file_.stored->add_logs() = At("mail.log", 100);
  file_.damages = {absl::DataLossError("checksum")};
  CheckpointKeeper keeper = Open();
  EXPECT_TRUE(absl::IsDataLoss(load_status_));
  EXPECT_TRUE(keeper.Find("mail.log").has_value());
}

TEST_F(CheckpointKeeperTest, AllDamagedIsAFirstStart) {
  file_.damages = {absl::DataLossError("checksum"), absl::DataLossError("checksum")};
  CheckpointKeeper keeper = Open();
  EXPECT_TRUE(absl::IsDataLoss(load_status_));
  EXPECT_FALSE(keeper.Find("mail.log").has_value());
}

TEST_F(CheckpointKeeperTest, UnreadableStateIsAnError) {
  file_.damages = {absl::PermissionDeniedError("state")};
  Open();
  EXPECT_TRUE(absl::IsPermissionDenied(load_status_));
}

TEST_F(CheckpointKeeperTest, StateOfAnotherHostNameIsOfNoDatabase) {
  {
    CheckpointKeeper keeper = Open();
    keeper.Acknowledge(At("mail.log", 100), "db1");
    ASSERT_TRUE(keeper.Store(Second(0)).ok());
  }
  options_.host = "mx2";
  CheckpointKeeper keeper = Open();
  ASSERT_TRUE(keeper.Find("mail.log").has_value());
  EXPECT_EQ(keeper.Find("mail.log")->database_id(), "");
  EXPECT_EQ(keeper.former_host(), "mx1");
  ASSERT_TRUE(keeper.Store(Second(1)).ok());
}

TEST_F(CheckpointKeeperTest, StateOfTheHostItselfHasNoFormerHost) {
  {
    CheckpointKeeper keeper = Open();
    EXPECT_EQ(keeper.former_host(), "");
    keeper.Acknowledge(At("mail.log", 100), "db1");
    ASSERT_TRUE(keeper.Store(Second(0)).ok());
  }
  EXPECT_EQ(Open().former_host(), "");
}

TEST_F(CheckpointKeeperTest, FailpointComesBeforeTheWrite) {
  int attempts_seen = -1;
  options_.before_store = [&] { attempts_seen = file_.attempts; };
  CheckpointKeeper keeper = Open();
  keeper.Acknowledge(At("mail.log", 100), "db1");
  ASSERT_TRUE(keeper.Store(Second(0)).ok());
  EXPECT_EQ(attempts_seen, 0);
  EXPECT_EQ(file_.attempts, 1);
}

}  // namespace
}  // namespace mxtally
