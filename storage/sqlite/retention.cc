#include "storage/sqlite/retention.h"

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/coverage.h"
#include "storage/sqlite/tiers.h"

namespace mxtally::sqlite {

namespace {

constexpr int64_t kNanosPerDay = kHoursPerDay * kNanosPerHour;

// Days that are sealed in one bite.
constexpr int kSealsMax = 500;

// Sessions that one statement removes, about a millisecond.
constexpr int64_t kSessionsPerStatement = 500;

// Answers remembered, 24 bytes each.
constexpr size_t kKnownMax = 20'000;

bool IsOver(std::chrono::steady_clock::time_point deadline) {
  return std::chrono::steady_clock::now() >= deadline;
}

absl::Time HourTime(int64_t hour) {
  return hour == INT64_MIN ? absl::InfinitePast() : absl::FromUnixSeconds(hour * 3600);
}

// SQL that moves the rows of `tier` by what goes from the host's rows: from
// days for a day tier, from hours for an hour tier.
std::string SubtractSql(const Tier& tier, const char* period, const char* table,
                        const char* source_period) {
  const char* set = tier.narrow ? "l.narrow_id" : "r.label_set_id";
  return absl::StrCat(
      "UPDATE ", tier.table, " AS t SET sessions = t.sessions - g.s, messages = t.messages - g.m, ",
      "tls_messages = t.tls_messages - g.tm FROM (SELECT ", period, " AS p, ", set,
      " AS id, sum(r.sessions) AS s, sum(r.messages) AS m, sum(r.tls_messages) AS tm FROM ", table,
      " r JOIN label_set l USING (label_set_id) WHERE r.host_id = ?1 AND r.", source_period,
      " >= ?2 AND r.", source_period, " < ?3 GROUP BY 1, 2) AS g WHERE t.", tier.owner, " = ",
      tier.by_host ? "?1" : absl::StrCat(kWriterId), " AND t.", tier.period,
      " = g.p AND t.label_set_id = g.id");
}

std::string RemoveEmptySql(const Tier& tier) {
  return absl::StrCat("DELETE FROM ", tier.table, " WHERE ", tier.owner, " = ",
                      tier.by_host ? "?1" : absl::StrCat(kWriterId), " AND ", tier.period,
                      " >= ?2 AND ", tier.period, " < ?3 AND sessions = 0");
}

}  // namespace

// ---- Seals

bool SealTable::IsSealed(int64_t host_id, int64_t day) {
  if (day < first_day_) return true;
  const HostDay key = {host_id, day};
  if (last_ == key) return last_sealed_;
  last_ = key;
  if (const auto it = known_.find(key); it != known_.end()) return last_sealed_ = it->second;
  select_.Query(host_id, day);
  last_sealed_ = select_.Step() && select_.Int(0) != 0;
  select_.Reset();
  if (known_.size() >= kKnownMax) known_.clear();
  known_.emplace(key, last_sealed_);
  return last_sealed_;
}

void SealTable::Forget() {
  last_.reset();
  known_.clear();
}

// ---- What is to go

Retainer::RemovalStatements::RemovalStatements(Connection& db, const Removal& what)
    : removal(what),
      oldest(db, absl::StrCat("SELECT min(", what.period, ") FROM ", what.table, " WHERE ",
                              what.owner, " = ?1 AND ", what.period, " < ?2")),
      remove(db, absl::StrCat("DELETE FROM ", what.table, " WHERE ", what.owner, " = ?1 AND ",
                              what.period, " < ?2")) {}

Retainer::Retainer(Connection& db, SealTable& seals, const Retention& retention)
    : db_(db), seals_(seals), retention_(retention) {
  Load();
}

void Retainer::Load() {
  Statement select(db_, "SELECT hour, day FROM kept_since");
  select.Query();
  if (!select.Step()) return;
  first_hour_ = select.OptionalInt(0).value_or(INT64_MIN);
  first_day_ = select.OptionalInt(1).value_or(INT64_MIN);
  seals_.SetFirstDay(first_day_);
}

KeptSince Retainer::kept_since() const {
  KeptSince kept;
  kept.hours = HourTime(first_hour_);
  if (first_day_ != INT64_MIN) kept.days = HourTime(first_day_ * kHoursPerDay);
  return kept;
}

int64_t Retainer::FirstDay(absl::Time now, absl::Duration kept) {
  if (kept == absl::InfiniteDuration()) return INT64_MIN;
  return FloorDivide(absl::ToUnixSeconds(now - kept), kHoursPerDay * 3600);
}

std::vector<Retainer::Removal> Retainer::Removals() const {
  const int64_t hour = first_hour_;
  const int64_t day = first_day_;
  std::vector<Removal> removals;
  if (hour != INT64_MIN) {
    // An hour may have hundreds of label sets.
    removals.push_back({"rollup_host_hour", "host_id", "hour", hour, 6, false});
    removals.push_back({"host_hour", "host_id", "hour", hour, 24, false});
    removals.push_back({"rollup_fleet_hour", "writer_id", "hour", hour, 6, true});
    removals.push_back({"rollup_fleet_hour_narrow", "writer_id", "hour", hour, 6, true});
  }
  if (day != INT64_MIN) {
    removals.push_back({"rollup_host_day", "host_id", "day", day, 2, false});
    removals.push_back({"rollup_host_day_narrow", "host_id", "day", day, 10, false});
    removals.push_back(
        {"rollup_host_week_narrow", "host_id", "week", FloorDivide(day, kDaysPerWeek), 10, false});
    removals.push_back({"host_day", "host_id", "day", day, 100, false});
    removals.push_back({"reopened_day", "host_id", "day", day, 100, false});
    removals.push_back({"rollup_fleet_day", "writer_id", "day", day, 2, true});
  }
  return removals;
}

void Retainer::AdvanceKeptSince(absl::Time now) {
  const int64_t first_day = FirstDay(now, retention_.days);
  int64_t first_hour = FirstDay(now, retention_.hours);
  if (first_hour != INT64_MIN) first_hour *= kHoursPerDay;
  if (first_hour <= first_hour_ && first_day <= first_day_) return;
  // A retention that was made longer brings nothing back.
  first_hour_ = std::max<int64_t>(first_hour, first_hour_);
  first_day_ = std::max<int64_t>(first_day, first_day_);
  seals_.SetFirstDay(first_day_);
  Statement update(db_, "UPDATE kept_since SET hour = ?1, day = ?2");
  const auto known = [](int64_t period) {
    return period == INT64_MIN ? std::nullopt : std::optional<int64_t>(period);
  };
  update.Run(known(first_hour_), known(first_day_));
  next_host_ = 0;
}

std::optional<int64_t> Retainer::OldestSessionDay() {
  oldest_session_day_.Query();
  if (!oldest_session_day_.Step()) return std::nullopt;
  const std::optional<int64_t> day = oldest_session_day_.OptionalInt(0);
  oldest_session_day_.Reset();
  return day;
}

bool Retainer::FindSealable(absl::Time now) {
  const int64_t first_day = FirstDay(now, retention_.sessions);
  if (first_day == INT64_MIN) return false;
  sealable_.Query(first_day, absl::ToUnixNanos(now - retention_.quiet), 1);
  const bool found = sealable_.Step();
  sealable_.Reset();
  return found;
}

bool Retainer::FindSealed() {
  sealed_.Query();
  const bool found = sealed_.Step();
  sealed_.Reset();
  return found;
}

bool Retainer::HasWork(absl::Time now) {
  int64_t first_hour = FirstDay(now, retention_.hours);
  if (first_hour != INT64_MIN) first_hour *= kHoursPerDay;
  if (first_hour > first_hour_ || FirstDay(now, retention_.days) > first_day_) return true;
  const bool periods = next_host_ && !Removals().empty();
  return periods || FindSealed() || FindSealable(now);
}

// ---- One bite

bool Retainer::Bite(absl::Time now, absl::Duration budget) {
  const Deadline deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(budget);
  removed_ = {};
  AdvanceKeptSince(now);
  const bool all_sealed = SealDays(now);
  return !(RemoveSessions(deadline) && RemovePeriods(deadline) && all_sealed);
}

bool Retainer::SealDays(absl::Time now) {
  const int64_t first_day = FirstDay(now, retention_.sessions);
  if (first_day == INT64_MIN) return true;
  std::vector<std::pair<int64_t, int64_t>> days;
  sealable_.Query(first_day, absl::ToUnixNanos(now - retention_.quiet), kSealsMax);
  while (sealable_.Step()) days.emplace_back(sealable_.Int(0), sealable_.Int(1));
  for (const auto& [host_id, day] : days) set_seal_.Run(host_id, day, 1);
  if (!days.empty()) seals_.Forget();
  return days.size() < kSealsMax;
}

bool Retainer::RemoveSessions(Deadline deadline) {
  while (db_.ok()) {
    sealed_.Query();
    if (!sealed_.Step()) return true;
    const int64_t host_id = sealed_.Int(0);
    const int64_t day = sealed_.Int(1);
    sealed_.Reset();
    const int64_t start_ns = day * kNanosPerDay;
    const int64_t end_ns = start_ns + kNanosPerDay;
    bool more = true;
    while (more && db_.ok()) {
      nth_session_.Query(host_id, start_ns, end_ns, kSessionsPerStatement);
      more = nth_session_.Step();
      // One second may hold more than that.
      const int64_t until_ns = more ? nth_session_.Int(0) + 1 : end_ns;
      nth_session_.Reset();
      remove_sessions_.Run(host_id, start_ns, until_ns);
      removed_.sessions += db_.changes();
      // Every bite gets something done, however short it is.
      if (more && IsOver(deadline)) return false;
    }
    set_seal_.Run(host_id, day, 2);
  }
  return true;
}

bool Retainer::RemovePeriods(Deadline deadline) {
  std::vector<std::unique_ptr<RemovalStatements>> removals;
  if (next_host_) {
    for (const Removal& removal : Removals()) {
      removals.push_back(std::make_unique<RemovalStatements>(db_, removal));
    }
  }
  while (next_host_ && !removals.empty() && db_.ok()) {
    next_host_id_.Query(*next_host_);
    const bool is_host = next_host_id_.Step();
    const int64_t owner_id = is_host ? next_host_id_.Int(0) : kWriterId;
    next_host_id_.Reset();
    for (const std::unique_ptr<RemovalStatements>& statements : removals) {
      if (statements->removal.of_writers == is_host) continue;
      if (!RemovePeriodsOf(*statements, owner_id, deadline)) return false;
    }
    if (!is_host) {
      next_host_.reset();
      break;
    }
    RemoveIntervals(owner_id);
    next_host_ = owner_id + 1;
    if (IsOver(deadline)) return false;
  }
  return true;
}

bool Retainer::RemovePeriodsOf(RemovalStatements& statements, int64_t owner_id, Deadline deadline) {
  const Removal& removal = statements.removal;
  while (db_.ok()) {
    statements.oldest.Query(owner_id, removal.end);
    const std::optional<int64_t> period =
        statements.oldest.Step() ? statements.oldest.OptionalInt(0) : std::optional<int64_t>();
    statements.oldest.Reset();
    if (!period) return true;
    statements.remove.Run(owner_id, std::min(removal.end, *period + removal.step));
    removed_.others += db_.changes();
    if (IsOver(deadline)) return false;
  }
  return true;
}

void Retainer::RemoveIntervals(int64_t host_id) {
  const int64_t hour = first_hour_;
  const int64_t day = first_day_;
  const auto run = [&](const char* table, const char* condition, int64_t before) {
    Statement remove(
        db_, absl::StrCat("DELETE FROM ", table, " WHERE host_id = ?1 AND ", condition, " < ?2"));
    remove.Run(host_id, before);
    removed_.others += db_.changes();
  };
  if (hour != INT64_MIN) run("log_hour", "hour", hour);
  if (day == INT64_MIN) return;
  const int64_t ns = day * kNanosPerDay;
  run("log_day", "day", day);
  run("coverage", "end_ns", ns);
  run("gap", "end_ns", ns);
  run("clock_skew", "end_ns", ns);
  run("tls_logging_gap", "end_hour", day * kHoursPerDay);
  run("expectation", "end_ns", ns);
}

// ---- Reopening

absl::Status Retainer::Reopen(const std::string& host, absl::CivilDay civil_day) {
  const int64_t day = civil_day - absl::CivilDay(1970, 1, 1);
  Statement find(db_, "SELECT host_id FROM host WHERE name = ?1");
  find.Query(absl::AsciiStrToLower(host));
  if (!find.Step()) return absl::NotFoundError(absl::StrCat("no host is named ", host));
  const int64_t host_id = find.Int(0);
  find.Reset();
  Statement seal(db_, "SELECT seal FROM host_day WHERE host_id = ?1 AND day = ?2");
  seal.Query(host_id, day);
  const bool sealed = seal.Step() && seal.Int(0) != 0;
  seal.Reset();
  if (!sealed) {
    return absl::FailedPreconditionError(absl::StrCat("day ", absl::FormatCivilTime(civil_day),
                                                      " of host ", host,
                                                      " is not sealed: it takes records as it is"));
  }
  if (day * kHoursPerDay < first_hour_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "day ", absl::FormatCivilTime(civil_day),
        " is older than --hour-retention: what would be read would be removed again at once"));
  }

  remove_sessions_.Run(host_id, day * kNanosPerDay, (day + 1) * kNanosPerDay);
  // The sums first: they follow from the host's own rows.
  for (const Tier& tier : kTiers) {
    if (tier.table == kHostHour.table || tier.table == kHostDay.table) continue;
    const bool by_hour = tier.hours == 1;
    const int64_t periods = by_hour ? kHoursPerDay : 1;
    const std::string period = tier.hours == kDaysPerWeek * kHoursPerDay
                                   ? absl::StrCat(FloorDivide(day, kDaysPerWeek))
                                   : (by_hour ? std::string("r.hour") : std::string("r.day"));
    Statement subtract(db_,
                       SubtractSql(tier, period.c_str(), by_hour ? kHostHour.table : kHostDay.table,
                                   by_hour ? "hour" : "day"));
    subtract.Run(host_id, day * periods, (day + 1) * periods);
    Statement remove_empty(db_, RemoveEmptySql(tier));
    const int64_t first = FloorDivide(day * kHoursPerDay, tier.hours);
    const int64_t end = FloorDivide((day + 1) * kHoursPerDay - 1, tier.hours) + 1;
    remove_empty.Run(host_id, first, end);
  }
  Statement totals(db_,
                   "UPDATE host SET sessions = host.sessions - d.sessions, "
                   "folded = host.folded - d.folded, "
                   "key_conflicts = host.key_conflicts - d.key_conflicts, "
                   "rejected = host.rejected - d.rejected, sealed = host.sealed - d.sealed "
                   "FROM host_day d WHERE d.host_id = host.host_id AND d.day = ?2 AND "
                   "host.host_id = ?1");
  totals.Run(host_id, day);
  for (const char* table : {"rollup_host_hour", "host_hour"}) {
    Statement remove(db_, absl::StrCat("DELETE FROM ", table,
                                       " WHERE host_id = ?1 AND hour >= ?2 AND hour < ?3"));
    remove.Run(host_id, day * kHoursPerDay, (day + 1) * kHoursPerDay);
  }
  for (const char* table : {"rollup_host_day", "host_day"}) {
    Statement remove(db_, absl::StrCat("DELETE FROM ", table, " WHERE host_id = ?1 AND day = ?2"));
    remove.Run(host_id, day);
  }

  // Not read any more.
  std::vector<int64_t> log_ids;
  Statement logs(db_, "SELECT log_id FROM log WHERE host_id = ?1");
  for (logs.Query(host_id); logs.Step();) log_ids.push_back(logs.Int(0));
  CoverageTable coverage(db_);
  for (const int64_t log_id : log_ids) {
    coverage.Remove(host_id, log_id, {day * kNanosPerDay, (day + 1) * kNanosPerDay});
  }
  Statement reopened(db_, "INSERT OR IGNORE INTO reopened_day (host_id, day) VALUES (?1, ?2)");
  reopened.Run(host_id, day);
  seals_.Forget();
  return absl::OkStatus();
}

}  // namespace mxtally::sqlite
