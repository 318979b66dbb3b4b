#include "agent/parser/postfix_smtpd.h"

#include <algorithm>
#include <cstddef>

#include "agent/parser/fields.h"
#include "agent/parser/postfix.h"

namespace mxtally {
namespace {

// A line that begins like a known one is an event, or it is not understood.
LineClass EventIf(bool fits) { return fits ? LineClass::kEvent : LineClass::kUnrecognized; }

// Makes the event a note, which only says that the session is alive.
LineClass Note(Event& event, bool fits) {
  event.type = EventType::kSessionNote;
  return EventIf(fits);
}

bool TakePeer(std::string_view& text, Event& event) {
  event.has_peer = TakeNamedAddress(text, event.peer);
  return event.has_peer;
}

// Takes "NAMADDR" at the end of the line.
bool TakeLastPeer(std::string_view text, Event& event) {
  return TakePeer(text, event) && text.empty();
}

// Reads " ehlo=2 starttls=1 rcpt=0/1 commands=3/4 notes=bare_lf".  The keys are
// open-ended.  Without "commands=" the line was cut short, and a missing counter
// would be taken for a command that was never given.
bool ReadCounters(std::string_view text, Event& event) {
  if (text.empty()) return true;
  while (Consume(text, " ")) {
    const std::string_view command = TakeUntil(text, '=', ' ');
    if (command.empty() || !Consume(text, "=") || text.empty()) return false;
    if (text.front() < '0' || text.front() > '9') {  // "notes=bare_lf"
      if (TakeUntil(text, ' ').empty()) return false;
      continue;
    }
    int accepted = 0;
    if (!TakeNumber(text, accepted)) return false;
    int total = accepted;
    if (Consume(text, "/") && !TakeNumber(text, total)) return false;
    if (Is(command, "commands")) event.has_counters = true;
    if (event.counters.size() < Event::kCountersMax) {
      event.counters.push_back({.command = command, .accepted = accepted, .total = total});
    }
  }
  return text.empty() && event.has_counters;
}

LineClass ReadDisconnect(std::string_view text, Event& event) {
  event.type = EventType::kDisconnect;
  return EventIf(TakePeer(text, event) && ReadCounters(text, event));
}

// Reads " after RCPT from NAMADDR" or " after DATA (19 bytes) from NAMADDR" at the end.
LineClass ReadAbnormalEnd(std::string_view text, Event& event) {
  event.type = EventType::kAbnormalEnd;
  if (!Consume(text, " after ") || !TakePlace(text, event.place)) return LineClass::kUnrecognized;
  if (Consume(text, " (")) {
    TakeUntil(text, ')');
    if (!Consume(text, ")")) return LineClass::kUnrecognized;
  }
  return EventIf(Consume(text, " from ") && TakeLastPeer(text, event));
}

// Takes any of `words` off and returns it; empty when `text` begins otherwise.
template <size_t... N>
std::string_view TakeAnyOf(std::string_view& text, const char (&... words)[N]) {
  std::string_view taken;
  static_cast<void>(((Consume(text, words) ? (taken = {words, N - 1}, true) : false) || ...));
  return taken;
}

// Reads any of the three abnormal ends, or leaves `text` alone.
bool IsAbnormalEnd(std::string_view text, Event& event, LineClass& result) {
  const std::string_view reason = TakeAnyOf(text, "lost connection", "timeout", "too many errors");
  if (reason.empty() || !StartsWith(text, " after ")) return false;
  event.reason = reason;
  result = ReadAbnormalEnd(text, event);
  return true;
}

// Reads what follows "TRUST TLS connection ".
LineClass ReadTlsSummary(std::string_view trust, std::string_view text, Event& event) {
  event.type = EventType::kTlsEstablished;
  event.tls = {};
  event.tls.reused = Consume(text, "reused from ");
  if (!event.tls.reused && !Consume(text, "established from ")) return LineClass::kUnrecognized;
  event.has_peer = true;
  if (!ParseTlsSummary(text, event.peer, event.tls)) return LineClass::kUnrecognized;
  if (Is(trust, "Anonymous") || Is(trust, "Untrusted") || Is(trust, "Trusted") ||
      Is(trust, "Verified")) {
    event.tls.trust = trust;
  }
  return LineClass::kEvent;
}

// The words for the reason in an error of OpenSSL's stack,
//   [THREAD:]error:CODE:LIBRARY:FUNCTION:REASON:FILE:LINE:DATA:
// and the number of the alert that the peer sent, which the data may name.
void ReadLibraryProblem(std::string_view text, Event& event) {
  event.type = EventType::kTlsLibraryProblem;
  event.reason = text;
  const size_t start = text.find("error:");
  if (start == std::string_view::npos) return;
  std::string_view rest = text.substr(start);
  for (int field = 0; field < 4; ++field) {
    TakeUntil(rest, ':');
    if (!Consume(rest, ":")) return;
  }
  event.reason = TakeUntil(rest, ':');
  for (int field = 0; field < 3; ++field) {
    if (!Consume(rest, ":")) return;
    if (field < 2) TakeUntil(rest, ':');
  }
  int alert = 0;
  // Alerts are a byte.
  if (Consume(rest, "SSL alert number ") && TakeNumber(rest, alert) && alert <= 255) {
    event.alert = alert;
  }
}

// Reads "client=NAMADDR, sasl_method=PLAIN, sasl_username=...", of which the
// user name and all that follows it are the peer's words.
LineClass ReadClient(std::string_view text, Event& event) {
  event.type = EventType::kQueueIdAssigned;
  if (!TakePeer(text, event)) return LineClass::kUnrecognized;
  if (Consume(text, ", sasl_method=")) event.auth_mechanism = TakeUntil(text, ',', ' ');
  if (Consume(text, ", orig_queue_id=")) event.original_queue_id = TakeUntil(text, ',', ' ');
  return EventIf(text.empty() || StartsWith(text, ", "));
}

// The name in "... proto=ESMTP helo=<NAME>".  What stands before it may be the
// peer's words, as the name itself is.
std::string_view FindHelo(std::string_view text) {
  for (size_t end = text.rfind('<'); end != std::string_view::npos && end > 0;
       end = text.rfind('<', end - 1)) {
    if (!EndsWith(text.substr(0, end + 1), "SMTP helo=<")) continue;
    text.remove_prefix(end + 1);
    const std::string_view helo = TakeUntil(text, '>', ' ');
    return text.starts_with(">") ? helo : std::string_view();
  }
  return {};
}

// Reads what follows a queue id or NOQUEUE:
//   client=NAMADDR ...
//   REASON after PLACE from NAMADDR                Postfix 3.10
//   abort: TLS from NAMADDR: REASON
//   ACTION: PLACE from NAMADDR: TEXT; CONTEXT
LineClass ReadTransaction(std::string_view text, Event& event) {
  if (Consume(text, "client=")) return ReadClient(text, event);
  LineClass result;
  if (IsAbnormalEnd(text, event, result)) return result;
  if (Consume(text, "abort: TLS from ")) {
    event.type = EventType::kTlsRefusedAfterHandshake;
    if (!TakePeer(text, event) || !Consume(text, ": ")) return LineClass::kUnrecognized;
    event.reason = text;
    return LineClass::kEvent;
  }
  const std::string_view action = TakeUntil(text, ':', ' ');
  const bool reject = Is(action, "reject") || Is(action, "milter-reject");
  event.type = reject ? EventType::kReject : EventType::kSessionNote;
  if (!Consume(text, ": ") || !TakePlace(text, event.place) || !Consume(text, " from ") ||
      !TakePeer(text, event)) {
    return LineClass::kUnrecognized;
  }
  if (reject) event.helo = FindHelo(text);
  return LineClass::kEvent;
}

// A before-queue filter's answer: "END-OF-MESSAGE: TEXT; CONTEXT".
LineClass ReadProxyAnswer(EventType type, std::string_view text, Event& event) {
  event.type = type;
  return EventIf(TakePlace(text, event.place) && text.starts_with(":"));
}

// "SASL PLAIN authentication failed: ..." after the peer.
LineClass ReadPeerWarning(std::string_view text, Event& event) {
  if (!TakePeer(text, event) || !Consume(text, ": SASL ")) return LineClass::kIgnored;
  event.type = EventType::kAuthFailed;
  event.auth_mechanism = TakeUntil(text, ' ');
  return EventIf(Consume(text, " authentication failed") ||
                 Consume(text, " authentication aborted"));
}

// "Connection rate limit exceeded: 61 from NAMADDR for service smtp".
LineClass ReadLimit(std::string_view text, Event& event) {
  int count = 0;
  return EventIf(TakeNumber(text, count) && Consume(text, " from ") && TakePeer(text, event));
}

// The end of a line that begins with a peer; the rest is of no interest.
LineClass ReadFrom(EventType type, std::string_view text, Event& event) {
  event.type = type;
  return EventIf(TakePeer(text, event));
}

LineClass ReadWarning(std::string_view text, Event& event) {
  if (Consume(text, "TLS library problem: ")) {
    ReadLibraryProblem(text, event);
    return LineClass::kEvent;
  }
  std::string_view rest = text;
  if (const std::string_view limit =
          TakeAnyOf(rest, "Connection concurrency", "Connection rate",
                    "Message delivery request rate", "Recipient address rate", "AUTH command rate");
      !limit.empty() && Consume(rest, " limit exceeded: ")) {
    event.type = EventType::kLimit;
    event.reason = limit;
    return ReadLimit(rest, event);
  }
  if (Consume(text, "New TLS session rate limit exceeded: ")) {
    event.type = EventType::kTlsRefusedAfterHandshake;
    event.reason = "New TLS session rate limit exceeded";
    return ReadLimit(text, event);
  }
  rest = text;
  if (const std::string_view refusal =
          TakeAnyOf(rest, "Refusing STARTTLS request", "Refusing TLS service request",
                    "Wrapper-mode request dropped");
      !refusal.empty() && Consume(rest, " from ")) {
    event.reason = refusal;
    return ReadFrom(EventType::kTlsRefusedBeforeHandshake, rest, event);
  }
  rest = text;
  if (!TakeAnyOf(rest, "non-SMTP command from ", "Illegal address syntax from ", "TLS SNI from ")
           .empty()) {
    return ReadFrom(EventType::kSessionNote, rest, event);
  }
  return ReadPeerWarning(text, event);
}

// "improper command pipelining after EHLO from NAMADDR: \026\003\001 ...".
LineClass ReadPipelining(std::string_view text, Event& event) {
  return Note(event,
              TakePlace(text, event.place) && Consume(text, " from ") && TakePeer(text, event));
}

// "TLS SNI mx.example.com from NAMADDR not matched, using default chain".
LineClass ReadSniNote(std::string_view text, Event& event) {
  TakeUntil(text, ' ');
  return Note(event, Consume(text, " from ") && TakePeer(text, event));
}

// Lines that are known to say nothing about a session: smtpd's own chatter, what
// TLS log levels above 1 add, and the output of "smtpd -v".
bool IsChatter(std::string_view text) {
  static constexpr std::string_view kStarts[] = {
      "error: ", "table ", "initializing the server-side TLS engine",
      "using backwards-compatible default setting", "using default ", "SASL authentication ",
      // TLS log levels above 1.
      "SSL_accept:", "SSL3 alert ", "subject=", "issuer=", "read from ", "write to ",
      "certificate verification failed for ", "CA certificate verification failed for ",
      "client certificate verification failed for ", "verify ",
      "depth=", "fingerprint=", "looking up session ", "save session ", "remove session ",
      "Reusing old session", "server certificate verification failed for ",
      // smtpd -v: the dialogue, and lines without a function's name.
      "< ", "> ", ">>> ", "<<< ", "send attr ", "input attribute ", "connection established",
      "connection closed ", "idle timeout", "process generation", "rewrite stream disconnect",
      "report ", "been_here", "trying "};
  for (const std::string_view start : kStarts) {
    if (text.starts_with(start)) return true;
  }
  // "smtpd_check_addr: addr=...", "private/anvil socket: wanted attribute: ...",
  // "name[192.0.2.1]: TLS cipher list ...", or a line of a hex dump.
  const size_t first = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, first);
  if (word.ends_with(":")) return true;
  if (word.size() == 4 && word.find_first_not_of("0123456789abcdef") == std::string_view::npos) {
    return true;
  }
  const size_t second = std::min(text.find(' ', first + 1), text.size());
  return text.substr(0, second).ends_with(":");
}

// "Anonymous TLS connection ...", and Postfix 2.2 to 2.4 without the first word.
bool TakeTlsConnection(std::string_view& text, std::string_view& trust) {
  trust = {};
  if (Consume(text, "TLS connection ")) return true;
  std::string_view rest = text;
  trust = TakeUntil(rest, ' ');
  if (!Consume(rest, " ") || !Consume(rest, "TLS connection ")) return false;
  text = rest;
  return true;
}

// Lines that begin with a fixed word.  False when the line has none of these.
bool ReadSessionLine(std::string_view text, Event& event, LineClass& result) {
  switch (text.front()) {
    case 'c':
      if (!Consume(text, "connect from ")) return false;
      event.type = EventType::kConnect;
      result = EventIf(TakeLastPeer(text, event));
      return true;
    case 'd':
      if (Consume(text, "disconnect from ")) {
        result = ReadDisconnect(text, event);
        return true;
      }
      if (!Consume(text, "discarding EHLO keywords: ")) return false;
      result = Note(event, true);
      return true;
    case 'w':
      if (!Consume(text, "warning: ")) return false;
      result = ReadWarning(text, event);
      return true;
    case 's':
      if (!Consume(text, "setting up TLS connection from ")) return false;
      event.type = EventType::kTlsSetup;
      result = EventIf(TakeLastPeer(text, event));
      return true;
    case 'S':
      if (!Consume(text, "SSL_accept error from ")) return false;
      event.type = EventType::kTlsFailed;
      result = EventIf(TakePeer(text, event) && Consume(text, ": ") && !text.empty());
      event.reason = text;
      return true;
    case 'l':
      return IsAbnormalEnd(text, event, result);
    case 't':
      return IsAbnormalEnd(text, event, result);
    case 'i':
      if (!Consume(text, "improper command pipelining after ")) return false;
      result = ReadPipelining(text, event);
      return true;
    case 'b':
      // A reason of its own in 3.5.23, 3.6.13, 3.7.9 and 3.8.4 only.
      if (!Consume(text, "bare <LF> received after ")) return false;
      result = ReadPipelining(text, event);
      return true;
    case 'T':
      if (!Consume(text, "TLS SNI ")) return false;
      result = ReadSniNote(text, event);
      return true;
    case 'f':
    case 'p':
      if (Consume(text, "fatal: ") || Consume(text, "panic: ")) {
        event.type = EventType::kProcessDying;
        event.reason = text;
        result = LineClass::kEvent;
        return true;
      }
      if (Consume(text, "proxy-accept: ")) {
        result = ReadProxyAnswer(EventType::kProxyAccept, text, event);
        return true;
      }
      if (!Consume(text, "proxy-reject: ")) return false;
      result = ReadProxyAnswer(EventType::kReject, text, event);
      return true;
    default:
      return false;
  }
}

// rsyslog's "message repeated 3 times: [ TEXT]" stands for identical lines of
// one process.  Read as one of them: how often a session was told the same
// thing decides nothing but its numbers of rejects and failures.
void TakeOffRepetition(std::string_view& text) {
  std::string_view rest = text;
  int times = 0;
  if (!Consume(rest, "message repeated ") || !TakeNumber(rest, times) ||
      !Consume(rest, " times: [ ")) {
    return;
  }
  if (rest.ends_with("]")) rest.remove_suffix(1);
  text = rest;
}

}  // namespace

LineClass ParseSmtpd(std::string_view text, Event& event) {
  if (StartsWith(text, "message repeated ")) TakeOffRepetition(text);
  if (text.empty()) return LineClass::kIgnored;
  LineClass result;
  if (ReadSessionLine(text, event, result)) return result;
  if (TakeQueueId(text, event.queue_id)) return ReadTransaction(text, event);
  std::string_view trust;
  if (TakeTlsConnection(text, trust)) return ReadTlsSummary(trust, text, event);
  return IsChatter(text) ? LineClass::kIgnored : LineClass::kUnrecognized;
}

}  // namespace mxtally
