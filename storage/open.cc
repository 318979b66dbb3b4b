#include "storage/open.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/sqlite_store.h"

namespace mxtally {

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (options.url.starts_with(kSqlite) && options.url.size() > kSqlite.size()) {
    return OpenSqliteStore(options.url.substr(kSqlite.size()), options);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("database \"", options.url, "\": expected sqlite:PATH"));
}

}  // namespace mxtally
