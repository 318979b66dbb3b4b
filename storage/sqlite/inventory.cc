#include "storage/sqlite/inventory.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/sqlite/coverage.h"
#include "storage/sqlite/stats_query.h"
#include "storage/sqlite/tiers.h"
#include "storage/sqlite/times.h"
#include "storage/sqlite/tls_logging.h"

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

// A log of many hosts, as it concerns one of them.
struct Collected {
  // When the end of the log was reached with this host quiet; else its last line.
  std::optional<int64_t> caught_up_ns;
  // [its last line, `caught_up_ns`] is covered, and `seen_ns` counts as a word of the host.
  bool quiet = false;
  int64_t seen_ns = 0;
};

// Columns for JudgeCollected(), of a row `log` and those of its collector.
constexpr char kCollectedColumns[] = "log.log_time_ns, own.caught_up_ns, collector.last_seen_ns";
constexpr char kCollectedJoin[] =
    "LEFT JOIN log own ON own.host_id = log.collector_host_id AND own.log_id = "
    "log.collector_log_id LEFT JOIN host collector ON collector.host_id = log.collector_host_id";

Collected JudgeCollected(std::optional<int64_t> last_line_ns, std::optional<int64_t> caught_up_ns,
                         int64_t seen_ns) {
  if (!last_line_ns || !caught_up_ns) return {};
  if (!IsQuiet(*last_line_ns, *caught_up_ns)) return {.caught_up_ns = last_line_ns};
  return {.caught_up_ns = caught_up_ns, .quiet = true, .seen_ns = seen_ns};
}

using Times = std::pair<absl::Time, absl::Time>;

// Adds an interval to those that are sorted and disjoint.  It stands at their
// end, unless a clock was set back.
void Join(Times interval, std::vector<Times>& sorted) {
  auto met = sorted.end();
  while (met != sorted.begin() && std::prev(met)->second >= interval.first) --met;
  auto end = met;
  for (; end != sorted.end() && end->first <= interval.second; ++end) {
    interval.first = std::min(interval.first, end->first);
    interval.second = std::max(interval.second, end->second);
  }
  sorted.insert(sorted.erase(met, end), interval);
}

// As TlsLoggingGap has it.
const char* ShowsName(int64_t shows) {
  switch (static_cast<TlsShown>(shows)) {
    case TlsShown::kNothing:
      return "NOTHING";
    case TlsShown::kNoOutbound:
      return "NO_OUTBOUND";
    default:
      return "NO_CIPHERS";
  }
}

