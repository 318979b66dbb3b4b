#include "agent/session/session.h"

#include <cstring>

#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// Makes no string where there is nothing to hold.
template <typename Message>
void SetString(std::string_view text, const std::string& (Message::*get)() const,
               std::string* (Message::*get_mutable)(), Message& message) {
  if ((message.*get)() != text) (message.*get_mutable)()->assign(text);
}

void Clear(Session::Key& key) {
  key.key_version = 0;
  key.host.clear();
  key.stamp = absl::Time();
  key.tag.clear();
  key.ordinal = 0;
}

void Clear(Session::Tls& tls) {
  tls.state = v1::TLS_STATE_UNSPECIFIED;
  tls.evidence = v1::TLS_EVIDENCE_UNSPECIFIED;
  tls.facts.reset();
  tls.sni.clear();
  tls.failure = v1::TLS_FAILURE_UNSPECIFIED;
  tls.alert.reset();
  tls.failure_reason.clear();
}

void Clear(Session::Peer& peer) {
  peer.address.clear();
  peer.name.clear();
  peer.port = 0;
  peer.helo.clear();
}

void ToProto(const Session::Key& key, v1::SessionKey& out) {
  using Key = v1::SessionKey;
  out.set_key_version(key.key_version);
  SetString(key.host, &Key::host, &Key::mutable_host, out);
  SetTimestamp(key.stamp, *out.mutable_stamp());
  SetString(key.tag, &Key::tag, &Key::mutable_tag, out);
  out.set_ordinal(key.ordinal);
}

void ToProto(const Session::Tls& tls, v1::TlsFacts& out) {
  using Tls = v1::TlsFacts;
  out.set_state(tls.state);
  out.set_evidence(tls.evidence);
  static const HandshakeFacts* const nothing = new HandshakeFacts;
  const HandshakeFacts& facts = tls.facts != nullptr ? *tls.facts : *nothing;
  SetString(facts.protocol, &Tls::protocol, &Tls::mutable_protocol, out);
  SetString(facts.cipher, &Tls::cipher, &Tls::mutable_cipher, out);
  SetString(facts.suite != nullptr ? facts.suite->iana : "", &Tls::cipher_iana,
            &Tls::mutable_cipher_iana, out);
  out.set_cipher_code_point(facts.suite != nullptr ? facts.suite->code_point : 0);
  out.set_bits_used(facts.bits_used);
  out.set_bits_algorithm(facts.bits_algorithm);
  SetString(facts.kex_group, &Tls::kex_group, &Tls::mutable_kex_group, out);
  SetString(facts.signature, &Tls::signature, &Tls::mutable_signature, out);
  SetString(facts.signature_key, &Tls::signature_key, &Tls::mutable_signature_key, out);
  SetString(facts.signature_digest, &Tls::signature_digest, &Tls::mutable_signature_digest, out);
  SetString(facts.client_signature, &Tls::client_signature, &Tls::mutable_client_signature, out);
  SetString(facts.client_signature_key, &Tls::client_signature_key,
            &Tls::mutable_client_signature_key, out);
  SetString(facts.client_signature_digest, &Tls::client_signature_digest,
            &Tls::mutable_client_signature_digest, out);
  out.set_trust(facts.trust);
  out.set_handshake(facts.handshake);
  SetString(tls.sni, &Tls::sni, &Tls::mutable_sni, out);
  out.set_failure(tls.failure);
  out.clear_alert();
  if (tls.alert) out.set_alert(*tls.alert);
  SetString(tls.failure_reason, &Tls::failure_reason, &Tls::mutable_failure_reason, out);
}

bool HasFacts(const v1::TlsFacts& tls) {
  return !tls.protocol().empty() || !tls.cipher().empty() ||
         tls.trust() != v1::TLS_TRUST_UNSPECIFIED;
}

std::shared_ptr<const HandshakeFacts> FactsFromProto(const v1::TlsFacts& tls) {
  auto facts = std::make_shared<HandshakeFacts>();
  facts->protocol = tls.protocol();
  facts->cipher = tls.cipher();
  facts->suite = FindCipherSuite(tls.cipher(), tls.protocol());
  facts->bits_used = tls.bits_used();
  facts->bits_algorithm = tls.bits_algorithm();
  facts->kex_group = tls.kex_group();
  facts->signature = tls.signature();
  facts->signature_key = tls.signature_key();
  facts->signature_digest = tls.signature_digest();
  facts->client_signature = tls.client_signature();
  facts->client_signature_key = tls.client_signature_key();
  facts->client_signature_digest = tls.client_signature_digest();
  facts->trust = tls.trust();
  facts->handshake = tls.handshake();
  return facts;
}

void FromProto(const v1::TlsFacts& tls, Session::Tls& out) {
  out.state = tls.state();
  out.evidence = tls.evidence();
  out.facts = HasFacts(tls) ? FactsFromProto(tls) : nullptr;
  out.sni = tls.sni();
  out.failure = tls.failure();
  out.alert = tls.has_alert() ? std::optional<int>(tls.alert()) : std::nullopt;
  out.failure_reason = tls.failure_reason();
}

}  // namespace

