// Lines of Postfix's postscreen, which looks at a connection before smtpd does and ends it
// or hands it on, and of tlsproxy, which does TLS for it.  Internal to agent/parser.
//
// Each of these processes serves many connections at a time: Event::connection is the
// client's "[address]:port".

#ifndef MXTALLY_AGENT_PARSER_POSTFIX_POSTSCREEN_H_
#define MXTALLY_AGENT_PARSER_POSTFIX_POSTSCREEN_H_

#include <string_view>

#include "agent/parser/event.h"

namespace mxtally {

// Read the text of a line of either program; `event` is as Reset() leaves it.
LineClass ParsePostscreen(std::string_view text, Event& event);
LineClass ParseTlsProxy(std::string_view text, Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_POSTFIX_POSTSCREEN_H_
