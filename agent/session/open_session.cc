#include "agent/session/open_session.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "agent/parser/postfix.h"
#include "agent/parser/tls_names.h"
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
constexpr size_t kCommandMax = 16;
constexpr size_t kQueueIdMax = 32;
constexpr size_t kProtocolMax = 16;
constexpr size_t kCipherMax = 80;
constexpr size_t kAlgorithmMax = 64;
constexpr size_t kFailureReasonMax = 128;

constexpr int kCommandsMax = 32;
constexpr int kQueueIdsInRecordMax = 8;
// Of one session, open and confirmed together.
constexpr size_t kQueueIdsMax = 1000;

v1::TlsTrust TrustOf(std::string_view word) {
  if (word == "Anonymous") return v1::TLS_TRUST_ANONYMOUS;
  if (word == "Untrusted") return v1::TLS_TRUST_UNTRUSTED;
  if (word == "Trusted") return v1::TLS_TRUST_TRUSTED;
  if (word == "Verified") return v1::TLS_TRUST_VERIFIED;
  return v1::TLS_TRUST_UNSPECIFIED;
}

// Only the summary of TLS 1.3 tells.  A resumed session has no signature in
// newer releases of Postfix and one without its digest in older ones; only RSA
// and ECDSA have a digest at all (Ed25519, Ed448 and ML-DSA have none).
v1::TlsHandshake HandshakeOf(const TlsSummary& tls, std::string_view protocol) {
  if (protocol != "TLSv1.3") return v1::TLS_HANDSHAKE_UNSPECIFIED;
  if (tls.reused) return v1::TLS_HANDSHAKE_REUSED;
  if (tls.server_signature.empty()) {
    return tls.kex.empty() ? v1::TLS_HANDSHAKE_UNSPECIFIED : v1::TLS_HANDSHAKE_RESUMED;
  }
  const bool has_digest_by_nature =
      tls.server_signature.starts_with("RSA") || tls.server_signature.starts_with("ECDSA");
  return tls.server_digest.empty() && has_digest_by_nature ? v1::TLS_HANDSHAKE_RESUMED
                                                           : v1::TLS_HANDSHAKE_NEW;
}

bool IsNumber(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

std::string_view WithoutProcessId(std::string_view tag) { return tag.substr(0, tag.rfind('[')); }

// "smtpd" for a tag that names no service, characters outside the service's
// set replaced.
void SetService(std::string_view service, std::string& out) {
  SetText(service, kServiceMax, out);
  for (char& c : out) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != ':' && c != '-') c = '_';
  }
  if (out.empty()) out = "smtpd";
}

}  // namespace

void OpenSession::Begin(std::string_view host, std::string_view tag, absl::Time stamp,
                        uint32_t ordinal, bool uncertain) {
  v1::SessionKey& key = *record_.mutable_key();
  key.set_key_version(kKeyVersion);
  key.mutable_host()->assign(host);
  key.mutable_tag()->assign(tag);
  SetTimestamp(stamp, *key.mutable_stamp());
  key.set_ordinal(ordinal);
  // Present from the start, so that equal states are saved as equal bytes.
  record_.mutable_rank();
  record_.mutable_tls();
  record_.mutable_peer();
  if (uncertain) facts_ |= kUncertain;
  last_time_ = stamp;
}

void OpenSession::Take(absl::Time time, const Event& event) {
  last_time_ = time;
  v1::Rank& rank = *record_.mutable_rank();
  rank.set_lines_used(rank.lines_used() + 1);
  if (event.has_peer) TakePeer(event);
  if (!event.helo.empty()) SetText(event.helo, kNameMax, *record_.mutable_peer()->mutable_helo());

  switch (event.type) {
    case EventType::kDisconnect:
      facts_ |= kDisconnected;
      if (event.has_counters) TakeCounters(event);
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
      facts_ |= kTlsFailed;
      TakeTlsFailed(event.reason);
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
        SetText(event.original_queue_id, kQueueIdMax, *record_.mutable_original_queue_id());
      }
      if (!event.auth_mechanism.empty()) {
        SetText(event.auth_mechanism, kMechanismMax, *record_.mutable_auth_mechanism());
        record_.set_auth_accepted(1);
      }
      break;
    case EventType::kProxyAccept:
      facts_ |= kActivity;
      ++proxy_accepts_;
      break;
    case EventType::kReject:
      facts_ |= kActivity;
      record_.set_rejects(record_.rejects() + 1);
      break;
    case EventType::kAuthFailed:
      facts_ |= kActivity;
      record_.set_auth_failed(record_.auth_failed() + 1);
      break;
    case EventType::kLimit:
      record_.set_limit_warnings(record_.limit_warnings() + 1);
      break;
    case EventType::kConnect:
    case EventType::kSessionNote:
    case EventType::kProcessDying:
    case EventType::kQueueIdActive:
    case EventType::kQueueIdCanceled:
    case EventType::kProcessDied:
    case EventType::kInstanceBoundary:
      break;
  }
}

