// One session while its lines come in: what is known of it, and how it ends.

#ifndef MXTALLY_AGENT_SESSION_OPEN_SESSION_H_
#define MXTALLY_AGENT_SESSION_OPEN_SESSION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/session/peer_class.h"
#include "agent/session/service.h"
#include "agent/session/session.h"
#include "agent/session/session_facts.h"
#include "mxtally/agent/v1/checkpoint.pb.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// One thread only.
struct OpenSession {
  // As far as it is known: peer class, TLS state and the like come at the end.  Until End,
  // `end_reason` is what an abnormal end gave, and `rank.lines_used` counts the own lines.
  Session fields;
  SessionFacts facts;
  // Stamp of the last own line.
  absl::Time last_time;
  // Only swallows late lines: it was given up, or began before the reading.
  bool tombstone = false;
  // No more own lines will come.
  bool ended = false;

  // By the counters of the end line; by lines of messages, which need no confirmation.
  int32_t messages_by_counter = 0;
  int32_t accepted_messages = 0;
  // Queue ids that neither became a message nor were given up so far; that became one.
  std::vector<std::string> open_queue_ids;
  std::vector<std::string> confirmed_queue_ids;

  // What names the connection in its lines, Event::connection.  Empty: its process has
  // only one.
  std::string connection;

  // Of sessions that this host opened: deliveries over the connection so far, and of
  // the newest its queue id and its delays as logged, "0.04/0.13/0.2".  Of others the
  // queue id of the newest message that was accepted.
  int connection_uses = 0;
  std::string delivery_queue_id;
  std::string delivery_delays;

  const std::string& host() const { return fields.key.host; }
  const std::string& tag() const { return fields.key.tag; }
  absl::Time stamp() const { return fields.key.stamp; }
  bool outbound() const { return fields.direction == v1::DIRECTION_OUTBOUND; }

  // Lines of its stamp may be missing.
  bool uncertain() const { return facts.Has(SessionFacts::kUncertain); }
  // No connection came about so far: no session yet.
  bool connecting() const { return facts.Has(SessionFacts::kConnecting); }
  // Who wrote its lines may still hand the connection on to another service; then this is
  // no session.
  bool may_be_handed_on() const { return facts.Has(SessionFacts::kMayBeHandedOn); }
  // The last line said so.  The next one of its process takes it back, if any does.
  bool handed_on() const { return facts.Has(SessionFacts::kHandedOn) && may_be_handed_on(); }
  // An abnormal end was logged.
  bool lost() const { return fields.end_reason != v1::END_REASON_UNSPECIFIED; }
  // The connection is of no more use.
  bool closed() const { return facts.Has(SessionFacts::kClosed); }
  // What was read of it may be all: a transaction ended.
  bool may_have_ended() const {
    return facts.Has(SessionFacts::kTransaction) && !tombstone && !ended;
  }
  // Its record was handed on before its end, and no line came since.
  bool told() const { return facts.Has(SessionFacts::kTold); }
  // The log need not tell of its end, or says which connection a line is of, so that a late line
  // is one of this session: its record may be handed on before its end.
  bool may_be_told() const {
    return (may_have_ended() || !connection.empty()) && !told() && !uncertain() && !connecting();
  }
  // A line told how a delivery ended, or nothing need follow for another reason: it waits for
  // lines that go on with it, whichever process writes them.
  bool resting() const {
    if (!facts.Has(SessionFacts::kRests | SessionFacts::kOutcome) || tombstone || ended) {
      return false;
    }
    return facts.Has(SessionFacts::kRests) || connection.empty();
  }
  // Its process serves it, or its tombstone: it neither rests nor waits for anything.
  bool in_use() const {
    constexpr uint32_t kMaybeNot =
        SessionFacts::kMayBeHandedOn | SessionFacts::kRests | SessionFacts::kOutcome;
    return !ended && (!facts.Has(kMaybeNot) || !(may_be_handed_on() || resting()));
  }
  // After End: nothing tells TLS from plaintext, because its client logs no TLS.
  bool tls_not_logged() const;
  // Another delivery may go over the connection.
  bool reusable() const { return connection_uses > 0 && !closed(); }

  bool HasNoPeer() const { return fields.peer.address.empty() && fields.peer.name.empty(); }
  // Whether the addresses are one, and the ports, where both are known.
  bool IsPeer(const NamedAddress& peer) const;
  // The same without ports.  A line of the handshake names the server, without its address.
  bool IsServer(const NamedAddress& peer) const;

  // `host` and `tag` as in the key.  `uncertain`: earlier lines of this stamp
  // may be missing.
  void Begin(std::string_view host, std::string_view tag, absl::Time stamp, uint32_t ordinal,
             bool uncertain);
  // After Begin, of all sessions but tombstones: what the first line says of direction and
  // service.  `service`: what the tag says.
  void TakeService(const Event& event, const Service& service);

  // Returns whether the id is open now: it is new to this session, and it has
  // `room`, as has the caller, for one more to be confirmed.
  bool AddQueueId(std::string_view id, bool room);
  // The transaction became a message or was given up.
  void ResolveQueueId(std::string_view id, bool confirmed);

  // Decides everything but the number of messages.  END_REASON_DISCONNECT leaves the reason
  // that an abnormal end gave.  `service`: what the tag says; null where lines told.
  void End(v1::EndReason reason, const Service* service);
  // After End: the number of messages depends on queue ids still open.
  bool AwaitsQueueIds() const;
  // After End: decides what was left open and returns the session, valid until
  // the next change.
  const Session& Finish(const PeerClassifier& peers);

  // Forgets all but the key, and what tells the lines to swallow.
  void BecomeTombstone(absl::Time last_time);
  // Back to nothing; memory is kept for the next session.
  void Clear();

  void Save(agent::v1::OpenSession& saved) const;
  void Restore(const agent::v1::OpenSession& saved);
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_OPEN_SESSION_H_
