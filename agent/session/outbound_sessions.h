// Sessions that this host opened, whose log tells what happened but not where they begin and
// end: Postfix's and Sendmail's.
//
// For Postfix smtp and lmtp a session starts with
//
//   - a TLS connection "established to" a server, or a failed handshake;
//   - a delivery, or a server given up, that does not go on with the session of its
//     process: it names another server or another request (queue id and delays), or
//     the session's handshake failed or its connection was lost.
//
// A delivery with "conn_use=" goes on with a connection that had one use less, of
// whichever process, and never starts a session; neither does a "reused" TLS connection.
// Where a line may have been written before the reading that started the session, it is a
// cut one: the delays say how old a connection can be.  A session without an outcome
// ends like any other; one that has an outcome rests, because nothing says that
// the next delivery will be over another connection.
//
// That a session had no TLS is known only where its client logs TLS (tls_logging.h), or Postfix
// tries a server again, at once and without TLS, because a handshake failed.

#ifndef MXTALLY_AGENT_SESSION_OUTBOUND_SESSIONS_H_
#define MXTALLY_AGENT_SESSION_OUTBOUND_SESSIONS_H_

#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/session/session_table.h"

namespace mxtally {

void AddOutboundLine(SessionTable& table, const FramedLine& line, const Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_OUTBOUND_SESSIONS_H_
