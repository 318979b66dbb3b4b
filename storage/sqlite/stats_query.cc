#include "storage/sqlite/stats_query.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/tiers.h"

namespace mxtally::sqlite {

namespace {

constexpr int kNotCounted = -1;

// They are given in a row; a damaged one must not make us allocate the world.
constexpr int64_t kLabelSetIdMax = 100'000'000;

int64_t HoursOf(absl::Time time) { return FloorDivide(absl::ToUnixSeconds(time), 3600); }

Labels LabelsOfRow(const Statement& row, int first) {
  int c = first;
  const auto number = [&row, &c] { return static_cast<int>(row.Int(c++)); };
  const auto text = [&row, &c] { return std::string(row.Text(c++)); };
  Labels l;
  l.direction = number();
  l.service = text();
  l.peer_class = number();
  l.tls_state = number();
  l.evidence = number();
  l.protocol = text();
  l.cipher = text();
  l.cipher_iana = text();
  l.cipher_code_point = static_cast<uint32_t>(row.Int(c++));
  l.kex_group = text();
  l.signature = text();
  l.trust = number();
  l.handshake = number();
  return l;
}

// Which group of a query the label sets belong to.
struct Grouping {
  std::vector<Labels> groups;
  // By label set; kNotCounted for one that the filter leaves out.
  std::vector<int> group_of_set;

  int GroupOf(int64_t label_set_id) const {
    const auto id = static_cast<size_t>(label_set_id);
    return id < group_of_set.size() ? group_of_set[id] : kNotCounted;
  }
};

Grouping GroupLabelSets(Connection& db, const LabelFilter& filter, const LabelSet& kept) {
  Grouping grouping;
  absl::flat_hash_map<Labels, int> numbers;
  Statement select(db,
                   "SELECT label_set_id, direction, service, peer_class, tls_state, evidence, "
                   "protocol, cipher, cipher_iana, cipher_code_point, kex_group, signature, trust, "
                   "handshake FROM label_set");
  for (select.Query(); select.Step();) {
    if (select.Int(0) < 0 || select.Int(0) > kLabelSetIdMax) {
      db.Fail(absl::DataLossError("a label set has an impossible number"));
      break;
    }
    const auto id = static_cast<size_t>(select.Int(0));
    const Labels labels = LabelsOfRow(select, 1);
    if (grouping.group_of_set.size() <= id) grouping.group_of_set.resize(id + 1, kNotCounted);
    if (!filter.Matches(labels)) continue;
    const auto [it, added] =
        numbers.emplace(Projected(labels, kept), static_cast<int>(grouping.groups.size()));
    if (added) grouping.groups.push_back(it->first);
    grouping.group_of_set[id] = it->second;
  }
  return grouping;
}

// A part of the window and the tier that answers for it.
struct TierPart {
  const Tier* tier;
  Range range;
};

// Whether buckets are made of whole UTC days.
bool DaysFit(const StatsQuery& query) {
  return query.bucket % absl::Hours(24) == absl::ZeroDuration() &&
         (query.bucket == absl::ZeroDuration() ||
          query.bucket_offset % absl::Hours(24) == absl::ZeroDuration());
}

// The parts of a query's window.  `by_host`: hosts matter; `narrow`: no other
// labels than the narrow ones do.
std::vector<TierPart> Parts(const StatsQuery& query, bool by_host, bool narrow) {
  const Tier& hour = by_host ? kHostHour : narrow ? kFleetHourNarrow : kFleetHour;
  const Tier& day = !by_host ? kFleetDay : narrow ? kHostDayNarrow : kHostDay;
  const Range window = {HoursOf(query.start), HoursOf(query.end)};
  std::vector<TierPart> parts;
  if (!DaysFit(query)) {
    parts = {{&hour, window}};
  } else {
    const SplitRange hours = Split(window, kHoursPerDay);
    parts = {{&hour, hours.before}, {&hour, hours.after}};
    if (by_host && narrow && query.bucket == absl::ZeroDuration()) {
      const SplitRange days = Split(hours.whole, kDaysPerWeek);
      parts.insert(parts.end(),
                   {{&day, days.before}, {&kHostWeekNarrow, days.whole}, {&day, days.after}});
    } else {
      parts.push_back({&day, hours.whole});
    }
  }
  parts.erase(std::remove_if(parts.begin(), parts.end(),
                             [](const TierPart& part) { return part.range.empty(); }),
              parts.end());
  return parts;
}

// Sums by (host, bucket, group of labels).
//
// Rows come in runs of one host and bucket, so the sums of a run are an array
// by group, and only whole runs meet in a map.
class Sums {
 public:
  // Both must outlive it.  `rows_max` as in StoreOptions.
  Sums(const StatsQuery& query, const Grouping& grouping, int rows_max)
      : bucket_hours_(query.bucket / absl::Hours(1)),
        offset_hours_(query.bucket_offset / absl::Hours(1)),
        by_host_(query.group_by_host),
        rows_max_(static_cast<size_t>(rows_max)),
        grouping_(grouping),
        run_sums_(grouping.groups.size()) {}

