// Exim's lines of deliveries over connections of this host.

#ifndef MXTALLY_AGENT_PARSER_EXIM_DELIVERY_H_
#define MXTALLY_AGENT_PARSER_EXIM_DELIVERY_H_

#include "agent/parser/event.h"
#include "agent/parser/exim_fields.h"

namespace mxtally::exim {

// What follows a message's id: "=> RECIPIENT ...", and all that tells of a delivery but
// ParseServerTrouble()'s.  kNotMine: it tells of something else.
LineClass ParseDelivery(Line& line, Event& event);

// "H=HOST: TEXT" of a message: this server is given up for now.  Without the colon there
// was no connection.
LineClass ParseServerTrouble(Line& line, Event& event);

}  // namespace mxtally::exim

#endif  // MXTALLY_AGENT_PARSER_EXIM_DELIVERY_H_