std::optional<v1::MtaConfig> ParseMtaConfig(std::string_view bytes) {
  v1::MtaConfig config;
  if (!config.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return config;
}

// Columns of host_hour and its sums, from `first` on.
void AddHostCounts(const Statement& row, int first, v1::ExceptionCounts& e) {
  e.set_folded_sessions(e.folded_sessions() + row.Int(first));
  e.set_key_conflicts(e.key_conflicts() + row.Int(first + 1));
  e.set_rejected_sessions(e.rejected_sessions() + row.Int(first + 2));
  e.set_sealed_sessions(e.sealed_sessions() + row.Int(first + 3));
}

// The same of log_hour.
void AddLogCounts(const Statement& row, int first, v1::ExceptionCounts& e) {
  e.set_cut_sessions(e.cut_sessions() + row.Int(first));
  e.set_evicted_sessions(e.evicted_sessions() + row.Int(first + 1));
  e.set_oversized_lines(e.oversized_lines() + row.Int(first + 2));
  e.set_unrecognized_lines(e.unrecognized_lines() + row.Int(first + 3));
  e.set_foreign_host_lines(e.foreign_host_lines() + row.Int(first + 4));
  e.set_suppressed_lines(e.suppressed_lines() + row.Int(first + 5));
}

// Reads coverage.  Each statement serves all hosts at once: run for one after
// the other, they took most of the time of a fleet's query.  Of the counts only
// rows with exceptions are read, which an index knows.
class CoverageReader {
 public:
  CoverageReader(Connection& db, absl::Time start, absl::Time end)
      : db_(db),
        start_ns_(absl::ToUnixNanos(start)),
        end_ns_(absl::ToUnixNanos(end)),
        hours_({FloorDivide(start_ns_, kNanosPerHour), -FloorDivide(-end_ns_, kNanosPerHour)}),
        split_(Split(hours_, kHoursPerDay)),
        days_(Split(split_.whole, kDaysPerWeek)) {}

  // `all`: `known` is all hosts.
  std::vector<HostCoverage> Read(const std::vector<KnownHost>& known, bool all);

 private:
  // Numbers of hosts, both ends included: all of them, or one.
  struct HostRange {
    int64_t first;
    int64_t last;
  };

  void ReadRange(HostRange range);
  void ReadHosts(HostRange range);
  void ReadExpectations(HostRange range);
  void ReadLogs(HostRange range);
  void ReadIntervals(HostRange range);
  void ReadGaps(HostRange range);
  void ReadTlsLogging(HostRange range);
  void ReadClockSkews(HostRange range);
  void ReadReopened(HostRange range);
  void ReadHostCounts(HostRange range, Range periods, const char* table, const char* period);
  void ReadLogCounts(HostRange range, Range periods, const char* table, const char* period);
  void ReadCountsByWeek(HostRange range, Range weeks);
  // Whether the host has counts in the window of which `condition` is true.
  bool TlsShows(int64_t host_id, const char* condition);

  // nullptr: a host that came after the list of hosts was read.
  HostCoverage* Find(int64_t host_id) {
    const auto it = hosts_.find(host_id);
    return it == hosts_.end() ? nullptr : it->second;
  }
  // The same for a log.
  HostCoverage::Log* FindLog(int64_t host_id, int64_t log_id) {
    const auto it = logs_.find({host_id, log_id});
    return it == logs_.end() ? nullptr : &Find(host_id)->logs[it->second];
  }

  Connection& db_;
  const int64_t start_ns_;
  const int64_t end_ns_;
  const Range hours_;
  const SplitRange split_;  // `hours_` by day.
  const SplitRange days_;   // Its whole days by week.
  absl::flat_hash_map<int64_t, HostCoverage*> hosts_;
  absl::flat_hash_map<std::pair<int64_t, int64_t>, size_t> logs_;
  absl::flat_hash_map<int64_t, int64_t> first_covered_;
  // What is covered after the last line of a quiet host in a log of many.
  std::vector<std::pair<std::pair<int64_t, int64_t>, Interval>> quiet_;
};

std::vector<HostCoverage> CoverageReader::Read(const std::vector<KnownHost>& known, bool all) {
  std::vector<HostCoverage> coverage(known.size());
  for (size_t i = 0; i < known.size(); ++i) {
    coverage[i].host = known[i].name;
    hosts_[known[i].host_id] = &coverage[i];
  }
  if (all) {
    ReadRange({std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()});
  } else {
    for (const KnownHost& host : known) ReadRange({host.host_id, host.host_id});
  }
  return coverage;
}

void CoverageReader::ReadRange(HostRange range) {
  db_.CheckGuard();
  if (!db_.ok()) return;
  ReadHosts(range);
  ReadExpectations(range);
  ReadLogs(range);
  ReadIntervals(range);
  ReadGaps(range);
  ReadTlsLogging(range);
  ReadClockSkews(range);
  ReadReopened(range);
  for (const Range& edge : {split_.before, split_.after}) {
    ReadHostCounts(range, edge, "host_hour", "hour");
    ReadLogCounts(range, edge, "log_hour", "hour");
  }
  for (const Range& edge : {days_.before, days_.after}) {
    ReadHostCounts(range, edge, "host_day", "day");
    ReadLogCounts(range, edge, "log_day", "day");
  }
  ReadCountsByWeek(range, days_.whole);
}

void CoverageReader::ReadHosts(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, last_seen_ns, mta_config, "
                   "(SELECT min(start_ns) FROM coverage c WHERE c.host_id = h.host_id), "
                   "EXISTS (SELECT 1 FROM host_day d WHERE d.host_id = h.host_id AND d.day >= ?3 "
                   "AND d.day < ?4 AND d.sessions > 0) OR "
                   "EXISTS (SELECT 1 FROM host_hour r WHERE r.host_id = h.host_id AND r.hour >= ?5 "
                   "AND r.hour < ?6 AND r.sessions > 0) OR "
                   "EXISTS (SELECT 1 FROM host_hour r WHERE r.host_id = h.host_id AND r.hour >= ?7 "
                   "AND r.hour < ?8 AND r.sessions > 0) "
                   "FROM host h WHERE host_id BETWEEN ?1 AND ?2");
  for (select.Query(range.first, range.last, split_.whole.start, split_.whole.end,
                    split_.before.start, split_.before.end, split_.after.start, split_.after.end);
       select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    host->last_seen =
        select.Int(1) == 0 ? absl::InfinitePast() : absl::FromUnixNanos(select.Int(1));
    if (!select.Null(2)) host->mta_config = ParseMtaConfig(select.Text(2));
    if (!select.Null(3)) first_covered_[select.Int(0)] = select.Int(3);
    host->any_session = select.Int(4) != 0;
  }
}

