#include "agent/session/take_event.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "agent/parser/fields.h"
#include "agent/session/bounds.h"
#include "agent/session/take_delivery.h"
#include "agent/session/text.h"

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

bool IsNumber(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// The last one wins: XCLIENT changes the peer in mid-session.  Up to Postfix
// 2.7 a "client=" line shows the peer that a proxy forwarded for, so it only
// serves where there is nothing better.  Nor has a server given up a port.
void TakePeer(const Event& event, Session::Peer& peer) {
  const bool knows_less =
      event.type == EventType::kQueueIdAssigned || event.type == EventType::kServerGivenUp;
  if (knows_less && !peer.address.empty()) return;
  // Most lines repeat it.
  if (event.peer.address == peer.address && event.peer.name == peer.name &&
      event.peer.port == peer.port) {
    return;
  }
  SetText(event.peer.address, kAddressMax, peer.address);
  SetLowerText(event.peer.name, kNameMax, peer.name);
  peer.port = event.peer.port;
}

void TakeTls(const TlsSummary& summary, Session::Tls& tls) {
  tls.facts = HandshakeFactsOf(summary);
  if (!summary.sni.empty()) SetLowerText(summary.sni, kNameMax, tls.sni);
}

v1::TlsFailure FailureOf(std::string_view reason) {
  if (reason == "lost connection") return v1::TLS_FAILURE_LOST_CONNECTION;
  if (reason == "Connection timed out") return v1::TLS_FAILURE_TIMEOUT;
  if (IsNumber(reason)) return v1::TLS_FAILURE_PROTOCOL;
  return v1::TLS_FAILURE_SYSTEM;
}

// Exim's words, GnuTLS's and OpenSSL's, of which some are told apart.
v1::TlsFailure FailureOfText(std::string_view text) {
  if (text == "timed out" || text == "The operation timed out") return v1::TLS_FAILURE_TIMEOUT;
  if (text == "TCP connection closed by peer" ||
      text == "The TLS connection was non-properly terminated." ||
      text.ends_with(":unexpected eof while reading") ||
      // OpenSSL has no error: before 3.0, that is how it names the end of the connection.
      text.starts_with("error:00000000:")) {
    return v1::TLS_FAILURE_LOST_CONNECTION;
  }
  if (text == "Error in the pull function." || text == "Error in the push function.") {
    return v1::TLS_FAILURE_SYSTEM;
  }
  if (text.find("alert") != std::string_view::npos) return v1::TLS_FAILURE_ALERT;
  return v1::TLS_FAILURE_PROTOCOL;
}

v1::TlsFailure FailureOfTlsError(const Event& event) {
  if (event.alert.has_value()) return v1::TLS_FAILURE_ALERT;
  if (event.tls_error == "unexpected eof while reading" ||
      event.tls_error == "Connection reset by peer" || event.tls_error == "No SSL error") {
    return v1::TLS_FAILURE_LOST_CONNECTION;
  }
  return v1::TLS_FAILURE_PROTOCOL;
}

// Ends the connection, in the handshake if none succeeded before.
void TakeTlsError(const Event& event, OpenSession& open) {
  if (open.facts.Has(kTlsEstablished)) return;
  open.facts.Add(kTlsFailed);
  Session::Tls& tls = open.fields.tls;
  tls.failure = FailureOfTlsError(event);
  tls.alert = event.alert;
  SetText(event.tls_error, kFailureReasonMax, tls.failure_reason);
}

void TakeTlsFailed(const Event& event, OpenSession& open) {
  if (!event.tls_error.empty()) {
    TakeTlsError(event, open);
    return;
  }
  open.facts.Add(kTlsFailed);
  Session::Tls& tls = open.fields.tls;
  if (event.unframed) {
    tls.failure = FailureOfText(event.reason);
    SetText(event.reason, kFailureReasonMax, tls.failure_reason);
    // Where TLS began with the connection, nothing follows.
    open.facts.Add(kRests);
  } else if (!event.reason.empty()) {
    tls.failure = FailureOf(event.reason);
  }
}

void TakeFailureReason(std::string_view reason, Session::Tls& tls) {
  if (tls.failure_reason.empty()) SetText(reason, kFailureReasonMax, tls.failure_reason);
}

// The library writes its whole error stack, the first entry says what happened.
void TakeTlsLibraryProblem(const Event& event, Session::Tls& tls) {
  TakeFailureReason(event.reason, tls);
  if (event.alert.has_value() && tls.failure == v1::TLS_FAILURE_PROTOCOL) {
    tls.failure = v1::TLS_FAILURE_ALERT;
    tls.alert = event.alert;
  }
}

void TakeAbnormalEnd(const Event& event, OpenSession& open) {
  if (event.reason == "lost connection") {
    open.fields.end_reason = v1::END_REASON_LOST_CONNECTION;
  } else if (event.reason == "timeout") {
    open.fields.end_reason = v1::END_REASON_TIMEOUT;
  } else if (event.reason == "too many errors") {
    open.fields.end_reason = v1::END_REASON_TOO_MANY_ERRORS;
  } else {
    return;
  }
  SetText(event.place, kPlaceMax, open.fields.end_place);
  const bool may_be_in_handshake =
      open.facts.Has(kTlsSetup) && (event.place.empty() || event.place == "STARTTLS");
  if (event.place != "CONNECT" && !may_be_in_handshake) open.facts.Add(kActivity);
}

void AddCommandCount(const CommandCounter& counter, Session& session) {
  if (session.commands.size() >= kCommandsMax) return;
  Session::CommandCount& count = session.commands.emplace_back();
  if (IsPlainText(counter.command)) {
    SetCommand(counter.command, count);
  } else {
    std::string command;
    SetText(counter.command, kCommandMax, command);
    SetCommand(command, count);
  }
  count.accepted = counter.accepted;
  count.total = counter.total;
}

void TakeCounters(const Event& event, OpenSession& open) {
  for (const CommandCounter& counter : event.counters) {
    AddCommandCount(counter, open.fields);
    if (Is(counter.command, "notes")) continue;
    if (counter.total > 0) open.facts.Add(kAnyCommand);
    if (Is(counter.command, "starttls")) {
      open.facts.Add(counter.accepted > 0 ? kStarttlsAccepted : kStarttlsFailed);
    } else if (Is(counter.command, "data")) {
      open.messages_by_counter = counter.accepted;
    } else if (Is(counter.command, "bdat")) {
      if (counter.accepted > 0) open.facts.Add(kBdat);
    } else if (Is(counter.command, "auth")) {
      open.fields.auth_accepted = counter.accepted;
      open.fields.auth_failed = std::max(counter.total - counter.accepted, 0);
    }
  }
}

void TakeDisconnect(const Event& event, OpenSession& open) {
  open.facts.Add(kDisconnected);
  if (event.has_counters) {
    open.facts.Add(kCounters);
    // Before Postfix 3.5 these are the counters of the session before, where HAProxy
    // did not say who the peer is.  Nobody gave a command here.
    const bool nobody = open.facts.Has(kNobody) && event.has_peer && event.peer.address.empty();
    if (!nobody) TakeCounters(event, open);
  }
  if (!event.reason.empty()) TakeAbnormalEnd(event, open);
  if (!event.tls_error.empty()) TakeTlsError(event, open);
}

void TakeClosed(const Event& event, OpenSession& open) {
  open.facts.Add(kClosed | kRests);
  TakeAbnormalEnd(event, open);
  if (!open.lost()) open.fields.end_reason = v1::END_REASON_DISCONNECT;
}

// The mechanism of a message that came in.
void TakeAuthOfMessage(const Event& event, Session& session) {
  if (event.auth_mechanism.empty()) return;
  SetText(event.auth_mechanism, kMechanismMax, session.auth_mechanism);
  session.auth_accepted = 1;
}

void TakeMessage(const Event& event, OpenSession& open) {
  if (!event.queue_id.empty()) {
    // A line for each recipient, up to OpenSMTPD 6.4.
    if (open.delivery_queue_id == event.queue_id) return;
    SetText(event.queue_id, kQueueIdMax, open.delivery_queue_id);
    std::vector<std::string>& ids = open.fields.queue_ids;
    if (ids.size() < kQueueIdsInRecordMax) ids.push_back(open.delivery_queue_id);
  }
  ++open.accepted_messages;
}

// The message of which the last line told was refused after all, a line for each recipient.
void TakeRefusal(const Event& event, OpenSession& open) {
  if (event.queue_id.empty() || open.delivery_queue_id != event.queue_id) return;
  open.delivery_queue_id.clear();
  --open.accepted_messages;
}

// What lines of any type may say beside what makes their type.
void TakeCommon(const Event& event, OpenSession& open) {
  Session& session = open.fields;
  if (event.has_peer) TakePeer(event, session.peer);
  if (!event.helo.empty()) SetText(event.helo, kNameMax, session.peer.helo);
  // Not each line names it.
  if (event.one_connection && !event.service.empty()) {
    SetServiceName(event.service, session.service);
  }
  if (event.connection_tls != DeliveryTls::kNotLogged) TakeFieldTls(event.connection_tls, open);
  if (!event.unframed) return;
  if (event.connection_tls == DeliveryTls::kEstablished && !event.tls.protocol.empty()) {
    TakeTls(event.tls, session.tls);
  }
  const bool first = session.rank.lines_used == 1;
  if (first) open.facts.Add(event.type == EventType::kConnect ? kFramed : kRests);
}

}  // namespace

