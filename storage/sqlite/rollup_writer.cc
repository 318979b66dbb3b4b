#include "storage/sqlite/rollup_writer.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace mxtally::sqlite {

namespace {

// Cells kept in memory beyond a transaction, about 60 bytes each: the live hours
// of 10,000 hosts that have a hundred label sets.
constexpr int64_t kCellsMax = 1'000'000;

std::string AddCountsSql(const char* table, const char* period) {
  return absl::StrCat("INSERT INTO ", table, " (host_id, ", period,
                      ", sessions, folded, key_conflicts, rejected, sealed) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET "
                      "sessions = sessions + ?3, folded = folded + ?4, "
                      "key_conflicts = key_conflicts + ?5, rejected = rejected + ?6, "
                      "sealed = sealed + ?7");
}

}  // namespace

HostCounts& HostCounts::operator+=(const HostCounts& other) {
  sessions += other.sessions;
  folded += other.folded;
  key_conflicts += other.key_conflicts;
  rejected += other.rejected;
  sealed += other.sealed;
  return *this;
}

RollupWriter::TierStatements::TierStatements(Connection& db, const Tier& tier)
    : add(db, absl::StrCat("INSERT INTO ", tier.table, " (", tier.owner, ", ", tier.period,
                           ", label_set_id, sessions, messages, tls_messages) "
                           "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET "
                           "sessions = sessions + ?4, messages = messages + ?5, "
                           "tls_messages = tls_messages + ?6")),
      remove_empty(db, absl::StrCat("DELETE FROM ", tier.table, " WHERE ", tier.owner, " = ?1 AND ",
                                    tier.period, " = ?2 AND label_set_id = ?3 AND sessions = 0")) {}

RollupWriter::RollupWriter(Connection& db)
    : db_(db),
      add_hour_counts_(db, AddCountsSql("host_hour", "hour")),
      add_day_counts_(db, AddCountsSql("host_day", "day")) {
  for (const Tier& tier : kTiers) tiers_.push_back(std::make_unique<TierStatements>(db, tier));
}

int64_t RollupWriter::LabelSets(int64_t host_id, int64_t hour) {
  return Find(host_id, hour).label_sets;
}

bool RollupWriter::Counts(int64_t host_id, int64_t hour, int64_t label_set_id) {
  const Hour& found = Find(host_id, hour);
  const auto it = found.cells.find(label_set_id);
  return it != found.cells.end() && it->second.sessions > 0;
}

void RollupWriter::Add(int64_t host_id, int64_t hour, LabelSetIds labels,
                       const Measures& measures) {
  Move(Changing(host_id, hour), labels, measures);
}

void RollupWriter::Subtract(int64_t host_id, int64_t hour, LabelSetIds labels,
                            const Measures& measures) {
  Measures negative;
  negative -= measures;
  Move(Changing(host_id, hour), labels, negative);
}

void RollupWriter::AddCounts(int64_t host_id, int64_t hour, const HostCounts& counts) {
  Changing(host_id, hour).counts_change += counts;
}

void RollupWriter::Move(Hour& hour, LabelSetIds labels, const Measures& by) {
  const auto [it, added] = hour.cells.try_emplace(labels.full);
  cells_ += static_cast<int>(added);
  Cell& cell = it->second;
  cell.narrow_id = labels.narrow;
  const bool counted_before = cell.sessions > 0;
  cell.sessions += by.sessions;
  cell.change += by;
  hour.label_sets += static_cast<int>(cell.sessions > 0) - static_cast<int>(counted_before);
}

RollupWriter::Hour& RollupWriter::Find(int64_t host_id, int64_t hour) {
  std::unique_ptr<Hour>& slot = hours_[{host_id, hour}];
  if (slot != nullptr) return *slot;
  slot = std::make_unique<Hour>();
  for (load_.Query(host_id, hour); load_.Step();) {
    slot->cells[load_.Int(0)] = {.narrow_id = load_.Int(1), .sessions = load_.Int(2), .change = {}};
    ++slot->label_sets;
  }
  cells_ += slot->label_sets;
  return *slot;
}