void CoverageReader::ReadExpectations(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, start_ns, end_ns FROM expectation "
                   "WHERE host_id BETWEEN ?1 AND ?2 ORDER BY host_id, start_ns");
  for (select.Query(range.first, range.last); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    int64_t start_ns = select.Int(1);
    if (host->expected.empty()) {
      const auto covered = first_covered_.find(select.Int(0));
      if (covered != first_covered_.end()) start_ns = std::min(start_ns, covered->second);
    }
    host->expected.emplace_back(
        absl::FromUnixNanos(start_ns),
        OptionalTime(select.OptionalInt(2)).value_or(absl::InfiniteFuture()));
  }
}

void CoverageReader::ReadLogs(HostRange range) {
  Statement select(db_, absl::StrCat("SELECT log.host_id, log.log_id, log.name, log.caught_up_ns, "
                                     "log.oldest_open_ns, log.collector_host_id, ",
                                     kCollectedColumns, " FROM log ", kCollectedJoin,
                                     " WHERE log.host_id BETWEEN ?1 AND ?2 ORDER BY log.host_id, "
                                     "log.name"));
  for (select.Query(range.first, range.last); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    logs_[{select.Int(0), select.Int(1)}] = host->logs.size();
    HostCoverage::Log& log = host->logs.emplace_back();
    log.log = std::string(select.Text(2));
    log.caught_up = OptionalTime(select.OptionalInt(3));
    log.oldest_open = OptionalTime(select.OptionalInt(4));
    if (select.Null(5)) continue;
    const Collected collected = JudgeCollected(select.OptionalInt(6), select.OptionalInt(7),
                                               select.OptionalInt(8).value_or(0));
    host->collected = true;
    log.caught_up = OptionalTime(collected.caught_up_ns);
    if (!collected.quiet) continue;
    host->last_seen = std::max(host->last_seen, absl::FromUnixNanos(collected.seen_ns));
    quiet_.push_back({{select.Int(0), select.Int(1)}, {select.Int(6), *collected.caught_up_ns}});
  }
}

void CoverageReader::ReadIntervals(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, log_id, start_ns, end_ns FROM coverage WHERE host_id BETWEEN "
                   "?1 AND ?2 AND start_ns < ?4 AND end_ns >= ?3 "
                   "ORDER BY host_id, log_id, start_ns");
  for (select.Query(range.first, range.last, start_ns_, end_ns_); select.Step();) {
    HostCoverage::Log* log = FindLog(select.Int(0), select.Int(1));
    if (log == nullptr) continue;
    log->covered.emplace_back(absl::FromUnixNanos(std::max(select.Int(2), start_ns_)),
                              absl::FromUnixNanos(std::min(select.Int(3), end_ns_)));
  }
  for (const auto& [ids, interval] : quiet_) {
    const absl::Time start = absl::FromUnixNanos(std::max(interval.start_ns, start_ns_));
    const absl::Time end = absl::FromUnixNanos(std::min(interval.end_ns, end_ns_));
    if (start >= end) continue;
    Join({start, end}, FindLog(ids.first, ids.second)->covered);
  }
  quiet_.clear();
}

