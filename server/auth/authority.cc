#include "server/auth/authority.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "proto/tls/certificate.h"

namespace mxtally {
namespace {

constexpr size_t kShownMax = 128;
constexpr size_t kHostsShownMax = 4;

// Whatever a caller chose, printable and bounded.
std::string Shown(absl::string_view text) { return absl::CHexEscape(text.substr(0, kShownMax)); }

std::string Quoted(absl::string_view text) { return absl::StrCat("\"", Shown(text), "\""); }

std::string HostList(const std::vector<std::string>& hosts) {
  if (hosts.empty()) return "no host, because the certificate has no DNS name";
  std::string text = absl::StrJoin(
      hosts.begin(), hosts.begin() + static_cast<int64_t>(std::min(hosts.size(), kHostsShownMax)),
      ", ", [](std::string* out, const std::string& host) { absl::StrAppend(out, Quoted(host)); });
  if (hosts.size() > kHostsShownMax) {
    absl::StrAppend(&text, " and ", hosts.size() - kHostsShownMax, " more");
  }
  return text;
}

}  // namespace

absl::string_view DenialReasonName(DenialReason reason) {
  switch (reason) {
    case DenialReason::kNoIdentity:
      return "no_identity";
    case DenialReason::kToken:
      return "token";
    case DenialReason::kCertificate:
      return "certificate";
    case DenialReason::kRole:
      return "role";
    case DenialReason::kHost:
      return "host";
  }
  return "?";
}

Authority::Authority(Transport transport, AuthObserver& observer, std::function<absl::Time()> now)
    : encrypted_(transport == Transport::kTls),
      observer_(observer),
      now_(std::move(now)),
      list_(std::make_shared<const AccessList>()) {}

std::string Authority::Unnamed(const Peer& peer) const {
  std::string text =
      encrypted_ ? "a caller without certificate and token" : "a caller without encryption";
  if (!peer.address.empty()) absl::StrAppend(&text, " at ", Shown(peer.address));
  if (!peer.user_agent.empty()) absl::StrAppend(&text, " (", Shown(peer.user_agent), ")");
  return text;
}

absl::Status Authority::Deny(DenialReason reason, absl::StatusCode code, const std::string& message,
                             const std::string& caller, absl::string_view method) {
  absl::Status status(code, message);
  observer_.OnDenied(
      {.reason = reason, .caller = caller, .method = Shown(method), .status = status});
  return status;
}

absl::StatusOr<Caller> Authority::Identify(const Peer& peer, absl::string_view method) {
  // A token that is wrong is an error, whatever the certificate would permit.
  if (!peer.authorization.empty()) return IdentifyToken(peer, method);
  if (!peer.certificate_pem.empty()) return IdentifyCertificate(peer, method);
  if (encrypted_) {
    return Deny(DenialReason::kNoIdentity, absl::StatusCode::kUnauthenticated,
                "expected a client certificate or a bearer token, found neither", Unnamed(peer),
                method);
  }
  Caller caller;
  caller.description = Unnamed(peer);
  caller.roles = Roles(Role::kAgent).With(Role::kReader);
  caller.any_host = true;
  return caller;
}

absl::StatusOr<Caller> Authority::IdentifyToken(const Peer& peer, absl::string_view method) {
  const auto deny = [&](const char* message) {
    return Deny(DenialReason::kToken, absl::StatusCode::kUnauthenticated, message, Unnamed(peer),
                method);
  };
  if (!encrypted_) {
    return deny(
        "expected a bearer token over TLS only, found one without encryption; others may have "
        "read it, so replace it");
  }
  absl::string_view token = peer.authorization;
  // The scheme's name has no case (RFC 9110, 11.1).
  if (!absl::StartsWithIgnoreCase(token, "bearer ")) {
    return deny("expected the header \"authorization: Bearer TOKEN\", found another scheme");
  }
  token.remove_prefix(7);
  const std::optional<AccessList::Token> known = list()->OfToken(absl::StripAsciiWhitespace(token));
  if (!known.has_value()) {
    return deny("expected a bearer token of the server's access list, found an unknown one");
  }
  Caller caller;
  caller.name = known->name;
  caller.description = absl::StrCat("token ", Quoted(known->name));
  caller.roles = Roles(known->role);
  return caller;
}

absl::StatusOr<Caller> Authority::IdentifyCertificate(const Peer& peer, absl::string_view method) {
  absl::StatusOr<Certificate> certificate = ParseCertificate(peer.certificate_pem);
  if (!certificate.ok()) {
    return Deny(DenialReason::kCertificate, absl::StatusCode::kUnauthenticated,
                "expected a certificate that can be read, found another", Unnamed(peer), method);
  }
  Caller caller;
  caller.name = certificate->name();
  caller.description = absl::StrCat("certificate ", Quoted(caller.name));
  caller.certificate_expires = certificate->not_after;
  // The handshake has checked that once; a connection may live longer.
  if (absl::Status valid = CheckValidity(*certificate, now_()); !valid.ok()) {
    return Deny(DenialReason::kCertificate, absl::StatusCode::kUnauthenticated,
                absl::StrCat(caller.description, " ", valid.message()), caller.description, method);
  }
  const std::optional<AccessList::Entry> listed = list()->OfCertificate(*certificate);
  caller.roles = Roles(listed.has_value() ? listed->role : Role::kAgent);
  if (listed.has_value()) caller.collected = listed->hosts;
  if (caller.roles.Has(Role::kAgent)) caller.hosts = std::move(certificate->dns_names);
  return caller;
}

absl::Status Authority::Check(const Peer& peer, absl::string_view method) {
  const Role required = RequiredRole(method);
  if (required == Role::kNone) return absl::OkStatus();
  absl::StatusOr<Caller> caller = Identify(peer, method);
  if (!caller.ok()) return caller.status();
  if (caller->roles.Has(required)) return absl::OkStatus();
  std::string message = absl::StrCat(Shown(absl::StripPrefix(method, "/")), ": expected the role ",
                                     RoleName(required), ", found ", caller->description, " with ",
                                     caller->roles.ToString());
  if (!encrypted_) absl::StrAppend(&message, "; operators need TLS");
  return Deny(DenialReason::kRole, absl::StatusCode::kPermissionDenied, message,
              caller->description, method);
}

absl::Status Authority::CheckHost(const Caller& caller, absl::string_view method,
                                  absl::string_view host, absl::string_view address) {
  if (caller.any_host ||
      std::find(caller.hosts.begin(), caller.hosts.end(), host) != caller.hosts.end()) {
    return absl::OkStatus();
  }
  return Deny(DenialReason::kHost, absl::StatusCode::kPermissionDenied,
              absl::StrCat("expected sessions of ", HostList(caller.hosts), " from ",
                           caller.description, ", found host ", Quoted(host)),
              absl::StrCat(caller.description, " at ", Shown(address)), method);
}

absl::StatusOr<HostPatterns> Authority::CheckCollector(const Caller& caller,
                                                       absl::string_view method,
                                                       absl::string_view address) {
  if (caller.any_host) {
    HostPatterns all;
    all.Add("*");
    return all;
  }
  if (caller.roles.Has(Role::kCollector)) return caller.collected;
  return Deny(DenialReason::kRole, absl::StatusCode::kPermissionDenied,
              absl::StrCat("hosts from the log: expected the role collector, which the server's "
                           "access list gives, found ",
                           caller.description, " with ", caller.roles.ToString()),
              absl::StrCat(caller.description, " at ", Shown(address)), method);
}

absl::Status Authority::CheckCollected(const Caller& caller, absl::string_view method,
                                       absl::string_view host, absl::string_view address) {
  if (caller.any_host || caller.collected.Contains(host)) return absl::OkStatus();
  return Deny(DenialReason::kHost, absl::StatusCode::kPermissionDenied,
              absl::StrCat("expected hosts that ", caller.description,
                           " is listed for as collector, found host ", Quoted(host)),
              absl::StrCat(caller.description, " at ", Shown(address)), method);
}

void Authority::Replace(AccessList list) {
  auto next = std::make_shared<const AccessList>(std::move(list));
  MutexLock lock(mutex_);
  list_.swap(next);
}

std::shared_ptr<const AccessList> Authority::list() const {
  MutexLock lock(mutex_);
  return list_;
}

}  // namespace mxtally
