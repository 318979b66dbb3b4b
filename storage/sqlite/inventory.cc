#include "storage/sqlite/inventory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/sqlite/stats_query.h"
#include "storage/sqlite/tiers.h"
#include "storage/sqlite/times.h"

namespace mxtally::sqlite {

namespace {

std::optional<absl::Time> OptionalTime(std::optional<int64_t> nanos) {
  if (!nanos) return std::nullopt;
  return absl::FromUnixNanos(*nanos);
}

// "FILE_GONE"; the number of a reason that this release does not know.
std::string GapReasonName(int reason) {
  if (!v1::GapReason_IsValid(reason)) return absl::StrCat(reason);
  const std::string name = v1::GapReason_Name(static_cast<v1::GapReason>(reason));
  return std::string(absl::StripPrefix(name, "GAP_REASON_"));
}

// Reads the coverage of one host after another.
class CoverageReader {
 public:
  CoverageReader(Connection& db, absl::Time start, absl::Time end)
      : db_(db),
        start_ns_(absl::ToUnixNanos(start)),
        end_ns_(absl::ToUnixNanos(end)),
        split_(Split({FloorDivide(start_ns_, kNanosPerHour), -FloorDivide(-end_ns_, kNanosPerHour)},
                     kHoursPerDay)) {}

  HostCoverage Read(const KnownHost& known);

 private:
  void AddHost(const KnownHost& known, HostCoverage& host);
  void AddLogs(const KnownHost& known, HostCoverage& host);
  void AddIntervals(int64_t host_id, int64_t log_id, HostCoverage::Log& log);
  void AddGaps(int64_t host_id, int64_t log_id, HostCoverage& host);
  void AddHostCounts(Statement& select, int64_t host_id, Range range, HostCoverage& host);
  void AddLogCounts(Statement& select, int64_t host_id, int64_t log_id, Range range,
                    HostCoverage& host);

  Connection& db_;
  const int64_t start_ns_;
  const int64_t end_ns_;
  const SplitRange split_;

