// Sessions of an MTA that may tell of a connection by nothing but its messages: Exim's.
//
// A line that names its connection, its process or its message (agent/parser/exim.h) goes on
// with the session of that name, unless it cannot be the same connection's: another peer, another
// process, a further transaction of the message, a line behind the last. Else it begins one;
// a message delivered over a connection that was in use goes to the server's session that
// was used last, and begins none. Unless a line of kConnect began it, a session rests from
// its first line on, as nothing need follow; one that was closed rests, too, as a line that
// tells more may follow.

#ifndef MXTALLY_AGENT_SESSION_UNFRAMED_SESSIONS_H_
#define MXTALLY_AGENT_SESSION_UNFRAMED_SESSIONS_H_

#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/session/session_table.h"

namespace mxtally {

void AddUnframedLine(SessionTable& table, const FramedLine& header, const Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_UNFRAMED_SESSIONS_H_
