#include "agent/cli/log_output.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// So many that are told, the process long.
constexpr size_t kForeignHostsToldMax = 1000;

std::string Text(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

std::string Text(const google::protobuf::Timestamp& time) { return UtcText(GetTimestamp(time)); }

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
  if (!was_connected_ || outage_told_) {
    logger_->info("connected to server {}, database {}", welcome.server_version(),
                  welcome.database_id());
  }
  was_connected_ = true;
  outage_told_ = false;
  last_failure_.clear();
}

void LogOutput::OnDisconnected(const absl::Status& status, absl::Duration delay) {
  if (status.ok()) return;  // The server lets streams end now and then.
  const std::string failure = Text(status);
  if (failure == last_failure_) return;
  last_failure_ = failure;
  if (!Permits(connection_)) return;
  outage_told_ = true;
  caught_up_.clear();
  logger_->warn("no connection, {}; trying again, first in {}{}", failure,
                absl::FormatDuration(absl::Trunc(delay, absl::Milliseconds(1))),
                Others(connection_));
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
  const std::string name = log.empty() ? "logs" : log;
  if (status.ok()) {
    if (told_troubles_.erase(log) > 0) logger_->info("{}: can be read again", name);
  } else if (Permits(trouble_)) {
    told_troubles_.insert(log);
    logger_->error("{}: {}{}", name, Text(status), Others(trouble_));
  }
}

void LogOutput::OnCheckpointTrouble(const absl::Status& status) {
  if (status.ok()) {
    if (std::exchange(checkpoint_told_, false)) {
      logger_->info("the checkpoint can be written again");
    }
  } else if (Permits(checkpoint_)) {
    checkpoint_told_ = true;
    logger_->error("{}; delivery goes on{}", Text(status), Others(checkpoint_));
  }
}

// Each name once: it stays foreign, and its lines go on.
void LogOutput::OnStatus(const v1::AgentStatus& status) {
  for (const v1::LogStatus& log : status.logs()) {
    std::vector<std::string> foreign;
    for (const std::string& host : log.foreign_hosts()) {
      if (!told_foreign_hosts_.contains({log.log(), host})) foreign.push_back(host);
    }
    const bool room = told_foreign_hosts_.size() < kForeignHostsToldMax;
    if (!foreign.empty() && room && Permits(foreign_)) {
      for (const std::string& host : foreign) told_foreign_hosts_.emplace(log.log(), host);
      logger_->warn(
          "{}: lines of these hosts are not counted, because the server does not list them for "
          "this "
          "collector: {}",
          log.log(), absl::StrJoin(foreign, ", "));
    }
    if (log.lines_beyond_hosts_max() > 0 && told_beyond_.insert(log.log()).second) {
      logger_->warn(
          "{}: lines of hosts beyond {} are not counted: raise --hosts-max, or the server's "
          "--collector-hosts",
          log.log(), log.hosts());
    }
    if (log.untrusted_lines() > 0 && told_untrusted_.insert(log.log()).second) {
      logger_->warn(
          "{}: entries in the name of an MTA that its user did not write are not counted; if they "
          "are an MTA's, name its unit with --journal-unit",
          log.log());
    }
  }
}

bool LogOutput::Permits(Limit& limit) {
  const absl::Time now = now_();
  // Also when the clock was set back.
  if (now >= limit.minute_end || now < limit.minute_end - absl::Minutes(1)) {
    limit.minute_end = now + absl::Minutes(1);
    limit.let_through = 0;
  }
  if (limit.let_through >= limit.burst) {
    ++limit.held_back;
    return false;
  }
  ++limit.let_through;
  return true;
}

std::string LogOutput::Others(Limit& limit) {
  const int64_t others = std::exchange(limit.held_back, 0);
  return others == 0 ? "" : absl::StrCat(" (and ", others, " more)");
}

}  // namespace mxtally
