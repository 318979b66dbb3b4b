// What all lines of a session together say of its TLS.

#ifndef MXTALLY_AGENT_SESSION_TLS_DECISION_H_
#define MXTALLY_AGENT_SESSION_TLS_DECISION_H_

#include "agent/session/session.h"
#include "agent/session/session_facts.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

struct TlsDecision {
  v1::TlsState state = v1::TLS_STATE_UNKNOWN;
  v1::TlsEvidence evidence = v1::TLS_EVIDENCE_UNSPECIFIED;
  // Of TLS_STATE_FAILED, where a line tells.
  v1::TlsFailure failure = v1::TLS_FAILURE_UNSPECIFIED;
};

// Of a session that came in.  `session` holds why a handshake failed, as far as a
// line said so, and how the session ended abnormally.  `wrapper_mode`: TLS begins with the
// connection.  `by_tlsproxy`: another process does the handshake, and kTlsSetup is all
// that a log of Postfix before 3.4 has of it.
TlsDecision DecideTlsInbound(SessionFacts facts, const Session& session, bool wrapper_mode,
                             bool by_tlsproxy);

// Of a session that this host opened: whether it depends on kTlsWouldShow.  Else its own lines
// tell, or say that nobody knows.
bool DependsOnTlsLogging(SessionFacts facts);

// Of a session that this host opened.  `failure`: why a handshake failed.
TlsDecision DecideTlsOutbound(SessionFacts facts, v1::TlsFailure failure);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_TLS_DECISION_H_
