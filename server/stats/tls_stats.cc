#include "server/stats/tls_stats.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/completeness/completeness.h"
#include "server/stats/fields.h"
#include "server/stats/request.h"
#include "server/stats/rows.h"
#include "server/stats/time_window.h"

namespace mxtally {
namespace {

// Clients take messages of 4 MiB unless told otherwise; completeness needs some of it.
constexpr size_t kRowBytesMax = 3 << 20;

// Over all pieces of a window; the store bounds each.
constexpr int64_t kGroupsMax = 400'000;

absl::StatusOr<std::vector<StatsResult>> QueryPieces(const Store& store,
                                                     const TlsStatsQuestion& question,
                                                     const QueryGuard& guard) {
  std::vector<StatsResult> results;
  int64_t groups = 0;
  StatsQuery query = question.query;
  for (const ZonePiece& piece : question.pieces) {
    query.start = piece.window.start;
    query.end = piece.window.end;
    query.bucket_offset = piece.offset;
    absl::StatusOr<StatsResult> result = store.QueryStats(query, guard);
    if (!result.ok()) return result.status();
    groups += static_cast<int64_t>(result->rows.size());
    if (groups > kGroupsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("the answer has more than ", kGroupsMax,
                       " groups: ask for a shorter window, longer buckets or fewer labels"));
    }
    results.push_back(*std::move(result));
  }
  return results;
}

bool IsDayStart(absl::Time time) {
  return (time - absl::UnixEpoch()) % absl::Hours(24) == absl::ZeroDuration();
}

// From when on all counts that the answer needs are there.
absl::Time CountsSince(const KeptSince& kept, const TlsStatsQuestion& question) {
  const Interval& window = question.window;
  const absl::Duration bucket = question.query.bucket;
  const bool zone_fits =
      bucket == absl::ZeroDuration() ||
      std::all_of(question.pieces.begin(), question.pieces.end(), [](const ZonePiece& piece) {
        return piece.offset % absl::Hours(24) == absl::ZeroDuration();
      });
  const bool days_fit = bucket % absl::Hours(24) == absl::ZeroDuration() && zone_fits &&
                        (window.start >= kept.hours || IsDayStart(window.start)) &&
                        (window.end >= kept.hours || IsDayStart(window.end));
  return days_fit ? kept.days : kept.hours;
}

// Orders the rows and puts the first of them into `response`.
void AddRows(const TlsStatsQuestion& question, std::vector<Row> rows,
             v1::GetTlsStatsResponse& response) {
  const size_t wanted = std::min(rows.size(), static_cast<size_t>(question.limit));
  OrderRows(question.order_by, wanted, rows);
  size_t bytes = 0;
  size_t added = 0;
  for (; added < wanted; ++added) {
    v1::TlsStatsRow row = RowMessage(rows[added], question.query);
    bytes += row.ByteSizeLong();
    if (bytes > kRowBytesMax) break;
    *response.add_rows() = std::move(row);
  }
  response.set_rows_omitted(static_cast<int64_t>(rows.size() - added));
}

// Sessions by the values of an enumerated label that its filter leaves out: those
// of `permitted`, which is the filter's list in `LabelFilter`.
absl::StatusOr<std::map<int, int64_t>> CountOthers(const Store& store,
                                                   const TlsStatsQuestion& question, Label label,
                                                   std::vector<int> LabelFilter::*permitted,
                                                   int Labels::*value, const QueryGuard& guard) {
  std::map<int, int64_t> sessions;
  if ((question.query.filter.*permitted).empty()) return sessions;
  StatsQuery query;
  query.start = question.window.start;
  query.end = question.window.end;
  query.hosts = question.query.hosts;
  query.filter = question.query.filter;
  (query.filter.*permitted).clear();
  query.group_by.set(static_cast<size_t>(label));
  absl::StatusOr<StatsResult> result = store.QueryStats(query, guard);
  if (!result.ok()) return result.status();

  const EnumNames& names = EnumNames::Of(label);
  for (int i = 1; i < names.descriptor().value_count(); ++i) {
    sessions[names.descriptor().value(i)->number()] = 0;  // Shown also without sessions.
  }
  for (const StatsRow& row : result->rows) sessions[row.labels.*value] += row.measures.sessions;
  for (const int number : question.query.filter.*permitted) sessions.erase(number);
  return sessions;
}

absl::Status AddOthers(const Store& store, const TlsStatsQuestion& question,
                       const QueryGuard& guard, v1::GetTlsStatsResponse& response) {
  auto classes = CountOthers(store, question, Label::kPeerClass, &LabelFilter::peer_classes,
                             &Labels::peer_class, guard);
  if (!classes.ok()) return classes.status();
  for (const auto& [number, sessions] : *classes) {
    v1::PeerClassCount& other = *response.add_other_peer_classes();
    other.set_peer_class(EnumNames::Of(Label::kPeerClass).NameOf(number));
    other.set_sessions(sessions);
  }
  auto directions = CountOthers(store, question, Label::kDirection, &LabelFilter::directions,
                                &Labels::direction, guard);
  if (!directions.ok()) return directions.status();
  for (const auto& [number, sessions] : *directions) {
    v1::DirectionCount& other = *response.add_other_directions();
    other.set_direction(EnumNames::Of(Label::kDirection).NameOf(number));
    other.set_sessions(sessions);
  }
  return absl::OkStatus();
}

absl::Status AddNewestHour(const Store& store, const TlsStatsQuestion& question,
                           const QueryGuard& guard, v1::GetTlsStatsResponse& response) {
  absl::StatusOr<std::optional<absl::Time>> newest =
      store.NewestHour(question.query.hosts, question.query.filter, guard);
  if (!newest.ok()) return newest.status();
  if (newest->has_value()) {
    response.mutable_newest_data_hour()->set_seconds(absl::ToUnixSeconds(**newest));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::GetTlsStatsResponse> AnswerTlsStats(const Store& store,
                                                       const v1::GetTlsStatsRequest& request,
                                                       absl::Time now, const QueryGuard& guard) {
  absl::StatusOr<TlsStatsQuestion> question = ParseRequest(request, now);
  if (!question.ok()) return question.status();

  v1::GetTlsStatsResponse response;
  response.set_effective_window(FormatWindow(question->window));

  // Completeness is asked for first: what is committed after it can only make
  // the rows better than it says.
  absl::StatusOr<std::vector<HostCoverage>> coverage = store.QueryCoverage(
      question->query.hosts, question->window.start, question->window.end, guard);
  if (!coverage.ok()) return coverage.status();
  CompletenessOptions completeness;
  completeness.counts_since = CountsSince(store.kept_since(), *question);
  *response.mutable_completeness() =
      CompletenessOf(*coverage, question->query.hosts, question->window, now, completeness);

  absl::StatusOr<std::vector<StatsResult>> results = QueryPieces(store, *question, guard);
  if (!results.ok()) return results.status();
  std::vector<Row> rows = FoldRows(*question, *results);
  results->clear();
  if (absl::Status s = guard(); !s.ok()) return s;

  const Counts total = TotalOf(rows);
  SetCounts(total, *response.mutable_total());
  AddRows(*question, std::move(rows), response);
  if (absl::Status s = AddOthers(store, *question, guard, response); !s.ok()) return s;
  if (total.sessions == 0) {
    if (absl::Status s = AddNewestHour(store, *question, guard, response); !s.ok()) return s;
  }
  return response;
}

}  // namespace mxtally
