// Hash maps with string keys that are looked up by std::string_view without a
// copy, and in a few nanoseconds: there is a look-up for each line.  Abseil's own
// hash knows only absl::string_view, which is another type in Debian's package,
// and calls a function of its library for each name.

#ifndef MXTALLY_AGENT_SESSION_NAME_HASH_H_
#define MXTALLY_AGENT_SESSION_NAME_HASH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/numeric/int128.h"

namespace mxtally {

namespace internal_name_hash {
inline constexpr char kSeed = 0;
}  // namespace internal_name_hash

// Differs from process to process, so that nobody can choose names that meet.
inline uint64_t MixHash(uint64_t a, uint64_t b) {
  const auto seed = reinterpret_cast<uintptr_t>(&internal_name_hash::kSeed);
  const absl::uint128 product =
      absl::uint128(a ^ 0x9e3779b97f4a7c15 ^ seed) * (b ^ 0xbf58476d1ce4e5b9 ^ (seed << 20));
  return absl::Uint128Low64(product) ^ absl::Uint128High64(product);
}

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const {
    const auto word = [](const char* p) {
      uint64_t value = 0;
      std::memcpy(&value, p, sizeof(value));
      return value;
    };
    const char* p = name.data();
    size_t left = name.size();
    uint64_t hash = left;
    for (; left > 16; left -= 16, p += 16) hash = MixHash(hash ^ word(p), word(p + 8));
    if (left >= 8) return MixHash(hash ^ word(p), word(p + left - 8));
    uint64_t last = 0;
    for (size_t i = 0; i < left; ++i) last = last << 8 | static_cast<uint8_t>(p[i]);
    return MixHash(hash, last);
  }
};

// For maps with NameHash.
using NameEqual = std::equal_to<>;

template <typename Value>
using NameMap = absl::flat_hash_map<std::string, Value, NameHash, NameEqual>;

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_NAME_HASH_H_