void TakeEvent(absl::Time time, const Event& event, OpenSession& open) {
  Session& session = open.fields;
  open.last_time = time;
  ++session.rank.lines_used;
  if (!event.may_be_handed_on) open.facts.Remove(kMayBeHandedOn);
  TakeCommon(event, open);

  switch (event.type) {
    case EventType::kHandedOn:
      open.facts.Add(kHandedOn);
      break;
    case EventType::kConnecting:
      open.facts.Add(kConnecting);
      break;
    case EventType::kConnect:
      if (event.has_peer && event.peer.address.empty()) open.facts.Add(kNobody);
      break;
    case EventType::kDisconnect:
      TakeDisconnect(event, open);
      break;
    case EventType::kClosed:
      TakeClosed(event, open);
      break;
    case EventType::kAbnormalEnd:
      TakeAbnormalEnd(event, open);
      break;
    case EventType::kCertificateChecked:
      session.tls.facts = WithTrust(session.tls.facts.get(), event.tls.trust);
      break;
    case EventType::kTlsEstablished:
      open.facts.Add(kTlsEstablished);
      TakeTls(event.tls, session.tls);
      break;
    case EventType::kTlsRefusedAfterHandshake:
      open.facts.Add(kTlsEstablished);
      break;
    case EventType::kTlsSetup:
      open.facts.Add(kTlsSetup);
      open.facts.Remove(kActivity);
      break;
    case EventType::kTlsFailed:
      TakeTlsFailed(event, open);
      break;
    case EventType::kTlsLibraryProblem:
      TakeTlsLibraryProblem(event, session.tls);
      break;
    case EventType::kTlsReport:
      TakeFailureReason(event.reason, session.tls);
      break;
    case EventType::kTlsRefusedBeforeHandshake:
      open.facts.Add(kTlsRefused);
      break;
    case EventType::kQueueIdAssigned:
      open.facts.Add(kActivity);
      if (!event.original_queue_id.empty()) {
        SetText(event.original_queue_id, kQueueIdMax, session.original_queue_id);
      }
      TakeAuthOfMessage(event, session);
      break;
    case EventType::kTransaction:
      open.facts.Add(kActivity | kTransaction);
      TakeRefusal(event, open);
      break;
    case EventType::kMessageAccepted:
      open.facts.Add(event.one_connection ? kActivity | kTransaction : kActivity);
      TakeMessage(event, open);
      TakeAuthOfMessage(event, session);
      break;
    case EventType::kReject:
      open.facts.Add(kActivity);
      ++session.rejects;
      break;
    case EventType::kAuthAccepted:
      open.facts.Add(kActivity);
      ++session.auth_accepted;
      if (!event.auth_mechanism.empty()) {
        SetText(event.auth_mechanism, kMechanismMax, session.auth_mechanism);
      }
      break;
    case EventType::kAuthFailed:
      open.facts.Add(kActivity);
      ++session.auth_failed;
      break;
    case EventType::kLimit:
      ++session.limit_warnings;
      break;
    case EventType::kDelivery:
      TakeDelivery(time, event, open);
      break;
    case EventType::kServerGivenUp:
      TakeServerGivenUp(event, open);
      break;
    case EventType::kConnected:
    case EventType::kSessionNote:
    case EventType::kProcessDying:
    case EventType::kQueueIdActive:
    case EventType::kQueueIdCanceled:
    case EventType::kProcessDied:
    case EventType::kInstanceBoundary:
      break;
  }
  // An end does not tell that a connection came about, unless the server or TLS ended it.
  const bool nowhere =
      event.type == EventType::kConnecting ||
      (event.type == EventType::kDisconnect && !event.has_counters && event.tls_error.empty());
  if (!nowhere) open.facts.Remove(kConnecting);
}

void TakeServer(const Event& event, OpenSession& open) {
  open.fields.direction = v1::DIRECTION_OUTBOUND;
  open.facts.Add(kUncertain);
  if (event.has_peer) TakePeer(event, open.fields.peer);
}

}  // namespace mxtally
