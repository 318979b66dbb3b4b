// Sessions whose log tells where they begin and end: Postfix's that come in, those of its
// postscreen, OpenSMTPD's, and those that came in to Sendmail, as far as it tells.
//
// For Postfix smtpd a session starts with "connect from", or, where that line is missing,
// with the first line of a process that has no session open.  A line belongs to the
// session of the connection that it names, else to that of its process.
//
// A connection that may yet be handed on to another service (Postfix's postscreen does) is
// a session once a line says that it is not; what is handed on is the other service's
// session, and is forgotten here.  It has its ordinal either way.
//
// A process of Sendmail serves one connection; it logs neither its beginning nor, after mail, its
// end.  So its session lasts until a line of a process of that name contradicts it.

#ifndef MXTALLY_AGENT_SESSION_FRAMED_SESSIONS_H_
#define MXTALLY_AGENT_SESSION_FRAMED_SESSIONS_H_

#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/session/session_table.h"

namespace mxtally {

void AddFramedLine(SessionTable& table, const FramedLine& line, const Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_FRAMED_SESSIONS_H_