  // Adds the rows of a part; those of `hosts` if its tier has any.
  void Add(Connection& db, const TierPart& part, const std::vector<KnownHost>& hosts);

  StatsResult Result(const std::vector<KnownHost>& hosts);

 private:
  struct Run {
    size_t host = 0;     // 0 if hosts are not told apart.
    int64_t bucket = 0;  // Its first hour.

    friend auto operator<=>(const Run&, const Run&) = default;
  };

  void AddOwner(Statement& select, const TierPart& part, int64_t owner_id, size_t host);
  void BeginRun(Run run);
  void EndRun();
  int64_t BucketOf(int64_t hour) const {
    if (bucket_hours_ == 0) return 0;
    return FloorDivide(hour + offset_hours_, bucket_hours_) * bucket_hours_ - offset_hours_;
  }

  const int64_t bucket_hours_;
  const int64_t offset_hours_;
  const bool by_host_;
  const size_t rows_max_;
  const Grouping& grouping_;

  Run run_;
  std::vector<Measures> run_sums_;  // By group.
  std::vector<int> run_groups_;     // Those with a sum.
  std::map<std::pair<Run, int>, Measures> sums_;
  std::set<std::string> tiers_;
};

void Sums::Add(Connection& db, const TierPart& part, const std::vector<KnownHost>& hosts) {
  const Tier& tier = *part.tier;
  tiers_.insert(tier.name);
  Statement select(db, absl::StrCat("SELECT ", tier.period,
                                    ", label_set_id, sessions, messages, tls_messages FROM ",
                                    tier.table, " WHERE ", tier.owner, " = ?1 AND ", tier.period,
                                    " >= ?2 AND ", tier.period, " < ?3"));
  if (!tier.by_host) {
    AddOwner(select, part, kWriterId, 0);
  } else {
    for (size_t i = 0; i < hosts.size() && db.ok(); ++i) {
      AddOwner(select, part, hosts[i].host_id, by_host_ ? i : 0);
    }
  }
  EndRun();
  if (sums_.size() > rows_max_) {
    db.Fail(absl::InvalidArgumentError(
        absl::StrCat("more than ", rows_max_,
                     " rows: choose a shorter window, longer buckets or fewer groups")));
  }
}

void Sums::AddOwner(Statement& select, const TierPart& part, int64_t owner_id, size_t host) {
  select.Query(owner_id, part.range.start, part.range.end);
  while (sums_.size() <= rows_max_ && select.Step()) {
    const int group = grouping_.GroupOf(select.Int(1));
    if (group == kNotCounted) continue;
    BeginRun({host, BucketOf(select.Int(0) * part.tier->hours)});
    Measures& sum = run_sums_[static_cast<size_t>(group)];
    if (sum.sessions == 0) run_groups_.push_back(group);
    sum.sessions += select.Int(2);
    sum.messages += select.Int(3);
    sum.tls_messages += select.Int(4);
  }
}

void Sums::BeginRun(Run run) {
  if (run == run_) return;
  EndRun();
  run_ = run;
}

void Sums::EndRun() {
  for (const int group : run_groups_) {
    Measures& sum = run_sums_[static_cast<size_t>(group)];
    sums_[{run_, group}] += sum;
    sum = {};
  }
  run_groups_.clear();
}

StatsResult Sums::Result(const std::vector<KnownHost>& hosts) {
  StatsResult result;
  result.tiers.assign(tiers_.begin(), tiers_.end());
  result.rows.reserve(sums_.size());
  for (const auto& [key, measures] : sums_) {
    const auto& [run, group] = key;
    StatsRow& row = result.rows.emplace_back();
    if (by_host_) row.host = hosts[run.host].name;
    if (bucket_hours_ != 0) row.bucket = absl::FromUnixSeconds(run.bucket * 3600);
    row.labels = grouping_.groups[static_cast<size_t>(group)];
    row.measures = measures;
  }
  return result;
}

// Newest of the periods [start, end) of a tier that `grouping` counts.
std::optional<int64_t> NewestPeriod(Connection& db, const Tier& tier, int64_t owner_id, Range range,
                                    const Grouping& grouping) {
  Statement select(db, absl::StrCat("SELECT ", tier.period, ", label_set_id FROM ", tier.table,
                                    " WHERE ", tier.owner, " = ?1 AND ", tier.period, " >= ?2 AND ",
                                    tier.period, " < ?3 ORDER BY ", tier.period, " DESC"));
  for (select.Query(owner_id, range.start, range.end); select.Step();) {
    if (grouping.GroupOf(select.Int(1)) != kNotCounted) return select.Int(0);
  }
  return std::nullopt;
}

std::optional<int64_t> NewestHourOf(Connection& db, bool by_host, int64_t owner_id,
                                    const Grouping& grouping) {
  constexpr Range kAlways = {std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()};
  const std::optional<int64_t> day =
      NewestPeriod(db, by_host ? kHostDay : kFleetDay, owner_id, kAlways, grouping);
  if (!day) return std::nullopt;
  const Range hours = {*day * kHoursPerDay, (*day + 1) * kHoursPerDay};
  return NewestPeriod(db, by_host ? kHostHour : kFleetHour, owner_id, hours, grouping);
}

}  // namespace

absl::StatusOr<StatsResult> QueryStats(Connection& db, const StatsQuery& query, int rows_max) {
  const bool by_host = query.group_by_host || !query.hosts.empty();
  std::vector<KnownHost> hosts;
  if (by_host) hosts = FindHosts(db, query.hosts);
  LabelSet kept = query.group_by;
  kept.set(static_cast<size_t>(Label::kTlsState));
  const bool narrow = ((kept | query.filter.Used()) & ~NarrowLabels()).none();
  const Grouping grouping = GroupLabelSets(db, query.filter, kept);

  Sums sums(query, grouping, rows_max);
  for (const TierPart& part : Parts(query, by_host, narrow)) sums.Add(db, part, hosts);
  db.CheckGuard();
  if (!db.ok()) return db.TakeStatus();
  return sums.Result(hosts);
}

absl::StatusOr<std::optional<absl::Time>> NewestHour(Connection& db,
                                                     const std::vector<std::string>& hosts,
                                                     const LabelFilter& filter) {
  const Grouping grouping = GroupLabelSets(db, filter, LabelSet());
  std::optional<int64_t> newest;
  if (grouping.groups.empty()) {
    // No label set passes the filter; there is nothing to look for.
  } else if (hosts.empty()) {
    newest = NewestHourOf(db, false, kWriterId, grouping);
  } else {
    for (const KnownHost& host : FindHosts(db, hosts)) {
      newest = std::max(newest, NewestHourOf(db, true, host.host_id, grouping));
    }
  }
  if (!db.ok()) return db.TakeStatus();
  if (!newest) return std::nullopt;
  return absl::FromUnixSeconds(*newest * 3600);
}

std::vector<KnownHost> FindHosts(Connection& db, const std::vector<std::string>& names) {
  std::vector<KnownHost> hosts;
  if (names.empty()) {
    Statement select(db, "SELECT host_id, name FROM host ORDER BY name");
    for (select.Query(); select.Step();) {
      hosts.push_back({select.Int(0), std::string(select.Text(1))});
    }
    return hosts;
  }
  std::vector<std::string> wanted;
  wanted.reserve(names.size());
  for (const std::string& name : names) wanted.push_back(absl::AsciiStrToLower(name));
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  Statement select(db, "SELECT host_id FROM host WHERE name = ?1");
  for (const std::string& name : wanted) {
    for (select.Query(name); select.Step();) hosts.push_back({select.Int(0), name});
  }
  return hosts;
}

SplitRange Split(Range range, int64_t periods) {
  const Range whole = {-FloorDivide(-range.start, periods), FloorDivide(range.end, periods)};
  if (whole.empty()) return {.before = range, .whole = {}, .after = {}};
  return {.before = {range.start, whole.start * periods},
          .whole = whole,
          .after = {whole.end * periods, range.end}};
}

}  // namespace mxtally::sqlite
