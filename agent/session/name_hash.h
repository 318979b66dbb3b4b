// Hash maps with string keys that are looked up by std::string_view without a
// copy.  Abseil's own hash knows only absl::string_view, which is another type
// in Debian's package.

#ifndef MXTALLY_AGENT_SESSION_NAME_HASH_H_
#define MXTALLY_AGENT_SESSION_NAME_HASH_H_

#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>

#include "absl/hash/hash.h"

namespace mxtally {

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return absl::Hash<Bytes>()(Bytes{name}); }

 private:
  struct Bytes {
    std::string_view bytes;
    template <typename H>
    friend H AbslHashValue(H state, Bytes name) {
      return H::combine_contiguous(std::move(state), name.bytes.data(), name.bytes.size());
    }
  };
};

// For maps with NameHash.
using NameEqual = std::equal_to<>;

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_NAME_HASH_H_
