// What the lines of Postfix's daemons have in common.  Internal to agent/parser.

#ifndef MXTALLY_AGENT_PARSER_POSTFIX_LINES_H_
#define MXTALLY_AGENT_PARSER_POSTFIX_LINES_H_

#include <cstddef>
#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/fields.h"
#include "agent/parser/postfix.h"

namespace mxtally {

// A line that begins like a known one is an event, or it is not understood.
inline LineClass EventIf(bool fits) { return fits ? LineClass::kEvent : LineClass::kUnrecognized; }

// Makes the event a note, which only says that the session is alive.
inline LineClass Note(Event& event, bool fits) {
  event.type = EventType::kSessionNote;
  return EventIf(fits);
}

// Takes the peer of a connection: of one that this host opened also a server without address.
inline bool TakePeer(std::string_view& text, Event& event) {
  event.has_peer =
      TakeNamedAddress(text, event.peer) || (event.outbound && TakeServerName(text, event.peer));
  return event.has_peer;
}

// Takes any of `words` off and returns it; empty when `text` begins otherwise.
template <size_t... N>
std::string_view TakeAnyOf(std::string_view& text, const char (&... words)[N]) {
  std::string_view taken;
  static_cast<void>(((Consume(text, words) ? (taken = {words, N - 1}, true) : false) || ...));
  return taken;
}

// "Anonymous TLS connection ...", and Postfix 2.2 to 2.4 without the first word.
inline bool TakeTlsConnection(std::string_view& text, std::string_view& trust) {
  trust = {};
  if (Consume(text, "TLS connection ")) return true;
  std::string_view rest = text;
  trust = TakeUntil(rest, ' ');
  if (!Consume(rest, " ") || !Consume(rest, "TLS connection ")) return false;
  text = rest;
  return true;
}

// Reads what follows "TRUST TLS connection ", of which `established` or `reused`
// comes first.
template <size_t N, size_t M>
LineClass ReadTlsSummary(std::string_view trust, std::string_view text,
                         const char (&established)[N], const char (&reused)[M], Event& event) {
  event.type = EventType::kTlsEstablished;
  event.tls = {};
  event.tls.reused = Consume(text, reused);
  if (!event.tls.reused && !Consume(text, established)) return LineClass::kUnrecognized;
  if (!TakePeer(text, event) || !ParseTlsSummary(text, event.tls)) return LineClass::kUnrecognized;
  if (Is(trust, "Anonymous") || Is(trust, "Untrusted") || Is(trust, "Trusted") ||
      Is(trust, "Verified")) {
    event.tls.trust = trust;
  }
  return LineClass::kEvent;
}

// Reads an error of OpenSSL's stack: kTlsLibraryProblem with reason and alert.
void ReadLibraryProblem(std::string_view text, Event& event);

// Takes rsyslog's "message repeated 3 times: [ TEXT]" off.
void TakeOffRepetition(std::string_view& text);

// Lines that are known to say nothing about a session: the daemons' own chatter, what
// TLS log levels above 1 add, and the output of "-v".
bool IsChatter(std::string_view text);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_POSTFIX_LINES_H_