void CoverageReader::ReadGaps(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, log_id, start_ns, end_ns, bytes_min, reason FROM gap WHERE "
                   "host_id BETWEEN ?1 AND ?2 AND start_ns < ?4 AND end_ns >= ?3 "
                   "ORDER BY host_id, log_id, start_ns");
  for (select.Query(range.first, range.last, start_ns_, end_ns_); select.Step();) {
    const HostCoverage::Log* log = FindLog(select.Int(0), select.Int(1));
    if (log == nullptr) continue;
    HostCoverage& host = *Find(select.Int(0));
    v1::HostGap& gap = host.gaps.emplace_back();
    gap.set_host(host.host);
    gap.set_log(log->log);
    SetNanos(select.Int(2), gap.mutable_start_time());
    SetNanos(select.Int(3), gap.mutable_end_time());
    gap.set_bytes_min(select.Int(4));
    gap.set_reason(GapReasonName(static_cast<int>(select.Int(5))));
  }
}

void CoverageReader::ReadTlsLogging(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, log_id, shows, start_hour, end_hour FROM tls_logging_gap WHERE "
                   "host_id BETWEEN ?1 AND ?2 AND start_hour < ?4 AND end_hour > ?3 "
                   "ORDER BY host_id, start_hour");
  int64_t judged = -1;
  int64_t outbound_judged = -1;
  for (select.Query(range.first, range.last, hours_.start, hours_.end); select.Step();) {
    const int64_t host_id = select.Int(0);
    const HostCoverage::Log* log = FindLog(host_id, select.Int(1));
    if (log == nullptr) continue;
    HostCoverage& host = *Find(host_id);
    v1::TlsLoggingGap& gap = host.tls_logging_gaps.emplace_back();
    gap.set_host(host.host);
    gap.set_log(log->log);
    gap.mutable_start_time()->set_seconds(std::max(select.Int(3), hours_.start) * 3600);
    gap.mutable_end_time()->set_seconds(std::min(select.Int(4), hours_.end) * 3600);
    gap.set_shows(ShowsName(select.Int(2)));
    if (select.Int(2) == static_cast<int64_t>(TlsShown::kNothing) && judged != host_id) {
      judged = host_id;
      host.tls_not_logged = !TlsShows(host_id, "c.tls_lines > 0 OR c.counter_lines > 0");
    }
    if (select.Int(2) == static_cast<int64_t>(TlsShown::kNoOutbound) &&
        outbound_judged != host_id) {
      outbound_judged = host_id;
      host.outbound_tls_not_logged = !TlsShows(host_id, "c.outbound_tls_lines > 0");
    }
  }
}

bool CoverageReader::TlsShows(int64_t host_id, const char* condition) {
  const auto shows = [&](const char* table, const char* period, Range periods) {
    if (periods.empty()) return false;
    Statement select(db_,
                     absl::StrCat("SELECT EXISTS (SELECT 1 FROM log l JOIN ", table,
                                  " c USING (host_id, log_id) WHERE l.host_id = ?1 AND c.", period,
                                  " >= ?2 AND c.", period, " < ?3 AND (", condition, "))"));
    select.Query(host_id, periods.start, periods.end);
    return select.Step() && select.Int(0) != 0;
  };
  return shows("log_day", "day", split_.whole) || shows("log_hour", "hour", split_.before) ||
         shows("log_hour", "hour", split_.after);
}

