// Lines of an smtp or lmtp process, which makes connections.  Internal to agent/parser.

#ifndef MXTALLY_AGENT_PARSER_POSTFIX_SMTP_H_
#define MXTALLY_AGENT_PARSER_POSTFIX_SMTP_H_

#include <string_view>

#include "agent/parser/event.h"

namespace mxtally {

// Reads the text of a line of smtp or lmtp.  `event` has been reset; what it holds
// after a result other than kEvent means nothing.
LineClass ParseSmtpClient(std::string_view text, Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_POSTFIX_SMTP_H_
