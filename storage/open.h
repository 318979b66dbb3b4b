// Opens a store by its URL.

#ifndef MXTALLY_STORAGE_OPEN_H_
#define MXTALLY_STORAGE_OPEN_H_

#include <memory>
#include <string>

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

}  // namespace mxtally

#endif  // MXTALLY_STORAGE_OPEN_H_