// The last one wins: XCLIENT changes the peer in mid-session.  Up to Postfix
// 2.7 a "client=" line shows the peer that a proxy forwarded for, so it only
// serves where there is nothing better.
void OpenSession::TakePeer(const Event& event) {
  if (event.type == EventType::kQueueIdAssigned && !record_.peer().address().empty()) return;
  v1::Peer& peer = *record_.mutable_peer();
  // Most lines repeat it.
  if (event.peer.address == peer.address() && event.peer.name == peer.name() &&
      event.peer.port == peer.port()) {
    return;
  }
  SetText(event.peer.address, kAddressMax, *peer.mutable_address());
  SetLowerText(event.peer.name, kNameMax, *peer.mutable_name());
  peer.set_port(event.peer.port);
}

void OpenSession::TakeTls(const TlsSummary& tls) {
  v1::TlsFacts& facts = *record_.mutable_tls();
  const std::string_view protocol = CanonicalProtocol(tls.protocol);
  SetText(protocol, kProtocolMax, *facts.mutable_protocol());
  SetText(tls.cipher, kCipherMax, *facts.mutable_cipher());
  if (const CipherSuite* suite = FindCipherSuite(tls.cipher); suite != nullptr) {
    facts.mutable_cipher_iana()->assign(suite->iana);
    facts.set_cipher_code_point(suite->code_point);
  }
  facts.set_bits_used(tls.bits_used);
  facts.set_bits_algorithm(tls.bits_algorithm);
  if (!tls.kex.empty()) {
    SetText(CanonicalGroup(tls.kex, tls.kex_parameter), kAlgorithmMax, *facts.mutable_kex_group());
  }
  auto set = [](std::string_view text, std::string* (v1::TlsFacts::*field)(), v1::TlsFacts& to) {
    if (!text.empty()) SetText(text, kAlgorithmMax, *(to.*field)());
  };
  set(tls.server_signature, &v1::TlsFacts::mutable_signature, facts);
  set(tls.server_signature_key, &v1::TlsFacts::mutable_signature_key, facts);
  set(tls.server_digest, &v1::TlsFacts::mutable_signature_digest, facts);
  set(tls.client_signature, &v1::TlsFacts::mutable_client_signature, facts);
  set(tls.client_signature_key, &v1::TlsFacts::mutable_client_signature_key, facts);
  set(tls.client_digest, &v1::TlsFacts::mutable_client_signature_digest, facts);
  facts.set_trust(TrustOf(tls.trust));
  facts.set_handshake(HandshakeOf(tls, protocol));
  if (!tls.sni.empty()) SetLowerText(tls.sni, kNameMax, *facts.mutable_sni());
}

void OpenSession::TakeTlsFailed(std::string_view reason) {
  v1::TlsFacts& tls = *record_.mutable_tls();
  if (reason == "lost connection") {
    tls.set_failure(v1::TLS_FAILURE_LOST_CONNECTION);
  } else if (reason == "Connection timed out") {
    tls.set_failure(v1::TLS_FAILURE_TIMEOUT);
  } else if (IsNumber(reason)) {
    tls.set_failure(v1::TLS_FAILURE_PROTOCOL);
  } else {
    tls.set_failure(v1::TLS_FAILURE_SYSTEM);
  }
}

// The library writes its whole error stack, the first entry says what happened.
void OpenSession::TakeTlsLibraryProblem(const Event& event) {
  v1::TlsFacts& tls = *record_.mutable_tls();
  if (tls.failure_reason().empty()) {
    SetText(event.reason, kFailureReasonMax, *tls.mutable_failure_reason());
  }
  if (event.alert.has_value() && tls.failure() == v1::TLS_FAILURE_PROTOCOL) {
    tls.set_failure(v1::TLS_FAILURE_ALERT);
    tls.set_alert(*event.alert);
  }
}

