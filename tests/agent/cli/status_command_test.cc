#include "agent/cli/status_command.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "agent/checkpoint/checkpoint_file.h"
#include "agent/checkpoint/run_state_file.h"
#include "agent/pipeline/timestamps.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::Not;

// Noon, 24 November 2026.
const absl::Time kNow = absl::FromUnixSeconds(1'795'521'600);

class StatusCommandTest : public testing::Test {
 protected:
  StatusCommandTest() {
    std::ofstream(log_) << std::string(1000, 'x');
    state_.set_host("mx1");
    state_.set_agent_version("0.1.0");
    state_.set_server("mx.example.org:4625");
    state_.set_connected(true);
    *state_.mutable_start_time() = ToTimestamp(kNow - absl::Hours(1));
    *state_.mutable_write_time() = ToTimestamp(kNow - absl::Seconds(5));
    *state_.mutable_connected_change_time() = ToTimestamp(kNow - absl::Minutes(59));
    agent::v1::LogState& log = *state_.add_logs();
    log.mutable_status()->set_log(log_);
    *log.mutable_acknowledged_time() = ToTimestamp(kNow - absl::Seconds(30));
    *log.mutable_status()->mutable_caught_up_time() = ToTimestamp(kNow - absl::Minutes(5));
  }

  // An agent has the directory open, and has acknowledged `offset` bytes.
  void RunAt(int64_t offset) {
    absl::StatusOr<std::unique_ptr<CheckpointFile>> file =
        CheckpointFile::Open({.dir = folder_.path()});
    ASSERT_TRUE(file.ok()) << file.status();
    running_ = *std::move(file);
    agent::v1::Checkpoint checkpoint;
    checkpoint.set_host("mx1");
    agent::v1::LogCheckpoint& log = *checkpoint.add_logs();
    log.set_log(log_);
    struct stat info = {};
    ASSERT_EQ(stat(log_.c_str(), &info), 0);
    log.mutable_cut()->mutable_file()->set_device(info.st_dev);
    log.mutable_cut()->mutable_file()->set_inode(info.st_ino);
    log.mutable_cut()->set_offset(offset);
    *log.mutable_cut()->mutable_log_time() = ToTimestamp(kNow - absl::Seconds(90));
    ASSERT_TRUE(running_->Store(checkpoint).ok());
    ASSERT_TRUE(WriteRunState(folder_.path(), state_).ok());
  }

  int Tell(const std::string& format = "table") {
    out_.str("");
    err_.str("");
    return Status({.state_dir = folder_.path(), .format = format, .now = [] { return kNow; }}, out_,
                  err_);
  }

  const TemporaryFolder folder_;
  const std::string log_ = folder_ / "mail.log";
  agent::v1::RunState state_;
  std::unique_ptr<CheckpointFile> running_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(StatusCommandTest, RunningAgentThatDeliversIs0) {
  RunAt(1000);
  EXPECT_EQ(Tell(), 0);
  EXPECT_EQ(out_.str(),
            "host          mx1\n"
            "agent         running, release 0.1.0, started 2026-11-24T11:00:00Z\n"
            "server        mx.example.org:4625, connected since 2026-11-24T11:01:00Z\n"
            "as of         2026-11-24T11:59:55Z, 5s ago\n\n" +
                log_ +
                "\n"
                "  position    byte 1000 of 1000, log time 2026-11-24T11:58:30Z\n"
                "  lag         0 bytes, 0\n"
                "  last ack    2026-11-24T11:59:30Z\n"
                "  caught up   2026-11-24T11:55:00Z\n"
                "  gaps        0\n");
}

TEST_F(StatusCommandTest, LagIsWhatTheFileHasNow) {
  RunAt(400);
  EXPECT_EQ(Tell(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("lag         600 bytes, 1m30s\n"));
}

TEST_F(StatusCommandTest, RotatedFileLeavesTheLagThatWasToldLast) {
  RunAt(1000);
  state_.mutable_logs(0)->mutable_status()->set_bytes_behind(77);
  ASSERT_TRUE(WriteRunState(folder_.path(), state_).ok());
  std::filesystem::rename(log_, log_ + ".1");
  EXPECT_EQ(Tell(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("position    in a rotated file, log time 2026"));
  EXPECT_THAT(out_.str(), HasSubstr("lag         77 bytes, 1m30s\n"));
}

TEST_F(StatusCommandTest, StoppedAgentIs3AndItsStateIsTold) {
  RunAt(1000);
  running_.reset();
  EXPECT_EQ(Tell(), 3);
  EXPECT_THAT(out_.str(), HasSubstr("agent         not running"));
  EXPECT_THAT(out_.str(), HasSubstr("not connected"));
  EXPECT_THAT(out_.str(), HasSubstr("byte 1000 of 1000"));
}

TEST_F(StatusCommandTest, TellingDoesNotKeepAnAgentFromStarting) {
  RunAt(1000);
  running_.reset();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Tell(), 3);
    RunAt(1000);
    EXPECT_EQ(Tell(), 0);
    running_.reset();
  }
}

TEST_F(StatusCommandTest, EveryTroubleIs4AndTold) {
  state_.set_connected(false);
  state_.set_connection_failure("UNAVAILABLE: refused");
  RunAt(1000);
  EXPECT_EQ(Tell(), 4);
  EXPECT_THAT(out_.str(), HasSubstr("UNAVAILABLE: refused"));

  state_.set_connected(true);
  state_.mutable_logs(0)->set_trouble("PERMISSION_DENIED: no");
  ASSERT_TRUE(WriteRunState(folder_.path(), state_).ok());
  EXPECT_EQ(Tell(), 4);
  EXPECT_THAT(out_.str(), HasSubstr("trouble     PERMISSION_DENIED: no"));

  state_.mutable_logs(0)->clear_trouble();
  state_.set_search_trouble("no folder");
  ASSERT_TRUE(WriteRunState(folder_.path(), state_).ok());
  EXPECT_EQ(Tell(), 4);
  EXPECT_THAT(out_.str(), HasSubstr("trouble       no folder"));

  state_.clear_search_trouble();
  state_.set_checkpoint_trouble("disk full");
  ASSERT_TRUE(WriteRunState(folder_.path(), state_).ok());
  EXPECT_EQ(Tell(), 4);
  EXPECT_THAT(out_.str(), HasSubstr("trouble       disk full"));
}

TEST_F(StatusCommandTest, GapsAreListed) {
  v1::Gap& gap = *state_.mutable_logs(0)->add_gaps();
  gap.set_reason(v1::GAP_REASON_FILE_GONE);
  gap.set_bytes_min(4711);
  *gap.mutable_start_time() = ToTimestamp(kNow - absl::Hours(3));
  *gap.mutable_end_time() = ToTimestamp(kNow - absl::Hours(2));
  state_.mutable_logs(0)->set_gap_count(1);
  RunAt(1000);
  EXPECT_EQ(Tell(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("gaps        1\n"));
  EXPECT_THAT(out_.str(), HasSubstr("2026-11-24T09:00:00Z to 2026-11-24T10:00:00Z, at least 4711 "
                                    "bytes (GAP_REASON_FILE_GONE)"));
}

TEST_F(StatusCommandTest, HostsOfACollectorAreTold) {
  v1::LogStatus& log = *state_.mutable_logs(0)->mutable_status();
  log.set_hosts(12);
  log.set_lines_beyond_hosts_max(34);
  log.add_foreign_hosts("mx8");
  log.add_foreign_hosts("mx9");
  RunAt(1000);
  EXPECT_EQ(Tell(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("  hosts       12 collected\n"
                                    "  foreign     mx8, mx9\n"
                                    "  too many    34 lines of hosts beyond --hosts-max\n"));
  EXPECT_EQ(Tell("json"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\"hosts\":12"));
  EXPECT_THAT(out_.str(), HasSubstr("\"lines_beyond_hosts_max\":34"));
  EXPECT_THAT(out_.str(), HasSubstr("\"foreign_hosts\":[\"mx8\",\"mx9\"]"));
}

TEST_F(StatusCommandTest, UntrustedEntriesOfTheJournalAreTold) {
  state_.mutable_logs(0)->mutable_status()->set_untrusted_lines(5);
  RunAt(1000);
  EXPECT_EQ(Tell(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("  untrusted   5 entries in the name of an MTA"));
  EXPECT_EQ(Tell("json"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\"untrusted_lines\":5"));
}

TEST_F(StatusCommandTest, JsonHoldsTheSame) {
  RunAt(400);
  EXPECT_EQ(Tell("json"), 0);
  for (const char* text :
       {"\"running\":true", "\"connected\":true", "\"host\":\"mx1\"", "\"position\":400",
        "\"size\":1000", "\"bytes_behind\":600", "\"lag_seconds\":90",
        "\"acknowledged_time\":\"2026-11-24T11:59:30Z\"", "\"gap_count\":0", "\"gaps\":[]"}) {
    EXPECT_THAT(out_.str(), HasSubstr(text));
  }
}

TEST_F(StatusCommandTest, StateFileThatIsLostOrDamagedDoesNotHideTheCheckpoint) {
  RunAt(400);
  std::ofstream(folder_ / "state", std::ios::trunc) << std::string(100, '\0');
  EXPECT_EQ(Tell(), 4);
  EXPECT_THAT(out_.str(), HasSubstr("byte 400 of 1000"));
  EXPECT_THAT(out_.str(), HasSubstr("last ack    never"));
}

TEST_F(StatusCommandTest, WhatCannotBeReadIs1AndNamed) {
  EXPECT_EQ(Tell(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("expected the state of an agent, found none"));
  RunAt(400);
  for (const char* name : {"/checkpoint", "/checkpoint.previous"}) {
    std::ofstream(folder_.path() + name, std::ios::trunc) << "damage";
  }
  EXPECT_EQ(Tell(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("checkpoint.previous is damaged"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("host")));
}

}  // namespace
}  // namespace mxtally
