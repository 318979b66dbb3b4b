#include "agent/parser/exim_connection.h"

#include <cstddef>

#include "agent/parser/fields.h"

namespace mxtally::exim {
namespace {

// "2m42s", "0.004s", "1h3s"; units that are zero are left out.
bool TakeDuration(std::string_view& text, double& seconds) {
  seconds = 0;
  size_t parts = 0;
  while (!text.empty() && IsDigit(text.front())) {
    int whole = 0;
    if (!TakeNumber(text, whole)) return false;
    double value = whole;
    if (Consume(text, ".")) {
      double scale = 0.1;
      for (; !text.empty() && IsDigit(text.front()); scale /= 10) {
        value += (text.front() - '0') * scale;
        text.remove_prefix(1);
      }
    }
    if (text.empty()) return false;
    switch (text.front()) {
      case 'w':
        value *= 7 * 86400;
        break;
      case 'd':
        value *= 86400;
        break;
      case 'h':
        value *= 3600;
        break;
      case 'm':
        value *= 60;
        break;
      case 's':
        break;
      default:
        return false;
    }
    text.remove_prefix(1);
    seconds += value;
    ++parts;
  }
  return parts > 0;
}

void ReadAge(std::string_view& text, Event& event) {
  double seconds = 0;
  if (!Consume(text, " D=") || !TakeDuration(text, seconds)) return;
  event.connection_age_seconds = seconds + 1;  // Parts of a second may be cut off.
}

// "SMTP connection[ Ci=...] from HOST ...".
LineClass ParseConnection(Line& line, Event& event) {
  std::string_view& text = line.text;
  std::string_view id;
  if (Consume(text, " Ci=")) id = TakeUntil(text, ' ');
  // A user, of "-bs", is no client.
  if (!Consume(text, " from ") || !TakeClient(line, event)) return LineClass::kIgnored;
  if (event.connection.empty()) event.connection = id;
  const bool by_inetd = Consume(text, " (via inetd)");
  if (StartsWith(text, " (TCP/IP connection count = ") || (by_inetd && text.empty())) {
    event.type = EventType::kConnect;
    // Up to 4.96 it is the daemon's process that writes this line.
    const bool is_known = !event.connection.empty() || (by_inetd && line.pid >= 0);
    return is_known ? LineClass::kEvent : LineClass::kIgnored;
  }
  if (!NamesConnection(line, event)) return LineClass::kIgnored;
  event.type = EventType::kClosed;
  if (line.has_ident) return LineClass::kEvent;
  ReadAge(text, event);
  Consume(text, " TFO");
  if (Consume(text, " closed ")) {
    if (StartsWith(text, "by DROP")) event.reason = "too many errors";
    return LineClass::kEvent;
  }
  if (!Consume(text, " lost")) return LineClass::kIgnored;
  event.reason = "lost connection";
  if (Consume(text, " while reading message data")) event.place = "DATA";
  if (const size_t at = text.rfind(" D="); at != std::string_view::npos) {
    text.remove_prefix(at);
    ReadAge(text, event);
  }
  return LineClass::kEvent;
}

// Behind "C=": "EHLO,STARTTLS,EHLO,QUIT", or "...,RCPT,QUIT".  Without X=.
DeliveryTls TlsOfCommands(std::string_view commands) {
  if (StartsWith(commands, "...")) return DeliveryTls::kUnknown;
  const size_t at = commands.find("STARTTLS");
  if (at == std::string_view::npos) return DeliveryTls::kPlaintext;
  // What follows was said after a handshake of which X= is not logged (tls_cipher), or
  // after one that failed.
  return commands.substr(at) == "STARTTLS" ? DeliveryTls::kFailed : DeliveryTls::kUnknown;
}

// "TLS error on connection[ Ci=...] from HOST[ I=...] (PREFIX): TEXT", and OpenSSL's
// "... SSL_accept: TEXT" and "TLS error (SSL_read): on connection from HOST ...".
LineClass ParseTlsError(Line& line, Event& event) {
  std::string_view& text = line.text;
  std::string_view prefix;
  if (Consume(text, " (")) {
    if (!TakeTo(text, "): ", prefix) || !Consume(text, "on connection")) return LineClass::kIgnored;
  } else if (!Consume(text, " on connection")) {
    return LineClass::kIgnored;
  }
  std::string_view id;
  if (Consume(text, " Ci=")) id = TakeUntil(text, ' ');
  if (!Consume(text, " from ") || !TakeClient(line, event)) return LineClass::kIgnored;
  if (event.connection.empty()) event.connection = id;
  if (prefix.empty() && Consume(text, " SSL_accept: ")) {
    prefix = "SSL_accept";
  } else if (prefix.empty()) {
    std::string_view before;
    if (!TakeTo(text, " (", before)) return LineClass::kIgnored;
    prefix = TakeUntil(text, ')', ':');
    // "(SSL_accept (TLSv1)): ", of a client whose version does not fit.
    if (StartsWith(prefix, "SSL_accept (")) {
      prefix = "SSL_accept";
      Consume(text, ")");
    }
    if (!Consume(text, "): ")) Consume(text, ": ");
  }
  if (Is(prefix, "gnutls_handshake") || Is(prefix, "SSL_accept") ||
      Is(prefix, "tls lib accept fn")) {
    event.type = EventType::kTlsFailed;
    event.reason = text;
    return LineClass::kEvent;
  }
  if (!NamesConnection(line, event)) return LineClass::kIgnored;
  event.type = EventType::kSessionNote;
  if (Is(prefix, "recv") || Is(prefix, "send") || Is(prefix, "SSL_read") ||
      Is(prefix, "SSL_write")) {
    // Of a session that has TLS: most peers leave like that.
    event.connection_tls = DeliveryTls::kEstablished;
    event.tls = {};
    return LineClass::kEvent;
  }
  // Certificate, key and the like of this host.
  event.type = EventType::kTlsRefusedBeforeHandshake;
  return LineClass::kEvent;
}

LineClass ParseDropped(Line& line, Event& event) {
  Line rest = line;
  const LineClass line_class = ParseEnd(rest, event, "too many errors", {});
  return StartsWith(rest.text, " dropped: ") ? line_class : LineClass::kIgnored;
}

// "SMTP command timeout on[ TLS] connection from HOST".
LineClass ParseCommandTimeout(Line& line, Event& event) {
  std::string_view& text = line.text;
  const bool tls = Consume(text, " TLS");
  if (!Consume(text, " connection from ")) return LineClass::kIgnored;
  const LineClass line_class = ParseEnd(line, event, "timeout", {});
  event.connection_tls = tls ? DeliveryTls::kEstablished : DeliveryTls::kPlaintext;
  event.tls = {};
  return line_class;
}

}  // namespace

LineClass ParseNoMail(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (!Consume(text, "TFO ")) Consume(text, "TFO* ");
  if (!Consume(text, "SMTP connection from ")) return LineClass::kUnrecognized;
  if (!TakeClient(line, event)) return LineClass::kIgnored;
  event.type = EventType::kDisconnect;
  if (line.has_ident) {
    event.connection_tls = DeliveryTls::kUnknown;
    return LineClass::kEvent;
  }
  ReadAge(text, event);
  if (Consume(text, " A=")) TakeUntil(text, ' ');
  if (!TakeTls(line, event, /*outbound=*/false)) return LineClass::kUnrecognized;
  if (event.connection_tls == DeliveryTls::kEstablished) return LineClass::kEvent;
  event.connection_tls = Consume(text, " C=") ? TlsOfCommands(TakeUntil(text, ' '))
                         : line.cut           ? DeliveryTls::kUnknown
                                              : DeliveryTls::kPlaintext;
  // The line of the handshake that failed is this connection's as well.
  if (!NamesConnection(line, event) && event.connection_tls == DeliveryTls::kFailed) {
    return LineClass::kIgnored;
  }
  return LineClass::kEvent;
}

LineClass ParseEnd(Line& line, Event& event, std::string_view reason, std::string_view place) {
  if (!TakeClient(line, event)) return LineClass::kIgnored;
  if (!NamesConnection(line, event)) return LineClass::kIgnored;
  event.type = EventType::kClosed;
  event.reason = reason;
  event.place = place;
  return LineClass::kEvent;
}

LineClass ParseAuthFailed(Line& line, Event& event) {
  std::string_view& text = line.text;
  TakeUntil(text, ' ');
  if (!Consume(text, " authenticator failed for ")) return LineClass::kIgnored;
  Consume(text, "H=");
  if (!TakeClient(line, event) || !NamesConnection(line, event)) {
    return LineClass::kIgnored;
  }
  event.type = EventType::kAuthFailed;
  return LineClass::kEvent;
}

LineClass ParseClientLine(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (Consume(text, "connection")) return ParseConnection(line, event);
  if (Consume(text, "command timeout on")) return ParseCommandTimeout(line, event);
  if (Consume(text, "data timeout (message abandoned) on connection from ")) {
    return ParseEnd(line, event, "timeout", "DATA");
  }
  if (Consume(text, "call from ")) return ParseDropped(line, event);
  if (Consume(text, "TLS error")) return ParseTlsError(line, event);
  return LineClass::kIgnored;
}

}  // namespace mxtally::exim
