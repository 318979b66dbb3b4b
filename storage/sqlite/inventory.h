// Hosts and how far they were read.

#ifndef MXTALLY_STORAGE_SQLITE_INVENTORY_H_
#define MXTALLY_STORAGE_SQLITE_INVENTORY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sqlite/connection.h"
#include "storage/store.h"

namespace mxtally::sqlite {

// As the methods of Store.  `db` is a reader's.
absl::StatusOr<std::vector<v1::StoredCut>> StoredCuts(Connection& db, const std::string& host);
absl::StatusOr<std::vector<HostCoverage>> QueryCoverage(Connection& db,
                                                        const std::vector<std::string>& hosts,
                                                        absl::Time start, absl::Time end);
absl::StatusOr<v1::SourceKind> SourceKindOf(Connection& db, const std::string& host);
absl::StatusOr<std::vector<absl::CivilDay>> SealedDays(Connection& db, const std::string& host);
absl::StatusOr<std::vector<v1::Host>> ListHosts(Connection& db,
                                                const std::vector<std::string>& hosts);

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_INVENTORY_H_
