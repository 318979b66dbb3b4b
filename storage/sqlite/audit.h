// Whether a database is whole: what SQLite can tell, the rules between tables,
// and a recount of every rollup.

#ifndef MXTALLY_STORAGE_SQLITE_AUDIT_H_
#define MXTALLY_STORAGE_SQLITE_AUDIT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {

// A reader for one look at a database that a server may be writing to, or that
// lies on a read-only medium, as copies do.
//   NOT_FOUND            no such file
//   FAILED_PRECONDITION  not a mxtally database, or of another release
absl::StatusOr<std::unique_ptr<Connection>> OpenForOneLook(const std::string& path);

// As AuditStore().
absl::StatusOr<std::vector<std::string>> AuditSqlite(const std::string& path);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_AUDIT_H_