void OpenSession::TakeAbnormalEnd(const Event& event) {
  if (event.reason == "lost connection") {
    record_.set_end_reason(v1::END_REASON_LOST_CONNECTION);
  } else if (event.reason == "timeout") {
    record_.set_end_reason(v1::END_REASON_TIMEOUT);
  } else if (event.reason == "too many errors") {
    record_.set_end_reason(v1::END_REASON_TOO_MANY_ERRORS);
  } else {
    return;
  }
  SetText(event.place, kPlaceMax, *record_.mutable_end_place());
  if (event.place != "CONNECT") facts_ |= kActivity;
}

void OpenSession::TakeCounters(const Event& event) {
  facts_ |= kCounters;
  for (const CommandCounter& counter : event.Counters()) {
    if (record_.commands_size() < kCommandsMax) {
      v1::CommandCount& count = *record_.add_commands();
      SetText(counter.command, kCommandMax, *count.mutable_command());
      count.set_accepted(counter.accepted);
      count.set_total(counter.total);
    }
    if (counter.command == "notes") continue;
    if (counter.total > 0) facts_ |= kAnyCommand;
    if (counter.command == "starttls") {
      facts_ |= counter.accepted > 0 ? kStarttlsAccepted : kStarttlsFailed;
    } else if (counter.command == "data") {
      messages_by_counter_ = counter.accepted;
    } else if (counter.command == "bdat") {
      if (counter.accepted > 0) facts_ |= kBdat;
    } else if (counter.command == "auth") {
      record_.set_auth_accepted(counter.accepted);
      record_.set_auth_failed(counter.total - counter.accepted);
    }
  }
}

void OpenSession::End(v1::EndReason reason) {
  ended_ = true;
  const SessionTag tag = ParsePostfixTag(WithoutProcessId(this->tag()));
  record_.set_direction(v1::DIRECTION_INBOUND);
  SetService(tag.service, *record_.mutable_service());
  DecideTls(tag.wrapper_mode);
  if (reason != v1::END_REASON_DISCONNECT || record_.end_reason() == v1::END_REASON_UNSPECIFIED) {
    record_.set_end_reason(reason);
  }
  if (record_.rank().lines_used() > 1) SetTimestamp(last_time_, *record_.mutable_end_time());
}

void OpenSession::DecideTls(bool wrapper_mode) {
  v1::TlsFacts& tls = *record_.mutable_tls();
  if (Has(kTlsEstablished)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  } else if (Has(kStarttlsAccepted)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  } else if (Has(kTlsFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  } else if (Has(kStarttlsFailed)) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_STARTTLS_COUNTER);
    tls.set_failure(Has(kTlsRefused) ? v1::TLS_FAILURE_REFUSED : FailureOfAbnormalEnd());
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
  if (tls.state() != v1::TLS_STATE_FAILED) {
    // Problems of the library after the handshake, say.
    tls.clear_failure();
    tls.clear_alert();
    tls.clear_failure_reason();
  }
}

void OpenSession::DecideTlsBySetupLine() {
  if (const v1::TlsFailure failure = FailureOfAbnormalEnd();
      failure != v1::TLS_FAILURE_UNSPECIFIED) {
    SetTls(v1::TLS_STATE_FAILED, v1::TLS_EVIDENCE_SETUP_LINE);
    record_.mutable_tls()->set_failure(failure);
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
    record_.mutable_tls()->set_failure(v1::TLS_FAILURE_REFUSED);
  } else if (Has(kCounters) ? Has(kAnyCommand) : Has(kActivity)) {
    SetTls(v1::TLS_STATE_ESTABLISHED, v1::TLS_EVIDENCE_IMPLICIT_TLS);
  } else {
    SetTls(v1::TLS_STATE_UNKNOWN, v1::TLS_EVIDENCE_UNSPECIFIED);
  }
}

void OpenSession::SetTls(v1::TlsState state, v1::TlsEvidence evidence) {
  record_.mutable_tls()->set_state(state);
  record_.mutable_tls()->set_evidence(evidence);
}

