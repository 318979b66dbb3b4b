// Opens a store by its URL.

#ifndef MXTALLY_STORAGE_OPEN_H_
#define MXTALLY_STORAGE_OPEN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace mxtally {

// Opens the store that `options.url` names, and creates it when missing:
// "sqlite:PATH".
//   INVALID_ARGUMENT     no such kind of store
//   FAILED_PRECONDITION  made by a newer release, or not a mxtally database
//   DATA_LOSS            damaged
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options);

// Whether OpenStore() knows the kind of store that `url` names; opens nothing.
//   INVALID_ARGUMENT     it does not
absl::Status CheckStoreUrl(const std::string& url);

// Looks for damage: the structure, the rules between tables, a recount of every
// rollup.  Returns what is wrong, a sentence each; empty: the store is whole.
// May run beside a server, of which it sees the state at its beginning; the
// server's WAL is not cut meanwhile.  Changes nothing, and works on a read-only
// copy.
//   NOT_FOUND            no such store
//   FAILED_PRECONDITION  not a mxtally database, or of another release
//   UNAVAILABLE          locked by another program
absl::StatusOr<std::vector<std::string>> AuditStore(const std::string& url);

// Told now and then how much is done, from 0 to 1.
using BackupProgress = std::function<void(double)>;

// Copies the store's state at the beginning to a new file `to`.  May run beside
// a server, which goes on ingesting; its WAL is not cut meanwhile.  The file
// appears when it is whole and on the disk; until then it is called
// `to`.partial, and an end halfway leaves nothing else.
//   ALREADY_EXISTS       there is a file `to`
//   RESOURCE_EXHAUSTED   no room
//   and the errors of AuditStore()
absl::Status BackUpStore(const std::string& url, const std::string& to,
                         const BackupProgress& progress);

}  // namespace mxtally

#endif  // MXTALLY_STORAGE_OPEN_H_
