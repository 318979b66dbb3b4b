// The agent is killed anywhere, again and again, while the log grows and is
// rotated.  Whatever was lost between server and agent, in the end the server
// has every session once and has counted every line once.

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/agent/pipeline/pipeline_fixture.h"

namespace mxtally {
namespace {

class ResumeTest : public PipelineTest {
 protected:
  struct Host {
    std::string name;
    int clock_ahead = 0;  // Seconds.
    bool open[5] = {};
    std::string whole = {};  // Its lines.
  };

  int Random(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  // Lines of a few processes of each host, each with a session open or not.
  void GrowLog() {
    for (int i = Random(30); i > 0; --i) {
      time_ += Random(40);
      const int pid = Random(5);
      Host& host = hosts_[Random(static_cast<int>(hosts_.size()))];
      const std::string tag = absl::StrCat("postfix/smtpd[", pid, "]: ");
      const std::string peer = absl::StrCat("unknown[192.0.2.", pid, "]");
      if (Random(8) == 0) {
        Write(host, "cron[1]: between two sessions");
      } else if (!host.open[pid]) {
        Write(host, absl::StrCat(tag, "connect from ", peer));
        host.open[pid] = true;
      } else if (Random(3) == 0) {
        Write(host,
              absl::StrCat(tag, "improper command pipelining after EHLO from ", peer, ": QUIT"));
      } else {
        Write(host, absl::StrCat(tag, "disconnect from ", peer, " ehlo=1 quit=1 commands=2"));
        host.open[pid] = false;
      }
    }
  }
  void Write(Host& host, const std::string& rest) {
    const std::string line = Line(time_ + host.clock_ahead, rest, host.name);
    Append(line);
    absl::StrAppend(&host.whole, line, "\n");
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

  // What an agent on the host, with the host's lines alone, would have sent.
  CountingServer OneReading(const Host& host, bool own) {
    folder_.Append("whole." + host.name, host.whole);
    LogPipelineOptions options = options_;
    options.follower.path = Path("whole." + host.name);
    options.hosts.reset();
    if (!own) options.assembler.host = host.name;
    CountingServer server;
    auto pipeline = LogPipeline::Open(options, std::nullopt, std::nullopt, true);
    EXPECT_TRUE(pipeline.ok());
    for (auto batch = (*pipeline)->Next(); batch->has_value(); batch = (*pipeline)->Next()) {
      server.Commit((**batch).Whole());
    }
    return server;
  }

  static std::string Text(const std::map<int64_t, v1::LineCounts>& by_hour) {
    std::string text;
    for (const auto& [hour, lines] : by_hour) {
      absl::StrAppend(&text, hour, ": ", lines.ShortDebugString(), "\n");
    }
    return text;
  }

  void ExpectLikeOneReading() {
    EXPECT_EQ(server_.key_conflicts(), 0);
    std::map<std::string, v1::SessionRecord> expected;
    for (size_t i = 0; i < hosts_.size(); ++i) {
      CountingServer alone = OneReading(hosts_[i], /*own=*/i == 0);
      EXPECT_EQ(Text(i == 0 ? server_.by_hour() : server_.by_hour(hosts_[i].name)),
                Text(alone.by_hour()));
      EXPECT_EQ(alone.total().read(),
                std::count(hosts_[i].whole.begin(), hosts_[i].whole.end(), '\n'));
      expected.insert(alone.sessions().begin(), alone.sessions().end());
    }
    ASSERT_EQ(server_.sessions().size(), expected.size());
    auto it = expected.begin();
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
  std::vector<Host> hosts_ = {{.name = "mx1"}};
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

// A collector.  One host's clock is hours off, which is no other's concern.
class SeededCollectorResumeTest : public SeededResumeTest {
 protected:
  SeededCollectorResumeTest() {
    options_.hosts.emplace().collecting.add_hosts("*");
    hosts_.push_back({.name = "mx2", .clock_ahead = -5 * 3600});
    hosts_.push_back({.name = "mx3.example.net", .clock_ahead = 30});
    time_ = 6 * 3600;
  }
};

TEST_P(SeededCollectorResumeTest, KilledAnywhereEveryHostIsLikeOneWithAnAgentOfItsOwn) { Run(); }

TEST_P(SeededCollectorResumeTest, AlsoWhenStateIsLostAndDatabasesAreRestoredOrReplaced) {
  with_accidents_ = true;
  Run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeededCollectorResumeTest, testing::Range(0, 30));
INSTANTIATE_TEST_SUITE_P(Seeds, SeededResumeTest, testing::Range(0, 30));

}  // namespace
}  // namespace mxtally
