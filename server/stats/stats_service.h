// Answers v1.StatsService from a store.  Thread-safe.

#ifndef MXTALLY_SERVER_STATS_STATS_SERVICE_H_
#define MXTALLY_SERVER_STATS_STATS_SERVICE_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mxtally/v1/stats.grpc.pb.h"
#include "server/query_pool/query_pool.h"
#include "storage/store.h"

namespace mxtally {

struct StatsServiceOptions {
  std::function<absl::Time()> now = absl::Now;

  // Workers, waiting calls and the time that a query may take.
  QueryPoolOptions pool = {};
};

class StatsService final : public v1::StatsService::CallbackService {
 public:
  // `store` must outlive the service, and the service the gRPC server that it
  // is registered with.
  explicit StatsService(const Store& store, StatsServiceOptions options = {});

  // Besides the errors that stats.proto names:
  //   RESOURCE_EXHAUSTED  too many calls are waiting: "server busy"
  grpc::ServerUnaryReactor* GetTlsStats(grpc::CallbackServerContext* context,
                                        const v1::GetTlsStatsRequest* request,
                                        v1::GetTlsStatsResponse* response) override;

 private:
  const Store& store_;
  const std::function<absl::Time()> now_;
  QueryPool pool_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_STATS_SERVICE_H_
