#include "agent/session/outbound_sessions.h"

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "agent/session/reusable_connections.h"
#include "agent/session/session_life.h"
#include "agent/session/take_delivery.h"

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

bool DeliveryContinues(const OpenSession& session, const Event& event) {
  const int uses = event.delivery.connection_uses;
  // After a failed handshake there is no connection, but a second one to the same server,
  // without TLS.  The server's answer is one to it; of another MTA's than Postfix nobody
  // knows whose words they are.
  const bool failed = session.facts.Has(kTlsFailed);
  if (uses == 0) {
    return (session.IsServer(event.peer) || session.HasNoPeer()) &&
           !(failed && event.delivery.sent);
  }
  if (!session.IsPeer(event.peer)) return false;
  if (session.connection_uses == uses) return IsSameDelivery(event, session);
  // The first over this connection.
  const bool over_another = failed && event.delivery.trouble != DeliveryTrouble::kHandshakeFailed;
  return session.connection_uses == 0 && uses == 1 && !over_another &&
         (session.delivery_queue_id.empty() || session.delivery_queue_id == event.queue_id);
}

// Whether a line of the process that uses the connection goes on with this session.
bool Continues(const OpenSession& session, const Event& event) {
  if (session.closed()) return false;
  switch (event.type) {
    case EventType::kDelivery:
      return DeliveryContinues(session, event);
    case EventType::kServerGivenUp:
      return (!event.has_peer || session.IsPeer(event.peer)) &&
             (session.delivery_queue_id.empty() || session.delivery_queue_id == event.queue_id);
    case EventType::kTlsLibraryProblem:
    case EventType::kTlsReport:
    case EventType::kProcessDying:
      return !session.facts.Has(kOutcome);
    default:
      return false;
  }
}

// Whether the line is of the connection without TLS that Postfix makes to the same server at once
// when the handshake with it failed.
bool IsRetriedBy(const Event& event, const OpenSession& failed) {
  return failed.facts.Has(kTlsFailed) && event.type == EventType::kDelivery &&
         failed.IsPeer(event.peer) && failed.delivery_queue_id == event.queue_id &&
         absl::EqualsIgnoreCase(failed.fields.peer.name, std::string(event.peer.name));
}

// Whether the line can be of a connection that was used before and is not known.
bool MayGoOnWithConnection(const Event& event) {
  if (event.type == EventType::kDelivery) return event.delivery.connection_uses != 1;
  if (event.type != EventType::kServerGivenUp || !event.has_peer) return false;
  switch (event.delivery.trouble) {
    case DeliveryTrouble::kOther:
    case DeliveryTrouble::kLostConnection:
    case DeliveryTrouble::kTimeout:
      return event.place != "CONNECT" && !event.place.ends_with("LO");
    default:
      return false;
  }
}

// The connection that the line goes on with, if any, which its process uses from now on.  `own`:
// what the process did before.
std::optional<SessionHandle> TakeOver(SessionTable& table, std::optional<SessionHandle> own,
                                      const FramedLine& line, const Event& event) {
  if (own.has_value() && MayReuse(event, **own)) return own;
  const std::optional<SessionHandle> connection = FindReusable(table, line, event);
  if (!connection.has_value() || connection == own) return connection;
  if (own.has_value()) Leave(table, *own);
  if ((*connection)->process != nullptr) Leave(table, *connection);
  Process& user = FindOrAddProcess(table, line);
  user.session = *connection;
  (*connection)->process = &user;
  return connection;
}

// A line that tells of a handshake is always the first.
bool CoversOutbound(const SessionTable& table, absl::Time time, const Event& event) {
  if (event.type != EventType::kDelivery && event.type != EventType::kServerGivenUp) return true;
  const double age_seconds = event.delivery.connection_age_seconds;
  if (age_seconds >= 0 && time - *table.reading_start >= absl::Seconds(age_seconds)) return true;
  return Covers(table, time);
}

// `former`: what the process did before.
Start StartOf(const SessionTable& table, std::optional<SessionHandle> former, absl::Time time,
              const Event& event) {
  const bool reuses = event.type == EventType::kDelivery && event.delivery.connection_uses > 1;
  // All lines since the process's last session were read.
  const bool knows_process = former.has_value() && (*former)->last_time >= *table.reading_start;
  if (reuses || !(knows_process || CoversOutbound(table, time, event))) return Start::kCut;
  // Of a cut session nobody knows whether it has an ordinal of this stamp.
  const bool after_uncertain =
      former.has_value() && (*former)->uncertain() && (*former)->stamp() == time;
  return time == table.reading_start || after_uncertain ? Start::kUncertain : Start::kRead;
}

void Take(SessionTable& table, SessionHandle session, absl::Time time, const Event& event) {
  if (session->tombstone) {
    FollowDelivery(event, *session);
    session->last_time = time;
    table.tombstones.splice(table.tombstones.end(), table.tombstones, session);
    return;
  }
  TakeLine(table, session, time, event);
  if (event.type == EventType::kProcessDying) End(table, session, v1::END_REASON_ABORTED);
}

}  // namespace

void AddOutboundLine(SessionTable& table, const FramedLine& line, const Event& event) {
  if (event.type == EventType::kTlsEstablished && !event.only_continues) {
    table.tls_logging.Add(KeyHost(table, line.host), line.program, line.time);
    // The delivery that follows tells which connection it is.
    if (event.tls.reused) return;
  }
  Process* idle = nullptr;
  const std::optional<SessionHandle> own = FindByProcess(table, line, idle);
  if (own.has_value() && Continues(**own, event)) {
    Take(table, *own, line.time, event);
    return;
  }
  if (MayGoOnWithConnection(event)) {
    if (const auto connection = TakeOver(table, own, line, event)) {
      Take(table, *connection, line.time, event);
      return;
    }
  }
  if (!StartsSession(event.type) || event.only_continues) return;
  const Start start = StartOf(table, own, line.time, event);
  const bool retry = own.has_value() && start != Start::kCut && IsRetriedBy(event, **own);
  if (own.has_value()) Leave(table, *own);
  const SessionHandle begun = Begin(table, line, event, start, idle);
  if (retry) begun->facts.Add(kTlsWouldShow);
  Take(table, begun, line.time, event);
}

}  // namespace mxtally