RollupWriter::Hour& RollupWriter::Changing(int64_t host_id, int64_t hour) {
  Hour& found = Find(host_id, hour);
  if (!found.changed) {
    found.changed = true;
    changed_.emplace_back(host_id, hour);
  }
  return found;
}

void RollupWriter::Flush(absl::Time now) {
  for (size_t i = 0; i < kTiers.size(); ++i) FlushTier(kTiers[i], *tiers_[i]);
  FlushCounts(now);
  for (const HostHour& key : changed_) {
    Hour& hour = *hours_[key];
    hour.changed = false;
    hour.counts_change = {};
    for (auto it = hour.cells.begin(); it != hour.cells.end();) {
      it->second.change = {};
      const auto current = it++;
      if (current->second.sessions != 0) continue;
      hour.cells.erase(current);
      --cells_;
    }
  }
  changed_.clear();
  if (cells_ > kCellsMax) Forget();
}

void RollupWriter::Forget() {
  hours_.clear();
  cells_ = 0;
  changed_.clear();
}

// Changes of the tier's rows, in the order of its key.
std::vector<RollupWriter::Change> RollupWriter::ChangesOf(const Tier& tier) const {
  std::vector<Change> changes;
  for (const HostHour& key : changed_) {
    const auto [host_id, hour] = key;
    for (const auto& [label_set_id, cell] : hours_.at(key)->cells) {
      if (cell.change == Measures()) continue;
      changes.push_back({.owner_id = tier.by_host ? host_id : kWriterId,
                         .period = FloorDivide(hour, tier.hours),
                         .label_set_id = tier.narrow ? cell.narrow_id : label_set_id,
                         .measures = cell.change});
    }
  }
  const auto key_of = [](const Change& c) {
    return std::tuple(c.owner_id, c.period, c.label_set_id);
  };
  std::sort(changes.begin(), changes.end(),
            [&key_of](const Change& a, const Change& b) { return key_of(a) < key_of(b); });
  size_t kept = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (kept > 0 && key_of(changes[kept - 1]) == key_of(changes[i])) {
      changes[kept - 1].measures += changes[i].measures;
    } else {
      changes[kept++] = changes[i];
    }
  }
  changes.resize(kept);
  return changes;
}

void RollupWriter::FlushTier(const Tier& tier, TierStatements& statements) {
  for (const Change& c : ChangesOf(tier)) {
    if (c.measures == Measures()) continue;
    statements.add.Run(c.owner_id, c.period, c.label_set_id, c.measures.sessions,
                       c.measures.messages, c.measures.tls_messages);
    if (c.measures.sessions < 0) {
      statements.remove_empty.Run(c.owner_id, c.period, c.label_set_id);
    }
  }
}

void RollupWriter::FlushCounts(absl::Time now) {
  std::map<HostHour, HostCounts> by_day;
  std::map<int64_t, HostCounts> by_host;
  for (const HostHour& key : changed_) {
    const HostCounts& c = hours_.at(key)->counts_change;
    if (c == HostCounts()) continue;
    const auto [host_id, hour] = key;
    add_hour_counts_.Run(host_id, hour, c.sessions, c.folded, c.key_conflicts, c.rejected,
                         c.sealed);
    by_day[{host_id, FloorDivide(hour, kHoursPerDay)}] += c;
    by_host[host_id] += c;
  }
  for (const auto& [key, c] : by_day) {
    add_day_counts_.Run(key.first, key.second, c.sessions, c.folded, c.key_conflicts, c.rejected,
                        c.sealed);
    if (c.sessions > 0) day_took_sessions_.Run(key.first, key.second, absl::ToUnixNanos(now));
  }
  for (const auto& [host_id, c] : by_host) {
    add_host_counts_.Run(host_id, c.sessions, c.folded, c.key_conflicts, c.rejected, c.sealed);
  }
}

}  // namespace mxtally::sqlite
