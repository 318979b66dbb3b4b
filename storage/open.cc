#include "storage/open.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/audit.h"
#include "storage/sqlite/backup.h"
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

absl::StatusOr<std::vector<std::string>> AuditStore(const std::string& url) {
  if (absl::Status s = CheckStoreUrl(url); !s.ok()) return s;
  return sqlite::AuditSqlite(url.substr(kSqlite.size()));
}

absl::Status BackUpStore(const std::string& url, const std::string& to,
                         const BackupProgress& progress) {
  if (absl::Status s = CheckStoreUrl(url); !s.ok()) return s;
  return sqlite::BackUpSqlite(url.substr(kSqlite.size()), to, progress);
}

}  // namespace mxtally
