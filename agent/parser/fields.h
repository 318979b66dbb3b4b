// Reads a log line from left to right, one field at a time.  A reader takes its
// field off the front of `text` and returns true, or returns false; then the
// line does not fit and `text` is no longer of use.
//
// Internal to agent/parser.

#ifndef MXTALLY_AGENT_PARSER_FIELDS_H_
#define MXTALLY_AGENT_PARSER_FIELDS_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "agent/parser/event.h"

namespace mxtally {

// Takes `prefix` off; leaves `text` alone when it begins otherwise.
inline bool Consume(std::string_view& text, std::string_view prefix) {
  // Not a comparison of views: with a prefix known to the compiler this is a
  // comparison of words.
  if (text.size() < prefix.size() || std::memcmp(text.data(), prefix.data(), prefix.size()) != 0) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

// Takes everything before the first `stop`, or all there is.
inline std::string_view TakeUntil(std::string_view& text, char stop) {
  const std::string_view taken = text.substr(0, std::min(text.find(stop), text.size()));
  text.remove_prefix(taken.size());
  return taken;
}

// The same with two stops.  Fields are short: a loop is faster than a search.
inline std::string_view TakeUntil(std::string_view& text, char stop, char other_stop) {
  size_t i = 0;
  while (i < text.size() && text[i] != stop && text[i] != other_stop) ++i;
  const std::string_view taken = text.substr(0, i);
  text.remove_prefix(i);
  return taken;
}

// A number without sign that fits `int`.
bool TakeNumber(std::string_view& text, int& number);

// "name[address]", "name[address]:port", "[address]".  Names are host names and
// addresses are numeric, so neither can hold a blank or a bracket.
bool TakeNamedAddress(std::string_view& text, NamedAddress& peer);

// The command after which something happened: "RCPT", "END-OF-MESSAGE".
bool TakePlace(std::string_view& text, std::string_view& place);

// "3F2504E0: ", a short or a long queue id of Postfix, or "NOQUEUE: ", for which
// `queue_id` is empty.  Leaves both alone when `text` begins otherwise.
bool TakeQueueId(std::string_view& text, std::string_view& queue_id);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_FIELDS_H_
