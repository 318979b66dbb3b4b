// A copy of a database that a server may be writing to.

#ifndef MXTALLY_STORAGE_SQLITE_BACKUP_H_
#define MXTALLY_STORAGE_SQLITE_BACKUP_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace mxtally::sqlite {

// As BackUpStore().
//
// SQLite's backup interface, from one read transaction: pages are copied as they
// are, which takes as long as reading the file.  VACUUM INTO would build every
// table anew, and so hold the transaction, and with it the WAL, several times
// as long.  The transaction is begun here: without one of its own the copy
// would begin again at each commit of the server and might never end.
absl::Status BackUpSqlite(const std::string& path, const std::string& to,
                          const std::function<void(double)>& progress);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_BACKUP_H_
