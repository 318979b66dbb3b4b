#include "agent/cli/log_output.h"

#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

class LogOutputTest : public testing::Test {
 protected:
  LogOutputTest() {
    logger_ = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(text_));
    logger_->set_pattern("%l: %v");
    output_ = std::make_unique<LogOutput>(logger_, [this] { return now_; });
  }
  std::string Take() {
    std::string text = text_.str();
    text_.str("");
    return text;
  }
  static v1::ServerWelcome Welcome() {
    v1::ServerWelcome welcome;
    welcome.set_server_version("0.1.0");
    welcome.set_database_id("db1");
    return welcome;
  }

  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> logger_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000'000);
  std::unique_ptr<LogOutput> output_;
};

TEST_F(LogOutputTest, ConnectionIsToldOnce) {
  output_->OnConnected(Welcome());
  EXPECT_EQ(Take(), "info: connected to server 0.1.0, database db1\n");
  output_->OnDisconnected(absl::OkStatus(), absl::ZeroDuration());
  output_->OnConnected(Welcome());
  EXPECT_EQ(Take(), "");
}

TEST_F(LogOutputTest, OutageIsOneLineUntilItsReasonChanges) {
  for (int i = 0; i < 100; ++i) {
    output_->OnDisconnected(absl::UnavailableError("refused"), absl::Milliseconds(250));
  }
  EXPECT_EQ(Take(), "warning: no connection, UNAVAILABLE: refused; trying again, first in 250ms\n");
  output_->OnDisconnected(absl::UnavailableError("no route"), absl::Seconds(1));
  EXPECT_THAT(Take(), testing::HasSubstr("no route"));
  output_->OnConnected(Welcome());
  EXPECT_THAT(Take(), testing::HasSubstr("connected"));
}

TEST_F(LogOutputTest, CaughtUpIsToldAfterAnOutageAndNotEveryHour) {
  output_->OnCaughtUp("mail.log");
  output_->OnDisconnected(absl::OkStatus(), absl::ZeroDuration());
  output_->OnCaughtUp("mail.log");
  EXPECT_EQ(Take(), "info: mail.log: all up to the end is delivered\n");
  output_->OnDisconnected(absl::UnavailableError("x"), absl::ZeroDuration());
  Take();
  output_->OnCaughtUp("mail.log");
  EXPECT_NE(Take(), "");
}

TEST_F(LogOutputTest, RepeatedThingsAreToldOnceAMinuteWithTheirNumber) {
  v1::RejectedSession rejected;
  rejected.set_reason("end before start");
  for (int i = 0; i < 100; ++i) output_->OnRejected(rejected);
  EXPECT_EQ(Take(), "warning: the server rejected a session: end before start\n");
  now_ += absl::Minutes(1);
  output_->OnRejected(rejected);
  EXPECT_EQ(Take(), "warning: the server rejected a session: end before start (and 99 more)\n");
}

TEST_F(LogOutputTest, HostsThatACollectorLeavesOutAreToldOnce) {
  v1::AgentStatus status;
  v1::LogStatus& log = *status.add_logs();
  log.set_log("mail.log");
  log.set_hosts(7);
  output_->OnStatus(status);
  EXPECT_EQ(Take(), "");
  log.add_foreign_hosts("mx8");
  log.add_foreign_hosts("mx9");
  log.set_lines_beyond_hosts_max(3);
  output_->OnStatus(status);
  EXPECT_EQ(Take(),
            "warning: mail.log: lines of these hosts are not counted, because the server does not "
            "list them for this collector: mx8, mx9\n"
            "warning: mail.log: lines of hosts beyond 7 are not counted: raise --hosts-max, or the "
            "server's --collector-hosts\n");
  log.add_foreign_hosts("mx10");
  log.set_lines_beyond_hosts_max(300);
  output_->OnStatus(status);
  EXPECT_EQ(Take(), "") << "not twice a minute";
  now_ += absl::Minutes(1);
  output_->OnStatus(status);
  EXPECT_THAT(Take(), testing::HasSubstr("collector: mx10\n"));
  now_ += absl::Minutes(1);
  output_->OnStatus(status);
  EXPECT_EQ(Take(), "");
}

