// `mxtally-server check --database` and `mxtally-server backup`.

#ifndef MXTALLY_SERVER_PROGRAM_DATABASE_COMMANDS_H_
#define MXTALLY_SERVER_PROGRAM_DATABASE_COMMANDS_H_

#include <ostream>
#include <string>

#include "absl/time/civil_time.h"

namespace mxtally {

struct AuditOptions {
  std::string database;
};

// Looks for damage; see AuditStore().  Returns the exit status:
//   0   the database is whole
//   1   it could not be looked at; `err` says why
//   3   it is damaged; `out` says how
int Audit(const AuditOptions& options, std::ostream& out, std::ostream& err);

struct BackupOptions {
  std::string database;
  std::string to;
  // Tell on `err` how far it is; for a terminal.
  bool show_progress = false;
};

// Copies the database; see BackUpStore().  Returns the exit status: 0, or 1
// after a failure that `err` tells.
int BackUp(const BackupOptions& options, std::ostream& out, std::ostream& err);

struct ReopenOptions {
  std::string database;
  std::string host;
  absl::CivilDay day;
};

// Store::ReopenDay.  A server that runs has the database locked.  Returns the
// exit status: 0; 1 it could not be.
int Reopen(const ReopenOptions& options, std::ostream& out, std::ostream& err);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_DATABASE_COMMANDS_H_
