#include "agent/session/process_table.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

ProcessName NameOf(const Process& process) { return {process.host, process.tag}; }

// As saved: the tag alone, or behind the host and a blank, which neither can hold.
std::string SavedName(const Process& process) {
  return process.host.empty() ? process.tag : absl::StrCat(process.host, " ", process.tag);
}

ProcessName ParseSavedName(std::string_view saved) {
  const size_t blank = saved.find(' ');
  if (blank == std::string_view::npos) return {{}, saved};
  return {saved.substr(0, blank), saved.substr(blank + 1)};
}

}  // namespace

Process* ProcessTable::FindInTable(const ProcessName& name, int64_t pid) {
  const auto found = processes_.find(name);
  if (found == processes_.end()) return nullptr;
  Process* const process = found->second.get();
  ForgetSlot(*process);
  process->recent_slot = SlotOf(pid);
  recent_[process->recent_slot] = process;
  return process;
}

void ProcessTable::ForgetSlot(Process& process) {
  if (recent_[process.recent_slot] == &process) recent_[process.recent_slot] = nullptr;
}

Process& ProcessTable::FindOrAdd(const ProcessName& name) {
  if (Process* found = Find(name); found != nullptr) return *found;
  auto process = std::make_unique<Process>();
  process->host = name.host;
  process->tag = name.tag;
  process->service = ServiceOf(name.tag);
  Process& added = *process;
  processes_.emplace(NameOf(added), std::move(process));
  return added;
}

void ProcessTable::Free(Process& process) {
  process.session.reset();
  RemoveIfUnused(process);
}

void ProcessTable::FreeConnection(Process& process) {
  --process.connections;
  RemoveIfUnused(process);
}

void ProcessTable::RemoveIfUnused(Process& process) {
  if (process.stamps == 0 && process.connections == 0 && !process.session.has_value()) {
    ForgetSlot(process);
    processes_.erase(NameOf(process));
  }
}

uint32_t ProcessTable::NextOrdinal(Process& process, absl::Time stamp, absl::Time now,
                                   int64_t& forgotten) {
  ++process.stamps;  // It stays, whatever is forgotten.
  ForgetFarFrom(now);
  --process.stamps;
  Count& count = FindOrAddCount(FindOrAddStamp(stamp), process);
  const uint32_t ordinal = count.sessions++;
  // Whole stamps leave: which of a stamp's processes goes first is no question
  // then.  The current stamp goes last, also after a clock step back.
  while (count_ > stamps_max_ && stamps_.front().time < stamp) forgotten += ForgetOldest();
  while (count_ > stamps_max_) forgotten += ForgetNewest();
  return ordinal;
}

ProcessTable::Stamp& ProcessTable::FindOrAddStamp(absl::Time time) {
  if (stamps_.empty() || stamps_.back().time < time) return stamps_.emplace_back(Stamp{time, {}});
  if (stamps_.back().time == time) return stamps_.back();
  const auto found =
      std::lower_bound(stamps_.begin(), stamps_.end(), time,
                       [](const Stamp& stamp, absl::Time time) { return stamp.time < time; });
  return found->time == time ? *found : *stamps_.insert(found, Stamp{time, {}});
}

ProcessTable::Count& ProcessTable::FindOrAddCount(Stamp& stamp, Process& process) {
  // A process that comes again within a stamp was mostly among the last.
  const auto found = std::find_if(stamp.counts.rbegin(), stamp.counts.rend(),
                                  [&](const Count& count) { return count.process == &process; });
  if (found != stamp.counts.rend()) return *found;
  ++process.stamps;
  ++count_;
  return stamp.counts.emplace_back(Count{&process, 0});
}

int64_t ProcessTable::Forget(Stamp& stamp) {
  for (const Count& count : stamp.counts) {
    --count.process->stamps;
    RemoveIfUnused(*count.process);
  }
  const auto forgotten = static_cast<int64_t>(stamp.counts.size());
  count_ -= forgotten;
  return forgotten;
}

int64_t ProcessTable::ForgetOldest() {
  const int64_t forgotten = Forget(stamps_.front());
  stamps_.pop_front();
  return forgotten;
}

int64_t ProcessTable::ForgetNewest() {
  const int64_t forgotten = Forget(stamps_.back());
  stamps_.pop_back();
  return forgotten;
}

void ProcessTable::ForgetFarFrom(absl::Time time) {
  while (!stamps_.empty() && time - stamps_.front().time > memory_) ForgetOldest();
  while (!stamps_.empty() && stamps_.back().time - time > memory_) ForgetNewest();
}

void ProcessTable::ForgetFrom(absl::Time stamp) {
  while (!stamps_.empty() && stamps_.back().time >= stamp) ForgetNewest();
}

void ProcessTable::ForgetAfter(absl::Time stamp) {
  while (!stamps_.empty() && stamps_.back().time > stamp) ForgetNewest();
}

void ProcessTable::Save(google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved) const {
  struct Entry {
    agent::v1::TagOrdinals* proto;
    int64_t last_ns;
  };
  saved.Clear();
  std::vector<const Process*> processes;
  processes.reserve(processes_.size());
  for (const auto& [name, process] : processes_) {
    if (process->stamps > 0) processes.push_back(process.get());
  }
  std::sort(processes.begin(), processes.end(), [](const Process* a, const Process* b) {
    return std::tie(a->host, a->tag) < std::tie(b->host, b->tag);
  });
  absl::flat_hash_map<const Process*, Entry> entries;
  entries.reserve(processes.size());
  for (const Process* process : processes) {
    agent::v1::TagOrdinals* proto = saved.Add();
    proto->set_tag(SavedName(*process));
    // Exactly: a busy host has tens of thousands, and the snapshot is kept.
    proto->mutable_stamp_deltas_ns()->Reserve(process->stamps);
    proto->mutable_counts()->Reserve(process->stamps);
    entries[process] = {.proto = proto, .last_ns = 0};
  }
  for (const Stamp& stamp : stamps_) {
    const int64_t ns = absl::ToUnixNanos(stamp.time);
    for (const Count& count : stamp.counts) {
      Entry& entry = entries[count.process];
      entry.proto->add_stamp_deltas_ns(ns - entry.last_ns);
      entry.proto->add_counts(count.sessions);
      entry.last_ns = ns;
    }
  }
}

void ProcessTable::Restore(
    const google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved) {
  struct Pair {
    absl::Time time;
    Process* process;
    uint32_t sessions;
  };
  std::vector<Pair> pairs;
  for (const agent::v1::TagOrdinals& entry : saved) {
    int64_t ns = 0;
    for (int i = 0; i < std::min(entry.stamp_deltas_ns_size(), entry.counts_size()); ++i) {
      ns += entry.stamp_deltas_ns(i);
      pairs.push_back(
          {absl::FromUnixNanos(ns), &FindOrAdd(ParseSavedName(entry.tag())), entry.counts(i)});
    }
  }
  // In the order of time each is an append.
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.time < b.time; });
  for (const Pair& pair : pairs) {
    Count& count = FindOrAddCount(FindOrAddStamp(pair.time), *pair.process);
    if (count.sessions == 0) count.sessions = pair.sessions;
  }
}

}  // namespace mxtally
