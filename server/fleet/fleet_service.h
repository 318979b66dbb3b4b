// Answers v1.FleetService from a store.  Thread-safe.

#ifndef MXTALLY_SERVER_FLEET_FLEET_SERVICE_H_
#define MXTALLY_SERVER_FLEET_FLEET_SERVICE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
  // What is to be said of the streams of this host.  Called from any thread.
  std::function<std::vector<v1::HostFinding>(const std::string&)> stream_findings =
      [](const std::string&) { return std::vector<v1::HostFinding>(); };
  // Whether the host is in the list of expected hosts.  Called from any thread.
  std::function<bool(const std::string&)> listed = [](const std::string&) { return false; };

  // Store::RetireHost, on the thread that writes.  Called from any thread.
  std::function<absl::StatusOr<absl::Time>(const std::string& host, absl::Time time)> retire =
      [](const std::string&, absl::Time) { return absl::UnimplementedError("read only"); };

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

  grpc::ServerUnaryReactor* GetHost(grpc::CallbackServerContext* context,
                                    const v1::GetHostRequest* request,
                                    v1::GetHostResponse* response) override;

  grpc::ServerUnaryReactor* RetireHost(grpc::CallbackServerContext* context,
                                       const v1::RetireHostRequest* request,
                                       v1::RetireHostResponse* response) override;

 private:
  absl::StatusOr<v1::RetireHostResponse> Retire(const v1::RetireHostRequest& request) const;
  // What is known of its streams.
  void AddStreams(v1::Host& host) const;

  const Store& store_;
  const FleetServiceOptions options_;
  QueryPool pool_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_FLEET_FLEET_SERVICE_H_
