// The hosts that a collector may send for: names, "*.example.net" for all below
// a domain, "*" for all.
//
// Const methods from any thread.

#ifndef MXTALLY_SERVER_AUTH_HOST_PATTERNS_H_
#define MXTALLY_SERVER_AUTH_HOST_PATTERNS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace mxtally {

class HostPatterns {
 public:
  // Of none.
  HostPatterns() = default;

  bool operator==(const HostPatterns&) const = default;

  // Whether `text` is one: at most 255 bytes of [a-z0-9._-], or such a name
  // behind "*.", or "*".
  static bool IsPattern(absl::string_view text);

  // Adds one, which must be one.  Returns false for one that is there.
  bool Add(const std::string& pattern);

  // Whether `host`, in lower case, is one of them.
  bool Contains(absl::string_view host) const;

  // Sorted.
  std::vector<std::string> ToStrings() const;

 private:
  absl::flat_hash_set<std::string> patterns_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_HOST_PATTERNS_H_
