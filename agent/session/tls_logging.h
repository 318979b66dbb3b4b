// Which clients of a log show TLS.
//
// Postfix's smtp and lmtp log nothing of a TLS connection that succeeds while their
// smtp_tls_loglevel is 0, which is the default.  So a delivery without such a line was
// made without TLS only if lines of the same client tell of others' TLS.  The client is
// the program of one instance, as settings of main.cf are: its services count
// as one.
//
// A reading that began earlier knows more, never less.

#ifndef MXTALLY_AGENT_SESSION_TLS_LOGGING_H_
#define MXTALLY_AGENT_SESSION_TLS_LOGGING_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/session/name_hash.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

// One thread only.
class TlsLoggingTable {
 public:
  // Beyond `clients_max` the one that was silent for longest is forgotten.
  explicit TlsLoggingTable(int clients_max) : clients_max_(clients_max) {}

  // A line of `tag` told of a TLS connection.  Tags may be without their process id, and
  // must be where they are not in the form of keys (agent/session/text.h).
  void Add(std::string_view host, std::string_view tag, absl::Time time);
  // Whether one of the same client did, at `since` or later.
  bool Shows(std::string_view host, std::string_view tag, absl::Time since);

  void Save(google::protobuf::RepeatedPtrField<agent::v1::TlsLogging>& saved) const;
  void Restore(const google::protobuf::RepeatedPtrField<agent::v1::TlsLogging>& saved);

 private:
  // Valid until the next call.
  std::string_view ClientName(std::string_view host, std::string_view tag);

  const int clients_max_;
  NameMap<absl::Time> clients_;
  // Of ClientName(): most lines are of the client of the one before.
  std::string host_, program_, name_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_TLS_LOGGING_H_
