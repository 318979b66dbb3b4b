// Lines of an smtpd process.  Internal to agent/parser.

#ifndef MXTALLY_AGENT_PARSER_POSTFIX_SMTPD_H_
#define MXTALLY_AGENT_PARSER_POSTFIX_SMTPD_H_

#include <string_view>

#include "agent/parser/event.h"

namespace mxtally {

// Reads the text of an smtpd line.  `event` has been reset; what it holds after
// a result other than kEvent means nothing.
LineClass ParseSmtpd(std::string_view text, Event& event);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_POSTFIX_SMTPD_H_
