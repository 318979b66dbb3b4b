// The one place where a status of ours becomes one of gRPC's.

#ifndef MXTALLY_SERVER_GRPC_STATUS_GRPC_STATUS_H_
#define MXTALLY_SERVER_GRPC_STATUS_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace mxtally {

// Same code, same message; the message is cut at 1 KiB, because gRPC sends it
// as a header, and clients refuse calls whose headers exceed 8 KiB.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_GRPC_STATUS_GRPC_STATUS_H_
