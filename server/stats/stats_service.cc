#include "server/stats/stats_service.h"

#include <utility>

#include "absl/status/statusor.h"
#include "server/stats/tls_stats.h"

namespace mxtally {

StatsService::StatsService(const Store& store, StatsServiceOptions options)
    : store_(store), now_(std::move(options.now)), pool_(options.pool) {}

grpc::ServerUnaryReactor* StatsService::GetTlsStats(grpc::CallbackServerContext* context,
                                                    const v1::GetTlsStatsRequest* request,
                                                    v1::GetTlsStatsResponse* response) {
  return pool_.Run(context, [this, request, response](const QueryGuard& guard) -> absl::Status {
    absl::StatusOr<v1::GetTlsStatsResponse> answer =
        AnswerTlsStats(store_, *request, now_(), guard);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    return absl::OkStatus();
  });
}

}  // namespace mxtally
