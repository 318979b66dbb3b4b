// The agent is killed anywhere, again and again, while the log grows and is
// rotated.  Whatever was lost between server and agent, in the end the server
// has every session once and has counted every line once.

#include <algorithm>
#include <random>

#include "tests/agent/pipeline/pipeline_fixture.h"

namespace mxtally {
namespace {

class ResumeTest : public PipelineTest {
 protected:
  int Random(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  // Lines of a few processes, each with a session open or not.
  void GrowLog() {
    for (int i = Random(30); i > 0; --i) {
      time_ += Random(40);
      const int pid = Random(5);
      if (Random(8) == 0) {
        Write(Line(time_, "cron[1]: between two sessions"));
      } else if (!open_[pid]) {
        Write(Line(time_, absl::StrCat("postfix/smtpd[", pid, "]: connect from unknown[192.0.2.",
                                       pid, "]")));
        open_[pid] = true;
      } else if (Random(3) == 0) {
        Write(Line(time_,
                   absl::StrCat("postfix/smtpd[", pid,
                                "]: improper command pipelining after EHLO from unknown[192.0.2.",
                                pid, "]: QUIT")));
      } else {
        Write(Line(time_, absl::StrCat("postfix/smtpd[", pid, "]: disconnect from unknown[192.0.2.",
                                       pid, "] ehlo=1 quit=1 commands=2")));
        open_[pid] = false;
      }
    }
  }
  void Write(const std::string& line) {
    Append(line);
    ++lines_;
    bytes_ += static_cast<int64_t>(line.size()) + 1;
    whole_.push_back(line);
  }

  void Rotate() {
    // A first reading is not meant to find rotated files.
    if (!server_.stored() || !std::filesystem::exists(Path("mail.log"))) return;
    for (int i = rotations_; i > 0; --i) {
      Rename(absl::StrCat("mail.log.", i), absl::StrCat("mail.log.", i + 1));
    }
    Rename("mail.log", "mail.log.1");
    ++rotations_;
  }

  // Some batches, each of which may be the last before the agent dies: not
  // sent, sent and not acknowledged, or acknowledged without a checkpoint.
  void RunAndDie() {
    for (int i = Random(12); i > 0; --i) {
      std::optional<PipelineBatch> batch = Next();
      if (!batch) return;
      if (Random(10) == 0) return;
      server_.Commit(batch->Whole());
      if (Random(6) == 0) return;
      if (batch->checkpoint && Random(3) > 0) {
        checkpoint_ = std::move(batch->checkpoint);
        checkpoint_database_ = database_;
      }
      if (Random(6) == 0) GrowLog();
    }
  }

  // What operators and disks do to state and database.  Never to both: then a
  // reading is a first one, which is not meant to find rotated files.
  void Accident() {
    switch (Random(30)) {
      case 0:
        if (server_.stored()) checkpoint_.reset();
        break;
      case 1:
        backup_ = server_;
        backup_database_ = database_;
        break;
      case 2:
        if (!backup_ || !backup_->stored()) break;
        server_ = *backup_;
        database_ = backup_database_;
        break;
      case 3:
        if (!checkpoint_) break;
        server_ = CountingServer();
        database_ = ++databases_;
        break;
    }
  }

  void Run() {
    for (int i = 0; i < 30; ++i) {
      GrowLog();
      if (Random(6) == 0) Rotate();
      if (with_accidents_) Accident();
      options_.batch_log_bytes_max = 200 + Random(3000);
      Open(checkpoint_database_ == database_);
      RunAndDie();
    }
    GrowLog();
    OpenAndDeliver(checkpoint_database_ == database_);
    ExpectLikeOneReading();
  }

  void ExpectLikeOneReading() {
    folder_.Remove("whole.log");
    std::string whole;
    for (const std::string& line : whole_) absl::StrAppend(&whole, line, "\n");
    folder_.Append("whole.log", whole);
    LogPipelineOptions options = options_;
    options.follower.path = Path("whole.log");
    CountingServer expected;
    auto pipeline = LogPipeline::Open(options, std::nullopt, std::nullopt, true);
    ASSERT_TRUE(pipeline.ok());
    for (auto batch = (*pipeline)->Next(); batch->has_value(); batch = (*pipeline)->Next()) {
      expected.Commit((**batch).Whole());
    }
    EXPECT_EQ(server_.key_conflicts(), 0);
    EXPECT_EQ(server_.total().read(), lines_);
    EXPECT_EQ(server_.total().bytes(), bytes_);
    EXPECT_EQ(server_.total().SerializeAsString(), expected.total().SerializeAsString());
    EXPECT_EQ(server_.by_hour().size(), expected.by_hour().size());
    ASSERT_EQ(server_.sessions().size(), expected.sessions().size());
    auto it = expected.sessions().begin();
    for (const auto& [key, record] : server_.sessions()) {
      EXPECT_EQ(key, it->first);
      EXPECT_EQ(record.DebugString(), it->second.DebugString());
      ++it;
    }
  }

  bool with_accidents_ = false;
  std::mt19937 random_;
  int databases_ = 0;
  int database_ = 0;
  int checkpoint_database_ = 0;
  std::optional<CountingServer> backup_;
  int backup_database_ = 0;

  int time_ = 0;
  bool open_[5] = {};
  int64_t lines_ = 0;
  int64_t bytes_ = 0;
  std::vector<std::string> whole_;
  int rotations_ = 0;
};

class SeededResumeTest : public ResumeTest, public testing::WithParamInterface<int> {
 protected:
  SeededResumeTest() { random_.seed(GetParam()); }
};

TEST_P(SeededResumeTest, KilledAnywhereEverySessionAndEveryLineArrivesOnce) { Run(); }

TEST_P(SeededResumeTest, AlsoWhenStateIsLostAndDatabasesAreRestoredOrReplaced) {
  with_accidents_ = true;
  Run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeededResumeTest, testing::Range(0, 30));

}  // namespace
}  // namespace mxtally
