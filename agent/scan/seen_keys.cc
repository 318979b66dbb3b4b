#include "agent/scan/seen_keys.h"

#include <algorithm>

#include "absl/time/time.h"
#include "agent/session/name_hash.h"

namespace mxtally {
namespace {

uint64_t HashOf(const Session::Key& key) {
  const absl::Duration stamp = key.stamp - absl::UnixEpoch();
  uint64_t hash = MixHash(NameHash()(key.host), NameHash()(key.tag));
  hash = MixHash(hash, absl::ToInt64Nanoseconds(stamp));
  return MixHash(hash, key.ordinal);
}

}  // namespace

bool SeenKeys::Insert(const Session::Key& key) {
  const uint64_t hash = HashOf(key);
  if (!looks_up_) {
    if (list_.size() < kKeysMax) list_.Add(hash);
    return true;
  }
  FillSet();
  if (set_.size() >= kKeysMax) return !set_.contains(hash);
  return set_.insert(hash).second;
}

void SeenKeys::AddOpen(const Session::Key& key) {
  if (open_.size() < kKeysMax) open_.insert(HashOf(key));
}

int64_t SeenKeys::CountOpen() {
  if (!looks_up_) return static_cast<int64_t>(open_.size());
  FillSet();
  return std::count_if(open_.begin(), open_.end(),
                       [this](uint64_t hash) { return !set_.contains(hash); });
}

// Moves what was written down to where it can be looked up.
void SeenKeys::FillSet() {
  if (list_.size() == 0) return;
  set_.reserve(list_.size());
  list_.Take([this](uint64_t seen) { set_.insert(seen); });
}

}  // namespace mxtally
