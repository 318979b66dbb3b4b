#include "agent/parser/postfix_smtpd.h"

#include <algorithm>
#include <cstddef>

#include "agent/parser/fields.h"
#include "agent/parser/postfix_lines.h"

namespace mxtally {
namespace {

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

// Reads any of the three abnormal ends, or leaves `text` alone.
bool IsAbnormalEnd(std::string_view text, Event& event, LineClass& result) {
  const std::string_view reason = TakeAnyOf(text, "lost connection", "timeout", "too many errors");
  if (reason.empty() || !StartsWith(text, " after ")) return false;
  event.reason = reason;
  result = ReadAbnormalEnd(text, event);
  return true;
}

// Reads "client=NAMADDR, sasl_method=PLAIN, sasl_username=...", of which the
// user name and all that follows it are the peer's words.
LineClass ReadClient(std::string_view text, Event& event) {
  event.type = EventType::kQueueIdAssigned;
  if (!TakePeer(text, event)) return LineClass::kUnrecognized;
  if (Consume(text, ", sasl_method=")) event.auth_mechanism = TakeUntil(text, ',', ' ');
  if (Consume(text, ", orig_queue_id=")) {
    event.original_queue_id = TakeUntil(text, ',', ' ');
    return LineClass::kEvent;
  }
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
        result = ReadProxyAnswer(EventType::kMessageAccepted, text, event);
        return true;
      }
      if (!Consume(text, "proxy-reject: ")) return false;
      result = ReadProxyAnswer(EventType::kReject, text, event);
      return true;
    default:
      return false;
  }
}

}  // namespace

LineClass ParseSmtpd(std::string_view text, Event& event) {
  if (StartsWith(text, "message repeated ")) TakeOffRepetition(text);
  if (text.empty()) return LineClass::kIgnored;
  LineClass result;
  if (ReadSessionLine(text, event, result)) return result;
  if (TakeQueueId(text, event.queue_id)) return ReadTransaction(text, event);
  std::string_view trust;
  if (TakeTlsConnection(text, trust)) {
    return ReadTlsSummary(trust, text, "established from ", "reused from ", event);
  }
  return IsChatter(text) ? LineClass::kIgnored : LineClass::kUnrecognized;
}

}  // namespace mxtally