TEST_F(LogOutputTest, ConnectionThatComesAndGoesDoesNotFlood) {
  int lines = 0;
  for (int second = 0; second < 600; ++second) {
    output_->OnConnected(Welcome());
    output_->OnCaughtUp("mail.log");
    output_->OnDisconnected(absl::UnavailableError(absl::StrCat("reason ", second)),
                            absl::Seconds(1));
    now_ += absl::Seconds(1);
    const std::string text = Take();
    lines += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    if (second % 60 == 0 && second > 0) {
      EXPECT_THAT(text, testing::HasSubstr("(and 55 more)"));
    }
  }
  // Ten minutes of five outages, each with what follows it, and the first connection.
  EXPECT_LE(lines, 2 + 10 * 5 * 3);
}

TEST_F(LogOutputTest, LogThatComesAndGoesDoesNotFlood) {
  int lines = 0;
  for (int second = 0; second < 600; ++second) {
    output_->OnLogTrouble("mail.log", absl::PermissionDeniedError("open"));
    output_->OnLogTrouble("mail.log", absl::OkStatus());
    output_->OnCheckpointTrouble(absl::ResourceExhaustedError("disk full"));
    output_->OnCheckpointTrouble(absl::OkStatus());
    now_ += absl::Seconds(1);
    const std::string text = Take();
    lines += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  EXPECT_EQ(lines, 10 * 4);
}

TEST_F(LogOutputTest, ManyUnreadableLogsAreOneLineAndTheirNumber) {
  for (int i = 0; i < 200; ++i) {
    output_->OnLogTrouble(absl::StrCat(i, ".log"), absl::PermissionDeniedError("open"));
  }
  EXPECT_EQ(Take(), "error: 0.log: PERMISSION_DENIED: open\n");
  for (int i = 0; i < 200; ++i) output_->OnLogTrouble(absl::StrCat(i, ".log"), absl::OkStatus());
  EXPECT_EQ(Take(), "info: 0.log: can be read again\n");
  now_ += absl::Minutes(1);
  output_->OnLogTrouble("0.log", absl::PermissionDeniedError("open"));
  EXPECT_EQ(Take(), "error: 0.log: PERMISSION_DENIED: open (and 199 more)\n");
}

TEST_F(LogOutputTest, GapsAreToldWithTheirTimes) {
  v1::Gap gap;
  gap.set_reason(v1::GAP_REASON_TRUNCATED);
  gap.mutable_start_time()->set_seconds(0);
  gap.mutable_end_time()->set_seconds(60);
  gap.set_bytes_min(42);
  output_->OnGap("mail.log", gap);
  EXPECT_EQ(Take(),
            "warning: mail.log: log from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z is gone, at "
            "least 42 bytes (GAP_REASON_TRUNCATED)\n");
}

TEST_F(LogOutputTest, TroubleIsToldWhenItComesAndWhenItGoes) {
  output_->OnLogTrouble("mail.log", absl::PermissionDeniedError("open"));
  output_->OnLogTrouble("mail.log", absl::OkStatus());
  EXPECT_EQ(Take(),
            "error: mail.log: PERMISSION_DENIED: open\ninfo: mail.log: can be read again\n");
  output_->OnCheckpointTrouble(absl::ResourceExhaustedError("disk full"));
  output_->OnCheckpointTrouble(absl::ResourceExhaustedError("disk full"));
  output_->OnCheckpointTrouble(absl::OkStatus());
  EXPECT_EQ(Take(),
            "error: RESOURCE_EXHAUSTED: disk full; delivery goes on\n"
            "info: the checkpoint can be written again\n");
}

}  // namespace
}  // namespace mxtally
