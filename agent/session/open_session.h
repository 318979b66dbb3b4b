// What is known of one session while its lines come in, and the
// decisions at its end: TLS state and evidence, failure, messages, peer class.

#ifndef MXTALLY_AGENT_SESSION_OPEN_SESSION_H_
#define MXTALLY_AGENT_SESSION_OPEN_SESSION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/session/peer_class.h"
#include "agent/session/session.h"
#include "mxtally/agent/v1/checkpoint.pb.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// What a tag says of all sessions of its process.
struct Service {
  std::string name;  // As in session.proto.
  bool wrapper_mode = false;
};

Service ServiceOf(std::string_view tag);

// One thread only.
class OpenSession {
 public:
  // `host` and `tag` as in the key.  `uncertain`: earlier lines of this stamp
  // may be missing.
  void Begin(std::string_view host, std::string_view tag, absl::Time stamp, uint32_t ordinal,
             bool uncertain);
  // After Begin, of a session that this host opened.
  void BeginOutbound(const Service& service);
  // After Begin: what names the connection in its lines, Event::connection.  Then the
  // log tells where the session ends.
  void NameConnection(std::string_view connection);
  const std::string& connection() const { return connection_; }
  // What the first line says of the service.
  void TakeService(const Event& event);

  // Who wrote its lines may still hand the connection on to another service; then this is
  // no session.
  bool may_be_handed_on() const { return Has(kMayBeHandedOn); }
  void set_may_be_handed_on(bool may);
  // The last line said so.  The next one of its process takes it back, if any does.
  bool handed_on() const { return Has(kHandedOn) && may_be_handed_on(); }

  // Takes one of the session's own lines.  Queue ids are the caller's.
  void Take(absl::Time time, const Event& event);

  // No more lines will come: decides everything but the number of messages.
  // END_REASON_DISCONNECT leaves the reason that an abnormal end gave.
  void End(v1::EndReason reason, const Service& service);

  // Whether an `unframed` line goes on with this session, which its process, its
  // connection or its message names.  `tag`: the line's own.
  bool GoesOn(absl::Time time, std::string_view tag, const Event& event) const;
  // The log may tell no more of it.
  void set_rests() { facts_ |= kRests; }
  // The log tells that the connection was closed.
  bool closed() const { return Has(kClosed); }
  bool outbound() const { return session_.direction == v1::DIRECTION_OUTBOUND; }

  // Of sessions that this host opened, whose lines tell neither where they begin nor
  // where they end.
  //
  // Whether a line of the process that uses the connection goes on with this session.
  bool Continues(const Event& event) const;
  // Of a process that serves one connection: whether a line of a process of this name goes
  // on with the session, as far as it tells.  Process ids come again.
  bool ServesOn(const Event& event) const;
  // The log need not tell more: a transaction ended.
  bool may_have_ended() const { return Has(kTransaction) && !tombstone_ && !ended_; }
  // The client was lost.
  bool lost() const { return session_.end_reason != v1::END_REASON_UNSPECIFIED; }
  // Whether a line of another process may go on with it: a delivery over a connection
  // that had one use less, or a server given up that had any.
  bool GoesOnWith(const Event& event) const;
  // Of a tombstone that was never anything else: what tells lines to swallow.
  void TakeServer(const Event& event);
  // What Take does for a session that only swallows lines.
  void Follow(const Event& event);
  // A line told how a delivery ended; it may have been the last.
  bool resting() const {
    return ((Has(kOutcome) && connection_.empty()) || Has(kRests)) && !tombstone_ && !ended_;
  }
  // Deliveries over the connection; 0 while none ended, or if there can be no more.
  int connection_uses() const { return Has(kClosed) ? 0 : connection_uses_; }
  // Lines of its stamp may be missing.
  bool uncertain() const { return Has(kUncertain); }
  void set_uncertain() { facts_ |= kUncertain; }

  // From now on only swallows late lines; forgets all but its key, and what tells
  // such lines.
  void BecomeTombstone(absl::Time last_time);

  // Returns whether the id is open now: it is new to this session, and it has
  // `room`, as has the caller, for one more to be confirmed.
  bool AddQueueId(std::string_view id, bool room);
  // Queue ids that neither became a message nor were given up so far.
  const std::vector<std::string>& open_queue_ids() const { return open_queue_ids_; }
  // The transaction became a message or was given up.
  void ResolveQueueId(std::string_view id, bool confirmed);
  // After End: the number of messages depends on queue ids still open.
  bool AwaitsQueueIds() const;

  // After End: decides what was left open and returns the session, valid until
  // the next call of a method that is not const.
  const Session& Finish(const PeerClassifier& peers);

  // Back to nothing; memory is kept for the next session.
  void Clear();

  void Save(agent::v1::OpenSession& saved) const;
  void Restore(const agent::v1::OpenSession& saved);

