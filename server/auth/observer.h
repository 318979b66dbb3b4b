// What auth has to tell besides its answers: counters and log lines for main,
// evidence for tests.

#ifndef MXTALLY_SERVER_AUTH_OBSERVER_H_
#define MXTALLY_SERVER_AUTH_OBSERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mxtally {

enum class DenialReason {
  kNoIdentity,   // Neither certificate nor token.
  kToken,        // Unknown, not a bearer token, or sent without encryption.
  kCertificate,  // Expired, not valid yet, or not to be read.
  kRole,         // The caller is known and may not call this.
  kHost,         // An agent's stream for a host that is not its own, or listed for it.
};
inline constexpr int kDenialReasonCount = 5;

// "no_identity", "token", ...
absl::string_view DenialReasonName(DenialReason reason);

struct Denial {
  DenialReason reason = DenialReason::kNoIdentity;
  std::string caller;   // Printable.
  std::string method;   // Printable; "/package.Service/Method".
  absl::Status status;  // As the caller gets it.
};

// Called from several threads at once, never under a lock.  Must not block.
class AuthObserver {
 public:
  virtual ~AuthObserver() = default;

  virtual void OnDenied(const Denial& /*denial*/) {}

  // A TLS handshake failed: the client's certificate is of another authority,
  // expired or not valid yet, the client speaks no TLS, or it did not like ours.
  // `why` is in gRPC's words.
  virtual void OnHandshakeFailed(const std::string& /*why*/) {}

  // Anything else that gRPC, or protobuf, logs as an error.
  virtual void OnGrpcTrouble(const std::string& /*what*/) {}

  // A watched file was replaced and is used from now on (OK), or cannot be used;
  // what was read before stays in use.  Once for each change.
  virtual void OnFilesChanged(const absl::Status& /*status*/) {}
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_OBSERVER_H_
