#include "agent/session/open_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "agent/session/assembler.h"
#include "agent/session/bounds.h"
#include "agent/session/text.h"
#include "agent/session/tls_decision.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

// A clock that goes back further within a session was wrong when it began, or is now.
constexpr absl::Duration kClockStepMax = absl::Hours(24);

// Of one session, open and confirmed together.
constexpr size_t kQueueIdsMax = 1000;

bool MessagesDependOnQueueIds(const OpenSession& open) {
  return (!open.facts.Has(kCounters) || open.facts.Has(kBdat)) && !open.outbound();
}

// A DATA command counts the messages it accepted, BDAT counts chunks.
int32_t Messages(const OpenSession& open) {
  const int32_t by_line =
      static_cast<int32_t>(open.confirmed_queue_ids.size()) + open.accepted_messages;
  if (!open.facts.Has(kCounters)) return by_line;
  if (!open.facts.Has(kBdat)) return open.messages_by_counter;
  return std::max(open.messages_by_counter, by_line);
}

}  // namespace

bool OpenSession::IsPeer(const NamedAddress& peer) const {
  const Session::Peer& own = fields.peer;
  // Of a handshake whose line names the server alone.
  if (own.address.empty() && !own.name.empty()) return IsServer(peer);
  if (own.address != peer.address) return false;
  return own.port == peer.port || own.port == 0 || peer.port == 0;
}

bool OpenSession::IsServer(const NamedAddress& peer) const {
  const Session::Peer& own = fields.peer;
  if (!own.address.empty()) return own.address == peer.address;
  return absl::EqualsIgnoreCase(own.name, std::string(peer.name)) && !own.name.empty();
}

bool OpenSession::tls_not_logged() const {
  return outbound() && DependsOnTlsLogging(facts) && !facts.Has(kTlsWouldShow);
}

void OpenSession::Begin(std::string_view host, std::string_view tag, absl::Time stamp,
                        uint32_t ordinal, bool uncertain) {
  Session::Key& key = fields.key;
  key.key_version = kKeyVersion;
  key.host.assign(host);
  key.tag.assign(tag);
  key.stamp = stamp;
  key.ordinal = ordinal;
  if (uncertain) facts.Add(kUncertain);
  last_time = stamp;
}

void OpenSession::TakeService(const Event& event, const Service& service) {
  if (event.outbound) {
    fields.direction = v1::DIRECTION_OUTBOUND;
    fields.service = service.name;
  }
  if (!event.service.empty()) SetServiceName(event.service, fields.service);
  if (event.implicit_tls) facts.Add(kImplicitTls);
  if (event.local) facts.Add(kLocal);
}

