#include "server/fleet/fleet_service.h"

#include <utility>

#include "absl/status/statusor.h"
#include "server/fleet/host_list.h"

namespace mxtally {

FleetService::FleetService(const Store& store, FleetServiceOptions options)
    : store_(store),
      now_(std::move(options.now)),
      connected_(std::move(options.connected)),
      certificate_expires_(std::move(options.certificate_expires)),
      pool_(options.pool) {}

grpc::ServerUnaryReactor* FleetService::ListHosts(grpc::CallbackServerContext* context,
                                                  const v1::ListHostsRequest* request,
                                                  v1::ListHostsResponse* response) {
  return pool_.Run(context, [this, request, response](const QueryGuard& guard) -> absl::Status {
    absl::StatusOr<v1::ListHostsResponse> answer =
        AnswerListHosts(store_, *request, now_(), connected_, guard);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    for (v1::Host& host : *response->mutable_hosts()) {
      if (const std::optional<absl::Time> expires = certificate_expires_(host.host())) {
        host.mutable_certificate_expiry_time()->set_seconds(absl::ToUnixSeconds(*expires));
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace mxtally
