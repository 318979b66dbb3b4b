// One SMTP session as it is gathered: the record of session.proto as plain fields,
// whose memory serves one session after the other.

#ifndef MXTALLY_AGENT_SESSION_SESSION_H_
#define MXTALLY_AGENT_SESSION_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "agent/session/handshake_facts.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// Each field means what the one of the same name in session.proto does.
struct Session {
  struct Key {
    uint32_t key_version = 0;
    std::string host;
    absl::Time stamp;
    std::string tag;
    uint32_t ordinal = 0;
  };
  struct Rank {
    uint32_t parser_version = 0;
    uint32_t lines_used = 0;
  };
  struct Tls {
    v1::TlsState state = v1::TLS_STATE_UNSPECIFIED;
    v1::TlsEvidence evidence = v1::TLS_EVIDENCE_UNSPECIFIED;
    // Null: no line tells.
    std::shared_ptr<const HandshakeFacts> facts;
    std::string sni;
    v1::TlsFailure failure = v1::TLS_FAILURE_UNSPECIFIED;
    std::optional<int> alert;
    std::string failure_reason;
  };
  struct Peer {
    std::string address;
    std::string name;
    int port = 0;
    std::string helo;
  };
  struct CommandCount {
    static constexpr size_t kBytesMax = 16;

    std::string_view command() const { return {bytes, size}; }

    char bytes[kBytesMax];
    uint8_t size = 0;
    int accepted = 0;
    int total = 0;
  };

  Key key;
  Rank rank;
  v1::Direction direction = v1::DIRECTION_UNSPECIFIED;
  std::string service;
  v1::PeerClass peer_class = v1::PEER_CLASS_UNSPECIFIED;
  uint64_t exclusion_list_hash = 0;
  Tls tls;
  Peer peer;
  std::optional<absl::Time> estimated_start_time;
  std::optional<absl::Time> end_time;
  v1::EndReason end_reason = v1::END_REASON_UNSPECIFIED;
  std::string end_place;
  int messages = 0;
  int rejects = 0;
  int auth_accepted = 0;
  int auth_failed = 0;
  std::string auth_mechanism;
  std::vector<CommandCount> commands;
  std::vector<std::string> queue_ids;
  std::string original_queue_id;
  int limit_warnings = 0;

  // Back to nothing; memory is kept.
  void Clear();
};

// Sets the name, of which it takes the bytes that there is room for.
void SetCommand(std::string_view command, Session::CommandCount& count);

// Writes every field that a Session has, whatever `record` held before; its memory is
// reused.  `key`, `rank`, `tls` and `peer` are present then, so that equal
// sessions make equal bytes.
void ToRecord(const Session& session, v1::SessionRecord& record);

// The other way.  The cipher suite is what this build knows by its name.
void FromRecord(const v1::SessionRecord& record, Session& session);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_SESSION_H_
