#include "storage/sqlite/stats_query.h"

#include <algorithm>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/tiers.h"

namespace mxtally::sqlite {

namespace {

constexpr int kNotCounted = -1;

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

// Sums by (host, bucket, group of labels).
class Sums {
 public:
  explicit Sums(const StatsQuery& query, const Grouping& grouping)
      : bucket_hours_(query.bucket / absl::Hours(1)),
        offset_hours_(query.bucket_offset / absl::Hours(1)),
        grouping_(grouping) {}

  // Adds the rows of `tier` in `range`, of all owners in `hosts`.
  void AddTier(Connection& db, const Tier& tier, HourRange range,
               const std::vector<KnownHost>& hosts, bool by_host) {
    Statement select(db, absl::StrCat("SELECT ", tier.period,
                                      ", label_set_id, sessions, messages, tls_messages FROM ",
                                      tier.table, " WHERE ", tier.owner, " = ?1 AND ", tier.period,
                                      " >= ?2 AND ", tier.period, " < ?3"));
    if (!tier.by_host) {
      AddOwner(select, tier, kWriterId, range, 0);
      return;
    }
    for (size_t i = 0; i < hosts.size() && db.ok(); ++i) {
      AddOwner(select, tier, hosts[i].host_id, range, by_host ? i : 0);
    }
  }

  std::vector<StatsRow> Rows(const std::vector<KnownHost>& hosts, bool by_host) const;

 private:
  struct Key {
    size_t host;
    int64_t bucket;  // Its first hour.
    int group;

    friend bool operator==(const Key&, const Key&) = default;
    friend bool operator<(const Key& a, const Key& b) {
      return std::tie(a.host, a.bucket, a.group) < std::tie(b.host, b.bucket, b.group);
    }
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.host, k.bucket, k.group);
    }
  };

  void AddOwner(Statement& select, const Tier& tier, int64_t owner_id, HourRange range,
                size_t host) {
    for (select.Query(owner_id, range.start, range.end); select.Step();) {
      const int group = grouping_.GroupOf(select.Int(1));
      if (group == kNotCounted) continue;
      const int64_t hour = tier.by_day ? select.Int(0) * kHoursPerDay : select.Int(0);
      Measures& sum = sums_[{host, BucketOf(hour), group}];
      sum.sessions += select.Int(2);
      sum.messages += select.Int(3);
      sum.tls_messages += select.Int(4);
    }
  }

  int64_t BucketOf(int64_t hour) const {
    if (bucket_hours_ == 0) return 0;
    return FloorDivide(hour + offset_hours_, bucket_hours_) * bucket_hours_ - offset_hours_;
  }

  const int64_t bucket_hours_;
  const int64_t offset_hours_;
  const Grouping& grouping_;
  absl::flat_hash_map<Key, Measures> sums_;
};

std::vector<StatsRow> Sums::Rows(const std::vector<KnownHost>& hosts, bool by_host) const {
  std::vector<std::pair<Key, Measures>> sorted(sums_.begin(), sums_.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<StatsRow> rows;
  rows.reserve(sorted.size());
  for (const auto& [key, measures] : sorted) {
    StatsRow& row = rows.emplace_back();
    if (by_host) row.host = hosts[key.host].name;
    if (bucket_hours_ != 0) row.bucket = absl::FromUnixSeconds(key.bucket * 3600);
    row.labels = grouping_.groups[static_cast<size_t>(key.group)];
    row.measures = measures;
  }
  return rows;
}

// Whether buckets are made of whole UTC days.
bool DaysFit(const StatsQuery& query) {
  if (query.bucket == absl::ZeroDuration()) return true;
  return query.bucket % absl::Hours(24) == absl::ZeroDuration() &&
         query.bucket_offset % absl::Hours(24) == absl::ZeroDuration();
}

const Tier& DayTier(bool by_host, const LabelSet& labels) {
  if (!by_host) return kFleetDay;
  return (labels & ~NarrowLabels()).none() ? kHostDayNarrow : kHostDay;
}

// Newest of the periods [start, end) of a tier that `grouping` counts.
std::optional<int64_t> NewestPeriod(Connection& db, const Tier& tier, int64_t owner_id,
                                    HourRange range, const Grouping& grouping) {
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
  constexpr HourRange kAlways = {std::numeric_limits<int64_t>::min(),
                                 std::numeric_limits<int64_t>::max()};
  const std::optional<int64_t> day =
      NewestPeriod(db, by_host ? kHostDay : kFleetDay, owner_id, kAlways, grouping);
  if (!day) return std::nullopt;
  const HourRange hours = {*day * kHoursPerDay, (*day + 1) * kHoursPerDay};
  return NewestPeriod(db, by_host ? kHostHour : kFleetHour, owner_id, hours, grouping);
}

}  // namespace

absl::StatusOr<StatsResult> QueryStats(Connection& db, const StatsQuery& query) {
  const bool by_host = query.group_by_host || !query.hosts.empty();
  std::vector<KnownHost> hosts;
  if (by_host) hosts = FindHosts(db, query.hosts);
  LabelSet kept = query.group_by;
  kept.set(static_cast<size_t>(Label::kTlsState));
  const Grouping grouping = GroupLabelSets(db, query.filter, kept);

  StatsResult result;
  Sums sums(query, grouping);
  const auto add = [&](const Tier& tier, HourRange range) {
    if (range.start >= range.end || !db.ok()) return;
    sums.AddTier(db, tier, range, hosts, query.group_by_host);
    const std::string name = tier.name;
    if (std::find(result.tiers.begin(), result.tiers.end(), name) == result.tiers.end()) {
      result.tiers.push_back(name);
    }
  };
  const Tier& hour_tier = by_host ? kHostHour : kFleetHour;
  const HourRange window = {HoursOf(query.start), HoursOf(query.end)};
  if (DaysFit(query)) {
    const SplitWindow split = Split(window);
    add(hour_tier, split.before);
    add(DayTier(by_host, kept | query.filter.Used()), split.days);
    add(hour_tier, split.after);
  } else {
    add(hour_tier, window);
  }
  db.CheckGuard();
  if (!db.ok()) return db.TakeStatus();
  result.rows = sums.Rows(hosts, query.group_by_host);
  return result;
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

SplitWindow Split(HourRange hours) {
  const HourRange days = {-FloorDivide(-hours.start, kHoursPerDay),
                          FloorDivide(hours.end, kHoursPerDay)};
  if (days.start >= days.end) return {.before = hours, .days = {}, .after = {}};
  return {.before = {hours.start, days.start * kHoursPerDay},
          .days = days,
          .after = {days.end * kHoursPerDay, hours.end}};
}

}  // namespace mxtally::sqlite
