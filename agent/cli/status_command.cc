#include "agent/cli/status_command.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/checkpoint/checkpoint_file.h"
#include "agent/checkpoint/run_state_file.h"
#include "mxtally/agent/v1/checkpoint.pb.h"
#include "mxtally/agent/v1/run_state.pb.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

constexpr int kUnreadable = 1;
constexpr int kNotRunning = 3;
constexpr int kInTrouble = 4;

struct LogReport {
  std::string log;
  // Of the live file: acknowledged bytes, and its size; absent when what was
  // acknowledged last is in another file.
  std::optional<int64_t> position;
  std::optional<int64_t> size;
  bool journal = false;
  std::optional<absl::Time> log_time;  // Of the last acknowledged line.
  std::optional<int64_t> bytes_behind;
  std::optional<absl::Duration> lag;
  std::optional<absl::Time> acknowledged;
  std::optional<absl::Time> caught_up;
  int64_t gap_count = 0;
  std::vector<v1::Gap> gaps;
  // Of a collector, beside the agent's own host.
  int64_t hosts = 0;
  int64_t lines_beyond_hosts_max = 0;
  std::vector<std::string> foreign_hosts;
  // Of the journal.
  int64_t untrusted_lines = 0;
  std::string trouble;
};

struct Report {
  bool running = false;
  bool has_state = false;
  agent::v1::RunState state;
  std::string host;
  std::string database_id;
  std::vector<LogReport> logs;
};

std::optional<absl::Time> TimeOf(bool present, const google::protobuf::Timestamp& time) {
  if (!present) return std::nullopt;
  return GetTimestamp(time);
}

// Adds where the file stands now, which is right also while no agent runs.
void LookAtFile(const v1::Cut& cut, LogReport& log) {
  struct stat file = {};
  if (::stat(log.log.c_str(), &file) != 0) return;
  if (file.st_dev != cut.file().device() || file.st_ino != cut.file().inode()) return;
  log.position = cut.offset();
  log.size = file.st_size;
  if (file.st_size >= cut.offset()) log.bytes_behind = file.st_size - cut.offset();
}

LogReport ReportOf(const std::string& name, const agent::v1::LogCheckpoint* checkpoint,
                   const agent::v1::LogState* state, absl::Time now) {
  LogReport log;
  log.log = name;
  if (state != nullptr) {
    const v1::LogStatus& status = state->status();
    log.bytes_behind = status.bytes_behind();
    log.acknowledged = TimeOf(state->has_acknowledged_time(), state->acknowledged_time());
    log.caught_up = TimeOf(status.has_caught_up_time(), status.caught_up_time());
    log.gap_count = state->gap_count();
    log.gaps.assign(state->gaps().begin(), state->gaps().end());
    log.hosts = status.hosts();
    log.lines_beyond_hosts_max = status.lines_beyond_hosts_max();
    log.foreign_hosts.assign(status.foreign_hosts().begin(), status.foreign_hosts().end());
    log.untrusted_lines = status.untrusted_lines();
    log.trouble = state->trouble();
  }
  // While nothing is acknowledged the checkpoint only says where reading began.
  if (checkpoint != nullptr && checkpoint->has_cut() && !checkpoint->has_first_met_time()) {
    log.log_time = TimeOf(checkpoint->cut().has_log_time(), checkpoint->cut().log_time());
    log.journal = !checkpoint->cut().cursor().empty();
    LookAtFile(checkpoint->cut(), log);
  }
  if (log.bytes_behind == 0) {
    log.lag = absl::ZeroDuration();
  } else if (log.log_time) {
    log.lag = std::max(now - *log.log_time, absl::ZeroDuration());
  }
  return log;
}

absl::StatusOr<Report> ReadReport(const std::string& dir, absl::Time now) {
  Report report;
  const absl::StatusOr<bool> running = IsInUse(dir);
  if (!running.ok() && !absl::IsNotFound(running.status())) return running.status();
  report.running = running.ok() && *running;
  absl::StatusOr<std::optional<agent::v1::Checkpoint>> checkpoint = ReadCheckpoint(dir);
  if (!checkpoint.ok()) return checkpoint.status();
  absl::StatusOr<std::optional<agent::v1::RunState>> state = ReadRunState(dir);
  if (!state.ok()) return state.status();
  if (absl::IsNotFound(running.status()) && !checkpoint->has_value()) {
    return absl::NotFoundError(absl::StrCat(dir, ": expected the state of an agent, found none"));
  }

  if (state->has_value()) {
    report.has_state = true;
    report.state = **state;
    report.host = report.state.host();
  }
  if (checkpoint->has_value()) {
    report.host = (*checkpoint)->host();
    report.database_id = (*checkpoint)->database_id();
    for (const agent::v1::LogCheckpoint& log : (*checkpoint)->logs()) {
      const auto& states = report.state.logs();
      const auto found = std::find_if(states.begin(), states.end(), [&log](const auto& candidate) {
        return candidate.status().log() == log.log();
      });
      report.logs.push_back(
          ReportOf(log.log(), &log, found == states.end() ? nullptr : &*found, now));
    }
  }
  for (const agent::v1::LogState& log : report.state.logs()) {
    const bool known =
        std::any_of(report.logs.begin(), report.logs.end(),
                    [&log](const LogReport& other) { return other.log == log.status().log(); });
    if (!known) report.logs.push_back(ReportOf(log.status().log(), nullptr, &log, now));
  }
  return report;
}