  static constexpr char kHostColumns[] =
      "SELECT total(sessions), total(folded), total(key_conflicts), total(rejected), "
      "total(sealed) FROM ";
  static constexpr char kLogColumns[] =
      "SELECT total(cut_sessions), total(evicted_sessions), total(oversized), "
      "total(unrecognized), total(foreign_host), total(tls_lines), total(counter_lines), "
      "total(ended_sessions) FROM ";
  Statement host_{db_,
                  "SELECT registered_ns, retired_ns, last_seen_ns, (SELECT min(start_ns) FROM "
                  "coverage c WHERE c.host_id = host.host_id) FROM host WHERE host_id = ?1"};
  Statement logs_{db_,
                  "SELECT log_id, name, caught_up_ns, oldest_open_ns FROM log WHERE host_id = ?1 "
                  "ORDER BY name"};
  Statement intervals_{db_,
                       "SELECT start_ns, end_ns FROM coverage WHERE host_id = ?1 AND log_id = ?2 "
                       "AND start_ns < ?4 AND end_ns >= ?3 ORDER BY start_ns"};
  Statement gaps_{db_,
                  "SELECT start_ns, end_ns, bytes_min, reason, l.name FROM gap JOIN log l "
                  "USING (host_id, log_id) WHERE host_id = ?1 AND log_id = ?2 AND start_ns < ?4 "
                  "AND end_ns >= ?3 ORDER BY start_ns"};
  Statement host_hours_{
      db_, absl::StrCat(kHostColumns, "host_hour WHERE host_id = ?1 AND hour >= ?2 AND hour < ?3")};
  Statement host_days_{
      db_, absl::StrCat(kHostColumns, "host_day WHERE host_id = ?1 AND day >= ?2 AND day < ?3")};
  Statement log_hours_{
      db_,
      absl::StrCat(kLogColumns,
                   "log_hour WHERE host_id = ?1 AND log_id = ?2 AND hour >= ?3 AND hour < ?4")};
  Statement log_days_{
      db_, absl::StrCat(kLogColumns,
                        "log_day WHERE host_id = ?1 AND log_id = ?2 AND day >= ?3 AND day < ?4")};
};

HostCoverage CoverageReader::Read(const KnownHost& known) {
  HostCoverage host;
  host.host = known.name;
  AddHost(known, host);
  AddHostCounts(host_hours_, known.host_id, split_.before, host);
  AddHostCounts(host_days_, known.host_id, split_.whole, host);
  AddHostCounts(host_hours_, known.host_id, split_.after, host);
  AddLogs(known, host);
  return host;
}

void CoverageReader::AddHost(const KnownHost& known, HostCoverage& host) {
  host_.Query(known.host_id);
  if (!host_.Step()) return;
  const int64_t registered_ns = host_.Int(0);
  host.expected_from =
      absl::FromUnixNanos(std::min(registered_ns, host_.OptionalInt(3).value_or(registered_ns)));
  host.expected_until = OptionalTime(host_.OptionalInt(1));
  host.last_seen = absl::FromUnixNanos(host_.Int(2));
  host_.Reset();
}

void CoverageReader::AddLogs(const KnownHost& known, HostCoverage& host) {
  for (logs_.Query(known.host_id); logs_.Step();) {
    const int64_t log_id = logs_.Int(0);
    HostCoverage::Log& log = host.logs.emplace_back();
    log.log = std::string(logs_.Text(1));
    log.caught_up = OptionalTime(logs_.OptionalInt(2));
    log.oldest_open = OptionalTime(logs_.OptionalInt(3));
    AddIntervals(known.host_id, log_id, log);
    AddGaps(known.host_id, log_id, host);
    AddLogCounts(log_hours_, known.host_id, log_id, split_.before, host);
    AddLogCounts(log_days_, known.host_id, log_id, split_.whole, host);
    AddLogCounts(log_hours_, known.host_id, log_id, split_.after, host);
  }
}

void CoverageReader::AddIntervals(int64_t host_id, int64_t log_id, HostCoverage::Log& log) {
  for (intervals_.Query(host_id, log_id, start_ns_, end_ns_); intervals_.Step();) {
    log.covered.emplace_back(absl::FromUnixNanos(std::max(intervals_.Int(0), start_ns_)),
                             absl::FromUnixNanos(std::min(intervals_.Int(1), end_ns_)));
  }
}

void CoverageReader::AddGaps(int64_t host_id, int64_t log_id, HostCoverage& host) {
  for (gaps_.Query(host_id, log_id, start_ns_, end_ns_); gaps_.Step();) {
    v1::HostGap& gap = host.gaps.emplace_back();
    gap.set_host(host.host);
    gap.set_log(std::string(gaps_.Text(4)));
    SetNanos(gaps_.Int(0), gap.mutable_start_time());
    SetNanos(gaps_.Int(1), gap.mutable_end_time());
    gap.set_bytes_min(gaps_.Int(2));
    gap.set_reason(GapReasonName(static_cast<int>(gaps_.Int(3))));
  }
}

void CoverageReader::AddHostCounts(Statement& select, int64_t host_id, Range range,
                                   HostCoverage& host) {
  if (range.empty()) return;
  select.Query(host_id, range.start, range.end);
  if (!select.Step()) return;
  v1::ExceptionCounts& e = host.exceptions;
  host.sessions += select.Int(0);
  e.set_folded_sessions(e.folded_sessions() + select.Int(1));
  e.set_key_conflicts(e.key_conflicts() + select.Int(2));
  e.set_rejected_sessions(e.rejected_sessions() + select.Int(3));
  e.set_sealed_sessions(e.sealed_sessions() + select.Int(4));
  select.Reset();
}

void CoverageReader::AddLogCounts(Statement& select, int64_t host_id, int64_t log_id, Range range,
                                  HostCoverage& host) {
  if (range.empty()) return;
  select.Query(host_id, log_id, range.start, range.end);
  if (!select.Step()) return;
  v1::ExceptionCounts& e = host.exceptions;
  e.set_cut_sessions(e.cut_sessions() + select.Int(0));
  e.set_evicted_sessions(e.evicted_sessions() + select.Int(1));
  e.set_oversized_lines(e.oversized_lines() + select.Int(2));
  e.set_unrecognized_lines(e.unrecognized_lines() + select.Int(3));
  e.set_foreign_host_lines(e.foreign_host_lines() + select.Int(4));
  host.tls_lines += select.Int(5);
  host.counter_lines += select.Int(6);
  host.ended_sessions += select.Int(7);
  select.Reset();
}

// Reads one host of the inventory after another.
class HostReader {
 public:
  explicit HostReader(Connection& db) : db_(db) {}
  v1::Host Read(const KnownHost& known);

 private:
  void AddHost(const KnownHost& known, v1::Host& host);
  void AddLogs(const KnownHost& known, v1::Host& host);

