#include "storage/sqlite/schema.h"

#include <iterator>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/migrations.h"

namespace mxtally::sqlite {

namespace {

int64_t SingleInt(Connection& db, const char* sql) {
  Statement statement(db, sql);
  statement.Query();
  return statement.Step() ? statement.Int(0) : 0;
}

std::string RandomId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&id, absl::Hex(device(), absl::kZeroPad8));
  return id;
}

void Create(Connection& db, absl::Time now) {
  db.Exec(absl::StrCat("PRAGMA application_id = ", kApplicationId).c_str());
  Statement identity(db, "INSERT INTO database_identity (database_id, created_ns) VALUES (?1, ?2)");
  identity.Run(RandomId(), absl::ToUnixNanos(now));
}

}  // namespace

int SchemaVersion() { return static_cast<int>(std::size(kMigrations)); }

absl::Status CheckVersion(Connection& db) {
  const int64_t application_id = SingleInt(db, "PRAGMA application_id");
  const int64_t version = SingleInt(db, "PRAGMA user_version");
  const bool empty = SingleInt(db, "SELECT count(*) FROM sqlite_schema") == 0;
  if (!db.ok()) return db.TakeStatus();

  const bool is_new = empty && application_id == 0 && version == 0;
  if (!is_new && application_id != kApplicationId) {
    return absl::FailedPreconditionError("not a mxtally database");
  }
  if (version > SchemaVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat("made by a newer release: its schema has version ", version,
                     ", this release knows up to ", SchemaVersion()));
  }
  return absl::OkStatus();
}

absl::Status Migrate(Connection& db, absl::Time now) {
  const int64_t version = SingleInt(db, "PRAGMA user_version");
  for (auto step = static_cast<int>(version); step < SchemaVersion(); ++step) {
    Transaction transaction(db, Transaction::kWrite);
    db.Exec(std::string(kMigrations[step]).c_str());
    db.Exec(absl::StrCat("PRAGMA user_version = ", step + 1).c_str());
    if (step == 0) Create(db, now);
    if (absl::Status s = transaction.Commit(); !s.ok()) {
      return absl::Status(s.code(), absl::StrCat("migration ", step + 1, ": ", s.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace mxtally::sqlite
