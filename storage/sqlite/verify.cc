#include "storage/sqlite/verify.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/tiers.h"

namespace mxtally::sqlite {

namespace {

// SQL that divides a column and rounds down, also below zero.
std::string Floor(const std::string& column, int64_t divisor) {
  return absl::StrCat("((", column, " - CASE WHEN ", column, " < 0 THEN ", divisor - 1,
                      " ELSE 0 END) / ", divisor, ")");
}

std::string HourOfStamp() { return Floor("stamp_ns", kNanosPerHour); }

// Owner, period, label set; then three figures.
constexpr int kKeyColumns = 3;
constexpr int kColumns = 6;
using Row = std::array<int64_t, kColumns>;

std::optional<Row> Next(Statement& statement) {
  if (!statement.Step()) return std::nullopt;
  Row row;
  for (int i = 0; i < kColumns; ++i) row[static_cast<size_t>(i)] = statement.Int(i);
  return row;
}

bool KeyBefore(const std::optional<Row>& a, const std::optional<Row>& b) {
  if (!a) return false;
  if (!b) return true;
  return std::lexicographical_compare(a->begin(), a->begin() + kKeyColumns, b->begin(),
                                      b->begin() + kKeyColumns);
}

std::string OwnerName(Connection& db, int64_t owner_id, bool by_host) {
  if (!by_host) return absl::StrCat("writer ", owner_id);
  Statement select(db, "SELECT name FROM host WHERE host_id = ?1");
  select.Query(owner_id);
  return select.Step() ? absl::StrCat("host ", std::string(select.Text(0)))
                       : absl::StrCat("host #", owner_id);
}

std::string Figures(const std::optional<Row>& row) {
  if (!row) return "nothing";
  return absl::StrCat((*row)[3], "/", (*row)[4], "/", (*row)[5]);
}

// What a tier should hold against what it does; both ordered by key.
struct Comparison {
  std::string tier;
  bool by_host;
  int64_t hours;  // Of a period.
  std::string expected_sql;
  std::string actual_sql;
};

absl::Status Difference(Connection& db, const Comparison& c, const Row& key,
                        const std::optional<Row>& expected, const std::optional<Row>& actual) {
  const int64_t hour = key[1] * c.hours;
  return absl::DataLossError(absl::StrCat(
      c.tier, ", ", OwnerName(db, key[0], c.by_host), ", ",
      absl::FormatTime(absl::FromUnixSeconds(hour * 3600), absl::UTCTimeZone()), ", label set ",
      key[2], ": expected ", Figures(expected), ", found ", Figures(actual)));
}

absl::Status Compare(Connection& db, const Comparison& c) {
  Statement expected_rows(db, c.expected_sql);
  Statement actual_rows(db, c.actual_sql);
  expected_rows.Query();
  actual_rows.Query();
  std::optional<Row> expected = Next(expected_rows);
  std::optional<Row> actual = Next(actual_rows);
  while (db.ok() && (expected || actual)) {
    if (KeyBefore(expected, actual)) return Difference(db, c, *expected, expected, std::nullopt);
    if (KeyBefore(actual, expected)) return Difference(db, c, *actual, std::nullopt, actual);
    if (*expected != *actual) return Difference(db, c, *expected, expected, actual);
    expected = Next(expected_rows);
    actual = Next(actual_rows);
  }
  return db.ok() ? absl::OkStatus() : db.TakeStatus();
}

// Periods that retention has not touched.  Below it the rows may be gone.
struct Whole {
  int64_t hour;
  int64_t day;

