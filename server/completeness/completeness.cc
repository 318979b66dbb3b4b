#include "server/completeness/completeness.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/timestamps/timestamps.h"
#include "server/completeness/findings.h"

namespace mxtally {
namespace {

// Bounds of completeness.proto.
constexpr size_t kReasonsMax = 100;
constexpr int kListMax = 1000;

// The gaps of one log.  A gap of which one side is not known is taken to be a
// point: it is listed, but hides nothing else.
IntervalSet GapsOf(const HostCoverage& host, const std::string& log) {
  std::vector<Interval> gaps;
  for (const v1::HostGap& gap : host.gaps) {
    if (gap.log() != log || !gap.has_start_time() || !gap.has_end_time()) continue;
    gaps.push_back({GetTimestamp(gap.start_time()), GetTimestamp(gap.end_time())});
  }
  return Union(std::move(gaps));
}

absl::Time EndOfHour(absl::Time time) {
  return absl::UnixEpoch() + absl::Ceil(time - absl::UnixEpoch(), absl::Hours(1));
}

// What was read of a log; gaps are not taken out.
IntervalSet ReadOf(const HostCoverage::Log& log) {
  std::vector<Interval> read;
  for (const auto& [start, end] : log.covered) {
    const absl::Time quiet_until =
        std::min(EndOfHour(end), log.caught_up.value_or(absl::InfinitePast()));
    read.push_back({start, std::max(end, quiet_until)});
  }
  return Union(std::move(read));
}

// What was read, from any log, of the days that were dropped to be read again.
IntervalSet ReadAgain(const HostCoverage& host) {
  IntervalSet again;
  for (const auto& [start, end] : host.reopened) {
    for (const HostCoverage::Log& log : host.logs) {
      for (const Interval& read : Clip(ReadOf(log), {start, end})) again.push_back(read);
    }
  }
  return Union(std::move(again));
}

enum class HostKind { kReporting, kLagging, kSilent };

// What one host adds to the answer.
struct HostView {
  HostKind kind = HostKind::kReporting;
  // Up to where the log was read that is furthest behind, if one is.
  absl::Time read_until = absl::InfiniteFuture();
  // What was read, over all logs, cut to the window.
  IntervalSet read;
  // Whether nothing within the window was left out.
  bool whole = true;
  std::vector<std::string> reasons;
};

// Builds the answer host by host.
class Assessment {
 public:
  Assessment(const Interval& window, absl::Time now, const CompletenessOptions& options)
      : window_(window), now_(now), options_(options) {}

  void AddHost(const HostCoverage& host);
  void AddUnknownHost(const std::string& name) {
    Reason(absl::StrCat("host ", name, " is not known"));
  }
  // `any_host`: whether the store knows any of the hosts asked for; `all`: whether all were.
  v1::Completeness Finish(bool any_host, bool all) &&;

 private:
  // When the host is expected within the window; empty: not at all.
  IntervalSet Expected(const HostCoverage& host) const;
  IntervalSet Needed(const IntervalSet& expected, const HostCoverage::Log& log) const;
  absl::Time NeededEnd(const IntervalSet& expected) const;
  HostView View(const HostCoverage& host, const IntervalSet& expected) const;
  // Whether this log was read up to the needed end.
  bool AddLog(const HostCoverage& host, const IntervalSet& expected, const HostCoverage::Log& log,
              HostView& view) const;
  void AddKind(const HostCoverage& host, const HostView& view);
  void AddFinding(v1::HostFinding finding);
  void AddGaps(const HostCoverage& host);
  void AddTlsLogging(const HostCoverage& host);
  void AddClockSkews(const HostCoverage& host);
  void AddExceptions(const v1::ExceptionCounts& counts);
  void ExplainExceptions();
  void Reason(std::string reason) {
    if (reasons_.size() < kReasonsMax) reasons_.push_back(std::move(reason));
    ++reason_count_;
  }

  const Interval window_;
  const absl::Time now_;
  const CompletenessOptions options_;

