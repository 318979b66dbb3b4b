#include "agent/session/ordinals.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace mxtally {

uint32_t Ordinals::Next(std::string_view tag, absl::Time stamp, int64_t& forgotten) {
  ForgetFarFrom(stamp);
  Tags::value_type& node = FindOrAddTag(tag);
  auto [pair, added] = pairs_.try_emplace({stamp, &node}, 0);
  const uint32_t ordinal = pair->second++;
  if (added) {
    ++node.second;
    // Whole stamps leave: which of a stamp's tags goes first is no question
    // then.  The current stamp goes last, also after a clock step back.
    while (static_cast<int64_t>(pairs_.size()) > pairs_max_ &&
           pairs_.begin()->first.first < stamp) {
      forgotten += ForgetStamp(pairs_.begin());
    }
    while (static_cast<int64_t>(pairs_.size()) > pairs_max_) {
      forgotten += ForgetStamp(std::prev(pairs_.end()));
    }
  }
  return ordinal;
}

Ordinals::Tags::value_type& Ordinals::FindOrAddTag(std::string_view tag) {
  auto it = tags_.find(tag);
  if (it == tags_.end()) it = tags_.emplace(tag, 0).first;
  return *it;
}

int64_t Ordinals::ForgetStamp(Pairs::iterator any_of_it) {
  const absl::Time stamp = any_of_it->first.first;
  auto it = pairs_.lower_bound({stamp, nullptr});
  int64_t count = 0;
  while (it != pairs_.end() && it->first.first == stamp) {
    Tags::value_type* node = it->first.second;
    if (--node->second == 0) tags_.erase(node->first);
    it = pairs_.erase(it);
    ++count;
  }
  return count;
}

void Ordinals::ForgetFarFrom(absl::Time stamp) {
  while (!pairs_.empty() && pairs_.begin()->first.first < stamp - memory_) {
    ForgetStamp(pairs_.begin());
  }
  if (pairs_.empty() || std::prev(pairs_.end())->first.first <= stamp + memory_) return;
  while (!pairs_.empty() && std::prev(pairs_.end())->first.first > stamp) {
    ForgetStamp(std::prev(pairs_.end()));
  }
}

void Ordinals::Save(google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved) const {
  struct Entry {
    agent::v1::TagOrdinals* proto;
    int64_t last_ns;
  };
  saved.Clear();
  std::vector<const Tags::value_type*> tags;
  tags.reserve(tags_.size());
  for (const auto& tag : tags_) tags.push_back(&tag);
  std::sort(tags.begin(), tags.end(), [](auto* a, auto* b) { return a->first < b->first; });
  absl::flat_hash_map<const Tags::value_type*, Entry> entries;
  entries.reserve(tags.size());
  for (const auto* tag : tags) {
    agent::v1::TagOrdinals* proto = saved.Add();
    proto->set_tag(tag->first);
    entries[tag] = {.proto = proto, .last_ns = 0};
  }
  for (const auto& [pair, count] : pairs_) {
    Entry& entry = entries[pair.second];
    const int64_t ns = absl::ToUnixNanos(pair.first);
    entry.proto->add_stamp_deltas_ns(ns - entry.last_ns);
    entry.proto->add_counts(count);
    entry.last_ns = ns;
  }
}

void Ordinals::Restore(const google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved) {
  for (const agent::v1::TagOrdinals& entry : saved) {
    const int count = std::min(entry.stamp_deltas_ns_size(), entry.counts_size());
    if (count == 0) continue;
    Tags::value_type& node = FindOrAddTag(entry.tag());
    int64_t ns = 0;
    for (int i = 0; i < count; ++i) {
      ns += entry.stamp_deltas_ns(i);
      const bool added =
          pairs_.try_emplace({absl::FromUnixNanos(ns), &node}, entry.counts(i)).second;
      if (added) ++node.second;
    }
  }
}

}  // namespace mxtally
