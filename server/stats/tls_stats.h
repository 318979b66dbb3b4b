// Answers one GetTlsStats request.

#ifndef MXTALLY_SERVER_STATS_TLS_STATS_H_
#define MXTALLY_SERVER_STATS_TLS_STATS_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mxtally/v1/stats.pb.h"
#include "storage/store.h"

namespace mxtally {

// Safe to call from any thread.  `guard` stops it.
//   INVALID_ARGUMENT  the message says which value is wrong and what would be
//                     right; or there are too many groups
// and the errors of `guard` and `store`.
absl::StatusOr<v1::GetTlsStatsResponse> AnswerTlsStats(const Store& store,
                                                       const v1::GetTlsStatsRequest& request,
                                                       absl::Time now, const QueryGuard& guard);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_TLS_STATS_H_
