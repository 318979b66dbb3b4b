// The dialects of all MTAs behind one function.

#ifndef MXTALLY_AGENT_PARSER_DIALECT_H_
#define MXTALLY_AGENT_PARSER_DIALECT_H_

#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"

namespace mxtally {

// Reads one framed line in the dialect of the program that wrote it.  `event` is filled
// for kEvent and means nothing for the other classes.
LineClass ParseDialect(const FramedLine& line, Event& event);

// Whether a line without a header of a known shape looks like an MTA's, so that it
// should have been understood.
bool MentionsMta(std::string_view line);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_DIALECT_H_