  Connection& db_;
  Statement host_{db_,
                  "SELECT registered_ns, last_seen_ns, last_session_ns, agent_version, mta, "
                  "sessions, folded, key_conflicts, rejected, sealed, (SELECT count(*) FROM gap g "
                  "WHERE g.host_id = host.host_id) FROM host WHERE host_id = ?1"};
  Statement logs_{
      db_,
      "SELECT name, log_time_ns, caught_up_ns, bytes_behind, open_sessions, lines_read, "
      "lines_unrecognized, lines_oversized, lines_foreign_host, cut_sessions, "
      "evicted_sessions FROM log WHERE host_id = ?1 ORDER BY name"};
};

v1::Host HostReader::Read(const KnownHost& known) {
  v1::Host host;
  host.set_host(known.name);
  AddHost(known, host);
  AddLogs(known, host);
  return host;
}

void HostReader::AddHost(const KnownHost& known, v1::Host& host) {
  host_.Query(known.host_id);
  if (!host_.Step()) return;
  SetNanos(host_.Int(0), host.mutable_registered_time());
  SetNanos(host_.Int(1), host.mutable_last_seen_time());
  if (!host_.Null(2)) SetNanos(host_.Int(2), host.mutable_last_session_time());
  host.set_agent_version(std::string(host_.Text(3)));
  host.set_mta(std::string(host_.Text(4)));
  host.set_sessions(host_.Int(5));
  v1::ExceptionCounts& e = *host.mutable_exceptions();
  e.set_folded_sessions(host_.Int(6));
  e.set_key_conflicts(host_.Int(7));
  e.set_rejected_sessions(host_.Int(8));
  e.set_sealed_sessions(host_.Int(9));
  host.set_gap_count(host_.Int(10));
  host_.Reset();
}

void HostReader::AddLogs(const KnownHost& known, v1::Host& host) {
  v1::ExceptionCounts& e = *host.mutable_exceptions();
  std::optional<int64_t> caught_up_ns;
  bool all_caught_up = true;
  for (logs_.Query(known.host_id); logs_.Step();) {
    v1::HostLog& log = *host.add_logs();
    log.set_log(std::string(logs_.Text(0)));
    if (!logs_.Null(1)) SetNanos(logs_.Int(1), log.mutable_log_time());
    if (const std::optional<int64_t> log_caught_up_ns = logs_.OptionalInt(2)) {
      SetNanos(*log_caught_up_ns, log.mutable_caught_up_time());
      caught_up_ns = std::min(caught_up_ns.value_or(*log_caught_up_ns), *log_caught_up_ns);
    } else {
      all_caught_up = false;
    }
    log.set_bytes_behind(logs_.Int(3));
    log.set_open_sessions(logs_.Int(4));
    log.set_lines_read(logs_.Int(5));
    log.set_lines_unrecognized(logs_.Int(6));
    e.set_unrecognized_lines(e.unrecognized_lines() + logs_.Int(6));
    e.set_oversized_lines(e.oversized_lines() + logs_.Int(7));
    e.set_foreign_host_lines(e.foreign_host_lines() + logs_.Int(8));
    e.set_cut_sessions(e.cut_sessions() + logs_.Int(9));
    e.set_evicted_sessions(e.evicted_sessions() + logs_.Int(10));
  }
  if (all_caught_up && caught_up_ns) SetNanos(*caught_up_ns, host.mutable_caught_up_time());
}

}  // namespace

absl::StatusOr<std::vector<v1::StoredCut>> StoredCuts(Connection& db, const std::string& host) {
  std::vector<v1::StoredCut> cuts;
  Statement select(db,
                   "SELECT log.name, cut FROM log JOIN host USING (host_id) "
                   "WHERE host.name = ?1 AND cut IS NOT NULL ORDER BY log.name");
  for (select.Query(absl::AsciiStrToLower(host)); select.Step();) {
    v1::StoredCut& cut = cuts.emplace_back();
    cut.set_log(std::string(select.Text(0)));
    const std::string_view bytes = select.Text(1);
    if (!cut.mutable_cut()->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::DataLossError(absl::StrCat("cut of log ", cut.log(), " of host ", host));
    }
  }
  if (!db.ok()) return db.TakeStatus();
  return cuts;
}

absl::StatusOr<std::vector<HostCoverage>> QueryCoverage(Connection& db,
                                                        const std::vector<std::string>& hosts,
                                                        absl::Time start, absl::Time end) {
  CoverageReader reader(db, start, end);
  std::vector<HostCoverage> coverage;
  for (const KnownHost& known : FindHosts(db, hosts)) {
    db.CheckGuard();
    if (!db.ok()) break;
    coverage.push_back(reader.Read(known));
  }
  if (!db.ok()) return db.TakeStatus();
  return coverage;
}

absl::StatusOr<std::vector<v1::Host>> ListHosts(Connection& db,
                                                const std::vector<std::string>& hosts) {
  HostReader reader(db);
  std::vector<v1::Host> list;
  for (const KnownHost& known : FindHosts(db, hosts)) {
    db.CheckGuard();
    if (!db.ok()) break;
    list.push_back(reader.Read(known));
  }
  if (!db.ok()) return db.TakeStatus();
  return list;
}

}  // namespace mxtally::sqlite
