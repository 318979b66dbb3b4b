#include "storage/sqlite/log_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/tiers.h"
#include "storage/sqlite/times.h"

namespace mxtally::sqlite {

namespace {

std::string AddCountsSql(const char* table, const char* period) {
  return absl::StrCat(
      "INSERT INTO ", table, " (host_id, log_id, ", period,
      ", lines_read, bytes, parsed, ignored, unrecognized, oversized, foreign_host, cut_sessions, "
      "evicted_sessions, forgotten_ordinals, tls_lines, counter_lines, ended_sessions, "
      "suppressed, tls_unlogged_sessions, outbound_tls_lines, outbound_unlogged_sessions) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
      "?19, ?20) "
      "ON CONFLICT DO UPDATE SET lines_read = lines_read + ?4, bytes = bytes + ?5, "
      "parsed = parsed + ?6, ignored = ignored + ?7, unrecognized = unrecognized + ?8, "
      "oversized = oversized + ?9, foreign_host = foreign_host + ?10, "
      "cut_sessions = cut_sessions + ?11, evicted_sessions = evicted_sessions + ?12, "
      "forgotten_ordinals = forgotten_ordinals + ?13, tls_lines = tls_lines + ?14, "
      "counter_lines = counter_lines + ?15, ended_sessions = ended_sessions + ?16, "
      "suppressed = suppressed + ?17, tls_unlogged_sessions = tls_unlogged_sessions + ?18, "
      "outbound_tls_lines = outbound_tls_lines + ?19, "
      "outbound_unlogged_sessions = outbound_unlogged_sessions + ?20 "
      "RETURNING tls_lines, counter_lines, ended_sessions, tls_unlogged_sessions, "
      "outbound_tls_lines, outbound_unlogged_sessions");
}

// Returns what the period has now.
TlsLines RunAddCounts(Statement& add, int64_t host_id, int64_t log_id, int64_t period,
                      const v1::LineCounts& c) {
  add.Query(host_id, log_id, period, c.read(), c.bytes(), c.parsed(), c.ignored(), c.unrecognized(),
            c.oversized(), c.foreign_host(), c.cut_sessions(), c.evicted_sessions(),
            c.forgotten_ordinals(), c.tls_lines(), c.counter_lines(), c.sessions(), c.suppressed(),
            c.tls_unlogged_sessions(), c.outbound_tls_lines(), c.outbound_unlogged_sessions());
  TlsLines now;
  if (add.Step()) {
    now = {add.Int(0), add.Int(1), add.Int(2), add.Int(3), add.Int(4), add.Int(5)};
  }
  add.Reset();
  return now;
}

v1::Cut Parsed(const std::string& cut) {
  v1::Cut parsed;
  parsed.ParseFromString(cut);
  return parsed;
}

// As far as it can be told: the head of a short file grows.
bool SameFile(const v1::FileIdentity& a, const v1::FileIdentity& b) {
  if (a.device() != b.device() || a.inode() != b.inode()) return false;
  return a.head_length() != b.head_length() || a.head_hash() == b.head_hash();
}

// For a batch without a start.
bool IsSentAgain(const v1::SessionBatch& batch, const std::string& stored_cut) {
  if (batch.end().SerializeAsString() == stored_cut) return true;
  const v1::Cut stored = Parsed(stored_cut);
  return batch.gaps().empty() && SameFile(batch.end().file(), stored.file()) &&
         batch.end().offset() <= stored.offset();
}

std::optional<int64_t> LogEnd(const std::optional<std::string>& cut) {
  if (!cut) return std::nullopt;
  const v1::Cut parsed = Parsed(*cut);
  if (!parsed.has_log_time()) return std::nullopt;
  return NanosOf(parsed.log_time());
}

}  // namespace

LogWriter::LogWriter(Connection& db)
    : db_(db),
      add_hour_(db, AddCountsSql("log_hour", "hour")),
      add_day_(db, AddCountsSql("log_day", "day")) {}

LogWriter::Reading LogWriter::Apply(int64_t host_id, const v1::SessionBatch& batch,
                                    absl::Span<const v1::HourCounts> foreign) {
  Log log = Load(host_id, batch.log());
  const bool continues =
      log.cut && batch.has_start() && batch.start().SerializeAsString() == *log.cut;
  if (log.cut && !continues && (batch.has_start() || IsSentAgain(batch, *log.cut))) {
    if (!batch.has_start()) return Reading::kSentAgain;
    // Of a day that was dropped this is the first that is known again.
    AddCoverage(log, batch);
    return Reading::kAgain;
  }

  const std::optional<int64_t> followed_since_ns = continues ? log.caught_up_ns : std::nullopt;
  std::vector<const v1::HourCounts*> counts;
  for (const v1::HourCounts& of_hour : batch.counts()) counts.push_back(&of_hour);
  for (const v1::HourCounts& of_hour : foreign) counts.push_back(&of_hour);
  AddCounts(log, counts);
  AddGaps(log, batch);
  AddCoverage(log, batch);
  log.cut = batch.end().SerializeAsString();
  if (batch.end().has_log_time()) log.log_time_ns = NanosOf(batch.end().log_time());
  if (batch.has_caught_up_time()) {
    CatchUp(log, NanosOf(batch.caught_up_time()), followed_since_ns, batch.once());
  } else if (!continues) {
    // Not followed any more, until the end is reached again.
    log.caught_up_ns.reset();
  }
  Save(log);
  return Reading::kFirst;
}

void LogWriter::ApplyPart(int64_t host_id, int64_t collector_id, const std::string& collector,
                          const v1::SessionBatch& batch, const v1::HostPart& part,
                          Reading reading) {
  if (reading == Reading::kSentAgain) return;
  Log log = Load(host_id, absl::StrCat(collector, ":", batch.log()));
  set_collector_.Run(host_id, log.log_id, collector_id, batch.log());
  for (const Interval& interval : CoveredByPart(batch, part)) {
    coverage_.Add(host_id, log.log_id, interval);
  }
  if (reading != Reading::kFirst) return;
  std::vector<const v1::HourCounts*> counts;
  for (const v1::HourCounts& of_hour : part.counts()) counts.push_back(&of_hour);
  AddCounts(log, counts);
  log.log_time_ns = NanosOf(part.end_time());
  log.open_sessions = part.open_sessions();
  log.oldest_open_ns.reset();
  if (part.has_oldest_open_time()) log.oldest_open_ns = NanosOf(part.oldest_open_time());
  Save(log);
}

void LogWriter::Note(int64_t host_id, const v1::LogStatus& status) {
  Log log = Load(host_id, status.log());
  log.bytes_behind = status.bytes_behind();
  log.open_sessions = status.open_sessions();
  log.oldest_open_ns.reset();
  if (status.has_oldest_open_time()) log.oldest_open_ns = NanosOf(status.oldest_open_time());
  if (status.has_log_time()) log.log_time_ns = NanosOf(status.log_time());
  if (status.has_caught_up_time()) {
    CatchUp(log, NanosOf(status.caught_up_time()), log.caught_up_ns, status.once());
  }
  Save(log);
}

void LogWriter::AddCoverage(const Log& log, const v1::SessionBatch& batch) {
  for (const Interval& interval : CoveredByLines(batch)) {
    coverage_.Add(log.host_id, log.log_id, interval);
  }
}

void LogWriter::CatchUp(Log& log, int64_t caught_up_ns, std::optional<int64_t> followed_since_ns,
                        bool once) {
  if (followed_since_ns && caught_up_ns <= *followed_since_ns) return;
  const std::optional<Interval> covered =
      CoveredByWatermark(LogEnd(log.cut), followed_since_ns, caught_up_ns, once);
  if (covered) coverage_.Add(log.host_id, log.log_id, *covered);
  log.caught_up_ns = caught_up_ns;
}

void LogWriter::AddCounts(const Log& log, absl::Span<const v1::HourCounts* const> counts) {
  v1::LineCounts sum;
  for (const v1::HourCounts* of_hour : counts) {
    const v1::LineCounts& c = of_hour->lines();
    const int64_t hour = FloorDivide(of_hour->hour().seconds(), 3600);
    const TlsLines after = RunAddCounts(add_hour_, log.host_id, log.log_id, hour, c);
    const TlsLines before = {after.tls_lines - c.tls_lines(),
                             after.counter_lines - c.counter_lines(),
                             after.ended_sessions - c.sessions(),
                             after.tls_unlogged_sessions - c.tls_unlogged_sessions(),
                             after.outbound_tls_lines - c.outbound_tls_lines(),
                             after.outbound_unlogged_sessions - c.outbound_unlogged_sessions()};
    tls_logging_.Change(log.host_id, log.log_id, hour, before, after);
    RunAddCounts(add_day_, log.host_id, log.log_id, FloorDivide(hour, kHoursPerDay), c);
    sum.set_read(sum.read() + c.read());
    sum.set_unrecognized(sum.unrecognized() + c.unrecognized());
    sum.set_oversized(sum.oversized() + c.oversized());
    sum.set_foreign_host(sum.foreign_host() + c.foreign_host());
    sum.set_cut_sessions(sum.cut_sessions() + c.cut_sessions());
    sum.set_evicted_sessions(sum.evicted_sessions() + c.evicted_sessions());
    sum.set_suppressed(sum.suppressed() + c.suppressed());
  }
  add_totals_.Run(log.host_id, log.log_id, sum.read(), sum.unrecognized(), sum.oversized(),
                  sum.foreign_host(), sum.cut_sessions(), sum.evicted_sessions(), sum.suppressed());
}

void LogWriter::AddGaps(const Log& log, const v1::SessionBatch& batch) {
  if (batch.gaps().empty()) return;
  std::vector<std::pair<int64_t, int64_t>> rows = {{log.host_id, log.log_id}};
  for (collected_.Query(log.host_id, log.log_id); collected_.Step();) {
    rows.emplace_back(collected_.Int(0), collected_.Int(1));
  }
  for (const v1::Gap& gap : batch.gaps()) {
    for (const auto& [host_id, log_id] : rows) AddGap(host_id, log_id, gap, batch);
  }
}

void LogWriter::AddGap(int64_t host_id, int64_t log_id, const v1::Gap& gap,
                       const v1::SessionBatch& batch) {
  Interval interval = GapInterval(gap);
  // A side that is not known is shown as the other one.
  if (!gap.has_start_time()) interval.start_ns = interval.end_ns;
  if (!gap.has_end_time()) interval.end_ns = interval.start_ns;
  if (!gap.has_start_time() && !gap.has_end_time()) {
    interval.start_ns = interval.end_ns = NanosOf(batch.end().log_time());
  }
  add_gap_.Run(host_id, log_id, interval.start_ns, interval.end_ns, gap.reason(), gap.bytes_min());
}

LogWriter::Log LogWriter::Load(int64_t host_id, const std::string& name) {
  Log log;
  log.host_id = host_id;
  log.name = name;
  select_.Query(host_id, name);
  if (select_.Step()) {
    log.log_id = select_.Int(0);
    if (!select_.Null(1)) log.cut = std::string(select_.Text(1));
    log.caught_up_ns = select_.OptionalInt(2);
    log.log_time_ns = select_.OptionalInt(3);
    log.oldest_open_ns = select_.OptionalInt(4);
    log.bytes_behind = select_.Int(5);
    log.open_sessions = select_.Int(6);
    select_.Reset();
    return log;
  }
  last_id_.Query(host_id);
  if (last_id_.Step()) log.log_id = last_id_.Int(0) + 1;
  last_id_.Reset();
  insert_.Run(host_id, log.log_id, name);
  return log;
}

void LogWriter::Save(const Log& log) {
  std::optional<Blob> cut;
  if (log.cut) cut = Blob{*log.cut};
  update_.Run(log.host_id, log.log_id, cut, log.caught_up_ns, log.log_time_ns, log.oldest_open_ns,
              log.bytes_behind, log.open_sessions);
}

}  // namespace mxtally::sqlite
