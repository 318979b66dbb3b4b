// What one log line says, in the terms of every MTA.  Dialects make events,
// the assembler gathers them.  The views point into the line and live as long.

#ifndef MXTALLY_AGENT_PARSER_EVENT_H_
#define MXTALLY_AGENT_PARSER_EVENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace mxtally {

// "name[address]:port".  `name` is empty for "unknown"; `address` for
// "unknown[unknown]".
struct NamedAddress {
  std::string_view name;
  std::string_view address;
  int port = 0;
};

// The TLS summary line.  Empty views and zeros: not logged.
struct TlsSummary {
  // All of it but trust, "reused" and SNI, as logged; equal texts say the same.  Empty:
  // the fields below are not one text.
  std::string_view text;
  bool reused = false;
  bool resumed = false;
  std::string_view trust;  // "Anonymous", "Untrusted", "Trusted", "Verified", or empty.
  std::string_view sni;
  std::string_view protocol;
  std::string_view cipher;
  int bits_used = 0;
  int bits_algorithm = 0;
  // As logged: "X25519", or name and parameter: "ECDHE" + "P-256", "DHE" + "2048 bits".
  std::string_view kex;
  std::string_view kex_parameter;
  std::string_view server_signature;
  std::string_view server_signature_key;  // Text within the parentheses.
  std::string_view server_digest;
  std::string_view client_signature;
  std::string_view client_signature_key;
  std::string_view client_digest;
};

// What a field of the line says of the connection: `tls=` of Postfix 3.11, Exim's X= and P=.
enum class DeliveryTls {
  kNotLogged,
  kEstablished,
  kPlaintext,
  kFailed,
  // The line shows that nobody knows.
  kUnknown,
  // What the log would show of a TLS connection is missing.
  kNotShown,
};

// Why a connection that this host made was given up.
enum class DeliveryTrouble {
  kNone,
  // Of another kind: the connection may serve other recipients.
  kOther,
  kLostConnection,
  kTimeout,
  // The server's greeting, or its answer to EHLO, was a refusal.
  kRefusedToTalk,
  kHandshakeFailed,
  // TLS was required; the server did not offer it,
  kTlsNotOffered,
  // or refused STARTTLS, or this host has no TLS to offer.
  kTlsRefused,
  // The handshake succeeded, the certificate was not what the policy demands.
  kCertificateRefused,
};

// What a line says of delivering a message over a connection that this host made.
struct MailDelivery {
  // Deliveries over this connection so far, this one included.  0: nobody knows how many.
  int connection_uses = 1;
  // Of a message that another line told of.
  bool further_recipient = false;
  // The same for all recipients of one request: time before the queue manager and
  // in it, as logged, "0.04/0.13", and that of the connection's set-up, "0.2".
  std::string_view queue_delays;
  std::string_view setup_delay;
  // Most that can have passed since the connection was made.  Negative: not known.
  double connection_age_seconds = -1;
  // Connection set-up and transmission, as logged.  Negative: not known.
  double connection_seconds = -1;
  bool sent = false;
  DeliveryTls tls = DeliveryTls::kNotLogged;
  DeliveryTrouble trouble = DeliveryTrouble::kNone;
};

// `rcpt=1/3`: accepted 1, total 3.  The command is of the line, or "data" where a line counts
// messages without the word.
struct CommandCounter {
  std::string_view command;
  int accepted = 0;
  int total = 0;
};

enum class EventType {
  // A session of this tag begins.
  kConnect,
  // The connection goes to another service, whose lines make it a session.
  kHandedOn,
  // This host tries to make a connection: a session if anything comes of it, of which
  // kConnected is the first sign.
  kConnecting,
  kConnected,
  // It ends.  `counters` are filled when the line has any (Postfix 3.0).  `reason` is
  // what it is for kAbnormalEnd, or empty; `tls_error`, `alert`.
  kDisconnect,
  // A finished handshake, with `tls`.
  kTlsEstablished,
  // TLS is about to begin (Postfix 2.x; tlsproxy).
  kTlsSetup,
  // A failed handshake: `reason` is "-1", "lost connection", a system error, or empty; of
  // Exim the TLS library's text.
  kTlsFailed,
  // What the MTA found of the peer's certificate: `tls` holds `trust` alone.
  kCertificateChecked,
  // An error of the TLS library; belongs to the open session of this tag, if
  // any.  `reason` is the library's text, `alert` the peer's alert number.
  kTlsLibraryProblem,
  // The handshake succeeded and the MTA's policy ended the session.
  kTlsRefusedAfterHandshake,
  // STARTTLS or the wrapper-mode handshake was refused before it began.
  kTlsRefusedBeforeHandshake,
  // The session ends abnormally: `reason` is "lost connection", "timeout" or
  // "too many errors", `place` the command.
  kAbnormalEnd,
  // A message transaction got a queue file: `queue_id`, or empty for NOQUEUE.
  kQueueIdAssigned,
  // Another process (qmgr) confirms that the message was accepted: `queue_id`.
  kQueueIdActive,
  // Another process (cleanup) says that the transaction was given up: `queue_id`.
  kQueueIdCanceled,
  // A message transaction ended without a message: no recipient was accepted, the client
  // gave it up, or the message was refused of whose `queue_id` kMessageAccepted told.
  kTransaction,
  // A message was accepted, by a before-queue filter say, or with a queue id that
  // needs no confirmation.
  kMessageAccepted,
  // A command or a message was rejected.  `place`; `helo`.
  kReject,
  // SASL authentication succeeded, or failed.
  kAuthAccepted,
  kAuthFailed,
  // A limit of the MTA was hit, such as the connection rate.
  kLimit,
  // The connection ended: `reason` as of kAbnormalEnd, or empty.  One line more may tell
  // of it, which is kDisconnect.
  kClosed,
  // A recipient's delivery over a connection ended, well or not: `queue_id`,
  // `delivery`, `place` with kLostConnection and kTimeout.
  kDelivery,
  // Delivery to this server failed and another is tried: the same fields.
  kServerGivenUp,
  // A TLSRPT result of a handshake that failed: `reason`.
  kTlsReport,
  // Something else that belongs to a session and changes nothing but its line
  // count, such as "improper command pipelining".
  kSessionNote,
  // This process is about to die: "fatal: ", "panic: ".
  kProcessDying,
  // The master reports that process `pid` of `program_name` died.
  kProcessDied,
  // The instance starts or stops: no session of it is open any more.
  // `version` is filled at a start.
  kInstanceBoundary,
};

