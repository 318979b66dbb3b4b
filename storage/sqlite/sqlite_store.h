// The SQLite backend.  The schema is in migrations/ beside it.
//
// One connection writes and checkpoints the WAL; readers are read-only, bounded
// in time, and never checkpoint, which with SQLite before 3.51.3 also avoids
// the WAL-reset bug.

#ifndef MXTALLY_STORAGE_SQLITE_SQLITE_STORE_H_
#define MXTALLY_STORAGE_SQLITE_SQLITE_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace mxtally {

// Errors as OpenStore's.  `path` is a file; its folder must exist.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                                       const StoreOptions& options);

}  // namespace mxtally

#endif  // MXTALLY_STORAGE_SQLITE_SQLITE_STORE_H_
