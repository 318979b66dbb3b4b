#include "storage/sqlite/coverage.h"

#include <algorithm>
#include <limits>

#include "storage/sqlite/tiers.h"
#include "storage/sqlite/times.h"

namespace mxtally::sqlite {

namespace {

// A log whose last line is at most this old is one that is being written,
// whoever reads it.
constexpr int64_t kLiveNanos = kNanosPerHour;

// Stamp of the first line of a batch that may begin anywhere.
int64_t FirstLine(const v1::SessionBatch& batch, int64_t last_line_ns) {
  if (batch.start().has_log_time()) return NanosOf(batch.start().log_time());
  if (!batch.gaps().empty() && batch.gaps().rbegin()->has_end_time()) {
    return NanosOf(batch.gaps().rbegin()->end_time());
  }
  // Sessions whose key is older than what was read are of open sessions that
  // the agent remembered.
  int64_t first_hour_ns = std::numeric_limits<int64_t>::max();
  for (const v1::HourCounts& counts : batch.counts()) {
    first_hour_ns = std::min(first_hour_ns, NanosOf(counts.hour()));
  }
  int64_t first_ns = last_line_ns;
  for (const v1::SessionRecord& session : batch.sessions()) {
    const int64_t stamp_ns = NanosOf(session.key().stamp());
    if (stamp_ns >= first_hour_ns) first_ns = std::min(first_ns, stamp_ns);
  }
  return first_ns;
}

// Takes the inner part of `gap` out of each of `intervals`.
std::vector<Interval> Without(const std::vector<Interval>& intervals, Interval gap) {
  std::vector<Interval> rest;
  for (const Interval& i : intervals) {
    if (gap.end_ns <= i.start_ns || gap.start_ns >= i.end_ns) {
      rest.push_back(i);
      continue;
    }
    if (gap.start_ns >= i.start_ns) rest.push_back({i.start_ns, gap.start_ns});
    if (gap.end_ns <= i.end_ns) rest.push_back({gap.end_ns, i.end_ns});
  }
  return rest;
}

std::vector<Interval> CoveredBetween(int64_t start_ns, int64_t end_ns,
                                     const v1::SessionBatch& batch) {
  // A clock that was set back: what lies between was not read by this batch.
  std::vector<Interval> covered = {{std::min(start_ns, end_ns), end_ns}};
  for (const v1::Gap& gap : batch.gaps()) covered = Without(covered, GapInterval(gap));
  return covered;
}

}  // namespace

std::vector<Interval> CoveredByLines(const v1::SessionBatch& batch) {
  if (!batch.end().has_log_time()) return {};
  const int64_t end_ns = NanosOf(batch.end().log_time());
  return CoveredBetween(FirstLine(batch, end_ns), end_ns, batch);
}

std::vector<Interval> CoveredByPart(const v1::SessionBatch& batch, const v1::HostPart& part) {
  return CoveredBetween(NanosOf(part.start_time()), NanosOf(part.end_time()), batch);
}

bool IsQuiet(int64_t last_line_ns, int64_t caught_up_ns) {
  return caught_up_ns - last_line_ns < kLiveNanos;
}

std::optional<Interval> CoveredByWatermark(std::optional<int64_t> log_end_ns,
                                           std::optional<int64_t> followed_since_ns,
                                           int64_t caught_up_ns, bool once) {
  const int64_t last_ns = log_end_ns.value_or(caught_up_ns);
  if (last_ns > caught_up_ns) return std::nullopt;
  if (followed_since_ns) {
    const int64_t from_ns = log_end_ns ? std::max(last_ns, *followed_since_ns) : *followed_since_ns;
    if (from_ns > caught_up_ns) return std::nullopt;
    return Interval{from_ns, caught_up_ns};
  }
  if (!once || caught_up_ns - last_ns < kLiveNanos) return Interval{last_ns, caught_up_ns};
  return Interval{caught_up_ns, caught_up_ns};
}

Interval GapInterval(const v1::Gap& gap) {
  return {gap.has_start_time() ? NanosOf(gap.start_time()) : std::numeric_limits<int64_t>::min(),
          gap.has_end_time() ? NanosOf(gap.end_time()) : std::numeric_limits<int64_t>::max()};
}

void CoverageTable::Add(int64_t host_id, int64_t log_id, Interval interval) {
  Interval joined = interval;
  std::vector<int64_t> met;
  for (select_.Query(host_id, log_id, interval.end_ns); select_.Step();) {
    const Interval other = {select_.Int(0), select_.Int(1)};
    if (other.end_ns < interval.start_ns) break;
    if (other.start_ns <= interval.start_ns && other.end_ns >= interval.end_ns) {
      select_.Reset();
      return;
    }
    joined.start_ns = std::min(joined.start_ns, other.start_ns);
    joined.end_ns = std::max(joined.end_ns, other.end_ns);
    met.push_back(other.start_ns);
  }
  select_.Reset();
  for (const int64_t start_ns : met) remove_.Run(host_id, log_id, start_ns);
  insert_.Run(host_id, log_id, joined.start_ns, joined.end_ns);
}

void CoverageTable::Remove(int64_t host_id, int64_t log_id, Interval interval) {
  std::vector<Interval> met;
  for (select_.Query(host_id, log_id, interval.end_ns); select_.Step();) {
    const Interval other = {select_.Int(0), select_.Int(1)};
    if (other.end_ns <= interval.start_ns) break;
    met.push_back(other);
  }
  select_.Reset();
  for (const Interval& other : met) {
    remove_.Run(host_id, log_id, other.start_ns);
    for (const Interval& rest : Without({other}, interval)) {
      if (rest.start_ns == rest.end_ns) continue;
      insert_.Run(host_id, log_id, rest.start_ns, rest.end_ns);
    }
  }
}

}  // namespace mxtally::sqlite
