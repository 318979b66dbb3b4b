// One line of text for what the parser makes of one line of log.

#ifndef MXTALLY_TESTS_AGENT_PARSER_EVENT_TEXT_H_
#define MXTALLY_TESTS_AGENT_PARSER_EVENT_TEXT_H_

#include <string>
#include <string_view>

#include "agent/parser/event.h"

namespace mxtally {

// "disconnect peer=localhost[127.0.0.1] ehlo=1/1 commands=1/1", or "ignored",
// "unrecognized", "not mine".  Fields that are empty are left out.
std::string EventText(LineClass line_class, const Event& event);

// Parses `text` as a line of tag "PROGRAM[123]" and prints the result.
std::string Parsed(std::string_view program, std::string_view text);

// Parses a line with its header and prints the result.
std::string ParsedLine(std::string_view line);

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_PARSER_EVENT_TEXT_H_
