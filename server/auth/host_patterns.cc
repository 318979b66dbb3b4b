#include "server/auth/host_patterns.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace mxtally {
namespace {

constexpr size_t kHostBytesMax = 255;

}  // namespace

bool HostPatterns::IsPattern(absl::string_view text) {
  if (text == "*") return true;
  const absl::string_view name = absl::StripPrefix(text, "*.");
  return !name.empty() && name.front() != '.' && name.size() <= kHostBytesMax &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' ||
                  c == '-';
         });
}

bool HostPatterns::Add(const std::string& pattern) { return patterns_.insert(pattern).second; }

bool HostPatterns::Contains(absl::string_view host) const {
  if (patterns_.contains(host) || patterns_.contains("*")) return true;
  for (size_t dot = host.find('.'); dot != absl::string_view::npos; dot = host.find('.', dot + 1)) {
    if (dot > 0 && patterns_.contains(absl::StrCat("*", host.substr(dot)))) return true;
  }
  return false;
}

std::vector<std::string> HostPatterns::ToStrings() const {
  std::vector<std::string> strings(patterns_.begin(), patterns_.end());
  std::sort(strings.begin(), strings.end());
  return strings;
}

}  // namespace mxtally
