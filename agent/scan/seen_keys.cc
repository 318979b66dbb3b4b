#include "agent/scan/seen_keys.h"

#include <algorithm>

#include "agent/session/name_hash.h"

namespace mxtally {
namespace {

// Sessions end in another order than they begin, and stamps of several
// processes are out of order by seconds: the assembler remembers two hours.
constexpr absl::Duration kStepBackMax = absl::Hours(1);

uint64_t HashOf(const Session::Key& key) {
  const absl::Duration stamp = key.stamp - absl::UnixEpoch();
  uint64_t hash = MixHash(NameHash()(key.host), NameHash()(key.tag));
  hash = MixHash(hash, absl::ToInt64Nanoseconds(stamp));
  return MixHash(hash, key.ordinal);
}

}  // namespace

bool SeenKeys::Insert(const Session::Key& key) {
  const uint64_t hash = HashOf(key);
  const absl::Time stamp = key.stamp;
  if (!looks_up_) {
    looks_up_ = newest_ - stamp > kStepBackMax;
    if (!looks_up_) {
      newest_ = std::max(newest_, stamp);
      if (list_.size() < kKeysMax) list_.Add(hash);
      return true;
    }
    set_.reserve(list_.size());
    list_.Take([this](uint64_t seen) { set_.insert(seen); });
  }
  if (set_.size() >= kKeysMax) return !set_.contains(hash);
  return set_.insert(hash).second;
}

}  // namespace mxtally
