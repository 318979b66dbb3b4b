// Text of a request, as error messages show it.

#ifndef MXTALLY_SERVER_GRPC_STATUS_QUOTED_H_
#define MXTALLY_SERVER_GRPC_STATUS_QUOTED_H_

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace mxtally {

// In quotes, printable ASCII only, and not too long for a status message.
inline std::string Quoted(absl::string_view text) {
  constexpr size_t kShownMax = 64;
  const bool cut = text.size() > kShownMax;
  return absl::StrCat("\"", absl::CEscape(text.substr(0, kShownMax)), cut ? "...\"" : "\"");
}

}  // namespace mxtally

#endif  // MXTALLY_SERVER_GRPC_STATUS_QUOTED_H_
