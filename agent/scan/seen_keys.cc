#include "agent/scan/seen_keys.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "agent/session/proto_time.h"

namespace mxtally {
namespace {

// Sessions end in another order than they begin, and stamps of several
// processes are out of order by seconds: the assembler remembers two hours.
constexpr absl::Duration kStepBackMax = absl::Hours(1);

// What absl::Hash sees of a key.
struct KeyFields {
  const v1::SessionKey& key;

  template <typename H>
  friend H AbslHashValue(H state, const KeyFields& fields) {
    const v1::SessionKey& key = fields.key;
    return H::combine(std::move(state), key.host(), key.tag(), key.stamp().seconds(),
                      key.stamp().nanos(), key.ordinal());
  }
};

}  // namespace

bool SeenKeys::Insert(const v1::SessionKey& key) {
  const uint64_t hash = absl::Hash<KeyFields>{}(KeyFields{key});
  const absl::Time stamp = GetTimestamp(key.stamp());
  if (!looks_up_) {
    looks_up_ = newest_ - stamp > kStepBackMax;
    if (!looks_up_) {
      newest_ = std::max(newest_, stamp);
      if (list_.size() < kKeysMax) list_.push_back(hash);
      return true;
    }
    set_.insert(list_.begin(), list_.end());
    list_ = {};
  }
  if (set_.size() >= kKeysMax) return !set_.contains(hash);
  return set_.insert(hash).second;
}

}  // namespace mxtally
