// Exim's dialect: its mainlog, in a file of its own or through syslog.
//
// Follows the format strings of Exim 4.00 to 4.99 (src/receive.c, smtp_in.c, deliver.c,
// tls.c, transports/smtp.c, log.c), not samples.  Text chosen by a peer is only ever
// read to the end of its own field, so that it cannot forge an event.
//
// What names the connection of a line that is inbound:
//   - the client's address and port, where they are logged (incoming_port),
//   - else its id (connection_id),
//   - else the process: the one that wrote the line (pid), or, of a message, the one that
//     received it, whose id is part of the message's.
// Without any of them a line does not tell whose it is, and is ignored; but a handshake
// that failed, or a connection without mail, is one of its own.
//
// Deliveries are named by the message.
//
// An entry that goes to several logs comes through syslog as often (syslog_duplication); it is
// not told from one that was written twice.
//
// Pure functions; the views in results point into the line.

#ifndef MXTALLY_AGENT_PARSER_EXIM_H_
#define MXTALLY_AGENT_PARSER_EXIM_H_

#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"

namespace mxtally {

// Whether a program of this name is Exim (syslog_processname).
inline bool IsExim(std::string_view program) { return program.substr(0, 4) == "exim"; }

// Reads one framed line of IsExim().  `event` is filled for kEvent and means nothing for
// the other classes.
LineClass ParseExim(const FramedLine& line, Event& event);

// Reads the value of an X= field, "TLS1.3:AES_256_GCM:256", with GnuTLS's descriptions
// taken apart; exposed for tests.  False when it has no such form.
bool ParseEximTls(std::string_view value, TlsSummary& summary);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_EXIM_H_
