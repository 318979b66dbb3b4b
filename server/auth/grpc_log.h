// The log lines of gRPC and protobuf themselves, which would otherwise go to
// standard error as often as anybody wants: a handshake that fails is a line.

#ifndef MXTALLY_SERVER_AUTH_GRPC_LOG_H_
#define MXTALLY_SERVER_AUTH_GRPC_LOG_H_

#include "server/auth/observer.h"

namespace mxtally {

// While it lives, such lines in this process go to `observer`, which must
// outlive it.  One at a time: of several the newest gets all.
class GrpcLog {
 public:
  explicit GrpcLog(AuthObserver& observer);
  ~GrpcLog();
  GrpcLog(const GrpcLog&) = delete;
  GrpcLog& operator=(const GrpcLog&) = delete;

 private:
  AuthObserver& observer_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_GRPC_LOG_H_
