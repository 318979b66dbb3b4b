// Connections of this host that another delivery may go over: resting sessions, chained by server
// as they were last used, whichever process used them.

#ifndef MXTALLY_AGENT_SESSION_REUSABLE_CONNECTIONS_H_
#define MXTALLY_AGENT_SESSION_REUSABLE_CONNECTIONS_H_

#include <optional>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/session/process_table.h"
#include "agent/session/session_table.h"

namespace mxtally {

// Whether a line of another process may go on with the session: a delivery over a connection
// that had one use less, or a server given up that had any.
bool MayReuse(const Event& event, const OpenSession& session);

// The connection that the line goes on with, if any: of several the one last used.
std::optional<SessionHandle> FindReusable(SessionTable& table, const FramedLine& line,
                                          const Event& event);

void Chain(SessionTable& table, SessionHandle session);
void Unchain(SessionTable& table, SessionHandle session);

// After a line of the session, and before it.
inline void AddReusable(SessionTable& table, SessionHandle session) {
  if (session->reusable() && session->resting()) Chain(table, session);
}
inline void RemoveReusable(SessionTable& table, SessionHandle session) {
  if (session->chained) Unchain(table, session);
}

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_REUSABLE_CONNECTIONS_H_
