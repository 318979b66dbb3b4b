// The authority as part of a gRPC server: every call, whatever its service, is
// put to it before a handler hears of the call.
//
// Made from gRPC's C interface (grpc_security.h), because that of C++ takes no
// processor of calls on a port without TLS, and because its certificate provider
// installs files that do not fit together, after which no connection succeeds
// until they do (grpc/grpc pull request 26709, never merged).

#ifndef MXTALLY_SERVER_AUTH_SERVER_CREDENTIALS_H_
#define MXTALLY_SERVER_AUTH_SERVER_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/auth/authority.h"
#include "server/auth/credential_watch.h"

namespace mxtally {

// For one port.  With `watch` TLS 1.2 or later, client certificates asked for
// and, where there is one, checked against the authorities; without, plaintext.
// Both must outlive the gRPC server.
std::shared_ptr<grpc::ServerCredentials> CreateServerCredentials(Authority& authority,
                                                                 const CredentialWatch* watch);

// Who opened this call.
//   the errors of Authority::Identify()
absl::StatusOr<Caller> IdentifyCaller(Authority& authority, const grpc::ServerContextBase& context,
                                      absl::string_view method);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_SERVER_CREDENTIALS_H_
