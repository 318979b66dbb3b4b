// How open sessions begin, take lines, and end.  Which line belongs to which session is the matter
// of framed_sessions.h, outbound_sessions.h and unframed_sessions.h.

#ifndef MXTALLY_AGENT_SESSION_SESSION_LIFE_H_
#define MXTALLY_AGENT_SESSION_SESSION_LIFE_H_

#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/session/open_session.h"
#include "agent/session/process_table.h"
#include "agent/session/reusable_connections.h"
#include "agent/session/session_table.h"
#include "agent/session/take_event.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// ---- Time

// Moves log time on: what was silent for too long expires.  Cheap.
void MoveTo(SessionTable& table, absl::Time stamp);

// How long `session` may be without a line.
inline absl::Duration SilenceMax(const SessionTable& table, const OpenSession& session) {
  const AssemblerOptions& options = table.options;
  if (session.in_use()) return options.idle_max;
  if (session.ended) return options.confirmation_max;
  if (session.may_be_handed_on()) return options.screening_max;
  if (session.outbound()) return options.rest_max;
  return session.closed() ? options.closed_rest_max : options.inbound_rest_max;
}

// What becomes of `session`, or of a tombstone, that was silent for longer.  Returns
// whether it is a tombstone now; else it is gone.
bool Expire(SessionTable& table, SessionHandle session);

// Whether a session without a beginning is one that any reading would see: one of before
// this reading may have been given up in the meantime and its tombstone may stand.
inline bool Covers(const SessionTable& table, absl::Time time) {
  return time - *table.reading_start >= 2 * table.options.idle_max;
}

// ---- The session that a line goes on with, if any

// `session`, unless it has expired by `time`.  The clock moves in steps, and a session or
// tombstone that is past its time may stand behind the list's head: what becomes of a line
// depends on its own time.
inline std::optional<SessionHandle> Unexpired(SessionTable& table, SessionHandle session,
                                              absl::Time time) {
  while (time - session->last_time > SilenceMax(table, *session)) {
    if (!Expire(table, session)) return std::nullopt;
  }
  return session;
}

// That of the process.  Else `idle` is the process, if it stays known whatever becomes of
// other sessions.
inline std::optional<SessionHandle> FindByProcess(SessionTable& table, const FramedLine& line,
                                                  Process*& idle) {
  idle = nullptr;
  Process* const process = FindProcess(table, line);
  if (process == nullptr) return std::nullopt;
  if (process->session.has_value()) return Unexpired(table, *process->session, line.time);
  if (process->stamps > 0) idle = process;
  return std::nullopt;
}

// That whose lines name this connection.
std::optional<SessionHandle> FindByConnection(SessionTable& table, const FramedLine& line,
                                              std::string_view connection);

// ---- Beginnings

// Whether the line is always a session's first.
inline bool IsBeginning(EventType type) {
  return type == EventType::kConnect || type == EventType::kConnecting;
}

// Whether a line without an open session starts one without its beginning.
// The others come before "connect from", or tell nothing by themselves.
bool StartsSession(EventType type);

enum class Start {
  kRead,
  // Lines of its stamp may be missing.
  kUncertain,
  // It began before the reading: no record.  No line that starts it was read, so it takes no
  // ordinal: one too many would name later sessions of the stamp unlike any other reading.
  kCut,
};

// Begins a session with `line`, of which it does not take the event; a cut one is
// a tombstone.  `process`: who wrote the line, null if it is not known.
SessionHandle Begin(SessionTable& table, const FramedLine& line, const Event& event, Start start,
                    Process* process);

// ---- Lines

// Where it stands now.
inline SessionList& ListOf(SessionTable& table, SessionHandle session) {
  if (session->tombstone) return table.tombstones;
  if (session->in_use()) return session->told() ? table.told : table.live;
  if (session->ended) return table.held;
  return session->may_be_handed_on() ? table.screening : table.resting;
}

// Takes a line of a session that is no tombstone.
inline void TakeLine(SessionTable& table, SessionHandle session, absl::Time time,
                     const Event& event) {
  SessionList& former = ListOf(table, session);
  RemoveReusable(table, session);
  session->facts.Remove(SessionFacts::kTold);
  TakeEvent(time, event, *session);
  SessionList& next = ListOf(table, session);
  next.splice(next.end(), former, session);
  AddReusable(table, session);
}
// The same for a tombstone.
void SwallowLine(SessionTable& table, SessionHandle tombstone, absl::Time time, EventType type);

// The session got a queue id, another process tells what became of one.
void AddQueueId(SessionTable& table, SessionHandle session, std::string_view id);
void ResolveQueueId(SessionTable& table, const FramedLine& line, std::string_view id,
                    bool confirmed);

// ---- Ends

// Its record is made now, or once its queue ids are confirmed.  None if no connection came about.
void End(SessionTable& table, SessionHandle session, v1::EndReason reason);
// Its record is made now, and a tombstone stays, last used at `tombstone_time`.  Returns whether it
// does: not where no connection came about.
bool GiveUp(SessionTable& table, SessionHandle session, v1::EndReason reason,
            absl::Time tombstone_time);
// There is no record.
void Forget(SessionTable& table, SessionHandle session);
// The session has no use for its process any more, nor for its connection's name.
void Release(SessionTable& table, SessionHandle session);
// Its process, or its connection's name, goes on with another session.  `reason`: why it ends if
// it does not rest.
void Leave(SessionTable& table, SessionHandle session,
           v1::EndReason reason = v1::END_REASON_SUPERSEDED);

// The master says that a process died, or that it starts or stops itself: sessions end with them.
void AbortProcess(SessionTable& table, const FramedLine& line, const Event& event);
void AbortInstance(SessionTable& table, const FramedLine& line);

// Gives up what costs least: a tombstone, then a session that was told, what is most likely another
// service's session, then a session that only waits to be confirmed or to go on, then the least
// recently used.  False if there is nothing to give up.
bool GiveUpOne(SessionTable& table, absl::Time time);

// All but the spare ones.
int64_t SessionCount(const SessionTable& table);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_SESSION_LIFE_H_
