#include "agent/parser/postfix_smtp.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "agent/parser/fields.h"
#include "agent/parser/postfix_lines.h"

namespace mxtally {
namespace {

// "12", "0.04", as Postfix writes delays: no sign, no exponent.
bool TakeSeconds(std::string_view& text, double& seconds) {
  int whole = 0;
  if (!TakeNumber(text, whole)) return false;
  seconds = whole;
  if (!Consume(text, ".")) return true;
  const size_t digits = text.size();
  int fraction = 0;
  if (!TakeNumber(text, fraction)) return false;
  double scale = 1;
  for (size_t left = digits - text.size(); left > 0; --left) scale *= 10;
  seconds += fraction / scale;
  return true;
}

// Takes "<ADDRESS>".  The address is the peer's words: since Postfix 3.5 with
// quotes where it holds anything special, before that as it is.  `quoted`: its end is
// certain.
bool TakeAddress(std::string_view& text, bool& quoted) {
  if (!Consume(text, "<")) return false;
  quoted = Consume(text, "\"");
  if (quoted) {
    while (!text.empty() && text.front() != '"') {
      text.remove_prefix(std::min<size_t>(text.front() == '\\' ? 2 : 1, text.size()));
    }
  }
  TakeUntil(text, '>');
  return Consume(text, ">");
}

// "HOST[private/lmtp]": a socket of this host, which is no TCP connection.
bool IsUnixSocket(std::string_view text) {
  TakeUntil(text, '[', ' ');
  if (!Consume(text, "[")) return false;
  return TakeUntil(text, ']', ' ').find('/') != std::string_view::npos;
}

// Takes "a/b/c/d": before the queue manager, in it, connection set-up, transmission.
bool TakeDelays(std::string_view& text, MailDelivery& delivery) {
  const std::string_view start = text;
  double before = 0;
  double queued = 0;
  double setup = 0;
  double transmission = 0;
  if (!TakeSeconds(text, before) || !Consume(text, "/") || !TakeSeconds(text, queued)) return false;
  delivery.queue_delays = start.substr(0, start.size() - text.size());
  if (!Consume(text, "/")) return false;
  delivery.setup_delay = text.substr(0, Find(text, '/'));
  if (!TakeSeconds(text, setup) || !Consume(text, "/") || !TakeSeconds(text, transmission)) {
    return false;
  }
  delivery.connection_seconds = setup + transmission;
  return true;
}

// Stamps may be whole seconds: a connection that was made within the second in which a
// reading begins was made in the reading.
double AgeOf(double seconds) { return std::max(0.0, seconds - 1); }

// LEVEL [":" FINAL] ["?"] ["/" REQUIRETLS], with "!" in front of what was wanted
// and failed.
DeliveryTls ReadDeliveryTls(std::string_view field) {
  const std::string_view level = TakeUntil(field, '/');
  std::string_view reached = level.substr(level.rfind(':') + 1);
  if (Is(field, "/!requiretls:nostarttls") || Is(field, "/!requiretls:noencryption")) {
    return DeliveryTls::kPlaintext;
  }
  if (EndsWith(level, "?")) return DeliveryTls::kUnknown;
  if (StartsWith(level, "!")) return DeliveryTls::kFailed;
  if (Is(reached, "none")) return DeliveryTls::kPlaintext;
  static constexpr std::array<std::string_view, 8> kLevels = {
      "may", "encrypt", "fingerprint", "halfdane", "dane", "dane-only", "verify", "secure"};
  const bool known = std::find(kLevels.begin(), kLevels.end(), reached) != kLevels.end();
  return known ? DeliveryTls::kEstablished : DeliveryTls::kUnknown;
}

// What the client waited for, as a command: "while TEXT".
std::string_view PlaceOf(std::string_view text) {
  struct Place {
    std::string_view start, place;
  };
  static constexpr Place kPlaces[] = {
      {"receiving the initial server greeting", "CONNECT"},
      {"performing the EHLO", "EHLO"},
      {"performing the HELO", "HELO"},
      {"performing the LHLO", "LHLO"},
      {"sending XFORWARD", "XFORWARD"},
      {"sending MAIL FROM", "MAIL"},
      {"sending RCPT TO", "RCPT"},
      {"sending DATA", "DATA"},
      {"sending message body", "DATA"},
      {"sending end of data", "END-OF-MESSAGE"},
      {"sending final RSET", "RSET"},
      {"sending RSET", "RSET"},
      {"sending QUIT", "QUIT"},
  };
  for (const Place& place : kPlaces) {
    if (text.starts_with(place.start)) return place.place;
  }
  return {};
}

// Reads why a delivery failed, in Postfix's own words.  Answers of the server stand
// behind them.  `peer` is what they name, if anything.
DeliveryTrouble ReadTrouble(std::string_view text, NamedAddress& peer, std::string_view& place) {
  std::string_view rest = text;
  // Up to 2.4.
  if (Consume(rest, "delivery via ")) {
    if (!TakeNamedAddress(rest, peer) || !Consume(rest, ": ")) return DeliveryTrouble::kOther;
    text = rest;
  }
  if (Consume(rest, "lost connection with ")) {
    if (!TakeNamedAddress(rest, peer) || !Consume(rest, " while ")) return DeliveryTrouble::kOther;
    place = PlaceOf(rest);
    return DeliveryTrouble::kLostConnection;
  }
  if (Consume(rest, "conversation with ")) {
    if (!TakeNamedAddress(rest, peer) || !Consume(rest, " timed out while ")) {
      return DeliveryTrouble::kOther;
    }
    place = PlaceOf(rest);
    return DeliveryTrouble::kTimeout;
  }
  if (Consume(rest, "host ")) {
    return TakeNamedAddress(rest, peer) && StartsWith(rest, " refused to talk to me: ")
               ? DeliveryTrouble::kRefusedToTalk
               : DeliveryTrouble::kOther;
  }
  if (Consume(rest, "SASL authentication failed; ") ||
      Consume(rest, "SASL [CACHED] authentication failed; ")) {
    if (Consume(rest, "server ") || Consume(rest, "cannot authenticate to server ")) {
      TakeNamedAddress(rest, peer);
    }
    return DeliveryTrouble::kOther;
  }
  if (Consume(rest, "TLS is required, but was not offered by host ")) {
    TakeNamedAddress(rest, peer);
    return DeliveryTrouble::kTlsNotOffered;
  }
  if (Consume(rest, "TLS is required, but host ")) {
    TakeNamedAddress(rest, peer);
    return DeliveryTrouble::kTlsRefused;
  }
  if (StartsWith(text, "Cannot start TLS: ")) return DeliveryTrouble::kHandshakeFailed;
  if (StartsWith(text, "TLS is required, but ") ||
      StartsWith(text, "client TLS configuration problem")) {
    return DeliveryTrouble::kTlsRefused;
  }
  if (StartsWith(text, "Server certificate not ")) return DeliveryTrouble::kCertificateRefused;
  return DeliveryTrouble::kOther;
}

// Reads a line behind its queue id:
//   to=<RCPT>, [orig_to=<RCPT>, ]relay=RELAY, [conn_use=N, ]delay=S, [delays=a/b/c/d, ]
//     [tls=..., ][dsn=x.y.z, ]status=STATUS (TEXT)
// Releases add fields between relay and status.
LineClass ReadDelivery(std::string_view text, Event& event) {
  event.type = EventType::kDelivery;
  MailDelivery& delivery = event.delivery;
  bool quoted = false;
  if (!TakeAddress(text, quoted) || !Consume(text, ", ")) return LineClass::kUnrecognized;
  if (Consume(text, "orig_to=")) {
    bool also_quoted = false;
    if (!TakeAddress(text, also_quoted) || !Consume(text, ", ")) return LineClass::kUnrecognized;
    quoted = quoted && also_quoted;
  }
  if (!Consume(text, "relay=")) return LineClass::kUnrecognized;
  // No TCP connection was made: "none", or "mx1[private/lmtp]".
  if (!TakePeer(text, event)) return LineClass::kIgnored;

  std::string_view status;
  double delay = -1;
  while (status.empty()) {
    if (!Consume(text, ", ")) return LineClass::kUnrecognized;
    if (Consume(text, "status=")) {
      status = TakeUntil(text, ' ');
    } else if (Consume(text, "delays=")) {
      if (!TakeDelays(text, delivery)) return LineClass::kUnrecognized;
    } else if (Consume(text, "delay=")) {
      if (!TakeSeconds(text, delay)) return LineClass::kUnrecognized;
    } else if (Consume(text, "conn_use=")) {
      if (!TakeNumber(text, delivery.connection_uses)) return LineClass::kUnrecognized;
    } else if (Consume(text, "tls=")) {
      delivery.tls = ReadDeliveryTls(TakeUntil(text, ','));
    } else {
      TakeUntil(text, ',');
    }
  }
  if (!Consume(text, " (")) return LineClass::kUnrecognized;
  // An address without quotes that holds what looks like the rest of a line, or an
  // answer that looks like the end of an address: nobody can tell.
  if (!quoted && text.find(">, relay=") != std::string_view::npos) return LineClass::kUnrecognized;
  if (delivery.connection_seconds >= 0) {
    delivery.connection_age_seconds = AgeOf(delivery.connection_seconds);
  } else if (delay >= 0) {
    delivery.connection_age_seconds = AgeOf(delay);
  }
  delivery.sent = Is(status, "sent");
  if (!delivery.sent) {
    NamedAddress named;
    delivery.trouble = ReadTrouble(text, named, event.place);
  }
  return LineClass::kEvent;
}

// Before STARTTLS nothing is logged of a connection.  Up to EHLO a connection gets as
// old as `smtp_helo_timeout` lets it, by default.
double AgeWhenGivenUp(const Event& event) {
  constexpr double kHeloTimeoutSeconds = 300;
  switch (event.delivery.trouble) {
    case DeliveryTrouble::kTlsNotOffered:
      return 0;
    case DeliveryTrouble::kRefusedToTalk:
      return AgeOf(kHeloTimeoutSeconds);
    case DeliveryTrouble::kLostConnection:
    case DeliveryTrouble::kTimeout:
      return Is(event.place, "CONNECT") || EndsWith(event.place, "LO") ? AgeOf(kHeloTimeoutSeconds)
                                                                       : -1;
    default:
      return -1;
  }
}

// Reads what follows a queue id.  The reasons why a server is given up are those of
// deliveries; those that come before a connection are of no interest, and neither are
// remarks, "enabling PIX workarounds: ..." say.
LineClass ReadQueueIdLine(std::string_view text, Event& event) {
  event.delivery = {};
  if (Consume(text, "to=")) return ReadDelivery(text, event);
  event.type = EventType::kServerGivenUp;
  event.delivery.trouble = ReadTrouble(text, event.peer, event.place);
  event.has_peer = !event.peer.address.empty();
  if (event.delivery.trouble == DeliveryTrouble::kOther && !event.has_peer) {
    return LineClass::kIgnored;
  }
  event.delivery.connection_age_seconds = AgeWhenGivenUp(event);
  return LineClass::kEvent;
}

// "TLSRPT: status=failure, domain=D, receiving_mx=M[A], failure_type=T[, failure_reason=R]".
// A success says nothing that the summary line does not.
LineClass ReadTlsReport(std::string_view text, Event& event) {
  if (StartsWith(text, "status=success, ")) return LineClass::kIgnored;
  if (!Consume(text, "status=failure, ")) return LineClass::kUnrecognized;
  event.type = EventType::kTlsReport;
  while (!text.empty()) {
    if (Consume(text, "failure_type=")) {
      event.reason = TakeUntil(text, ',');
      if (Consume(text, ", failure_reason=")) event.reason = text;
      return LineClass::kEvent;
    }
    TakeUntil(text, ',');
    if (!Consume(text, ", ")) break;
  }
  return LineClass::kUnrecognized;
}

// Lines that begin with a fixed word.  False when the line has none of these.
bool ReadSessionLine(std::string_view text, Event& event, LineClass& result) {
  switch (text.front()) {
    case 'S':
      if (!Consume(text, "SSL_connect error to ")) return false;
      if (IsUnixSocket(text)) {
        result = LineClass::kIgnored;
        return true;
      }
      event.type = EventType::kTlsFailed;
      result = EventIf(TakePeer(text, event) && Consume(text, ": ") && !text.empty());
      event.reason = text;
      return true;
    case 'T':
      if (!Consume(text, "TLSRPT: ")) return false;
      result = ReadTlsReport(text, event);
      return true;
    case 'w':
      if (!Consume(text, "warning: ")) return false;
      if (Consume(text, "TLS library problem: ")) {
        ReadLibraryProblem(text, event);
        result = LineClass::kEvent;
      } else {
        // DNS, TLS policy, DANE records, cache: nothing that a session's own lines
        // do not say.
        result = LineClass::kIgnored;
      }
      return true;
    case 'f':
    case 'p':
      if (!Consume(text, "fatal: ") && !Consume(text, "panic: ")) return false;
      event.type = EventType::kProcessDying;
      event.reason = text;
      result = LineClass::kEvent;
      return true;
    case 'c':
      // No connection was made.
      if (!StartsWith(text, "connect to ")) return false;
      result = LineClass::kIgnored;
      return true;
    case 's':
      // The line that tells the outcome follows.
      if (!StartsWith(text, "setting up TLS connection to ")) return false;
      result = LineClass::kIgnored;
      return true;
    case 'M':
      // "MX name 'mx.example' does not match STS MX pattern for 'example'": passed over
      // before a connection is made.
      if (!StartsWith(text, "MX name ")) return false;
      result = LineClass::kIgnored;
      return true;
    case 'd':
      // STARTTLS too, but whose, and what came of it, no line tells.
      if (!StartsWith(text, "discarding EHLO keywords: ")) return false;
      result = LineClass::kIgnored;
      return true;
    case 'H':
      if (!StartsWith(text, "Host offered STARTTLS: ")) return false;
      result = LineClass::kIgnored;
      return true;
    default:
      return false;
  }
}

}  // namespace

LineClass ParseSmtpClient(std::string_view text, Event& event) {
  event.outbound = true;
  if (StartsWith(text, "message repeated ")) TakeOffRepetition(text);
  if (text.empty()) return LineClass::kIgnored;
  if (TakeQueueId(text, event.queue_id)) return ReadQueueIdLine(text, event);
  LineClass result;
  if (ReadSessionLine(text, event, result)) return result;
  std::string_view trust;
  if (TakeTlsConnection(text, trust)) {
    std::string_view server = text;
    if ((Consume(server, "established to ") || Consume(server, "reused to ")) &&
        IsUnixSocket(server)) {
      return LineClass::kIgnored;
    }
    return ReadTlsSummary(trust, text, "established to ", "reused to ", event);
  }
  return IsChatter(text) ? LineClass::kIgnored : LineClass::kUnrecognized;
}

}  // namespace mxtally