void CoverageReader::ReadClockSkews(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, start_ns, end_ns, ahead_ns FROM clock_skew WHERE host_id "
                   "BETWEEN ?1 AND ?2 AND start_ns < ?4 AND end_ns >= ?3 "
                   "ORDER BY host_id, start_ns");
  for (select.Query(range.first, range.last, start_ns_, end_ns_); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    v1::HostClockSkew& skew = host->clock_skews.emplace_back();
    skew.set_host(host->host);
    SetNanos(select.Int(1), skew.mutable_start_time());
    SetNanos(select.Int(2), skew.mutable_end_time());
    skew.set_ahead_seconds(absl::ToDoubleSeconds(absl::Nanoseconds(select.Int(3))));
  }
}

void CoverageReader::ReadReopened(HostRange range) {
  Statement select(db_,
                   "SELECT host_id, day FROM reopened_day WHERE host_id BETWEEN ?1 AND ?2 AND "
                   "day * 24 < ?4 AND day * 24 + 24 > ?3 ORDER BY host_id, day");
  for (select.Query(range.first, range.last, hours_.start, hours_.end); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    const absl::Time start = absl::FromUnixSeconds(select.Int(1) * kHoursPerDay * 3600);
    host->reopened.emplace_back(start, start + absl::Hours(kHoursPerDay));
  }
}

void CoverageReader::ReadHostCounts(HostRange range, Range periods, const char* table,
                                    const char* period) {
  if (periods.empty()) return;
  Statement select(
      db_, absl::StrCat("SELECT t.host_id, folded, key_conflicts, rejected, sealed "
                        "FROM (SELECT host_id FROM host WHERE host_id BETWEEN ?1 AND ?2) h "
                        "CROSS JOIN ",
                        table, " t INDEXED BY ", table,
                        "_exceptions WHERE t.host_id = h.host_id AND t.", period, " >= ?3 AND t.",
                        period, " < ?4 AND folded + key_conflicts + rejected + sealed > 0"));
  for (select.Query(range.first, range.last, periods.start, periods.end); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    AddHostCounts(select, 1, host->exceptions);
  }
}

void CoverageReader::ReadLogCounts(HostRange range, Range periods, const char* table,
                                   const char* period) {
  if (periods.empty()) return;
  Statement select(
      db_,
      absl::StrCat("SELECT t.host_id, cut_sessions, evicted_sessions, oversized, "
                   "unrecognized, foreign_host, suppressed "
                   "FROM (SELECT host_id FROM host WHERE host_id BETWEEN ?1 AND ?2) h "
                   "CROSS JOIN ",
                   table, " t INDEXED BY ", table, "_exceptions WHERE t.host_id = h.host_id AND t.",
                   period, " >= ?3 AND t.", period,
                   " < ?4 AND cut_sessions + evicted_sessions + oversized + "
                   "unrecognized + foreign_host + suppressed > 0"));
  for (select.Query(range.first, range.last, periods.start, periods.end); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    AddLogCounts(select, 1, host->exceptions);
  }
}

