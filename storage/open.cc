#include "storage/open.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/sqlite_store.h"

namespace mxtally {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

absl::Status CheckStoreUrl(const std::string& url) {
  if (url.starts_with(kSqlite) && url.size() > kSqlite.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("expected sqlite:PATH, found \"", url, "\""));
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  if (absl::Status s = CheckStoreUrl(options.url); !s.ok()) return s;
  return OpenSqliteStore(options.url.substr(kSqlite.size()), options);
}

}  // namespace mxtally
