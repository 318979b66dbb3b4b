// Recounts every rollup.

#ifndef MXTALLY_STORAGE_SQLITE_VERIFY_H_
#define MXTALLY_STORAGE_SQLITE_VERIFY_H_

#include "absl/status/status.h"
#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {

// As Store::VerifyRollups: the host hours from the sessions, every other tier
// from the host hours, and the counters of hosts likewise.  Sorts all of them,
// in temporary files when they are many.  `db` is a reader's.
absl::Status VerifyRollups(Connection& db);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_VERIFY_H_
