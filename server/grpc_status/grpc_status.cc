#include "server/grpc_status/grpc_status.h"

#include <string>

#include "absl/strings/string_view.h"

namespace mxtally {
namespace {

constexpr size_t kMessageBytesMax = 1024;

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::string_view message = status.message();
  // Both sides use the canonical codes, number for number.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(message.substr(0, kMessageBytesMax)));
}

}  // namespace mxtally
