// What Exim's lines are made of: hosts, addresses, and the fields that tell of a connection.

#ifndef MXTALLY_AGENT_PARSER_EXIM_FIELDS_H_
#define MXTALLY_AGENT_PARSER_EXIM_FIELDS_H_

#include <cstdint>
#include <string_view>

#include "agent/parser/event.h"

namespace mxtally::exim {

// A line under way: what is left of it, and what was read so far.
struct Line {
  std::string_view text;
  std::string_view message_id;
  // Of the process that wrote the line, or received the message; -1: nobody knows.
  int64_t pid = -1;
  // Others follow, of which the last field may be a part.
  bool cut = false;
  // An ident server's word follows, which may look like any field (TakeClient).
  bool has_ident = false;
};

// "name (helo) [address]:port", of which name, helo and port may be missing.
struct Host {
  NamedAddress peer;
  std::string_view helo;
  std::string_view address_and_port;  // Empty without a port.
};

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Each takes what it is named after off the front of the text; where that is not there it returns
// false, and may have taken a part.

// All up to `end`, and `end`.
bool TakeTo(std::string_view& text, std::string_view end, std::string_view& taken);

// An address of the envelope as it was given: "<>" or one whose local part may be quoted
// and hold anything.  Stops at a blank, or at `end`.
bool TakeMailAddress(std::string_view& text, char end);

// A value in double quotes, with backslashes before those within.
bool TakeQuoted(std::string_view& text);

bool TakeHost(std::string_view& text, Host& host);

// Takes HOST with all that `add_host_info_for_log` puts behind it: I=, TFO, U=, Ci=.
// False where there is no address.
bool TakeClient(Line& line, Event& event);

// Whether the line tells whose it is; see exim.h.
bool NamesConnection(const Line& line, const Event& event);

// Takes " X=... CV=... DN="..." SNI=..." off, as far as they are there; `outbound`: the
// server always has a certificate.  False where they have no such form.
bool TakeTls(Line& line, Event& event, bool outbound);

}  // namespace mxtally::exim

#endif  // MXTALLY_AGENT_PARSER_EXIM_FIELDS_H_