v1::TlsFailure OpenSession::FailureOfAbnormalEnd() const {
  // In wrapper mode the handshake comes before any command.
  const std::string& place = record_.end_place();
  if (place != "STARTTLS" && place != "CONNECT") return v1::TLS_FAILURE_UNSPECIFIED;
  switch (record_.end_reason()) {
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
  if (record_.queue_ids_size() < kQueueIdsInRecordMax)
    SetText(id, kQueueIdMax, *record_.add_queue_ids());
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

const v1::SessionRecord& OpenSession::Finish(const PeerClassifier& peers) {
  record_.set_messages(Messages());
  v1::Rank& rank = *record_.mutable_rank();
  rank.set_parser_version(kParserVersion);
  if (Has(kUncertain)) {
    rank.set_lines_used(0);
  } else if (MessagesDependOnQueueIds()) {
    // A reading that missed the confirmations knows less.
    rank.set_lines_used(rank.lines_used() + static_cast<uint32_t>(confirmed_queue_ids_.size()));
  }
  const v1::Peer& peer = *record_.mutable_peer();
  record_.set_peer_class(peers.Classify(peer.address(), peer.name()));
  record_.set_exclusion_list_hash(peers.list_hash());
  return record_;
}

// A DATA command counts the messages it accepted, BDAT counts chunks.
int32_t OpenSession::Messages() const {
  const auto confirmed = static_cast<int32_t>(confirmed_queue_ids_.size());
  if (!Has(kCounters)) return confirmed + proxy_accepts_;
  return Has(kBdat) ? std::max(messages_by_counter_, confirmed + proxy_accepts_)
                    : messages_by_counter_;
}

void OpenSession::BecomeTombstone(absl::Time last_time) {
  v1::SessionKey* key = record_.release_key();
  Clear();
  record_.set_allocated_key(key);
  tombstone_ = true;
  last_time_ = last_time;
}

void OpenSession::Clear() {
  // SessionRecord::Clear would free the messages that every record has, and
  // their strings' memory.
  v1::SessionKey* key = record_.release_key();
  v1::Rank* rank = record_.release_rank();
  v1::TlsFacts* tls = record_.release_tls();
  v1::Peer* peer = record_.release_peer();
  record_.Clear();
  if (key != nullptr) key->Clear();
  if (rank != nullptr) rank->Clear();
  if (tls != nullptr) tls->Clear();
  if (peer != nullptr) peer->Clear();
  record_.set_allocated_key(key);
  record_.set_allocated_rank(rank);
  record_.set_allocated_tls(tls);
  record_.set_allocated_peer(peer);
  last_time_ = absl::Time();
  facts_ = 0;
  messages_by_counter_ = 0;
  proxy_accepts_ = 0;
  tombstone_ = false;
  ended_ = false;
  open_queue_ids_.clear();
  confirmed_queue_ids_.clear();
}

void OpenSession::Save(agent::v1::OpenSession& saved) const {
  *saved.mutable_record() = record_;
  SetTimestamp(last_time_, *saved.mutable_last_time());
  saved.set_tombstone(tombstone_);
  saved.set_ended(ended_);
  saved.set_facts(facts_);
  saved.set_messages_by_counter(messages_by_counter_);
  saved.set_proxy_accepts(proxy_accepts_);
  for (const std::string& id : confirmed_queue_ids_) saved.add_confirmed_queue_ids(id);
  for (const std::string& id : open_queue_ids_) saved.add_open_queue_ids(id);
}

void OpenSession::Restore(const agent::v1::OpenSession& saved) {
  Clear();
  record_ = saved.record();
  last_time_ = GetTimestamp(saved.last_time());
  tombstone_ = saved.tombstone();
  ended_ = saved.ended();
  facts_ = saved.facts();
  messages_by_counter_ = saved.messages_by_counter();
  proxy_accepts_ = saved.proxy_accepts();
  confirmed_queue_ids_.assign(saved.confirmed_queue_ids().begin(),
                              saved.confirmed_queue_ids().end());
  open_queue_ids_.assign(saved.open_queue_ids().begin(), saved.open_queue_ids().end());
}

absl::Time OpenSession::stamp() const { return GetTimestamp(record_.key().stamp()); }

}  // namespace mxtally
