#include "agent/parser/postfix_postscreen.h"

#include <cstddef>

#include "agent/parser/fields.h"
#include "agent/parser/postfix_lines.h"

namespace mxtally {
namespace {

// An IPv6 address in its longest form, brackets and a port.
constexpr size_t kConnectionBytesMax = 64;

// Takes "[ADDRESS]:PORT", which names the connection.
bool TakeConnection(std::string_view& text, Event& event) {
  const std::string_view start = text;
  if (!TakePeer(text, event) || !event.peer.name.empty() || event.peer.port == 0) return false;
  event.connection = start.substr(0, start.size() - text.size());
  return event.connection.size() <= kConnectionBytesMax;
}

// Takes "[ADDRESS]:PORT" at the end of the line.
bool TakeLastConnection(std::string_view text, Event& event) {
  return TakeConnection(text, event) && text.empty();
}

// The name in "..., proto=ESMTP, helo=<NAME>" at the end of the line.  It ends there; it may
// hold what looks like a beginning, as may the addresses before it.
std::string_view FindHelo(std::string_view text) {
  if (!text.ends_with(">")) return {};
  text.remove_suffix(1);
  const size_t start = text.rfind("SMTP, helo=<");
  if (start == std::string_view::npos) return {};
  text.remove_prefix(text.find('<', start) + 1);
  return text.find(' ') == std::string_view::npos ? text : std::string_view();
}

// "RCPT from [A]:P: 450 4.3.2 ...; from=<F>, to=<T>, proto=ESMTP, helo=<H>", and
// "CONNECT from [A]:P: too many connections".
LineClass ReadReject(std::string_view text, Event& event) {
  event.type = EventType::kReject;
  if (!TakePlace(text, event.place) || !Consume(text, " from ") || !TakeConnection(text, event) ||
      !Consume(text, ": ")) {
    return LineClass::kUnrecognized;
  }
  event.helo = FindHelo(text);
  return LineClass::kEvent;
}

// "HANGUP after 0.3 from [A]:P in tests before SMTP handshake".
LineClass ReadHangup(std::string_view text, Event& event) {
  event.type = EventType::kAbnormalEnd;
  event.reason = "lost connection";
  TakeUntil(text, ' ');
  if (!Consume(text, " from ") || !TakeConnection(text, event) || !Consume(text, " in ")) {
    return LineClass::kUnrecognized;
  }
  // Afterwards the last command is not logged.
  if (StartsWith(text, "tests before ")) event.place = "CONNECT";
  return LineClass::kEvent;
}

// "COMMAND TIME LIMIT from [A]:P after EHLO", up to 2.9 without the command.
LineClass ReadTimeLimit(std::string_view text, Event& event) {
  event.type = EventType::kAbnormalEnd;
  event.reason = "timeout";
  if (!TakeConnection(text, event)) return LineClass::kUnrecognized;
  return EventIf(text.empty() || (Consume(text, " after ") && TakePlace(text, event.place)));
}

// The rest of the line is the client's words.
LineClass ReadNote(std::string_view text, Event& event) {
  return Note(event, TakeConnection(text, event));
}

// "PREGREET 17 after 0.02 from [A]:P: EHLO x\r\n": the client spoke before its turn.  What
// becomes of it is up to the configuration.
LineClass ReadPregreet(std::string_view text, Event& event) {
  int bytes = 0;
  if (!TakeNumber(text, bytes) || !Consume(text, " after ")) return LineClass::kUnrecognized;
  TakeUntil(text, ' ');
  if (!Consume(text, " from ")) return LineClass::kUnrecognized;
  event.may_be_handed_on = true;
  return ReadNote(text, event);
}

LineClass ReadDnsblRank(std::string_view text, Event& event) {
  int rank = 0;
  if (!TakeNumber(text, rank) || !Consume(text, " for ")) return LineClass::kUnrecognized;
  event.may_be_handed_on = true;
  return ReadNote(text, event);
}

LineClass ReadPass(std::string_view text, Event& event) {
  event.type = EventType::kHandedOn;
  event.may_be_handed_on = true;
  return EventIf(TakeLastConnection(text, event));
}

// Lines in the order of how often they come.
LineClass ReadPostscreenLine(std::string_view text, Event& event) {
  if (Consume(text, "CONNECT from ")) {
    event.type = EventType::kConnect;
    event.may_be_handed_on = true;
    return EventIf(TakeConnection(text, event) && (text.empty() || StartsWith(text, " to [")));
  }
  if (!TakeAnyOf(text, "PASS OLD ", "PASS NEW ", "ALLOWLISTED ", "WHITELISTED ").empty()) {
    return ReadPass(text, event);
  }
  if (Consume(text, "DISCONNECT ")) {
    event.type = EventType::kDisconnect;
    return EventIf(TakeLastConnection(text, event));
  }
  if (!TakeAnyOf(text, "NOQUEUE: reject: ").empty()) return ReadReject(text, event);
  if (Consume(text, "HANGUP after ")) return ReadHangup(text, event);
  if (Consume(text, "PREGREET ")) return ReadPregreet(text, event);
  if (Consume(text, "DNSBL rank ")) return ReadDnsblRank(text, event);
  if (!TakeAnyOf(text, "DENYLISTED ", "BLACKLISTED ").empty()) {
    event.may_be_handed_on = true;
    return ReadNote(text, event);
  }
  if (!TakeAnyOf(text, "ALLOWLIST VETO ", "WHITELIST VETO ", "COMMAND PIPELINING from ",
                 "BARE NEWLINE from ", "NON-SMTP COMMAND from ", "DATA without valid RCPT from ",
                 "BDAT without valid RCPT from ")
           .empty()) {
    return ReadNote(text, event);
  }
  if (Consume(text, "COMMAND TIME LIMIT from ")) return ReadTimeLimit(text, event);
  std::string_view rest = text;
  if (const std::string_view limit = TakeAnyOf(rest, "COMMAND COUNT LIMIT", "COMMAND LENGTH LIMIT");
      !limit.empty() && Consume(rest, " from ")) {
    event.type = EventType::kLimit;
    event.reason = limit;
    return EventIf(TakeConnection(rest, event));
  }
  if (Consume(text, "reject: connect from ")) {
    event.type = EventType::kReject;
    event.place = "CONNECT";
    return EventIf(TakeConnection(text, event) && Consume(text, ": "));
  }
  if (Consume(text, "fatal: ") || Consume(text, "panic: ")) {
    // master tells of the end of the process; its connections end with it.
    return LineClass::kIgnored;
  }
  // "entering STRESS mode with 90 connections", "[A]:P: discarding EHLO keywords: ...",
  // what its cache and lookups are about.
  if (StartsWith(text, "entering STRESS mode ") || StartsWith(text, "leaving STRESS mode ") ||
      StartsWith(text, "warning: ") || StartsWith(text, "cache ") || StartsWith(text, "[") ||
      StartsWith(text, "close database ") || IsChatter(text)) {
    return LineClass::kIgnored;
  }
  return LineClass::kUnrecognized;
}

// Lines about connections that this host made repeat what smtp says of them.
LineClass ReadTlsProxyLine(std::string_view text, Event& event) {
  if (Consume(text, "CONNECT from ")) {
    event.type = EventType::kTlsSetup;
    return EventIf(TakeLastConnection(text, event));
  }
  if (Consume(text, "TLS handshake failed for service=")) {
    event.type = EventType::kTlsFailed;
    TakeUntil(text, ' ');
    std::string_view peer = text;
    if (Consume(peer, " peer=") && !peer.starts_with("[")) return LineClass::kIgnored;
    return EventIf(Consume(text, " peer=") && TakeLastConnection(text, event));
  }
  if (StartsWith(text, "DISCONNECT ") || StartsWith(text, "CONNECT to ") ||
      StartsWith(text, "TLSRPT: ") || StartsWith(text, "warning: ") ||
      StartsWith(text, "fatal: ") || StartsWith(text, "panic: ") ||
      StartsWith(text, "setting up TLS connection ") || StartsWith(text, "TLS SNI ")) {
    // postscreen says when a session ends.  Errors of the TLS library name no connection.
    // "CONNECT from" said already that TLS begins.
    return LineClass::kIgnored;
  }
  std::string_view rest = text;
  std::string_view trust;
  if (TakeTlsConnection(rest, trust)) {
    if (StartsWith(rest, "established to ") || StartsWith(rest, "reused to ")) {
      return LineClass::kIgnored;
    }
    std::string_view peer = rest;
    if (!Consume(peer, "established from ") || !TakeConnection(peer, event)) {
      return LineClass::kUnrecognized;
    }
    return ReadTlsSummary(trust, rest, "established from ", "reused from ", event);
  }
  return IsChatter(text) ? LineClass::kIgnored : LineClass::kUnrecognized;
}

}  // namespace

LineClass ParsePostscreen(std::string_view text, Event& event) {
  event.service = "postscreen";
  if (StartsWith(text, "message repeated ")) TakeOffRepetition(text);
  if (text.empty()) return LineClass::kIgnored;
  return ReadPostscreenLine(text, event);
}

LineClass ParseTlsProxy(std::string_view text, Event& event) {
  event.only_continues = true;
  if (StartsWith(text, "message repeated ")) TakeOffRepetition(text);
  if (text.empty()) return LineClass::kIgnored;
  return ReadTlsProxyLine(text, event);
}

}  // namespace mxtally