void Session::Clear() {
  mxtally::Clear(key);
  rank = {};
  direction = v1::DIRECTION_UNSPECIFIED;
  service.clear();
  peer_class = v1::PEER_CLASS_UNSPECIFIED;
  exclusion_list_hash = 0;
  mxtally::Clear(tls);
  mxtally::Clear(peer);
  estimated_start_time.reset();
  end_time.reset();
  end_reason = v1::END_REASON_UNSPECIFIED;
  end_place.clear();
  messages = 0;
  rejects = 0;
  auth_accepted = 0;
  auth_failed = 0;
  auth_mechanism.clear();
  commands.clear();
  queue_ids.clear();
  original_queue_id.clear();
  limit_warnings = 0;
}

void SetCommand(std::string_view command, Session::CommandCount& count) {
  command = command.substr(0, Session::CommandCount::kBytesMax);
  std::memcpy(count.bytes, command.data(), command.size());
  count.size = static_cast<uint8_t>(command.size());
}

void ToRecord(const Session& session, v1::SessionRecord& record) {
  using Record = v1::SessionRecord;
  ToProto(session.key, *record.mutable_key());
  record.mutable_rank()->set_parser_version(session.rank.parser_version);
  record.mutable_rank()->set_lines_used(session.rank.lines_used);
  record.set_direction(session.direction);
  SetString(session.service, &Record::service, &Record::mutable_service, record);
  record.set_peer_class(session.peer_class);
  record.set_exclusion_list_hash(session.exclusion_list_hash);
  ToProto(session.tls, *record.mutable_tls());

  v1::Peer& peer = *record.mutable_peer();
  SetString(session.peer.address, &v1::Peer::address, &v1::Peer::mutable_address, peer);
  SetString(session.peer.name, &v1::Peer::name, &v1::Peer::mutable_name, peer);
  peer.set_port(session.peer.port);
  SetString(session.peer.helo, &v1::Peer::helo, &v1::Peer::mutable_helo, peer);

  if (session.estimated_start_time) {
    SetTimestamp(*session.estimated_start_time, *record.mutable_estimated_start_time());
  } else {
    record.clear_estimated_start_time();
  }
  if (session.end_time) {
    SetTimestamp(*session.end_time, *record.mutable_end_time());
  } else {
    record.clear_end_time();
  }
  record.set_end_reason(session.end_reason);
  SetString(session.end_place, &Record::end_place, &Record::mutable_end_place, record);
  record.set_messages(session.messages);
  record.set_rejects(session.rejects);
  record.set_auth_accepted(session.auth_accepted);
  record.set_auth_failed(session.auth_failed);
  SetString(session.auth_mechanism, &Record::auth_mechanism, &Record::mutable_auth_mechanism,
            record);
  record.clear_commands();
  for (const Session::CommandCount& command : session.commands) {
    v1::CommandCount& count = *record.add_commands();
    count.mutable_command()->assign(command.command());
    count.set_accepted(command.accepted);
    count.set_total(command.total);
  }
  record.clear_queue_ids();
  for (const std::string& id : session.queue_ids) record.add_queue_ids(id);
  SetString(session.original_queue_id, &Record::original_queue_id,
            &Record::mutable_original_queue_id, record);
  record.set_limit_warnings(session.limit_warnings);
}

void FromRecord(const v1::SessionRecord& record, Session& session) {
  session.key = {.key_version = record.key().key_version(),
                 .host = record.key().host(),
                 .stamp = GetTimestamp(record.key().stamp()),
                 .tag = record.key().tag(),
                 .ordinal = record.key().ordinal()};
  session.rank = {.parser_version = record.rank().parser_version(),
                  .lines_used = record.rank().lines_used()};
  session.direction = record.direction();
  session.service = record.service();
  session.peer_class = record.peer_class();
  session.exclusion_list_hash = record.exclusion_list_hash();
  FromProto(record.tls(), session.tls);
  session.peer = {.address = record.peer().address(),
                  .name = record.peer().name(),
                  .port = record.peer().port(),
                  .helo = record.peer().helo()};
  session.estimated_start_time.reset();
  if (record.has_estimated_start_time()) {
    session.estimated_start_time = GetTimestamp(record.estimated_start_time());
  }
  session.end_time.reset();
  if (record.has_end_time()) session.end_time = GetTimestamp(record.end_time());
  session.end_reason = record.end_reason();
  session.end_place = record.end_place();
  session.messages = record.messages();
  session.rejects = record.rejects();
  session.auth_accepted = record.auth_accepted();
  session.auth_failed = record.auth_failed();
  session.auth_mechanism = record.auth_mechanism();
  session.commands.clear();
  for (const v1::CommandCount& count : record.commands()) {
    Session::CommandCount& command = session.commands.emplace_back();
    SetCommand(count.command(), command);
    command.accepted = count.accepted();
    command.total = count.total();
  }
  session.queue_ids.assign(record.queue_ids().begin(), record.queue_ids().end());
  session.original_queue_id = record.original_queue_id();
  session.limit_warnings = record.limit_warnings();
}

}  // namespace mxtally
