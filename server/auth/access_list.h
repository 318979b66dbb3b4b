// Who is a reader, an operator or a collector: a file, one of them a line.
//
//     # role    by           name                    SHA-256 of the token, or hosts
//     reader    certificate  grafana.example.net
//     operator  certificate  alice@example.net
//     collector certificate  loghost.example.net     mx1 mx2 *.dmz.example.net
//     reader    token        dashboard
//     2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b
//
// A collector may have several lines, and hosts as HostPatterns has them.
// A certificate is named by one of its subject alternative names: DNS name, mail
// address or URI.  A token's name is for people.  Fields are separated by blanks; what
// follows a # at the beginning of a line is a comment.
//
// Certificates that are not listed are agents'.  Const methods from any thread.

#ifndef MXTALLY_SERVER_AUTH_ACCESS_LIST_H_
#define MXTALLY_SERVER_AUTH_ACCESS_LIST_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/tls/certificate.h"
#include "server/auth/host_patterns.h"
#include "server/auth/roles.h"

namespace mxtally {

class AccessList {
 public:
  // Lists nobody.
  AccessList() = default;

  bool operator==(const AccessList&) const = default;

  // `path` is named in messages, with the line, what was expected and what was found.
  //   INVALID_ARGUMENT
  static absl::StatusOr<AccessList> Parse(const std::string& path, absl::string_view text);

  // The same of a file of at most 4 MiB.
  //   INVALID_ARGUMENT, and the errors of reading it
  static absl::StatusOr<AccessList> Read(const std::string& path);

  struct Entry {
    Role role = Role::kNone;
    HostPatterns hosts = {};  // Of a collector.
    bool operator==(const Entry&) const = default;
  };
  // That of a certificate with one of the listed names; the one of the higher
  // role when it has several.
  std::optional<Entry> OfCertificate(const Certificate& certificate) const;

  struct Token {
    std::string name;
    Role role = Role::kNone;
    bool operator==(const Token&) const = default;
  };
  // By the token itself.
  std::optional<Token> OfToken(absl::string_view token) const;

 private:
  absl::Status AddCertificate(const std::string& path, int line, Role role,
                              const std::vector<absl::string_view>& words);

  absl::flat_hash_map<std::string, Entry> certificates_;  // DNS names in lower case.
  absl::flat_hash_map<std::string, Token> tokens_;        // By hash, in lower-case hex.
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_AUTH_ACCESS_LIST_H_