struct Event {
  EventType type = EventType::kSessionNote;
  NamedAddress peer;
  bool has_peer = false;
  // Of a connection that this host makes.  Without `connection` the line begins a
  // session, or goes on with one, by rules of its own (agent/session/assembler.h).
  bool outbound = false;
  // Which connection of this host's MTA, where a process serves several at a time or
  // several processes serve one: a session id, or the peer's address and port.  Empty:
  // the only one of the process that wrote the line.
  std::string_view connection;
  // Of an MTA whose log need not tell where a connection begins and ends: rules of their
  // own say which lines are one session's (agent/session/assembler.h).
  bool unframed = false;
  // Of `unframed` lines.  The connection's TLS; with kEstablished `tls` is filled.
  DeliveryTls connection_tls = DeliveryTls::kNotLogged;
  // Most that can have passed since the connection was made.  Negative: not known.
  double connection_age_seconds = -1;
  // When the connection was made, or later: a whole second of UTC.
  std::optional<absl::Time> connection_time;
  // What lines of kConnect, and those that begin a session without it, know of the
  // service.  Empty, false: what the tag says.
  std::string_view service;
  bool implicit_tls = false;
  // Who wrote the line may still hand the connection on (kHandedOn, or in silence).
  bool may_be_handed_on = false;
  // The line is another process's than the session's own: it never begins one.
  bool only_continues = false;
  // The peer is a process of this host that came by no TCP connection.
  bool local = false;
  // The process that wrote the line serves one connection that came in, and ends with it,
  // of which there need not be a line.
  bool one_connection = false;

  TlsSummary tls;

  MailDelivery delivery;

  // kDisconnect: whether the line ends in "commands=", and the counters.
  bool has_counters = false;
  static constexpr size_t kCountersMax = 32;  // Those behind are not read.
  std::vector<CommandCounter> counters;

  std::string_view reason;
  // Why TLS ended the connection: in the handshake if none succeeded before.
  std::string_view tls_error;
  std::string_view place;
  std::string_view helo;
  std::string_view queue_id;
  std::string_view original_queue_id;
  std::string_view auth_mechanism;
  std::optional<int> alert;
  // kProcessDied: which.  Else the process whose line it is, where the header does not say.
  int64_t pid = -1;
  std::string_view program_name;  // kProcessDied: "smtpd"
  // kInstanceBoundary: "3.7.11" of Postfix, or of the MTA that `program_name` names.
  std::string_view version;

  // Back to nothing, but for `tls` and `delivery`, which who fills them clears.
  void Reset();
};

inline void Event::Reset() {
  type = EventType::kSessionNote;
  peer = {};
  has_peer = false;
  outbound = false;
  connection = {};
  unframed = false;
  connection_tls = DeliveryTls::kNotLogged;
  connection_age_seconds = -1;
  connection_time.reset();
  service = {};
  implicit_tls = false;
  may_be_handed_on = false;
  only_continues = false;
  local = false;
  one_connection = false;
  has_counters = false;
  counters.clear();
  reason = {};
  tls_error = {};
  place = {};
  helo = {};
  queue_id = {};
  original_queue_id = {};
  auth_mechanism = {};
  alert.reset();
  pid = -1;
  program_name = {};
  version = {};
}

// What a dialect says of a line.
enum class LineClass {
  kEvent,         // `event` is filled.
  kIgnored,       // Known to say nothing about a session.
  kUnrecognized,  // Of this MTA, should be understood, and is not.
  kNotMine,       // Another program's line.
};

// What the tag says about a session of this process.
struct SessionTag {
  // Syslog name of the MTA's instance, "postfix", "postfix-in".
  std::string_view instance;
  // "smtpd", "submission", "smtps", "submissions", or the operator's own name.
  std::string_view service;
  // TLS begins with the connection, judged by the service's conventional name.
  bool wrapper_mode = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_EVENT_H_