  // As far as it is known: peer class, TLS state and the like come at the end.
  const Session& session() const { return session_; }
  const std::string& host() const { return session_.key.host; }
  const std::string& tag() const { return session_.key.tag; }
  absl::Time stamp() const { return session_.key.stamp; }
  // Stamp of the last own line.
  absl::Time last_time() const { return last_time_; }
  void set_last_time(absl::Time time) { last_time_ = time; }
  bool tombstone() const { return tombstone_; }
  bool ended() const { return ended_; }
  // No connection came about so far: no session yet.
  bool connecting() const { return Has(kConnecting); }

 private:
  // Bits of agent.v1.OpenSession.facts: never renumbered.
  enum Fact : uint32_t {
    kUncertain = 1 << 0,         // Reading began within the key's stamp.
    kTlsEstablished = 1 << 1,    // A line says that a handshake succeeded.
    kTlsFailed = 1 << 2,         // A line says that a handshake failed.
    kTlsSetup = 1 << 3,          // A line says that a handshake begins.
    kTlsRefused = 1 << 4,        // TLS was refused before a handshake.
    kActivity = 1 << 5,          // SMTP went on, after kTlsSetup if that was seen.
    kDisconnected = 1 << 6,      // The end line was seen,
    kCounters = 1 << 7,          //   and has counters,
    kStarttlsAccepted = 1 << 8,  //   of these starttls=1 or more,
    kStarttlsFailed = 1 << 9,    //   or starttls=0/n,
    kBdat = 1 << 10,             //   and bdat=1 or more,
    kAnyCommand = 1 << 11,       //   and any command at all.
    // Of sessions that this host opened, and of unframed ones.
    kOutcome = 1 << 12,           // A delivery ended, well or not.
    kClosed = 1 << 13,            // The connection is of no more use.
    kMessageCounted = 1 << 14,    // The newest delivery's message is.
    kFieldEstablished = 1 << 15,  // The delivery line's tls= says so,
    kFieldFailed = 1 << 16,       //   or so,
    kFieldPlaintext = 1 << 17,    //   or so,
    kFieldUnknown = 1 << 18,      //   or that nobody knows.
    kImplicitTls = 1 << 19,       // The first line says that TLS began with the connection.
    kMayBeHandedOn = 1 << 20,     // To another service, whose session it is then,
    kHandedOn = 1 << 21,          //   or it was.
    kFieldNotShown = 1 << 22,     // A field that shows TLS is missing.
    kRests = 1 << 23,             // The log may tell no more of it.
    kFramed = 1 << 24,            // A line told where it begins.
    kConnecting = 1 << 26,        // No connection came about so far.
    kTransaction = 1 << 25,       // A transaction ended, with a message or without.
    kLocal = 1 << 27,             // The peer is a process of this host.
    kNobody = 1 << 28,            // The first line knows no address: the peer was gone by then.
  };
  bool Has(uint32_t facts) const { return (facts_ & facts) != 0; }

  void TakePeer(const Event& event);
  void TakeTls(const TlsSummary& tls);
  void TakeConnectionTls(const Event& event);
  void TakeFieldTls(DeliveryTls tls);
  void TakeTlsFailed(std::string_view reason);
  void TakeTlsError(const Event& event);
  void TakeMessage(const Event& event);
  void TakeTlsFailedByText(std::string_view text);
  void TakeTlsLibraryProblem(const Event& event);
  void TakeAbnormalEnd(const Event& event);
  void TakeCounters(const Event& event);

  void TakeDelivery(absl::Time time, const Event& event);
  void TakeTrouble(const Event& event);
  bool IsPeer(const NamedAddress& peer) const;
  bool IsServer(const NamedAddress& peer) const;
  bool HasNoPeer() const;
  bool IsSameDelivery(const Event& event) const;

  bool MessagesDependOnQueueIds() const { return (!Has(kCounters) || Has(kBdat)) && !outbound(); }
  int32_t Messages() const;
  void DecideTls(bool wrapper_mode);
  void DecideTlsByField();
  void DecideTlsBySetupLine();
  void DecideTlsOfWrapperMode();
  void DecideTlsOutbound();
  void SetTls(v1::TlsState state, v1::TlsEvidence evidence);
  // Why a handshake failed that no line of its own reports.
  v1::TlsFailure FailureOfAbnormalEnd() const;

  // Until End, `end_reason` is what an abnormal end gave, and `lines_used`
  // counts the own lines.
  Session session_;
  absl::Time last_time_;
  uint32_t facts_ = 0;
  int32_t messages_by_counter_ = 0;
  int32_t accepted_messages_ = 0;
  bool tombstone_ = false;
  bool ended_ = false;
  std::vector<std::string> open_queue_ids_;
  std::vector<std::string> confirmed_queue_ids_;
  std::string connection_;
  int connection_uses_ = 0;
  std::string delivery_queue_id_;
  std::string delivery_delays_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_OPEN_SESSION_H_