  // First whole period of a tier, going by what its rows are summed from.
  int64_t First(int64_t hours, int64_t first_hour) const {
    if (first_hour == INT64_MIN) return INT64_MIN;
    return -FloorDivide(-first_hour, hours);
  }
  int64_t FirstOfHours(int64_t hours) const { return First(hours, hour); }
  int64_t FirstOfDays(int64_t hours) const {
    return First(hours, day == INT64_MIN ? day : day * kHoursPerDay);
  }
};

Whole ReadWhole(Connection& db) {
  Statement select(db, "SELECT hour, day FROM kept_since");
  select.Query();
  if (!select.Step()) return {INT64_MIN, INT64_MIN};
  return {select.OptionalInt(0).value_or(INT64_MIN), select.OptionalInt(1).value_or(INT64_MIN)};
}

// SQL: whether the day of a row, given by `day`, still has its sessions.
std::string NotSealed(const std::string& day) {
  return absl::StrCat("NOT EXISTS (SELECT 1 FROM host_day s WHERE s.host_id = t.host_id AND ",
                      "s.day = ", day, " AND s.seal > 0)");
}

Comparison HostHours(const Whole& whole) {
  const std::string kept = absl::StrCat(" WHERE hour >= ", whole.FirstOfHours(1), " AND ",
                                        NotSealed(Floor("hour", kHoursPerDay)));
  return {.tier = kHostHour.name,
          .by_host = true,
          .hours = kHostHour.hours,
          .expected_sql = absl::StrCat(
              "SELECT * FROM (SELECT host_id, ", HourOfStamp(),
              " AS hour, label_set_id, count(*), sum(messages), sum(tls_messages) FROM session "
              "GROUP BY 1, 2, 3) t",
              kept, " ORDER BY 1, 2, 3"),
          .actual_sql =
              absl::StrCat("SELECT host_id, hour, label_set_id, sessions, messages, tls_messages "
                           "FROM rollup_host_hour t",
                           kept, " ORDER BY 1, 2, 3")};
}

// A tier against the rows of another one, `source`, that it is the sum of.
Comparison Sums(const Tier& tier, const Tier& source, int64_t first) {
  return {.tier = tier.name,
          .by_host = tier.by_host,
          .hours = tier.hours,
          .expected_sql =
              absl::StrCat("SELECT ", tier.by_host ? "host_id" : absl::StrCat(kWriterId), ", ",
                           Floor(source.period, tier.hours / source.hours), ", ",
                           tier.narrow ? "narrow_id" : "label_set_id",
                           ", sum(sessions), sum(messages), sum(tls_messages) FROM ", source.table,
                           " ", tier.narrow ? "JOIN label_set USING (label_set_id) " : "", "WHERE ",
                           Floor(source.period, tier.hours / source.hours), " >= ", first,
                           " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
          .actual_sql =
              absl::StrCat("SELECT ", tier.owner, ", ", tier.period,
                           ", label_set_id, sessions, messages, tls_messages FROM ", tier.table,
                           " WHERE ", tier.period, " >= ", first, " ORDER BY 1, 2, 3")};
}

// What triggers keep, recounted; see migration 0004.
constexpr char kWrongExceptionWeeks[] =
    "WITH exception_day AS ("
    "SELECT host_id, day, cut_sessions, evicted_sessions, oversized, unrecognized, foreign_host, "
    "suppressed, 0 AS folded, 0 AS key_conflicts, 0 AS rejected, 0 AS sealed FROM log_day "
    "UNION ALL "
    "SELECT host_id, day, 0, 0, 0, 0, 0, 0, folded, key_conflicts, rejected, sealed FROM "
    "host_day), "
    "recount AS (SELECT host_id, (day - (day % 7 + 7) % 7) / 7, sum(cut_sessions), "
    "sum(evicted_sessions), sum(oversized), sum(unrecognized), sum(foreign_host), "
    "sum(suppressed), sum(folded), sum(key_conflicts), sum(rejected), sum(sealed) "
    "FROM exception_day WHERE cut_sessions + evicted_sessions + oversized + unrecognized + "
    "foreign_host + suppressed + folded + key_conflicts + rejected + sealed > 0 GROUP BY 1, 2) "
    "SELECT count(*) FROM (SELECT * FROM (SELECT * FROM exception_week EXCEPT SELECT * FROM "
    "recount) UNION ALL SELECT * FROM (SELECT * FROM recount EXCEPT SELECT * FROM "
    "exception_week)) HAVING count(*) > 0";

Comparison HostCounters(const std::string& period, int64_t hours, int64_t first) {
  const std::string kept =
      absl::StrCat(period, " >= ", first, " AND ", NotSealed(Floor(period, kHoursPerDay / hours)));
  return {
      .tier = absl::StrCat("counters by ", period),
      .by_host = true,
      .hours = hours,
      .expected_sql = absl::StrCat(
          "SELECT * FROM (SELECT host_id, ", Floor("stamp_ns", hours * kNanosPerHour), " AS ",
          period, ", 0, count(*), sum(folded), sum(key_conflict) FROM session GROUP BY 1, 2) t ",
          "WHERE ", kept, " ORDER BY 1, 2"),
      .actual_sql = absl::StrCat(
          "SELECT host_id, ", period, ", 0, sessions, folded, key_conflicts FROM host_", period,
          " t WHERE (sessions <> 0 OR folded <> 0 OR key_conflicts <> 0) AND ", kept,
          " ORDER BY 1, 2")};
}

}  // namespace

absl::Status VerifyRollups(Connection& db) {
  const Whole whole = ReadWhole(db);
  if (!db.ok()) return db.TakeStatus();
  if (absl::Status s = Compare(db, HostHours(whole)); !s.ok()) return s;
  for (const Tier& tier : kTiers) {
    // The largest tier is its own sum.
    const int64_t first = whole.FirstOfHours(tier.hours);
    if (absl::Status s = Compare(db, Sums(tier, kHostHour, first)); !s.ok()) return s;
  }
  // Days outlive hours.
  for (const Tier& tier : {kFleetDay, kHostWeekNarrow, kHostDayNarrow}) {
    const int64_t first = whole.FirstOfDays(tier.hours);
    if (absl::Status s = Compare(db, Sums(tier, kHostDay, first)); !s.ok()) return s;
  }
  if (absl::Status s = Compare(db, HostCounters("hour", 1, whole.FirstOfHours(1))); !s.ok()) {
    return s;
  }
  const int64_t first_day = whole.FirstOfHours(kHoursPerDay);
  if (absl::Status s = Compare(db, HostCounters("day", kHoursPerDay, first_day)); !s.ok()) {
    return s;
  }
  Statement wrong(db, kWrongExceptionWeeks);
  wrong.Query();
  if (wrong.Step()) {
    return absl::DataLossError(
        absl::StrCat("exception_week: rows that differ from a recount: ", wrong.Int(0)));
  }
  return db.ok() ? absl::OkStatus() : db.TakeStatus();
}

}  // namespace mxtally::sqlite