  v1::Completeness answer_;
  int64_t expected_ = 0;
  int64_t reporting_ = 0;
  std::vector<v1::HostGap> gaps_;
  std::vector<std::string> reasons_;
  size_t reason_count_ = 0;
  std::optional<Interval> data_;
};

IntervalSet Assessment::Expected(const HostCoverage& host) const {
  std::vector<Interval> expected;
  for (const auto& [start, end] : host.expected) expected.push_back({start, end});
  return Clip(Union(std::move(expected)), {window_.start, std::min(window_.end, now_)});
}

// In the window in which an expectation begins, a log begins with its first line.
IntervalSet Assessment::Needed(const IntervalSet& expected, const HostCoverage::Log& log) const {
  std::vector<Interval> needed;
  for (Interval interval : expected) {
    interval.end = std::min(interval.end, NeededEnd(expected));
    if (interval.start > window_.start) {
      for (const auto& [start, end] : log.covered) {
        if (end < interval.start) continue;
        interval.start = std::max(interval.start, start);
        break;
      }
    }
    needed.push_back(interval);
  }
  return Union(std::move(needed));
}

absl::Time Assessment::NeededEnd(const IntervalSet& expected) const {
  const absl::Time end = std::min(window_.end, now_ - options_.lag_max);
  return expected.empty() ? end : std::min(end, expected.back().end);
}

HostView Assessment::View(const HostCoverage& host, const IntervalSet& expected) const {
  HostView view;
  bool to_the_end = !host.logs.empty();
  for (const HostCoverage::Log& log : host.logs) {
    to_the_end = AddLog(host, expected, log, view) && to_the_end;
  }
  view.read = Clip(Union(std::move(view.read)), window_);
  if (!to_the_end) {
    view.kind =
        host.last_seen < now_ - options_.silent_after ? HostKind::kSilent : HostKind::kLagging;
  }
  return view;
}

bool Assessment::AddLog(const HostCoverage& host, const IntervalSet& expected,
                        const HostCoverage::Log& log, HostView& view) const {
  const IntervalSet gaps = GapsOf(host, log.log);
  const IntervalSet covered = Difference(ReadOf(log), gaps);
  view.read.insert(view.read.end(), covered.begin(), covered.end());

  const absl::Time needed_end = NeededEnd(expected);
  IntervalSet missing = Difference(Needed(expected, log), covered);
  if (!host.reopened.empty()) missing = Difference(missing, ReadAgain(host));
  view.whole = view.whole && missing.empty();

  const bool at_end = log.caught_up.has_value() && *log.caught_up >= needed_end;
  const bool covered_at_end = missing.empty() || missing.back().end < needed_end;
  const bool to_the_end = at_end || (!log.covered.empty() && covered_at_end);
  if (!to_the_end) {
    const absl::Time until = missing.empty() ? window_.start : missing.back().start;
    view.read_until = std::min(view.read_until, until);
  }

  for (const Interval& hole : Difference(missing, gaps)) {
    if (!to_the_end && hole.end == needed_end) continue;  // Told as lagging or silent.
    view.reasons.push_back(absl::StrCat("log ", log.log, " of host ", host.host,
                                        " was not read from ", UtcText(hole.start), " to ",
                                        UtcText(hole.end)));
  }
  if (log.oldest_open.has_value() && *log.oldest_open >= window_.start &&
      *log.oldest_open < std::min(window_.end, now_ - options_.open_max)) {
    view.reasons.push_back(absl::StrCat("a session of host ", host.host, " is open since ",
                                        UtcText(*log.oldest_open), " and counts when it ends"));
  }
  return to_the_end;
}

void Assessment::AddHost(const HostCoverage& host) {
  // Exceptions and gaps count wherever they are, also of a host that is not expected any more.
  AddExceptions(host.exceptions);
  AddGaps(host);
  AddTlsLogging(host);
  AddClockSkews(host);
  const IntervalSet expected = Expected(host);
  HostView view = View(host, expected);
  if (!view.read.empty()) {
    if (!data_.has_value()) data_ = view.read.front();
    data_->start = std::min(data_->start, view.read.front().start);
    data_->end = std::max(data_->end, view.read.back().end);
  }
  if (!expected.empty()) {
    ++expected_;
    AddKind(host, view);
    for (std::string& reason : view.reasons) Reason(std::move(reason));
  }
  for (v1::HostFinding& finding : LogFindings(host)) AddFinding(std::move(finding));
}

void Assessment::AddKind(const HostCoverage& host, const HostView& view) {
  if (view.kind == HostKind::kReporting) {
    ++reporting_;
    if (view.whole && !host.any_session && answer_.quiet_hosts_size() < kListMax) {
      answer_.add_quiet_hosts(host.host);
    }
    return;
  }
  if (host.last_seen == absl::InfinitePast()) {
    if (answer_.silent_hosts_size() < kListMax) answer_.add_silent_hosts(host.host);
    Reason(absl::StrCat("host ", host.host, " is expected and has never reported"));
    AddFinding(NeverReportedFinding(host.host));
    return;
  }
  const std::string read = !host.logs.empty() && view.read_until > window_.start
                               ? absl::StrCat("is read until ", UtcText(view.read_until))
                               : "is not read within the window";
  if (view.kind == HostKind::kSilent) {
    if (answer_.silent_hosts_size() < kListMax) answer_.add_silent_hosts(host.host);
    Reason(absl::StrCat("host ", host.host, " ", read, ", and was last heard of at ",
                        UtcText(host.last_seen)));
    AddFinding(SilentFinding(host.host, host.last_seen, host.collected));
  } else {
    if (answer_.lagging_hosts_size() < kListMax) answer_.add_lagging_hosts(host.host);
    Reason(absl::StrCat("host ", host.host, " ", read));
    AddFinding(LaggingFinding(host.host, host.collected));
  }
}

void Assessment::AddFinding(v1::HostFinding finding) {
  if (answer_.findings_size() < kListMax) *answer_.add_findings() = std::move(finding);
}

void Assessment::AddGaps(const HostCoverage& host) {
  for (const v1::HostGap& gap : host.gaps) {
    std::string reason = absl::StrCat("log ", gap.log(), " of host ", host.host,
                                      " misses at least ", gap.bytes_min(), " bytes");
    if (gap.has_start_time()) {
      absl::StrAppend(&reason, " from ", UtcText(GetTimestamp(gap.start_time())));
    }
    if (gap.has_end_time()) absl::StrAppend(&reason, " to ", UtcText(GetTimestamp(gap.end_time())));
    Reason(std::move(reason));
    gaps_.push_back(gap);
  }
}

void Assessment::AddTlsLogging(const HostCoverage& host) {
  for (const v1::TlsLoggingGap& gap : host.tls_logging_gaps) {
    if (answer_.tls_logging_gaps_size() < kListMax) *answer_.add_tls_logging_gaps() = gap;
  }
}

void Assessment::AddClockSkews(const HostCoverage& host) {
  double worst = 0;
  for (const v1::HostClockSkew& skew : host.clock_skews) {
    const double ahead = skew.ahead_seconds();
    if (std::abs(ahead) > std::abs(worst)) worst = ahead;
    Reason(absl::StrCat(
        "the clock of host ", host.host, " was up to ",
        absl::FormatDuration(absl::Trunc(absl::Seconds(std::abs(ahead)), absl::Seconds(1))),
        ahead < 0 ? " behind" : " ahead of", " the server's, which concerns log ", "times from ",
        UtcText(GetTimestamp(skew.start_time())), " to ", UtcText(GetTimestamp(skew.end_time()))));
    if (answer_.clock_skews_size() < kListMax) *answer_.add_clock_skews() = skew;
  }
  if (worst != 0) AddFinding(ClockSkewFinding(host.host, absl::Seconds(worst)));
}

void Assessment::AddExceptions(const v1::ExceptionCounts& counts) {
  v1::ExceptionCounts& sum = *answer_.mutable_exceptions();
  sum.set_cut_sessions(sum.cut_sessions() + counts.cut_sessions());
  sum.set_evicted_sessions(sum.evicted_sessions() + counts.evicted_sessions());
  sum.set_rejected_sessions(sum.rejected_sessions() + counts.rejected_sessions());
  sum.set_sealed_sessions(sum.sealed_sessions() + counts.sealed_sessions());
  sum.set_key_conflicts(sum.key_conflicts() + counts.key_conflicts());
  sum.set_oversized_lines(sum.oversized_lines() + counts.oversized_lines());
  sum.set_unrecognized_lines(sum.unrecognized_lines() + counts.unrecognized_lines());
  sum.set_foreign_host_lines(sum.foreign_host_lines() + counts.foreign_host_lines());
  sum.set_folded_sessions(sum.folded_sessions() + counts.folded_sessions());
  sum.set_suppressed_lines(sum.suppressed_lines() + counts.suppressed_lines());
}

void Assessment::ExplainExceptions() {
  const v1::ExceptionCounts& sum = answer_.exceptions();
  const std::pair<int64_t, absl::string_view> explained[] = {
      {sum.cut_sessions(), "sessions began before the reading did and are not counted"},
      {sum.evicted_sessions(), "sessions were given up before their end"},
      {sum.rejected_sessions(), "session records failed validation"},
      {sum.sealed_sessions(), "session records came for days that were closed"},
      {sum.key_conflicts(), "session records contradict one with the same key"},
      {sum.oversized_lines(), "lines were longer than the agent's limit"},
      {sum.unrecognized_lines(), "lines of a mail server were not understood"},
      {sum.foreign_host_lines(), "lines of other hosts were in the logs and are not counted"},
      {sum.suppressed_lines(),
       "lines were lost by a logger, as it says, before they could be read"},
      {sum.folded_sessions(), "sessions have their labels folded into \"other\""},
  };
  for (const auto& [count, meaning] : explained) {
    if (count != 0) Reason(absl::StrCat(count, " ", meaning));
  }
}

v1::Completeness Assessment::Finish(bool any_host, bool all) && {
  AddExceptions({});  // All fields present, also without a host.
  ExplainExceptions();
  if (options_.counts_since > window_.start) {
    Reason(absl::StrCat("counts before ", UtcText(options_.counts_since),
                        " were removed by retention, or are kept by day only"));
  }
  if (any_host && expected_ == 0) Reason("no host was known in this window");
  if (!any_host && all) Reason("no host is known");

  answer_.set_hosts_expected(expected_);
  answer_.set_hosts_reporting(reporting_);
  std::stable_sort(gaps_.begin(), gaps_.end(), [](const v1::HostGap& a, const v1::HostGap& b) {
    return GetTimestamp(a.start_time()) < GetTimestamp(b.start_time());
  });
  if (gaps_.size() > kListMax) gaps_.resize(kListMax);
  for (v1::HostGap& gap : gaps_) *answer_.add_gaps() = std::move(gap);
  if (data_.has_value()) {
    SetTimestamp(data_->start, *answer_.mutable_data_from());
    SetTimestamp(data_->end, *answer_.mutable_data_to());
  }

  answer_.set_complete(reason_count_ == 0);
  if (reason_count_ > kReasonsMax) {
    reasons_.back() = absl::StrCat("and ", reason_count_ - kReasonsMax + 1, " more");
  }
  for (std::string& reason : reasons_) answer_.add_reasons(std::move(reason));
  return std::move(answer_);
}

}  // namespace

v1::Completeness CompletenessOf(absl::Span<const HostCoverage> hosts,
                                absl::Span<const std::string> asked, const Interval& window,
                                absl::Time now, const CompletenessOptions& options) {
  Assessment assessment(window, now, options);
  absl::flat_hash_set<absl::string_view> unknown(asked.begin(), asked.end());
  for (const HostCoverage& host : hosts) {
    unknown.erase(host.host);
    assessment.AddHost(host);
  }
  for (const std::string& name : asked) {
    if (unknown.erase(name) > 0) assessment.AddUnknownHost(name);
  }
  return std::move(assessment).Finish(!hosts.empty(), asked.empty());
}

}  // namespace mxtally
