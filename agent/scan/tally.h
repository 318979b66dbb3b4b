// Counts sessions for the report.

#ifndef MXTALLY_AGENT_SCAN_TALLY_H_
#define MXTALLY_AGENT_SCAN_TALLY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/session/name_hash.h"
#include "agent/session/session.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// A row of the report.  Fields that a table of rows does not have stay empty.
struct ReportRow {
  std::string name = {};
  std::string iana = {};  // Ciphers: empty when the name is not known.
  int64_t sessions = 0;
  // Services only; the second are those whose TLS state is known.
  int64_t tls_sessions = 0;
  int64_t known_sessions = 0;
};

// All rows: most frequent first, then by name.
struct DirectionReport {
  int64_t sessions = 0;
  int64_t tls_sessions = 0;
  int64_t plaintext_sessions = 0;
  int64_t failed_handshakes = 0;
  int64_t unknown_sessions = 0;
  int64_t open_sessions = 0;
  int64_t messages = 0;
  int64_t tls_messages = 0;
  // Messages of sessions whose TLS state is known: what `tls_messages` is a share of.
  int64_t messages_of_known = 0;
  // TLS sessions of which the log does not tell this.
  int64_t protocol_not_logged = 0;
  int64_t cipher_not_logged = 0;
  // Whether sessions are unknown because Postfix logs no TLS of what it sends.
  bool tls_not_logged = false;
  std::vector<ReportRow> by_service;
  std::vector<ReportRow> by_protocol;
  std::vector<ReportRow> by_cipher;
  std::vector<ReportRow> by_peer_class;  // Of all classes.

  // Sessions whose TLS state is known.
  int64_t known_sessions() const { return tls_sessions + plaintext_sessions + failed_handshakes; }
};

// read = parsed + ignored + unrecognized + oversized.
struct LineReport {
  int64_t read = 0;
  int64_t parsed = 0;
  int64_t ignored = 0;
  int64_t unrecognized = 0;
  int64_t oversized = 0;
  // Sessions that began before the log.
  int64_t cut_sessions = 0;
  // Sessions given up before their end, which are counted.
  int64_t evicted_sessions = 0;
  // Sessions found again, as in a second copy of the same lines; not counted.
  int64_t duplicate_sessions = 0;
};

struct ScanReport {
  DirectionReport inbound;
  DirectionReport outbound;
  LineReport lines;
  // First and last stamp read, within the bounds asked for.
  std::optional<absl::Time> start;
  std::optional<absl::Time> end;
  std::string peer_class;  // As asked for.
};

// Sessions of one direction.  One thread only.
class DirectionTally {
 public:
  void Add(const Session& session);
  // A session whose end was not read.
  void SetOpen(int64_t sessions) { totals_.open_sessions = sessions; }
  // A session of any class, for `by_peer_class`.
  void AddPeerClass(v1::PeerClass peer_class) { ++peer_classes_[peer_class]; }
  void MarkTlsNotLogged() { totals_.tls_not_logged = true; }
  DirectionReport Report() const;

 private:
  void AddTls(const Session::Tls& tls);

  struct Service {
    int64_t sessions = 0;
    int64_t tls_sessions = 0;
    int64_t known_sessions = 0;
  };
  struct Cipher {
    int64_t sessions = 0;
    const CipherSuite* suite = nullptr;  // Null when the name is not known.
  };

  DirectionReport totals_;
  // The labels are a host's services and what TLS libraries offer; peers choose
  // among these.
  NameMap<Service> services_;
  NameMap<int64_t> protocols_;
  NameMap<Cipher> ciphers_;  // By name as logged.
  absl::flat_hash_map<int, int64_t> peer_classes_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_TALLY_H_
