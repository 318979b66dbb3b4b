#include "server/fleet/fleet_service.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"
#include "server/fleet/host_list.h"

namespace mxtally {

FleetService::FleetService(const Store& store, FleetServiceOptions options)
    : store_(store), options_(std::move(options)), pool_(options_.pool) {}

grpc::ServerUnaryReactor* FleetService::ListHosts(grpc::CallbackServerContext* context,
                                                  const v1::ListHostsRequest* request,
                                                  v1::ListHostsResponse* response) {
  return pool_.Run(context, [this, request, response](const QueryGuard& guard) -> absl::Status {
    absl::StatusOr<v1::ListHostsResponse> answer =
        AnswerListHosts(store_, *request, options_.now(), options_.connected, guard);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    for (v1::Host& host : *response->mutable_hosts()) AddStreams(host);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* FleetService::GetHost(grpc::CallbackServerContext* context,
                                                const v1::GetHostRequest* request,
                                                v1::GetHostResponse* response) {
  return pool_.Run(context, [this, request, response](const QueryGuard& guard) -> absl::Status {
    absl::StatusOr<v1::GetHostResponse> answer =
        AnswerGetHost(store_, *request, options_.now(), options_.connected, guard);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    AddStreams(*response->mutable_host());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* FleetService::RetireHost(grpc::CallbackServerContext* context,
                                                   const v1::RetireHostRequest* request,
                                                   v1::RetireHostResponse* response) {
  return pool_.Run(context, [this, request, response](const QueryGuard&) -> absl::Status {
    absl::StatusOr<v1::RetireHostResponse> answer = Retire(*request);
    if (!answer.ok()) return answer.status();
    *response = *std::move(answer);
    return absl::OkStatus();
  });
}

void FleetService::AddStreams(v1::Host& host) const {
  for (v1::HostFinding& finding : options_.stream_findings(host.host())) {
    *host.add_findings() = std::move(finding);
  }
  if (const std::optional<absl::Time> expires = options_.certificate_expires(host.host())) {
    host.mutable_certificate_expiry_time()->set_seconds(absl::ToUnixSeconds(*expires));
  }
}

absl::StatusOr<v1::RetireHostResponse> FleetService::Retire(
    const v1::RetireHostRequest& request) const {
  const std::string host = absl::AsciiStrToLower(request.host());
  if (host.empty()) return NoHostNamed();
  const absl::Time now = options_.now();
  absl::Time time = now;
  if (request.has_retired_time()) {
    time = GetTimestamp(request.retired_time());
  }
  if (time > now) {
    return absl::InvalidArgumentError(
        absl::StrCat("retired_time: expected a time up to now, found ", UtcText(time)));
  }
  if (options_.listed(host)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "host ", host, " is in the list of --expected-hosts: take it out there first"));
  }
  if (options_.connected(host)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the agent of host ", host, " is connected: stop it first"));
  }
  const absl::StatusOr<absl::Time> retired = options_.retire(host, time);
  if (absl::IsNotFound(retired.status())) return UnknownHost(host);
  if (absl::IsInvalidArgument(retired.status())) {
    return absl::InvalidArgumentError(absl::StrCat("retired_time: ", retired.status().message()));
  }
  if (!retired.ok()) return retired.status();
  v1::RetireHostResponse response;
  const int64_t seconds = absl::ToUnixSeconds(*retired);
  response.mutable_retired_time()->set_seconds(seconds);
  response.mutable_retired_time()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(*retired - absl::FromUnixSeconds(seconds))));
  return response;
}

}  // namespace mxtally
