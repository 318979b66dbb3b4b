#include "agent/session/framed_sessions.h"

#include <optional>
#include <string>

#include "agent/session/session_life.h"

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

// Of a process that serves one connection: whether a line of a process of this name goes
// on with the session, as far as it tells.  Process ids come again.
bool ServesOn(const OpenSession& session, const Event& event) {
  // No line comes before one of these but those of messages.
  const bool begins =
      event.type == EventType::kTlsEstablished || event.type == EventType::kTlsFailed;
  if (session.tombstone) return !begins;
  const std::string& address = session.fields.peer.address;
  if (event.has_peer && !address.empty() && event.peer.address != address) return false;
  if (begins) return !session.facts.Has(kTlsEstablished | kTransaction);
  // Of a connection without mail.
  if (event.type == EventType::kDisconnect) return !session.facts.Has(kTransaction);
  // A release that says of one message that it came over TLS says so of all.
  return !(session.facts.Has(kFieldEstablished) && event.connection_tls == DeliveryTls::kNotShown);
}

// The process wrote another line than the one that would take back what its last one said.
void ForgetHandedOn(SessionTable& table, const FramedLine& line, const Event& event) {
  const Process* const process = FindProcess(table, line);
  if (process == nullptr || !process->session.has_value()) return;
  const SessionHandle session = *process->session;
  if (session->handed_on() && session->connection != event.connection) Forget(table, session);
}

// One at a time: the next line of the process takes back what this one said, or nothing.
void RememberHandedOn(SessionTable& table, SessionHandle session) {
  std::optional<SessionHandle>& last = session->process->session;
  if (last.has_value() && last != session && (*last)->handed_on()) Forget(table, *last);
  session->process->session = session;
}

std::optional<SessionHandle> Find(SessionTable& table, const FramedLine& line, const Event& event,
                                  Process*& idle) {
  std::optional<SessionHandle> session;
  if (event.connection.empty()) {
    session = FindByProcess(table, line, idle);
  } else {
    if (!table.screening.empty()) ForgetHandedOn(table, line, event);
    session = FindByConnection(table, line, event.connection);
  }
  if (!session.has_value()) return std::nullopt;
  if (event.one_connection && !ServesOn(**session, event)) {
    Leave(table, *session,
          (*session)->may_have_ended() ? v1::END_REASON_UNSPECIFIED : v1::END_REASON_SUPERSEDED);
    return std::nullopt;
  }
  if (IsBeginning(event.type)) {
    Leave(table, *session);
    return std::nullopt;
  }
  return session;
}

// How old the connection was, less than a quarter of an hour.  A queue id tells its time in UTC;
// year and zone of a stamp may be guesses, but no two zones differ by parts of a quarter.
absl::Duration AgeOf(absl::Time connection_time, absl::Time stamp) {
  constexpr absl::Duration kEarly = absl::Minutes(1);  // Stamps may be of whole seconds.
  const absl::Duration age = stamp - connection_time + kEarly;
  const absl::Duration quarter = absl::Minutes(15);
  return age - absl::Floor(age, quarter) - kEarly;
}

// Whether the connection began within the reading.
bool CoversConnection(const SessionTable& table, absl::Time time, const Event& event) {
  const double age_seconds = event.connection_age_seconds;
  if (age_seconds >= 0 && time - *table.reading_start >= absl::Seconds(age_seconds)) return true;
  if (event.connection_time.has_value() &&
      time - AgeOf(*event.connection_time, time) + absl::Seconds(1) > *table.reading_start) {
    return true;
  }
  return Covers(table, time);
}

Start StartOf(const SessionTable& table, absl::Time time, const Event& event) {
  if (!IsBeginning(event.type) && !CoversConnection(table, time, event)) return Start::kCut;
  // A further message has a queue id of its own, younger than the connection. One that comes
  // soon after the reading began is taken for the first, as those of Exim are.
  const bool may_have_begun =
      (event.type == EventType::kMessageAccepted || event.type == EventType::kTransaction) &&
      event.connection_time.has_value() &&
      time - *table.reading_start <= table.options.inbound_rest_max;
  return time == table.reading_start || may_have_begun ? Start::kUncertain : Start::kRead;
}

}  // namespace

void AddFramedLine(SessionTable& table, const FramedLine& line, const Event& event) {
  Process* idle = nullptr;
  std::optional<SessionHandle> found = Find(table, line, event, idle);
  if (!found.has_value()) {
    // Lines may tell of deliveries after a connection of this host's is gone.
    const bool starts = event.outbound ? IsBeginning(event.type) : StartsSession(event.type);
    if (!starts || event.only_continues) return;
    const Start start = StartOf(table, line.time, event);
    // Its time is told by the queue id of the message that may follow.
    if (start == Start::kCut && event.type == EventType::kAuthAccepted && event.one_connection) {
      return;
    }
    if (start == Start::kCut && event.type == EventType::kDisconnect) {
      // The first line seen is its last.
      table.observer.OnCutSession();
      return;
    }
    found = Begin(table, line, event, start, idle);
  }
  const SessionHandle session = *found;
  if (session->tombstone) {
    SwallowLine(table, session, line.time, event.type);
    return;
  }
  TakeLine(table, session, line.time, event);
  switch (event.type) {
    case EventType::kQueueIdAssigned:
      AddQueueId(table, session, event.queue_id);
      break;
    case EventType::kHandedOn:
      if (session->handed_on()) RememberHandedOn(table, session);
      break;
    case EventType::kDisconnect:
      End(table, session, v1::END_REASON_DISCONNECT);
      break;
    case EventType::kTransaction:
      if (session->lost()) End(table, session, v1::END_REASON_DISCONNECT);
      break;
    case EventType::kProcessDying:
      End(table, session, v1::END_REASON_ABORTED);
      break;
    default:
      break;
  }
}

}  // namespace mxtally
