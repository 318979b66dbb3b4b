#include "server/stats/stats_service.h"

#include <utility>

namespace mxtally {

StatsService::StatsService(const Store& store, StatsServiceOptions options)
    : store_(store), now_(std::move(options.now)), pool_(options.pool) {}

grpc::ServerUnaryReactor* StatsService::GetTlsStats(grpc::CallbackServerContext* context,
                                                    const v1::GetTlsStatsRequest*,
                                                    v1::GetTlsStatsResponse*) {
  return pool_.Run(context, [this](const QueryGuard& guard) {
    return store_.QueryCoverage({}, now_(), now_(), guard).status();
  });
}

}  // namespace mxtally
