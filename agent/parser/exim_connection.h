// Exim's lines of a client's connection: where it begins and ends, its handshake, who the client
// is.

#ifndef MXTALLY_AGENT_PARSER_EXIM_CONNECTION_H_
#define MXTALLY_AGENT_PARSER_EXIM_CONNECTION_H_

#include "agent/parser/event.h"
#include "agent/parser/exim_fields.h"

namespace mxtally::exim {

// Of a client's connection, behind "SMTP ", and "TLS error": with a message that is under way
// or without.
LineClass ParseClientLine(Line& line, Event& event);

// "no MAIL in [TFO ]SMTP connection from HOST D=TIME[ A=...][ X=...]...[ C=cmds]".
LineClass ParseNoMail(Line& line, Event& event);

// A line of which HOST is the next: the connection has ended.
LineClass ParseEnd(Line& line, Event& event, std::string_view reason, std::string_view place);

// "NAME authenticator failed for HOST: 535 ...".
LineClass ParseAuthFailed(Line& line, Event& event);

}  // namespace mxtally::exim

#endif  // MXTALLY_AGENT_PARSER_EXIM_CONNECTION_H_