void CoverageReader::ReadCountsByWeek(HostRange range, Range weeks) {
  if (weeks.empty()) return;
  Statement select(
      db_,
      "SELECT host_id, cut_sessions, evicted_sessions, oversized, unrecognized, foreign_host, "
      "suppressed, folded, key_conflicts, rejected, sealed FROM (SELECT host_id AS h FROM host "
      "WHERE host_id BETWEEN ?1 AND ?2) CROSS JOIN exception_week WHERE host_id = h AND week >= ?3 "
      "AND week < ?4");
  for (select.Query(range.first, range.last, weeks.start, weeks.end); select.Step();) {
    HostCoverage* host = Find(select.Int(0));
    if (host == nullptr) continue;
    AddLogCounts(select, 1, host->exceptions);
    AddHostCounts(select, 7, host->exceptions);
  }
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
                  "WHERE g.host_id = host.host_id), retired_ns, source_kind, mta_config, "
                  "clock_ahead_ns FROM host WHERE host_id = ?1"};
  Statement logs_{
      db_, absl::StrCat("SELECT log.name, log.log_time_ns, log.caught_up_ns, log.bytes_behind, "
                        "log.open_sessions, log.lines_read, log.lines_unrecognized, "
                        "log.lines_oversized, log.lines_foreign_host, log.cut_sessions, "
                        "log.evicted_sessions, log.lines_suppressed, log.collector_host_id, ",
                        kCollectedColumns, " FROM log ", kCollectedJoin,
                        " WHERE log.host_id = ?1 ORDER BY log.name")};
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
  if (host_.Int(1) != 0) SetNanos(host_.Int(1), host.mutable_last_seen_time());
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
  if (!host_.Null(11)) SetNanos(host_.Int(11), host.mutable_retired_time());
  if (host_.Int(12) != 0) host.set_source_kind(static_cast<v1::SourceKind>(host_.Int(12)));
  if (!host_.Null(13)) {
    if (std::optional<v1::MtaConfig> config = ParseMtaConfig(host_.Text(13))) {
      *host.mutable_mta_config() = *std::move(config);
    }
  }
  if (!host_.Null(14)) {
    host.set_clock_ahead_seconds(absl::ToDoubleSeconds(absl::Nanoseconds(host_.Int(14))));
  }
  host_.Reset();
}

void HostReader::AddLogs(const KnownHost& known, v1::Host& host) {
  v1::ExceptionCounts& e = *host.mutable_exceptions();
  std::optional<int64_t> caught_up_ns;
  bool all_caught_up = true;
  int64_t seen_ns = host.has_last_seen_time() ? NanosOf(host.last_seen_time()) : 0;
  for (logs_.Query(known.host_id); logs_.Step();) {
    v1::HostLog& log = *host.add_logs();
    log.set_log(std::string(logs_.Text(0)));
    if (!logs_.Null(1)) SetNanos(logs_.Int(1), log.mutable_log_time());
    std::optional<int64_t> log_caught_up_ns = logs_.OptionalInt(2);
    if (!logs_.Null(12)) {
      const Collected collected = JudgeCollected(logs_.OptionalInt(13), logs_.OptionalInt(14),
                                                 logs_.OptionalInt(15).value_or(0));
      log_caught_up_ns = collected.caught_up_ns;
      seen_ns = std::max(seen_ns, collected.seen_ns);
    }
    if (log_caught_up_ns) {
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
    log.set_lines_suppressed(logs_.Int(11));
    e.set_suppressed_lines(e.suppressed_lines() + logs_.Int(11));
  }
  if (all_caught_up && caught_up_ns) SetNanos(*caught_up_ns, host.mutable_caught_up_time());
  if (seen_ns != 0) SetNanos(seen_ns, host.mutable_last_seen_time());
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
  std::vector<HostCoverage> coverage =
      CoverageReader(db, start, end).Read(FindHosts(db, hosts), hosts.empty());
  if (!db.ok()) return db.TakeStatus();
  return coverage;
}

absl::StatusOr<v1::SourceKind> SourceKindOf(Connection& db, const std::string& host) {
  Statement select(db, "SELECT source_kind FROM host WHERE name = ?1");
  select.Query(absl::AsciiStrToLower(host));
  const int64_t kind = select.Step() ? select.Int(0) : 0;
  if (!db.ok()) return db.TakeStatus();
  return static_cast<v1::SourceKind>(kind);
}

absl::StatusOr<std::vector<absl::CivilDay>> SealedDays(Connection& db, const std::string& host) {
  std::vector<absl::CivilDay> days;
  Statement select(db,
                   "SELECT day FROM host_day JOIN host USING (host_id) WHERE host.name = ?1 AND "
                   "seal > 0 ORDER BY day");
  for (select.Query(absl::AsciiStrToLower(host)); select.Step();) {
    days.push_back(absl::CivilDay(1970, 1, 1) + select.Int(0));
  }
  if (!db.ok()) return db.TakeStatus();
  return days;
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
