// A log in a folder of its own, a pipeline that reads it, and a server that
// takes its batches.

#ifndef MXTALLY_TESTS_AGENT_PIPELINE_PIPELINE_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_PIPELINE_PIPELINE_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/pipeline/log_pipeline.h"
#include "gtest/gtest.h"
#include "tests/agent/pipeline/counting_server.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() {
    options_.follower.path = Path("mail.log");
    options_.assembler.host = "mx1.example.org";
    options_.snapshot_interval_min = absl::ZeroDuration();
    options_.now = [this] { return now_; };
  }

  std::string Path(const std::string& name) const { return folder_.Path(name); }

  // ---- Writing the log

  void Append(const std::string& line, const std::string& name = "mail.log") {
    folder_.Append(name, line + "\n");
  }
  // A line of Postfix at `seconds` of the test's day.
  static std::string Line(int seconds, const std::string& rest, const std::string& host = "mx1") {
    return absl::StrCat(
        absl::FormatTime("%Y-%m-%dT%H:%M:%E*S+00:00", At(seconds), absl::UTCTimeZone()), " ", host,
        " ", rest);
  }
  static absl::Time At(int seconds) {
    return absl::FromCivil(absl::CivilSecond(2026, 11, 1), absl::UTCTimeZone()) +
           absl::Seconds(seconds);
  }
  void Connect(int seconds, int pid) {
    Append(
        Line(seconds, absl::StrCat("postfix/smtpd[", pid, "]: connect from a.example[192.0.2.1]")));
  }
  void Disconnect(int seconds, int pid) {
    Append(Line(
        seconds,
        absl::StrCat("postfix/smtpd[", pid,
                     "]: disconnect from a.example[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 "
                     "commands=5")));
  }
  void Session(int seconds, int pid) {
    Connect(seconds, pid);
    Disconnect(seconds + 1, pid);
  }
  void Rename(const std::string& from, const std::string& to) { folder_.Rename(from, to); }

  // ---- Reading it

  // Opens where the saved checkpoint and the server's cut say.
  void Open(bool same_database = true) {
    absl::StatusOr<std::unique_ptr<LogPipeline>> pipeline =
        LogPipeline::Open(options_, checkpoint_, server_.stored(), same_database);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }
  std::optional<PipelineBatch> Next() {
    absl::StatusOr<std::optional<PipelineBatch>> batch = pipeline_->Next();
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? *std::move(batch) : std::nullopt;
  }
  // Commits and acknowledges all there is; returns the batches.
  std::vector<v1::SessionBatch> Deliver() {
    std::vector<v1::SessionBatch> batches;
    while (std::optional<PipelineBatch> batch = Next()) {
      server_.Commit(batch->Whole());
      if (batch->checkpoint) checkpoint_ = batch->checkpoint;
      batches.push_back(batch->Whole());
    }
    return batches;
  }
  std::vector<v1::SessionBatch> OpenAndDeliver(bool same_database = true) {
    Open(same_database);
    return Deliver();
  }

  LogFolder folder_;
  absl::Time now_ = At(50'000);
  LogPipelineOptions options_;
  std::optional<agent::v1::LogCheckpoint> checkpoint_;
  CountingServer server_;
  std::unique_ptr<LogPipeline> pipeline_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_PIPELINE_PIPELINE_FIXTURE_H_
