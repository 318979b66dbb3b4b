// Hash maps with string keys that are looked up by std::string_view without a
// copy.  Abseil's own hash knows only absl::string_view, which is another type
// in Debian's package.

#ifndef MXTALLY_AGENT_SESSION_NAME_HASH_H_
#define MXTALLY_AGENT_SESSION_NAME_HASH_H_

#include <cstddef>
#include <functional>
#include <string_view>

namespace mxtally {

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};

// For maps with NameHash.
using NameEqual = std::equal_to<>;

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_NAME_HASH_H_
