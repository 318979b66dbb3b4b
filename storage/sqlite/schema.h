// The schema's versions.  migrations/ holds one file for each step; steps are
// only ever added, and a database goes forward through those it lacks.
// PRAGMA user_version counts the steps done.

#ifndef MXTALLY_STORAGE_SQLITE_SCHEMA_H_
#define MXTALLY_STORAGE_SQLITE_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {

// PRAGMA application_id, "MXTa", as file(1) shows it.
inline constexpr int32_t kApplicationId = 0x4d585461;

// The newest version, which this release makes and needs.
int SchemaVersion();

// Whether this release can use the database.  Writes nothing.
//   FAILED_PRECONDITION  newer than this release, or another program's
absl::Status CheckVersion(Connection& db);

// Brings a checked database to SchemaVersion(); an empty one gets an identity.
// One transaction for each step.
absl::Status Migrate(Connection& db, absl::Time now);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_SCHEMA_H_
