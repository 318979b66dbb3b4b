#include "agent/cli/log_output.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/pipeline/timestamps.h"

namespace mxtally {
namespace {

std::string Text(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

std::string Text(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", FromTimestamp(time), absl::UTCTimeZone());
}

}  // namespace

std::shared_ptr<spdlog::logger> CreateLogger() {
  auto logger = std::make_shared<spdlog::logger>("mxtally-agent",
                                                 std::make_shared<spdlog::sinks::stderr_sink_st>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S%z %l: %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

LogOutput::LogOutput(std::shared_ptr<spdlog::logger> logger, std::function<absl::Time()> now)
    : logger_(std::move(logger)), now_(std::move(now)) {}

void LogOutput::OnConnected(const v1::ServerWelcome& welcome) {
  if (!was_connected_ || !last_failure_.empty()) {
    logger_->info("connected to server {}, database {}", welcome.server_version(),
                  welcome.database_id());
  }
  was_connected_ = true;
  last_failure_.clear();
}

void LogOutput::OnDisconnected(const absl::Status& status, absl::Duration delay) {
  if (status.ok()) return;  // The server lets streams end now and then.
  const std::string failure = Text(status);
  if (failure == last_failure_) return;
  last_failure_ = failure;
  caught_up_.clear();
  logger_->warn("no connection, {}; trying again, first in {}", failure,
                absl::FormatDuration(absl::Trunc(delay, absl::Milliseconds(1))));
}

void LogOutput::OnCaughtUp(const std::string& log) {
  if (!caught_up_.insert(log).second) return;
  logger_->info("{}: all up to the end is delivered", log);
}

void LogOutput::OnGap(const std::string& log, const v1::Gap& gap) {
  if (!Permits(gaps_)) return;
  logger_->warn("{}: log from {} to {} is gone, at least {} bytes ({}){}", log,
                Text(gap.start_time()), Text(gap.end_time()), gap.bytes_min(),
                v1::GapReason_Name(gap.reason()), Others(gaps_));
}

void LogOutput::OnRejected(const v1::RejectedSession& rejected) {
  if (!Permits(rejected_)) return;
  logger_->warn("the server rejected a session: {}{}", rejected.reason(), Others(rejected_));
}

void LogOutput::OnLogTrouble(const std::string& log, const absl::Status& status) {
  if (status.ok()) {
    logger_->info("{}: can be read again", log.empty() ? "logs" : log);
  } else if (Permits(trouble_)) {
    logger_->error("{}: {}{}", log.empty() ? "logs" : log, Text(status), Others(trouble_));
  }
}

void LogOutput::OnCheckpointTrouble(const absl::Status& status) {
  if (status.ok()) {
    logger_->info("the checkpoint can be written again");
    checkpoint_ = {};
  } else if (Permits(checkpoint_)) {
    logger_->error("{}; delivery goes on{}", Text(status), Others(checkpoint_));
  }
}

bool LogOutput::Permits(Limit& limit) {
  const absl::Time now = now_();
  if (now < limit.next) {
    ++limit.held_back;
    return false;
  }
  limit.next = now + absl::Minutes(1);
  return true;
}

std::string LogOutput::Others(Limit& limit) {
  const int64_t others = std::exchange(limit.held_back, 0);
  return others == 0 ? "" : absl::StrCat(" (and ", others, " more)");
}

}  // namespace mxtally
