#include "server/fleet/fleet_service.h"

#include <utility>

namespace mxtally {

FleetService::FleetService(const Store& store, FleetServiceOptions options)
    : store_(store),
      now_(std::move(options.now)),
      connected_(std::move(options.connected)),
      pool_(options.pool) {}

grpc::ServerUnaryReactor* FleetService::ListHosts(grpc::CallbackServerContext* context,
                                                  const v1::ListHostsRequest*,
                                                  v1::ListHostsResponse*) {
  return pool_.Run(context, [this](const QueryGuard& guard) {
    return store_.QueryCoverage({}, now_(), now_(), guard).status();
  });
}

}  // namespace mxtally
