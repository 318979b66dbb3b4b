// The one place that decides who is calling and what they may do.
//
// Callers are known by a client certificate, whose chain the handshake has
// checked, or by a bearer token.  Without encryption nobody can be known: every
// caller is agent and reader, and none is an operator.
//
// Thread-safe.

#ifndef MXTALLY_SERVER_AUTH_AUTHORITY_H_
#define MXTALLY_SERVER_AUTH_AUTHORITY_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"
#include "server/auth/access_list.h"
#include "server/auth/host_patterns.h"
#include "server/auth/observer.h"
#include "server/auth/roles.h"

namespace mxtally {

// What a connection and a call tell about the caller.
struct Peer {
  absl::string_view certificate_pem = {};  // Empty: none.
  absl::string_view authorization = {};    // Header of that name; empty: none.
  absl::string_view user_agent = {};       // As the caller has it.
  absl::string_view address = {};          // Empty where it is not known.
};

struct Caller {
  std::string description;  // For people: `certificate "mx1.example.net"`.
  std::string name;         // The certificate's or token's; empty without.
  Roles roles;

  // Hosts that an agent may write for; `any_host` without encryption.
  bool any_host = false;
  std::vector<std::string> hosts;

  // Those that a collector may write for beside these.
  HostPatterns collected;

  absl::Time certificate_expires = absl::InfiniteFuture();
};

class Authority {
 public:
  // Whether connections are encrypted is one answer for all of them.
  enum class Transport { kPlaintext, kTls };

  // `observer` must outlive the authority.
  Authority(Transport transport, AuthObserver& observer,
            std::function<absl::Time()> now = absl::Now);

  // Who it is.
  //   UNAUTHENTICATED  what was expected and found
  absl::StatusOr<Caller> Identify(const Peer& peer, absl::string_view method);

  // Whether `peer` may call `method`, a path "/package.Service/Method".
  //   UNAUTHENTICATED, PERMISSION_DENIED  what was expected and found
  absl::Status Check(const Peer& peer, absl::string_view method);

  // Whether `caller`, who called `method`, may write for `host`.
  //   PERMISSION_DENIED  what was expected and found
  absl::Status CheckHost(const Caller& caller, absl::string_view method, absl::string_view host,
                         absl::string_view address);

  // The hosts that `caller`, who called `method`, may write for where its logs
  // name them, beside its own.
  //   PERMISSION_DENIED  what was expected and found
  absl::StatusOr<HostPatterns> CheckCollector(const Caller& caller, absl::string_view method,
                                              absl::string_view address);

  // Whether it may for `host`, which is not its own.
  //   PERMISSION_DENIED  what was expected and found
  absl::Status CheckCollected(const Caller& caller, absl::string_view method,
                              absl::string_view host, absl::string_view address);

  // Is used from the next call on.
  void Replace(AccessList list);

 private:
  absl::StatusOr<Caller> IdentifyToken(const Peer& peer, absl::string_view method);
  absl::StatusOr<Caller> IdentifyCertificate(const Peer& peer, absl::string_view method);
  absl::Status Deny(DenialReason reason, absl::StatusCode code, const std::string& message,
                    const std::string& caller, absl::string_view method);
  std::shared_ptr<const AccessList> list() const;

  // What is known of a caller without a name.
  std::string Unnamed(const Peer& peer) const;

  const bool encrypted_;
  AuthObserver& observer_;
  const std::function<absl::Time()> now_;

  mutable Mutex mutex_;
  // Shared with the calls that are looking at it.
  std::shared_ptr<const AccessList> list_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_AUTHORITY_H_
