#include "agent/scan/seen_keys.h"

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
  if (list_.size() > 0) {
    set_.reserve(list_.size());
    list_.Take([this](uint64_t seen) { set_.insert(seen); });
  }
  if (set_.size() >= kKeysMax) return !set_.contains(hash);
  return set_.insert(hash).second;
}

}  // namespace mxtally
