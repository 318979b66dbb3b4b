// Answers v1.FleetService from a store.  Thread-safe.

#ifndef MXTALLY_SERVER_FLEET_FLEET_SERVICE_H_
#define MXTALLY_SERVER_FLEET_FLEET_SERVICE_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mxtally/v1/fleet.grpc.pb.h"
#include "server/query_pool/query_pool.h"
#include "storage/store.h"

namespace mxtally {

struct FleetServiceOptions {
  std::function<absl::Time()> now = absl::Now;

  // Whether the stream of this host's agent is open.  Called from any thread.
  std::function<bool(const std::string&)> connected = [](const std::string&) { return false; };

  // When the certificate of this host's agent expires; nullopt: not connected, or
  // without one.  Called from any thread.
  std::function<std::optional<absl::Time>(const std::string&)> certificate_expires =
      [](const std::string&) { return std::nullopt; };

  // Workers, waiting calls and the time that a query may take.
  QueryPoolOptions pool = {};
};

class FleetService final : public v1::FleetService::CallbackService {
 public:
  // `store` must outlive the service, and the service the gRPC server that it
  // is registered with.
  explicit FleetService(const Store& store, FleetServiceOptions options = {});

  //   RESOURCE_EXHAUSTED  too many calls are waiting: "server busy"
  //   DEADLINE_EXCEEDED   the query took longer than the server permits
  grpc::ServerUnaryReactor* ListHosts(grpc::CallbackServerContext* context,
                                      const v1::ListHostsRequest* request,
                                      v1::ListHostsResponse* response) override;

 private:
  const Store& store_;
  const std::function<absl::Time()> now_;
  const std::function<bool(const std::string&)> connected_;
  const std::function<std::optional<absl::Time>(const std::string&)> certificate_expires_;
  QueryPool pool_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_FLEET_FLEET_SERVICE_H_
