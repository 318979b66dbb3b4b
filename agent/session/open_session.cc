#include "agent/session/open_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "agent/parser/fields.h"
#include "agent/parser/postfix.h"
#include "agent/parser/sendmail.h"
#include "agent/session/assembler.h"
#include "agent/session/proto_time.h"
#include "agent/session/text.h"

namespace mxtally {
namespace {

// The bounds of session.proto, in bytes.
constexpr size_t kServiceMax = 64;
constexpr size_t kNameMax = 255;
constexpr size_t kAddressMax = 64;
constexpr size_t kPlaceMax = 32;
constexpr size_t kMechanismMax = 32;
constexpr size_t kCommandMax = Session::CommandCount::kBytesMax;
constexpr size_t kQueueIdMax = 32;
constexpr size_t kFailureReasonMax = 128;
constexpr size_t kDelaysMax = 32;

// A clock that goes back further within a session was wrong when it began, or is now.
constexpr absl::Duration kClockStepMax = absl::Hours(24);

// Lines of one transaction's recipients.
constexpr absl::Duration kTransactionMax = absl::Seconds(5);

constexpr size_t kCommandsMax = 32;
constexpr size_t kQueueIdsInRecordMax = 8;
// Of one session, open and confirmed together.
constexpr size_t kQueueIdsMax = 1000;

bool IsNumber(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

void SetServiceName(std::string_view text, std::string& name) {
  SetText(text, kServiceMax, name);
  for (char& c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != ':' && c != '-') c = '_';
  }
}

std::string_view WithoutProcessId(std::string_view tag) { return tag.substr(0, tag.rfind('[')); }

}  // namespace

// "smtpd" for a tag that names no service, characters outside the service's
// set replaced.
Service ServiceOf(std::string_view tag) {
  if (IsSendmail(WithoutProcessId(tag))) return {.name = "smtpd", .wrapper_mode = false};
  const SessionTag parsed = ParsePostfixTag(WithoutProcessId(tag));
  Service service = {.name = {}, .wrapper_mode = parsed.wrapper_mode};
  SetServiceName(parsed.service, service.name);
  if (service.name.empty()) service.name = "smtpd";
  return service;
}

void OpenSession::Begin(std::string_view host, std::string_view tag, absl::Time stamp,
                        uint32_t ordinal, bool uncertain) {
  Session::Key& key = session_.key;
  key.key_version = kKeyVersion;
  key.host.assign(host);
  key.tag.assign(tag);
  key.stamp = stamp;
  key.ordinal = ordinal;
  if (uncertain) facts_ |= kUncertain;
  last_time_ = stamp;
}

void OpenSession::Take(absl::Time time, const Event& event) {
  last_time_ = time;
  ++session_.rank.lines_used;
  if (event.has_peer) TakePeer(event);
  if (!event.helo.empty()) SetText(event.helo, kNameMax, session_.peer.helo);
  // Not each line names it.
  if (event.one_connection && !event.service.empty()) {
    SetServiceName(event.service, session_.service);
  }
  if (event.unframed) {
    TakeConnectionTls(event);
  } else if (event.connection_tls != DeliveryTls::kNotLogged) {
    TakeFieldTls(event.connection_tls);
  }

  switch (event.type) {
    case EventType::kHandedOn:
      facts_ |= kHandedOn;
      break;
    case EventType::kConnecting:
      facts_ |= kConnecting;
      break;
    case EventType::kDisconnect:
      facts_ |= kDisconnected;
      if (event.has_counters) {
        // Before Postfix 3.5 these are the counters of the session before, where HAProxy
        // did not say who the peer is.  Nobody gave a command here.
        const bool nobody = Has(kNobody) && event.has_peer && event.peer.address.empty();
        if (nobody) {
          facts_ |= kCounters;
        } else {
          TakeCounters(event);
        }
      }
      if (!event.reason.empty()) TakeAbnormalEnd(event);
      if (!event.tls_error.empty()) TakeTlsError(event);
      break;
    case EventType::kCertificateChecked:
      session_.tls.facts = WithTrust(session_.tls.facts.get(), event.tls.trust);
      break;
    case EventType::kTlsEstablished:
      facts_ |= kTlsEstablished;
      TakeTls(event.tls);
      break;
    case EventType::kTlsRefusedAfterHandshake:
      facts_ |= kTlsEstablished;
      break;
    case EventType::kTlsSetup:
      facts_ |= kTlsSetup;
      facts_ &= ~uint32_t{kActivity};
      break;
    case EventType::kTlsFailed:
      if (!event.tls_error.empty()) {
        TakeTlsError(event);
        break;
      }
      facts_ |= kTlsFailed;
      if (event.unframed) {
        TakeTlsFailedByText(event.reason);
        // Where TLS began with the connection, nothing follows.
        facts_ |= kRests;
      } else {
        TakeTlsFailed(event.reason);
      }
      break;
    case EventType::kTlsLibraryProblem:
      TakeTlsLibraryProblem(event);
      break;
    case EventType::kTlsRefusedBeforeHandshake:
      facts_ |= kTlsRefused;
      break;
    case EventType::kAbnormalEnd:
      TakeAbnormalEnd(event);
      break;
    case EventType::kQueueIdAssigned:
      facts_ |= kActivity;
      if (!event.original_queue_id.empty()) {
        SetText(event.original_queue_id, kQueueIdMax, session_.original_queue_id);
      }
      if (!event.auth_mechanism.empty()) {
        SetText(event.auth_mechanism, kMechanismMax, session_.auth_mechanism);
        session_.auth_accepted = 1;
      }
      break;
    case EventType::kTransaction:
      facts_ |= kActivity | kTransaction;
      break;
    case EventType::kMessageAccepted:
      facts_ |= kActivity;
      if (event.one_connection) facts_ |= kTransaction;
      TakeMessage(event);
      if (!event.auth_mechanism.empty()) {
        SetText(event.auth_mechanism, kMechanismMax, session_.auth_mechanism);
        session_.auth_accepted = 1;
      }
      break;
    case EventType::kClosed:
      facts_ |= kClosed | kRests;
      TakeAbnormalEnd(event);
      if (session_.end_reason == v1::END_REASON_UNSPECIFIED) {
        session_.end_reason = v1::END_REASON_DISCONNECT;
      }
      break;
    case EventType::kReject:
      facts_ |= kActivity;
      ++session_.rejects;
      break;
    case EventType::kAuthAccepted:
      facts_ |= kActivity;
      ++session_.auth_accepted;
      if (!event.auth_mechanism.empty()) {
        SetText(event.auth_mechanism, kMechanismMax, session_.auth_mechanism);
      }
      break;
    case EventType::kAuthFailed:
      facts_ |= kActivity;
      ++session_.auth_failed;
      break;
    case EventType::kLimit:
      ++session_.limit_warnings;
      break;
    case EventType::kDelivery:
      TakeDelivery(time, event);
      break;
    case EventType::kServerGivenUp:
      Follow(event);
      TakeTrouble(event);
      break;
    case EventType::kTlsReport:
      if (session_.tls.failure_reason.empty()) {
        SetText(event.reason, kFailureReasonMax, session_.tls.failure_reason);
      }
      break;
    case EventType::kConnect:
      if (event.unframed) facts_ |= kFramed;
      if (event.has_peer && event.peer.address.empty()) facts_ |= kNobody;
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
  if (event.type != EventType::kConnecting && event.type != EventType::kDisconnect) {
    facts_ &= ~uint32_t{kConnecting};
  }
}

// A line for each recipient, up to OpenSMTPD 6.4.
void OpenSession::TakeMessage(const Event& event) {
  if (event.queue_id.empty()) {
    ++accepted_messages_;
    return;
  }
  if (delivery_queue_id_ == event.queue_id) return;
  SetText(event.queue_id, kQueueIdMax, delivery_queue_id_);
  ++accepted_messages_;
  if (session_.queue_ids.size() < kQueueIdsInRecordMax) {
    session_.queue_ids.push_back(delivery_queue_id_);
  }
}

void OpenSession::TakeTlsError(const Event& event) {
  if (Has(kTlsEstablished)) return;
  facts_ |= kTlsFailed;
  Session::Tls& tls = session_.tls;
  SetText(event.tls_error, kFailureReasonMax, tls.failure_reason);
  tls.alert = event.alert;
  if (event.alert.has_value()) {
    tls.failure = v1::TLS_FAILURE_ALERT;
  } else if (event.tls_error == "unexpected eof while reading" ||
             event.tls_error == "Connection reset by peer") {
    tls.failure = v1::TLS_FAILURE_LOST_CONNECTION;
  } else {
    tls.failure = v1::TLS_FAILURE_PROTOCOL;
  }
}

// The last one wins: XCLIENT changes the peer in mid-session.  Up to Postfix
// 2.7 a "client=" line shows the peer that a proxy forwarded for, so it only
// serves where there is nothing better.
void OpenSession::TakePeer(const Event& event) {
  if (event.type == EventType::kQueueIdAssigned && !session_.peer.address.empty()) return;
  // Has no port.
  if (event.type == EventType::kServerGivenUp && !session_.peer.address.empty()) return;
  Session::Peer& peer = session_.peer;
  // Most lines repeat it.
  if (event.peer.address == peer.address && event.peer.name == peer.name &&
      event.peer.port == peer.port) {
    return;
  }
  SetText(event.peer.address, kAddressMax, peer.address);
  SetLowerText(event.peer.name, kNameMax, peer.name);
  peer.port = event.peer.port;
}

void OpenSession::TakeTls(const TlsSummary& summary) {
  session_.tls.facts = HandshakeFactsOf(summary);
  if (!summary.sni.empty()) SetLowerText(summary.sni, kNameMax, session_.tls.sni);
}

void OpenSession::TakeConnectionTls(const Event& event) {
  TakeFieldTls(event.connection_tls);
  if (event.connection_tls == DeliveryTls::kEstablished && !event.tls.protocol.empty()) {
    TakeTls(event.tls);
  }
}

void OpenSession::TakeTlsFailed(std::string_view reason) {
  v1::TlsFailure& failure = session_.tls.failure;
  if (reason.empty()) return;
  if (reason == "lost connection") {
    failure = v1::TLS_FAILURE_LOST_CONNECTION;
  } else if (reason == "Connection timed out") {
    failure = v1::TLS_FAILURE_TIMEOUT;
  } else if (IsNumber(reason)) {
    failure = v1::TLS_FAILURE_PROTOCOL;
  } else {
    failure = v1::TLS_FAILURE_SYSTEM;
  }
}

// Exim's words, and GnuTLS's, of which some are told apart.
void OpenSession::TakeTlsFailedByText(std::string_view text) {
  Session::Tls& tls = session_.tls;
  if (text == "timed out") {
    tls.failure = v1::TLS_FAILURE_TIMEOUT;
  } else if (text == "TCP connection closed by peer" ||
             text == "The TLS connection was non-properly terminated.") {
    tls.failure = v1::TLS_FAILURE_LOST_CONNECTION;
  } else if (text.find("alert") != std::string_view::npos) {
    tls.failure = v1::TLS_FAILURE_ALERT;
  } else {
    tls.failure = v1::TLS_FAILURE_PROTOCOL;
  }
  SetText(text, kFailureReasonMax, tls.failure_reason);
}

// The library writes its whole error stack, the first entry says what happened.
void OpenSession::TakeTlsLibraryProblem(const Event& event) {
  Session::Tls& tls = session_.tls;
  if (tls.failure_reason.empty()) SetText(event.reason, kFailureReasonMax, tls.failure_reason);
  if (event.alert.has_value() && tls.failure == v1::TLS_FAILURE_PROTOCOL) {
    tls.failure = v1::TLS_FAILURE_ALERT;
    tls.alert = event.alert;
  }
}

void OpenSession::TakeAbnormalEnd(const Event& event) {
  if (event.reason == "lost connection") {
    session_.end_reason = v1::END_REASON_LOST_CONNECTION;
  } else if (event.reason == "timeout") {
    session_.end_reason = v1::END_REASON_TIMEOUT;
  } else if (event.reason == "too many errors") {
    session_.end_reason = v1::END_REASON_TOO_MANY_ERRORS;
  } else {
    return;
  }
  SetText(event.place, kPlaceMax, session_.end_place);
  const bool may_be_in_handshake =
      Has(kTlsSetup) && (event.place.empty() || event.place == "STARTTLS");
  if (event.place != "CONNECT" && !may_be_in_handshake) facts_ |= kActivity;
}

void OpenSession::TakeCounters(const Event& event) {
  facts_ |= kCounters;
  for (const CommandCounter& counter : event.counters) {
    if (session_.commands.size() < kCommandsMax) {
      Session::CommandCount& count = session_.commands.emplace_back();
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
    if (Is(counter.command, "notes")) continue;
    if (counter.total > 0) facts_ |= kAnyCommand;
    if (Is(counter.command, "starttls")) {
      facts_ |= counter.accepted > 0 ? kStarttlsAccepted : kStarttlsFailed;
    } else if (Is(counter.command, "data")) {
      messages_by_counter_ = counter.accepted;
    } else if (Is(counter.command, "bdat")) {
      if (counter.accepted > 0) facts_ |= kBdat;
    } else if (Is(counter.command, "auth")) {
      session_.auth_accepted = counter.accepted;
      session_.auth_failed = std::max(counter.total - counter.accepted, 0);
    }
  }
}

void OpenSession::BeginOutbound(const Service& service) {
  session_.direction = v1::DIRECTION_OUTBOUND;
  session_.service = service.name;
}

void OpenSession::NameConnection(std::string_view connection) { connection_.assign(connection); }

void OpenSession::TakeService(const Event& event) {
  if (!event.service.empty()) SetServiceName(event.service, session_.service);
  if (event.implicit_tls) facts_ |= kImplicitTls;
  if (event.local) facts_ |= kLocal;
}

void OpenSession::set_may_be_handed_on(bool may) {
  facts_ = may ? facts_ | kMayBeHandedOn : facts_ & ~uint32_t{kMayBeHandedOn};
}

bool OpenSession::IsPeer(const NamedAddress& peer) const {
  const Session::Peer& own = session_.peer;
  if (own.address != peer.address) return false;
  return own.port == peer.port || own.port == 0 || peer.port == 0;
}

// Recipients of one request go over one connection; their lines have these delays
// in common, which another request for the same message to the same server has not.
bool OpenSession::IsSameDelivery(const Event& event) const {
  const std::string_view queue_delays = event.delivery.queue_delays;
  std::string_view delays = delivery_delays_;
  return delivery_queue_id_ == event.queue_id && delays.size() > queue_delays.size() &&
         delays.starts_with(queue_delays) && delays[queue_delays.size()] == '/' &&
         delays.substr(queue_delays.size() + 1) == event.delivery.setup_delay;
}

bool OpenSession::Continues(const Event& event) const {
  if (Has(kClosed)) return false;
  switch (event.type) {
    case EventType::kDelivery: {
      if (event.delivery.connection_uses == 0) {
        return (IsServer(event.peer) || HasNoPeer()) && !(Has(kTlsFailed) && event.delivery.sent);
      }
      if (!IsPeer(event.peer)) return false;
      if (connection_uses_ == event.delivery.connection_uses) return IsSameDelivery(event);
      if (connection_uses_ != 0 || event.delivery.connection_uses != 1) return false;
      // The first over this connection.  After a failed handshake there is none, but
      // a second connection to the same server, without TLS.
      return !(Has(kTlsFailed) && event.delivery.sent) &&
             (delivery_queue_id_.empty() || delivery_queue_id_ == event.queue_id);
    }
    case EventType::kServerGivenUp:
      return (!event.has_peer || IsPeer(event.peer)) &&
             (delivery_queue_id_.empty() || delivery_queue_id_ == event.queue_id);
    case EventType::kTlsLibraryProblem:
    case EventType::kTlsReport:
    case EventType::kProcessDying:
      return !Has(kOutcome);
    default:
      return false;
  }
}

bool OpenSession::ServesOn(const Event& event) const {
  // No line comes before one of these but those of messages.
  const bool begins =
      event.type == EventType::kTlsEstablished || event.type == EventType::kTlsFailed;
  if (tombstone_) return !begins;
  const std::string& address = session_.peer.address;
  if (event.has_peer && !address.empty() && event.peer.address != address) return false;
  const bool later = Has(kTlsEstablished | kTransaction);
  switch (event.type) {
    case EventType::kTlsEstablished:
    case EventType::kTlsFailed:
      return !later;
    case EventType::kDisconnect:  // Of a connection without mail.
      return !Has(kTransaction);
    default:
      return !(Has(kTlsEstablished) && event.connection_tls == DeliveryTls::kPlaintext);
  }
}

bool OpenSession::HasNoPeer() const {
  return session_.peer.address.empty() && session_.peer.name.empty();
}

// A line of the handshake names the server, without its address.
bool OpenSession::IsServer(const NamedAddress& peer) const {
  const Session::Peer& own = session_.peer;
  if (!own.address.empty()) return own.address == peer.address;
  return absl::EqualsIgnoreCase(own.name, std::string(peer.name)) && !own.name.empty();
}

bool OpenSession::GoesOnWith(const Event& event) const {
  if (event.delivery.connection_uses == 0 && !event.unframed) {
    return connection_uses() > 0 && IsServer(event.peer);
  }
  if (connection_uses() == 0 || !IsPeer(event.peer)) return false;
  if (event.unframed &&
      Has(kFieldEstablished) != (event.connection_tls == DeliveryTls::kEstablished)) {
    return false;
  }
  return event.type == EventType::kServerGivenUp || event.delivery.connection_uses == 0 ||
         connection_uses_ + 1 == event.delivery.connection_uses;
}

bool OpenSession::GoesOn(absl::Time time, std::string_view tag, const Event& event) const {
  if (event.type == EventType::kConnect || event.outbound != outbound()) return false;
  // Process ids and ports come again.
  const std::string& address = session_.peer.address;
  if (!address.empty() && event.has_peer && event.peer.address != address) return false;
  if (outbound()) {
    // Lines about one transaction are written at a time; later ones are of a retry.
    if (!IsPeer(event.peer) || time - last_time_ > kTransactionMax) return false;
    if (Has(kClosed)) return false;
    if (event.type == EventType::kServerGivenUp) return !Has(kOutcome);
    const bool sent = event.type == EventType::kDelivery && event.delivery.sent;
    if (!sent || event.delivery.further_recipient) return true;
    // A further transaction has a connection of its own.
    return !Has(kMessageCounted) && !Has(kTlsFailed);
  }
  if (tombstone_) return true;
  // Up to Exim 4.96 another process than the client's tells of the beginning.
  if (!connection_.empty() && !Has(kFramed) && session_.key.tag.ends_with(']') &&
      tag.ends_with(']') && session_.key.tag != tag) {
    return false;
  }
  switch (event.type) {
    case EventType::kTlsFailed:
      // The MTA ends the connection then.
      return !Has(kTlsFailed) && !Has(kClosed);
    case EventType::kDisconnect:
      return !Has(kTlsFailed) || (event.connection_tls != DeliveryTls::kEstablished &&
                                  event.connection_tls != DeliveryTls::kPlaintext);
    case EventType::kClosed:
    case EventType::kSessionNote:
      return true;
    default:
      return !Has(kClosed);
  }
}

void OpenSession::TakeServer(const Event& event) {
  session_.direction = v1::DIRECTION_OUTBOUND;
  if (event.has_peer) TakePeer(event);
}

void OpenSession::Follow(const Event& event) {
  if (event.queue_id.empty() || IsSameDelivery(event)) return;
  if (event.type != EventType::kDelivery && delivery_queue_id_ == event.queue_id) return;
  SetText(event.queue_id, kQueueIdMax, delivery_queue_id_);
  delivery_delays_.clear();
  if (event.type != EventType::kDelivery) return;
  delivery_delays_.append(event.delivery.queue_delays.substr(0, kDelaysMax)).append("/");
  delivery_delays_.append(event.delivery.setup_delay.substr(0, kDelaysMax));
  const int uses = event.delivery.connection_uses;
  connection_uses_ = uses > 0 ? uses : connection_uses_ + 1;
}

void OpenSession::TakeDelivery(absl::Time time, const Event& event) {
  const MailDelivery& delivery = event.delivery;
  if (connection_uses_ == 0 && delivery.connection_uses == 1 && delivery.connection_seconds >= 0) {
    session_.estimated_start_time =
        std::min(session_.key.stamp, time - absl::Seconds(delivery.connection_seconds));
  }
  if (!IsSameDelivery(event)) facts_ &= ~uint32_t{kMessageCounted};
  Follow(event);
  std::vector<std::string>& ids = session_.queue_ids;
  if (ids.size() < kQueueIdsInRecordMax &&
      std::find(ids.begin(), ids.end(), delivery_queue_id_) == ids.end()) {
    ids.push_back(delivery_queue_id_);
  }
  if (delivery.sent && !Has(kMessageCounted)) {
    ++session_.messages;
    facts_ |= kMessageCounted;
  }
  TakeFieldTls(delivery.tls);
  TakeTrouble(event);
}

void OpenSession::TakeFieldTls(DeliveryTls tls) {
  switch (tls) {
    case DeliveryTls::kNotLogged:
      break;
    case DeliveryTls::kEstablished:
      facts_ |= kFieldEstablished;
      break;
    case DeliveryTls::kFailed:
      facts_ |= kFieldFailed;
      break;
    case DeliveryTls::kPlaintext:
      facts_ |= kFieldPlaintext;
      break;
    case DeliveryTls::kUnknown:
      facts_ |= kFieldUnknown;
      break;
    case DeliveryTls::kNotShown:
      facts_ |= kFieldNotShown;
      break;
  }
}

void OpenSession::TakeTrouble(const Event& event) {
  facts_ |= kOutcome;
  switch (event.delivery.trouble) {
    case DeliveryTrouble::kNone:
    case DeliveryTrouble::kOther:
      return;
    case DeliveryTrouble::kLostConnection:
    case DeliveryTrouble::kTimeout:
      session_.end_reason = event.delivery.trouble == DeliveryTrouble::kTimeout
                                ? v1::END_REASON_TIMEOUT
                                : v1::END_REASON_LOST_CONNECTION;
      SetText(event.place, kPlaceMax, session_.end_place);
      break;
    case DeliveryTrouble::kHandshakeFailed:
      facts_ |= kTlsFailed;
      break;
    case DeliveryTrouble::kTlsRefused:
      facts_ |= kTlsRefused;
      break;
    case DeliveryTrouble::kCertificateRefused:
      facts_ |= kTlsEstablished;
      break;
    case DeliveryTrouble::kRefusedToTalk:
    case DeliveryTrouble::kTlsNotOffered:
      break;
  }
  // Lines of further recipients follow those of a recipient.
  if (event.type == EventType::kServerGivenUp) facts_ |= kClosed;
}

void OpenSession::End(v1::EndReason reason, const Service& service) {
  ended_ = true;
  if (outbound()) {
    DecideTlsOutbound();
  } else {
    session_.direction = v1::DIRECTION_INBOUND;
    if (session_.service.empty()) session_.service = service.name;
    DecideTls(service.wrapper_mode || Has(kImplicitTls));
  }
  if (session_.tls.state != v1::TLS_STATE_FAILED) {
    // Problems of the library after the handshake, say.
    session_.tls.failure = v1::TLS_FAILURE_UNSPECIFIED;
    session_.tls.alert.reset();
    session_.tls.failure_reason.clear();
  }
  const bool ends_by_itself =
      reason == v1::END_REASON_DISCONNECT || reason == v1::END_REASON_UNSPECIFIED;
  if (!ends_by_itself || session_.end_reason == v1::END_REASON_UNSPECIFIED) {
    session_.end_reason = reason;
  }
  if (session_.rank.lines_used > 1 && session_.key.stamp - last_time_ <= kClockStepMax) {
    session_.end_time = last_time_;
  }
}

void OpenSession::DecideTls(bool wrapper_mode) {
  if (Has(kTlsEstablished)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  } else if (Has(kStarttlsAccepted)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  } else if (Has(kTlsFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
    v1::TlsFailure& failure = session_.tls.failure;
    if (failure == v1::TLS_FAILURE_UNSPECIFIED) failure = FailureOfAbnormalEnd();
  } else if (Has(kFieldEstablished | kFieldFailed | kFieldPlaintext | kFieldUnknown |
                 kFieldNotShown | kRests)) {
    DecideTlsByField();
  } else if (Has(kStarttlsFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_STARTTLS_COUNTER);
    session_.tls.failure = Has(kTlsRefused) ? v1::TLS_FAILURE_REFUSED : FailureOfAbnormalEnd();
  } else if (Has(kTlsRefused) && !Has(kTlsSetup | kCounters) && !wrapper_mode) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
    session_.tls.failure = v1::TLS_FAILURE_REFUSED;
  } else if (Has(kTlsSetup)) {
    DecideTlsBySetupLine();
  } else if (wrapper_mode) {
    DecideTlsOfWrapperMode();
  } else if (Has(kCounters)) {
    SetTls(v1::TLS_STATE_PLAINTEXT, v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  } else if (Has(kDisconnected)) {
    SetTls(v1::TLS_STATE_PLAINTEXT, v1::TLS_EVIDENCE_NO_TLS_LINE);
  } else {
    SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
  }
}

// Exim's X= and P= of messages, and the commands of connections without.
void OpenSession::DecideTlsByField() {
  if (Has(kFieldEstablished)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_DELIVERY_FIELD);
  } else if (Has(kFieldFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_DELIVERY_FIELD);
  } else if (Has(kFieldPlaintext)) {
    SetTls(v1::TLS_STATE_PLAINTEXT, v1::TLS_EVIDENCE_DELIVERY_FIELD);
  } else if (Has(kFieldNotShown) && !Has(kFieldUnknown)) {
    SetTls(v1::TLS_STATE_PLAINTEXT, v1::TLS_EVIDENCE_NO_TLS_LINE);
  } else {
    // That a connection was closed does not tell what it was.
    SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
  }
}

// A line of a handshake says more than a delivery's "tls=", which says more than
// that there is no such line.
void OpenSession::DecideTlsOutbound() {
  if (Has(kTlsEstablished)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  } else if (Has(kTlsFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  } else if (Has(kTlsRefused)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
    session_.tls.failure = v1::TLS_FAILURE_REFUSED;
  } else if (Has(kFieldEstablished)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_DELIVERY_FIELD);
  } else if (Has(kFieldFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_DELIVERY_FIELD);
  } else if (Has(kFieldPlaintext)) {
    SetTls(v1::TLS_STATE_PLAINTEXT, v1::TLS_EVIDENCE_DELIVERY_FIELD);
  } else if (Has(kFieldNotShown) || (Has(kOutcome | kDisconnected) && !Has(kFieldUnknown))) {
    SetTls(v1::TLS_STATE_PLAINTEXT, v1::TLS_EVIDENCE_NO_TLS_LINE);
  } else {
    SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
  }
}

void OpenSession::DecideTlsBySetupLine() {
  if (!connection_.empty()) {
    // tlsproxy begins.  Only since Postfix 3.4 a line says so when the handshake fails.
    if (Has(kActivity)) {
      SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_SETUP_LINE);
    } else {
      SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
    }
  } else if (const v1::TlsFailure failure = FailureOfAbnormalEnd();
             failure != v1::TLS_FAILURE_UNSPECIFIED) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_SETUP_LINE);
    session_.tls.failure = failure;
  } else if (Has(kDisconnected | kActivity)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_SETUP_LINE);
  } else {
    SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
  }
}

