// Answers ListHosts and GetHost requests.

#ifndef MXTALLY_SERVER_FLEET_HOST_LIST_H_
#define MXTALLY_SERVER_FLEET_HOST_LIST_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mxtally/v1/fleet.pb.h"
#include "storage/store.h"

namespace mxtally {

// Whether the stream of a host's agent is open.
using IsConnected = std::function<bool(const std::string&)>;

// Safe to call from any thread.  `guard` stops them.
//
// A host is silent when it was not heard of for a minute, and read up to now
// when its watermark is at most a minute old.  What its log shows (such as
// TLS_NOT_LOGGED) is judged by the last 24 hours.  Retired hosts are listed, but
// not expected.
//   INVALID_ARGUMENT  too many names
// and the errors of `guard` and `store`.
absl::StatusOr<v1::ListHostsResponse> AnswerListHosts(const Store& store,
                                                      const v1::ListHostsRequest& request,
                                                      absl::Time now, const IsConnected& connected,
                                                      const QueryGuard& guard);

//   NOT_FOUND  no host of that name
absl::StatusOr<v1::GetHostResponse> AnswerGetHost(const Store& store,
                                                  const v1::GetHostRequest& request, absl::Time now,
                                                  const IsConnected& connected,
                                                  const QueryGuard& guard);

// Of a request that names no host, or one that there is not.
absl::Status NoHostNamed();
absl::Status UnknownHost(const std::string& name);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_FLEET_HOST_LIST_H_