int ExitStatus(const Report& report) {
  if (!report.running) return kNotRunning;
  const bool log_trouble = std::any_of(report.logs.begin(), report.logs.end(),
                                       [](const LogReport& log) { return !log.trouble.empty(); });
  const bool good = report.state.connected() && report.state.search_trouble().empty() &&
                    report.state.checkpoint_trouble().empty() && !log_trouble;
  return good ? 0 : kInTrouble;
}

std::string Text(absl::Time time) { return UtcText(time); }

std::string Text(const std::optional<absl::Time>& time) { return time ? Text(*time) : "never"; }

std::string Text(const v1::Gap& gap) {
  return absl::StrCat(Text(GetTimestamp(gap.start_time())), " to ",
                      Text(GetTimestamp(gap.end_time())), ", at least ", gap.bytes_min(),
                      " bytes (", v1::GapReason_Name(gap.reason()), ")");
}

void PrintField(std::ostream& out, const char* name, const std::string& value) {
  out << std::left << std::setw(14) << name << value << "\n";
}

void PrintTable(const Report& report, absl::Time now, std::ostream& out) {
  const agent::v1::RunState& state = report.state;
  PrintField(out, "host", report.host);
  std::string agent = report.running ? "running" : "not running";
  if (report.has_state) {
    absl::StrAppend(&agent, ", release ", state.agent_version(), ", started ",
                    Text(GetTimestamp(state.start_time())));
  }
  PrintField(out, "agent", agent);
  if (report.has_state) {
    std::string connection = state.connected() && report.running ? "connected" : "not connected";
    if (state.has_connected_change_time()) {
      absl::StrAppend(&connection, " since ", Text(GetTimestamp(state.connected_change_time())));
    }
    if (!state.connection_failure().empty()) {
      absl::StrAppend(&connection, ": ", state.connection_failure());
    }
    PrintField(out, "server", absl::StrCat(state.server(), ", ", connection));
    PrintField(out, "as of",
               absl::StrCat(Text(GetTimestamp(state.write_time())), ", ",
                            absl::FormatDuration(absl::Trunc(now - GetTimestamp(state.write_time()),
                                                             absl::Seconds(1))),
                            " ago"));
    if (state.rejected_sessions() > 0) {
      PrintField(out, "rejected", absl::StrCat(state.rejected_sessions(), " sessions"));
    }
    if (!state.search_trouble().empty()) PrintField(out, "trouble", state.search_trouble());
    if (!state.checkpoint_trouble().empty()) PrintField(out, "trouble", state.checkpoint_trouble());
  }
  for (const LogReport& log : report.logs) {
    out << "\n" << log.log << "\n";
    const std::string position =
        log.position  ? absl::StrCat("byte ", *log.position, " of ", *log.size)
        : log.journal ? "an entry of the journal"
                      : (log.log_time ? "in a rotated file" : "nothing is acknowledged");
    PrintField(out, "  position", absl::StrCat(position, ", log time ", Text(log.log_time)));
    PrintField(
        out, "  lag",
        absl::StrCat(log.bytes_behind ? absl::StrCat(*log.bytes_behind, " bytes") : "unknown",
                     log.lag ? absl::StrCat(", ", absl::FormatDuration(
                                                      absl::Trunc(*log.lag, absl::Seconds(1))))
                             : ""));
    PrintField(out, "  last ack", Text(log.acknowledged));
    PrintField(out, "  caught up", Text(log.caught_up));
    PrintField(out, "  gaps", absl::StrCat(log.gap_count));
    for (const v1::Gap& gap : log.gaps) PrintField(out, "", Text(gap));
    if (log.hosts > 0) PrintField(out, "  hosts", absl::StrCat(log.hosts, " collected"));
    if (!log.foreign_hosts.empty()) {
      PrintField(out, "  foreign", absl::StrJoin(log.foreign_hosts, ", "));
    }
    if (log.lines_beyond_hosts_max > 0) {
      PrintField(out, "  too many",
                 absl::StrCat(log.lines_beyond_hosts_max, " lines of hosts beyond --hosts-max"));
    }
    if (log.untrusted_lines > 0) {
      PrintField(
          out, "  untrusted",
          absl::StrCat(log.untrusted_lines, " entries in the name of an MTA, not of its user"));
    }
    if (!log.trouble.empty()) PrintField(out, "  trouble", log.trouble);
  }
}

