// Exim's lines of messages that a client brings: accepted or rejected.

#ifndef MXTALLY_AGENT_PARSER_EXIM_ARRIVAL_H_
#define MXTALLY_AGENT_PARSER_EXIM_ARRIVAL_H_

#include "agent/parser/event.h"
#include "agent/parser/exim_fields.h"

namespace mxtally::exim {

// "<= SENDER [R=ref] H=HOST ... P=esmtps X=... S=266 ...".
LineClass ParseArrival(Line& line, Event& event);

// "H=HOST [X=... CV=...] F=<SENDER> rejected RCPT <...>: text".
LineClass ParseReject(Line& line, Event& event);

}  // namespace mxtally::exim

#endif  // MXTALLY_AGENT_PARSER_EXIM_ARRIVAL_H_
