// Postfix's dialect: smtpd, smtp and lmtp under any syslog name and service, postscreen and
// tlsproxy, and the lines of master, qmgr and cleanup that decide about their sessions.
//
// Follows the format strings of Postfix 2.2 to 3.11 (src/smtpd/smtpd.c,
// smtpd_chat.c, src/smtp, src/global/log_adhoc.c, src/postscreen, src/tlsproxy,
// src/tls/tls_misc.c, src/master, src/qmgr, src/cleanup), not samples.  Text chosen by a peer is
// only ever read to the end of its own field, so that it cannot forge an event.
//
// Pure functions; the views in results point into the line.

#ifndef MXTALLY_AGENT_PARSER_POSTFIX_H_
#define MXTALLY_AGENT_PARSER_POSTFIX_H_

#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"

namespace mxtally {

// Reads one framed line.  `event` is filled for kEvent and means nothing for the
// other classes.
LineClass ParsePostfix(const FramedLine& line, Event& event);

// Whether a line without a header of a known shape looks like Postfix's, so that
// it should have been understood.
bool MentionsPostfix(std::string_view line);

// Reads a program path, FramedLine::program, of an smtpd.
SessionTag ParsePostfixTag(std::string_view program);

// Reads what follows the peer in a TLS summary, " to SNI: PROTOCOL with cipher ...".  False
// when a known field is malformed; unknown text after the known fields is accepted.
bool ParseTlsSummary(std::string_view text, TlsSummary& summary);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_POSTFIX_H_