bool OpenSession::AddQueueId(std::string_view id, bool room) {
  if (id.empty() || id.size() > kQueueIdMax || !IsGraphic(id)) return false;
  auto has = [id](const std::vector<std::string>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  if (has(open_queue_ids) || has(confirmed_queue_ids)) return false;
  if (fields.queue_ids.size() < kQueueIdsInRecordMax) {
    SetText(id, kQueueIdMax, fields.queue_ids.emplace_back());
  }
  if (!room || open_queue_ids.size() + confirmed_queue_ids.size() >= kQueueIdsMax) return false;
  open_queue_ids.emplace_back(id);
  return true;
}

void OpenSession::ResolveQueueId(std::string_view id, bool confirmed) {
  auto it = std::find(open_queue_ids.begin(), open_queue_ids.end(), id);
  if (it == open_queue_ids.end()) return;
  if (confirmed) confirmed_queue_ids.push_back(std::move(*it));
  open_queue_ids.erase(it);
}

void OpenSession::End(v1::EndReason reason, const Service* service) {
  ended = true;
  Session::Tls& tls = fields.tls;
  TlsDecision decision;
  if (outbound()) {
    decision = DecideTlsOutbound(facts, tls.failure);
  } else {
    fields.direction = v1::DIRECTION_INBOUND;
    if (fields.service.empty() && service != nullptr) fields.service = service->name;
    const bool wrapper_mode = service != nullptr && service->wrapper_mode;
    decision = DecideTlsInbound(facts, fields, wrapper_mode || facts.Has(kImplicitTls),
                                /*by_tlsproxy=*/!connection.empty());
  }
  tls.state = decision.state;
  tls.evidence = decision.evidence;
  tls.failure = decision.failure;
  if (tls.state != v1::TLS_STATE_FAILED) {
    // Problems of the library after the handshake, say.
    tls.alert.reset();
    tls.failure_reason.clear();
  }
  const bool ends_by_itself =
      reason == v1::END_REASON_DISCONNECT || reason == v1::END_REASON_UNSPECIFIED;
  if (!ends_by_itself || !lost()) fields.end_reason = reason;
  if (fields.rank.lines_used > 1 && stamp() - last_time <= kClockStepMax) {
    fields.end_time = last_time;
  }
  // A reading that saw no TLS of the client knows less, and says UNKNOWN.
  if (outbound() && DependsOnTlsLogging(facts) && !tls_not_logged()) ++fields.rank.lines_used;
}

bool OpenSession::AwaitsQueueIds() const {
  return MessagesDependOnQueueIds(*this) && !open_queue_ids.empty();
}

const Session& OpenSession::Finish(const PeerClassifier& peers) {
  fields.messages = outbound() ? std::max(fields.messages, messages_by_counter) : Messages(*this);
  Session::Rank& rank = fields.rank;
  rank.parser_version = kParserVersion;
  if (uncertain()) {
    rank.lines_used = 0;
  } else if (MessagesDependOnQueueIds(*this)) {
    // A reading that missed the confirmations knows less.
    rank.lines_used += static_cast<uint32_t>(confirmed_queue_ids.size());
  }
  fields.peer_class = facts.Has(kLocal) ? v1::PEER_CLASS_LOOPBACK
                                        : peers.Classify(fields.peer.address, fields.peer.name);
  fields.exclusion_list_hash = peers.list_hash();
  return fields;
}

void OpenSession::BecomeTombstone(absl::Time last_time) {
  if (outbound()) {
    facts = SessionFacts(facts.bits() & kUncertain);
  } else {
    Session::Key key = std::move(fields.key);
    std::string name = std::move(connection);
    Clear();
    fields.key = std::move(key);
    connection = std::move(name);
  }
  ended = false;
  tombstone = true;
  this->last_time = last_time;
}

void OpenSession::Clear() {
  fields.Clear();
  facts = SessionFacts();
  last_time = absl::Time();
  tombstone = false;
  ended = false;
  messages_by_counter = 0;
  accepted_messages = 0;
  open_queue_ids.clear();
  confirmed_queue_ids.clear();
  connection.clear();
  connection_uses = 0;
  delivery_queue_id.clear();
  delivery_delays.clear();
}

void OpenSession::Save(agent::v1::OpenSession& saved) const {
  ToRecord(fields, *saved.mutable_record());
  SetTimestamp(last_time, *saved.mutable_last_time());
  saved.set_tombstone(tombstone);
  saved.set_ended(ended);
  saved.set_facts(facts.bits());
  saved.set_messages_by_counter(messages_by_counter);
  saved.set_accepted_messages(accepted_messages);
  for (const std::string& id : confirmed_queue_ids) saved.add_confirmed_queue_ids(id);
  for (const std::string& id : open_queue_ids) saved.add_open_queue_ids(id);
  saved.set_connection(connection);
  saved.set_delivery_queue_id(delivery_queue_id);
  if (!outbound()) return;
  saved.set_connection_uses(connection_uses);
  saved.set_delivery_delays(delivery_delays);
}

void OpenSession::Restore(const agent::v1::OpenSession& saved) {
  Clear();
  FromRecord(saved.record(), fields);
  facts = SessionFacts(saved.facts());
  last_time = GetTimestamp(saved.last_time());
  tombstone = saved.tombstone();
  ended = saved.ended();
  messages_by_counter = saved.messages_by_counter();
  accepted_messages = saved.accepted_messages();
  open_queue_ids.assign(saved.open_queue_ids().begin(), saved.open_queue_ids().end());
  confirmed_queue_ids.assign(saved.confirmed_queue_ids().begin(),
                             saved.confirmed_queue_ids().end());
  connection = saved.connection();
  connection_uses = saved.connection_uses();
  delivery_queue_id = saved.delivery_queue_id();
  delivery_delays = saved.delivery_delays();
}

}  // namespace mxtally