using Json = google::protobuf::Struct;

void Set(Json& json, const char* name, const std::string& text) {
  (*json.mutable_fields())[name].set_string_value(text);
}
void Set(Json& json, const char* name, bool value) {
  (*json.mutable_fields())[name].set_bool_value(value);
}
// Exact up to 2^53, which is more than any log has bytes.
void Set(Json& json, const char* name, const std::optional<int64_t>& number) {
  google::protobuf::Value& value = (*json.mutable_fields())[name];
  if (number) {
    value.set_number_value(static_cast<double>(*number));
  } else {
    value.set_null_value(google::protobuf::NULL_VALUE);
  }
}
void Set(Json& json, const char* name, const std::optional<absl::Time>& time) {
  if (time) {
    Set(json, name, Text(*time));
  } else {
    (*json.mutable_fields())[name].set_null_value(google::protobuf::NULL_VALUE);
  }
}
google::protobuf::ListValue& List(Json& json, const char* name) {
  return *(*json.mutable_fields())[name].mutable_list_value();
}

Json JsonOf(const LogReport& log) {
  Json json;
  Set(json, "log", log.log);
  Set(json, "position", log.position);
  Set(json, "size", log.size);
  Set(json, "log_time", log.log_time);
  Set(json, "bytes_behind", log.bytes_behind);
  Set(json, "lag_seconds",
      log.lag ? std::optional(absl::ToInt64Seconds(*log.lag)) : std::optional<int64_t>());
  Set(json, "acknowledged_time", log.acknowledged);
  Set(json, "caught_up_time", log.caught_up);
  Set(json, "gap_count", std::optional(log.gap_count));
  Set(json, "trouble", log.trouble);
  Set(json, "hosts", std::optional(log.hosts));
  Set(json, "lines_beyond_hosts_max", std::optional(log.lines_beyond_hosts_max));
  Set(json, "untrusted_lines", std::optional(log.untrusted_lines));
  google::protobuf::ListValue& foreign_hosts = List(json, "foreign_hosts");
  for (const std::string& host : log.foreign_hosts) {
    foreign_hosts.add_values()->set_string_value(host);
  }
  google::protobuf::ListValue& gaps = List(json, "gaps");
  for (const v1::Gap& gap : log.gaps) {
    Json& entry = *gaps.add_values()->mutable_struct_value();
    Set(entry, "start", Text(GetTimestamp(gap.start_time())));
    Set(entry, "end", Text(GetTimestamp(gap.end_time())));
    Set(entry, "bytes_min", std::optional(gap.bytes_min()));
    Set(entry, "reason", v1::GapReason_Name(gap.reason()));
  }
  return json;
}

void PrintJson(const Report& report, std::ostream& out) {
  const agent::v1::RunState& state = report.state;
  Json json;
  Set(json, "host", report.host);
  Set(json, "running", report.running);
  Set(json, "connected", report.running && state.connected());
  Set(json, "agent_version", state.agent_version());
  Set(json, "server", state.server());
  Set(json, "database_id", report.database_id);
  Set(json, "start_time", TimeOf(state.has_start_time(), state.start_time()));
  Set(json, "write_time", TimeOf(state.has_write_time(), state.write_time()));
  Set(json, "connected_change_time",
      TimeOf(state.has_connected_change_time(), state.connected_change_time()));
  Set(json, "connection_failure", state.connection_failure());
  Set(json, "search_trouble", state.search_trouble());
  Set(json, "checkpoint_trouble", state.checkpoint_trouble());
  Set(json, "rejected_sessions", std::optional(state.rejected_sessions()));
  google::protobuf::ListValue& logs = List(json, "logs");
  for (const LogReport& log : report.logs) {
    *logs.add_values()->mutable_struct_value() = JsonOf(log);
  }
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(json, &text);
  out << (printed.ok() ? text : "{}") << "\n";
}

}  // namespace

int Status(const StatusOptions& options, std::ostream& out, std::ostream& err) {
  const absl::Time now = options.now();
  const absl::StatusOr<Report> report = ReadReport(options.state_dir, now);
  if (!report.ok()) {
    err << report.status().message() << "\n";
    return kUnreadable;
  }
  if (options.format == "json") {
    PrintJson(*report, out);
  } else {
    PrintTable(*report, now, out);
  }
  return ExitStatus(*report);
}

}  // namespace mxtally