// There is no STARTTLS command to count: whatever came through was encrypted.
void OpenSession::DecideTlsOfWrapperMode() {
  if (Has(kTlsRefused)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_IMPLICIT_TLS);
    session_.tls.failure = v1::TLS_FAILURE_REFUSED;
  } else if (Has(kCounters) ? Has(kAnyCommand) : Has(kActivity)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_IMPLICIT_TLS);
  } else {
    SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
  }
}

void OpenSession::SetTls(v1::TlsState state, v1::TlsEvidence evidence) {
  session_.tls.state = state;
  session_.tls.evidence = evidence;
}

v1::TlsFailure OpenSession::FailureOfAbnormalEnd() const {
  // In wrapper mode the handshake comes before any command.
  const std::string& place = session_.end_place;
  if (place != "STARTTLS" && place != "CONNECT") return v1::TLS_FAILURE_UNSPECIFIED;
  switch (session_.end_reason) {
    case v1::END_REASON_LOST_CONNECTION:
      return v1::TLS_FAILURE_LOST_CONNECTION;
    case v1::END_REASON_TIMEOUT:
      return v1::TLS_FAILURE_TIMEOUT;
    default:
      return v1::TLS_FAILURE_UNSPECIFIED;
  }
}

bool OpenSession::AddQueueId(std::string_view id, bool room) {
  if (id.empty() || id.size() > kQueueIdMax || !IsGraphic(id)) return false;
  auto has = [id](const std::vector<std::string>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  if (has(open_queue_ids_) || has(confirmed_queue_ids_)) return false;
  if (session_.queue_ids.size() < kQueueIdsInRecordMax) {
    SetText(id, kQueueIdMax, session_.queue_ids.emplace_back());
  }
  if (!room || open_queue_ids_.size() + confirmed_queue_ids_.size() >= kQueueIdsMax) return false;
  open_queue_ids_.emplace_back(id);
  return true;
}

void OpenSession::ResolveQueueId(std::string_view id, bool confirmed) {
  auto it = std::find(open_queue_ids_.begin(), open_queue_ids_.end(), id);
  if (it == open_queue_ids_.end()) return;
  if (confirmed) confirmed_queue_ids_.push_back(std::move(*it));
  open_queue_ids_.erase(it);
}

bool OpenSession::AwaitsQueueIds() const {
  return MessagesDependOnQueueIds() && !open_queue_ids_.empty();
}

const Session& OpenSession::Finish(const PeerClassifier& peers) {
  if (!outbound()) session_.messages = Messages();
  Session::Rank& rank = session_.rank;
  rank.parser_version = kParserVersion;
  if (Has(kUncertain)) {
    rank.lines_used = 0;
  } else if (MessagesDependOnQueueIds()) {
    // A reading that missed the confirmations knows less.
    rank.lines_used += static_cast<uint32_t>(confirmed_queue_ids_.size());
  }
  session_.peer_class = Has(kLocal) ? v1::PEER_CLASS_LOOPBACK
                                    : peers.Classify(session_.peer.address, session_.peer.name);
  session_.exclusion_list_hash = peers.list_hash();
  return session_;
}

// A DATA command counts the messages it accepted, BDAT counts chunks.
int32_t OpenSession::Messages() const {
  const auto confirmed = static_cast<int32_t>(confirmed_queue_ids_.size());
  if (!Has(kCounters)) return confirmed + accepted_messages_;
  return Has(kBdat) ? std::max(messages_by_counter_, confirmed + accepted_messages_)
                    : messages_by_counter_;
}

void OpenSession::BecomeTombstone(absl::Time last_time) {
  if (outbound()) {
    facts_ &= kUncertain;
  } else {
    Session::Key key = std::move(session_.key);
    std::string connection = std::move(connection_);
    Clear();
    session_.key = std::move(key);
    connection_ = std::move(connection);
  }
  ended_ = false;
  tombstone_ = true;
  last_time_ = last_time;
}

void OpenSession::Clear() {
  session_.Clear();
  last_time_ = absl::Time();
  facts_ = 0;
  messages_by_counter_ = 0;
  accepted_messages_ = 0;
  tombstone_ = false;
  ended_ = false;
  open_queue_ids_.clear();
  confirmed_queue_ids_.clear();
  connection_.clear();
  connection_uses_ = 0;
  delivery_queue_id_.clear();
  delivery_delays_.clear();
}

void OpenSession::Save(agent::v1::OpenSession& saved) const {
  ToRecord(session_, *saved.mutable_record());
  SetTimestamp(last_time_, *saved.mutable_last_time());
  saved.set_tombstone(tombstone_);
  saved.set_ended(ended_);
  saved.set_facts(facts_);
  saved.set_messages_by_counter(messages_by_counter_);
  saved.set_accepted_messages(accepted_messages_);
  for (const std::string& id : confirmed_queue_ids_) saved.add_confirmed_queue_ids(id);
  for (const std::string& id : open_queue_ids_) saved.add_open_queue_ids(id);
  saved.set_connection(connection_);
  saved.set_delivery_queue_id(delivery_queue_id_);
  if (!outbound()) return;
  saved.set_connection_uses(connection_uses_);
  saved.set_delivery_delays(delivery_delays_);
}

void OpenSession::Restore(const agent::v1::OpenSession& saved) {
  Clear();
  FromRecord(saved.record(), session_);
  last_time_ = GetTimestamp(saved.last_time());
  tombstone_ = saved.tombstone();
  ended_ = saved.ended();
  facts_ = saved.facts();
  messages_by_counter_ = saved.messages_by_counter();
  accepted_messages_ = saved.accepted_messages();
  confirmed_queue_ids_.assign(saved.confirmed_queue_ids().begin(),
                              saved.confirmed_queue_ids().end());
  open_queue_ids_.assign(saved.open_queue_ids().begin(), saved.open_queue_ids().end());
  connection_ = saved.connection();
  connection_uses_ = saved.connection_uses();
  delivery_queue_id_ = saved.delivery_queue_id();
  delivery_delays_ = saved.delivery_delays();
}

}  // namespace mxtally
