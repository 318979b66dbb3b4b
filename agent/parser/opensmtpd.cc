#include "agent/parser/opensmtpd.h"

#include <algorithm>
#include <cstddef>

#include "agent/parser/fields.h"
#include "agent/parser/openssl_error.h"

namespace mxtally {
namespace {

constexpr size_t kSessionIdSize = 16;

LineClass EventIf(bool fits) { return fits ? LineClass::kEvent : LineClass::kUnrecognized; }

LineClass EventOf(EventType type, Event& event) {
  event.type = type;
  return LineClass::kEvent;
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool TakeHex(std::string_view& text, size_t size, std::string_view& digits) {
  digits = text.substr(0, size);
  if (digits.size() < size || !IsHex(digits)) return false;
  text.remove_prefix(size);
  return true;
}

bool TakeSessionId(std::string_view& text, Event& event) {
  return TakeHex(text, kSessionIdSize, event.connection);
}

// "192.0.2.1", "[2001:db8::1]", in older releases also "2001:db8::1" and "IPv6:2001:db8::1", and
// "local".
void SetAddress(std::string_view text, Event& event) {
  event.has_peer = true;
  event.peer = {};
  if (Is(text, "local")) {
    event.local = true;
    return;
  }
  Consume(text, "[");
  Consume(text, "IPv6:");
  event.peer.address = TakeUntil(text, ']');
}

// Takes "address=ADDRESS host=NAME", of which names hold no blank.
void TakeAddressAndHost(std::string_view& text, Event& event) {
  if (!Consume(text, "address=")) return;
  SetAddress(TakeUntil(text, ' '), event);
  if (!Consume(text, " host=")) return;
  TakeUntil(text, ' ');
  Consume(text, " ");
}

// Reads "TLSv1.3:TLS_AES_256_GCM_SHA384:256"; up to 6.4, with quotes or without,
// "version=TLSv1.2, cipher=ECDHE-RSA-AES256-GCM-SHA384, bits=256".  5.7 has the cipher's
// version and the session's, "TLSv1/SSLv3 (TLSv1.2)".
LineClass ReadCiphers(std::string_view text, Event& event) {
  event.type = EventType::kTlsEstablished;
  event.tls = {};
  event.tls.text = text;
  Consume(text, "\"");
  if (Consume(text, "version=")) {
    event.tls.protocol = TakeUntil(text, ',', ' ');
    if (Consume(text, " (") && Is(event.tls.protocol, "TLSv1/SSLv3")) {
      event.tls.protocol = TakeUntil(text, ')');
    }
    TakeUntil(text, ',');
    if (!Consume(text, ", cipher=")) return LineClass::kUnrecognized;
    event.tls.cipher = TakeUntil(text, ',');
    if (!Consume(text, ", bits=")) return LineClass::kUnrecognized;
  } else {
    event.tls.protocol = TakeUntil(text, ':');
    if (!Consume(text, ":")) return LineClass::kUnrecognized;
    event.tls.cipher = TakeUntil(text, ':');
    if (!Consume(text, ":")) return LineClass::kUnrecognized;
  }
  const bool fits = TakeNumber(text, event.tls.bits_used);
  event.tls.bits_algorithm = event.tls.bits_used;
  return EventIf(fits && !event.tls.protocol.empty() && !event.tls.cipher.empty());
}

LineClass TrustIs(std::string_view trust, Event& event) {
  event.type = EventType::kCertificateChecked;
  event.tls = {};
  event.tls.trust = trust;
  return LineClass::kEvent;
}

// Behind "smtp cert-check ".  Of what the client showed; the last is mta's, which writes
// of the server under this word.
LineClass ReadClientCertificate(std::string_view text, Event& event) {
  if (StartsWith(text, "result=\"no certificate presented\"")) {
    event.outbound = true;
    return TrustIs("Anonymous", event);
  }
  return TrustIs(StartsWith(text, "result=\"verified\"") || StartsWith(text, "result=\"success\"")
                     ? "Trusted"
                     : "Untrusted",
                 event);
}

// Behind "mta cert-check " and "mta server-cert-check ".  6.x looks at the chain alone.
LineClass ReadServerCertificate(std::string_view text, Event& event) {
  if (StartsWith(text, "result=\"valid\"")) return TrustIs("Verified", event);
  return TrustIs(StartsWith(text, "result=\"success\"") ? "Trusted" : "Untrusted", event);
}

void SetTlsError(std::string_view text, Event& event) {
  const OpensslError error = ReadOpensslError(text);
  event.tls_error = error.reason;
  event.alert = error.alert;
}

// Reads why input or output failed: the system's words or, with TLS, the library's.  7.x
// tells the handshake from what follows it; earlier releases do not, and an error of the
// library is one of the handshake where none succeeded.
void ReadIoError(std::string_view text, Event& event) {
  event.reason = "lost connection";
  if (StartsWith(text, "Connection timed out") || StartsWith(text, "Operation timed out")) {
    event.reason = "timeout";
  }
  if (Consume(text, "handshake failed: ") || StartsWith(text, "error:")) SetTlsError(text, event);
  // A client of 7.x refuses the certificate and gives up its handshake.
  if (StartsWith(text, "name `") || StartsWith(text, "certificate verification failed")) {
    event.tls_error = text;
  }
  // The library's words where it has none: the peer left within TLS or its handshake.
  if (Is(text, "No SSL error")) event.tls_error = text;
}

// Behind "Disconnecting session ID", 5.4.
LineClass ReadDisconnecting(std::string_view text, Event& event) {
  event.type = EventType::kDisconnect;
  if (Consume(text, ": IO error: ")) {
    ReadIoError(text, event);
  } else if (Is(text, ": session timeout")) {
    event.reason = "timeout";
  } else if (Is(text, ": CA failure")) {
    event.tls_error = "CA failure";
  }
  return LineClass::kEvent;
}

// Reads the rest of "disconnected reason=" and the like.
LineClass ReadDisconnected(std::string_view text, Event& event) {
  event.type = EventType::kDisconnect;
  Consume(text, "\"");
  if (EndsWith(text, "\"")) text.remove_suffix(1);
  if (Consume(text, "io-error: ")) {
    ReadIoError(text, event);
  } else if (StartsWith(text, "timeout")) {
    event.reason = "timeout";
  } else if (StartsWith(text, "disconnect")) {
    event.reason = "lost connection";
  } else if (StartsWith(text, "tls-") || StartsWith(text, "ca-failure")) {
    event.tls_error = text;
  }
  return LineClass::kEvent;
}

// Reads COMMAND" result="ANSWER".  The command is the peer's words, its quotes are not
// escaped: of all that stands there the first word counts, and the last answer.
LineClass ReadFailedCommand(std::string_view text, Event& event) {
  constexpr std::string_view kResult = "\" result=\"";
  const size_t result = text.rfind(kResult);
  if (result == std::string_view::npos) return LineClass::kUnrecognized;
  std::string_view command = text.substr(0, result);
  std::string_view answer = text.substr(result + kResult.size());
  if (StartsWith(command, "AUTH") && StartsWith(answer, "535")) {
    event.type = EventType::kAuthFailed;
    return LineClass::kEvent;
  }
  event.type = EventType::kReject;
  static constexpr std::string_view kCommands[] = {"HELO", "EHLO", "STARTTLS", "AUTH", "MAIL",
                                                   "RCPT", "DATA", "RSET",     "NOOP", "QUIT"};
  const std::string_view word = TakeUntil(command, ' ', ':');
  for (const std::string_view known : kCommands) {
    if (word == known) event.place = known;
  }
  if (event.place == "STARTTLS" && command.empty()) {
    event.type = EventType::kTlsRefusedBeforeHandshake;
    event.reason = "STARTTLS";
  }
  return LineClass::kEvent;
}

// Reads behind "USER result=".  The user name is the peer's words.
LineClass ReadAuthentication(std::string_view text, Event& event) {
  const size_t result = text.rfind(" result=");
  if (result == std::string_view::npos) return LineClass::kUnrecognized;
  std::string_view value = text.substr(result + 8);
  Consume(value, "\"");
  return EventOf(StartsWith(value, "ok") ? EventType::kAuthAccepted : EventType::kAuthFailed,
                 event);
}

LineClass ReadMessage(std::string_view text, Event& event) {
  event.type = EventType::kMessageAccepted;
  return EventIf(Consume(text, "msgid=") && TakeHex(text, 8, event.queue_id));
}

// Behind "ID smtp ".
LineClass ReadInbound(std::string_view text, Event& event) {
  const bool event_form = Consume(text, "event=");
  const std::string_view verb = TakeUntil(text, ' ');
  while (Consume(text, " ")) {
  }
  if (Is(verb, "proxy")) {
    Consume(text, "address=");
    SetAddress(TakeUntil(text, ' '), event);
    return EventOf(EventType::kSessionNote, event);
  }
  TakeAddressAndHost(text, event);
  if (Is(verb, "connected")) {
    event.type = EventType::kConnect;
    return EventIf(event.has_peer);
  }
  if (Is(verb, "tls") || Is(verb, "starttls")) {
    return Consume(text, "ciphers=") ? ReadCiphers(text, event) : LineClass::kUnrecognized;
  }
  if (Is(verb, "cert-check") || Is(verb, "client-cert-check")) {
    return ReadClientCertificate(text, event);
  }
  if (Is(verb, "authentication")) return ReadAuthentication(text, event);
  if (Is(verb, "message")) return ReadMessage(text, event);
  // One for each recipient of a message.
  if (Is(verb, "envelope")) return LineClass::kIgnored;
  if (Is(verb, "failed-command")) {
    return Consume(text, "command=\"") ? ReadFailedCommand(text, event) : LineClass::kUnrecognized;
  }
  if (Is(verb, "bad-input")) return EventOf(EventType::kReject, event);
  if (Is(verb, "disconnected") || (event_form && Is(verb, "closed"))) {
    Consume(text, "reason=");
    return ReadDisconnected(text, event);
  }
  return LineClass::kUnrecognized;
}

// Reads "SCHEME://ADDRESS:PORT".
bool ReadServer(std::string_view text, Event& event) {
  const size_t end = text.find("://");
  if (end == std::string_view::npos) return false;
  const std::string_view scheme = text.substr(0, end);
  text.remove_prefix(end + 3);
  event.service = Is(scheme, "lmtp") || Is(scheme, "smtps") ? scheme : "smtp";
  std::string_view port;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
    port = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  SetAddress(text, event);
  // LMTP may go to a socket of this host.
  if (StartsWith(text, "/") || StartsWith(text, "unix")) {
    event.peer = {};
    event.local = true;
  }
  return port.empty() || (TakeNumber(port, event.peer.port) && event.peer.port <= 65535);
}

// Reads behind "mta delivery ":
//   evpid=E from=<F> to=<T> rcpt=<R> source="S" relay="R" delay=D result="Ok" stat="..."
// Addresses are words of peers, and the answer at the end is the server's: the result
// is taken where it can only be one thing, else the line says nothing.
LineClass ReadDelivery(std::string_view text, Event& event) {
  event.type = EventType::kDelivery;
  event.delivery = {};
  event.delivery.trouble = DeliveryTrouble::kOther;
  // "mta tls" lines are logged with these.
  event.delivery.tls = DeliveryTls::kNotShown;
  if (!Consume(text, "evpid=") || !TakeHex(text, 8, event.queue_id)) {
    return LineClass::kUnrecognized;
  }
  if (Find(event.connection, '0') == 0 &&
      event.connection.find_first_not_of('0') == std::string_view::npos) {
    return LineClass::kIgnored;  // No connection was made.
  }
  constexpr std::string_view kResult = " result=\"";
  // Addresses hold no blank but within quotes, and a quote that ends there is not
  // followed by these words.
  const size_t at = text.find(kResult, std::min(text.find("> source=\""), text.size()));
  if (at == std::string_view::npos) return LineClass::kUnrecognized;
  if (text.substr(at + kResult.size()).starts_with("Ok\"")) {
    event.delivery.sent = true;
    event.delivery.trouble = DeliveryTrouble::kNone;
  }
  return LineClass::kEvent;
}

// Reads behind "error reason=", the rest of the line.  It ends the connection.
LineClass ReadError(std::string_view text, Event& event) {
  event.type = EventType::kDisconnect;
  if (Consume(text, "IO Error: ")) {
    ReadIoError(text, event);
  } else if (StartsWith(text, "Connection timeout")) {
    event.reason = "timeout";
  } else if (StartsWith(text, "Connection closed unexpectedly")) {
    event.reason = "lost connection";
  }
  return LineClass::kEvent;
}

// Behind "ID mta ".
LineClass ReadOutbound(std::string_view text, Event& event) {
  const bool event_form = Consume(text, "event=");
  const std::string_view verb = TakeUntil(text, ' ');
  while (Consume(text, " ")) {
  }
  if (Is(verb, "connecting")) {
    event.type = EventType::kConnecting;
    return EventIf(Consume(text, "address=") && ReadServer(TakeUntil(text, ' '), event));
  }
  if (Is(verb, "connected")) return EventOf(EventType::kConnected, event);
  if (Is(verb, "tls") || Is(verb, "starttls")) {
    return Consume(text, "ciphers=") ? ReadCiphers(text, event) : LineClass::kUnrecognized;
  }
  if (Is(verb, "cert-check") || Is(verb, "server-cert-check")) {
    return ReadServerCertificate(text, event);
  }
  if (Is(verb, "delivery")) return ReadDelivery(text, event);
  Consume(text, "reason=");
  if (Is(verb, "error")) return ReadError(text, event);
  if (Is(verb, "disconnected") || Is(verb, "closing") || (event_form && Is(verb, "closed"))) {
    return ReadDisconnected(text, event);
  }
  return Is(verb, "host-rejects-all-mails") ? EventOf(EventType::kSessionNote, event)
                                            : LineClass::kIgnored;
}

// 5.4 names the session at the end of what may be the peer's words.
bool EndsWithSessionId(std::string_view text, Event& event) {
  if (text.size() < kSessionIdSize) return false;
  std::string_view id = text.substr(text.size() - kSessionIdSize);
  text.remove_suffix(kSessionIdSize);
  return EndsWith(text, " session ") && TakeSessionId(id, event);
}

// Behind "certificate verification ".
LineClass ReadVerification(std::string_view text, Event& event) {
  return TrustIs(StartsWith(text, "succeeded ") || Is(text, "succeeded") ? "Trusted" : "Untrusted",
                 event);
}

// Behind "closed (", 5.7.
LineClass ReadClosed(std::string_view text, Event& event) {
  event.type = EventType::kDisconnect;
  if (EndsWith(text, ")")) text.remove_suffix(1);
  if (Consume(text, "IO error: ")) {
    ReadIoError(text, event);
  } else if (StartsWith(text, "client disconnected") || StartsWith(text, "IO error")) {
    event.reason = "lost connection";
  } else if (StartsWith(text, "session timeout") || StartsWith(text, "timeout")) {
    event.reason = "timeout";
  } else if (StartsWith(text, "TLS failure")) {
    event.tls_error = text;
  }
  return LineClass::kEvent;
}

// Behind "smtp-in: session ID: ", 5.7.
LineClass ReadInboundSentence(std::string_view text, Event& event) {
  if (Consume(text, "connection from host ")) {
    TakeUntil(text, ' ');
    if (!Consume(text, " [")) return LineClass::kUnrecognized;
    SetAddress(TakeUntil(text, ']'), event);
    if (Consume(text, "] closed (")) return ReadClosed(text, event);
    event.type = EventType::kConnect;
    return EventIf(Is(text, "] established"));
  }
  if (Consume(text, "TLS started ")) return ReadCiphers(text, event);
  if (Consume(text, "closed (")) return ReadClosed(text, event);
  if (Consume(text, "message ") || Consume(text, "msgid=")) {
    event.type = EventType::kMessageAccepted;
    return EventIf(TakeHex(text, 8, event.queue_id));
  }
  if (StartsWith(text, "authentication successful ")) {
    return EventOf(EventType::kAuthAccepted, event);
  }
  if (StartsWith(text, "authentication failure ")) return EventOf(EventType::kAuthFailed, event);
  if (Consume(text, "client certificate verification ")) return ReadVerification(text, event);
  return EventOf(EventType::kSessionNote, event);
}

// Behind "smtp-in: ", 5.4 and 5.7.
LineClass ReadOldInbound(std::string_view text, Event& event) {
  if (Consume(text, "session ")) {
    return TakeSessionId(text, event) && Consume(text, ": ") ? ReadInboundSentence(text, event)
                                                             : LineClass::kUnrecognized;
  }
  if (Consume(text, "New session ")) {
    event.type = EventType::kConnect;
    if (!TakeSessionId(text, event) || !Consume(text, " from host ")) {
      return LineClass::kUnrecognized;
    }
    TakeUntil(text, ' ');
    if (!Consume(text, " [")) return LineClass::kUnrecognized;
    SetAddress(TakeUntil(text, ']'), event);
    return LineClass::kEvent;
  }
  if (Consume(text, "Started TLS on session ")) {
    return TakeSessionId(text, event) && Consume(text, ": ") ? ReadCiphers(text, event)
                                                             : LineClass::kUnrecognized;
  }
  if (Consume(text, "Accepted message ")) {
    event.type = EventType::kMessageAccepted;
    return EventIf(TakeHex(text, 8, event.queue_id) && Consume(text, " on session ") &&
                   TakeSessionId(text, event));
  }
  if (Consume(text, "Failed command on session ")) {
    event.type = EventType::kReject;
    return EventIf(TakeSessionId(text, event));
  }
  if (StartsWith(text, "Accepted authentication ") && EndsWithSessionId(text, event)) {
    return EventOf(EventType::kAuthAccepted, event);
  }
  if (StartsWith(text, "Authentication failed ") && EndsWithSessionId(text, event)) {
    return EventOf(EventType::kAuthFailed, event);
  }
  if (Consume(text, "Client certificate verification ") && EndsWithSessionId(text, event)) {
    return ReadVerification(text, event);
  }
  event.type = EventType::kDisconnect;
  if (Consume(text, "Closing session ")) return EventIf(TakeSessionId(text, event));
  if (Consume(text, "Disconnecting session ")) {
    return TakeSessionId(text, event) ? ReadDisconnecting(text, event) : LineClass::kUnrecognized;
  }
  event.reason = "lost connection";
  if (Consume(text, "Received disconnect from session ")) {
    return EventIf(TakeSessionId(text, event));
  }
  if (Consume(text, "Error on session ")) {
    if (!TakeSessionId(text, event) || !Consume(text, ": ")) return LineClass::kUnrecognized;
    Consume(text, "IO Error: ");
    ReadIoError(text, event);
    return LineClass::kEvent;
  }
  event.reason = "timeout";
  if (Consume(text, "Timeout on session ")) return EventIf(TakeSessionId(text, event));
  return LineClass::kIgnored;
}

// Takes "N messages sent".
bool TakeMessagesSent(std::string_view& text, Event& event) {
  int messages = 0;
  if (!TakeNumber(text, messages)) return false;
  event.has_counters = true;
  event.counters.push_back({.command = "data", .accepted = messages, .total = messages});
  return Consume(text, " message sent") || Consume(text, " messages sent");
}

// Behind "smtp-out: session ID: ", 5.7, which has no line for a connection that came about.
LineClass ReadOutboundSentence(std::string_view text, Event& event) {
  if (Consume(text, "connecting to ")) {
    event.type = EventType::kConnecting;
    return EventIf(ReadServer(TakeUntil(text, ' '), event));
  }
  if (Consume(text, "TLS started ")) return ReadCiphers(text, event);
  if (Consume(text, "server certificate verification ")) return ReadVerification(text, event);
  event.type = EventType::kDisconnect;
  if (Consume(text, "connection closed, ")) return EventIf(TakeMessagesSent(text, event));
  if (StartsWith(text, "disconnected (CA failure")) {
    event.tls_error = "CA failure";
    return LineClass::kEvent;
  }
  if (StartsWith(text, "error: opportunistic TLS failed") ||
      StartsWith(text, "error: TLS failed")) {
    event.tls_error = "opportunistic TLS failed";
    return LineClass::kEvent;
  }
  if (Consume(text, "error: ")) {
    // The server's answer: there was a connection.
    const size_t rejected = text.find(" rejected: ");
    event.has_counters = rejected != std::string_view::npos && rejected == text.find(' ');
    return ReadError(text, event);
  }
  if (Consume(text, "error after ")) {
    return TakeMessagesSent(text, event) && Consume(text, ": ") ? ReadError(text, event)
                                                                : LineClass::kUnrecognized;
  }
  return LineClass::kIgnored;
}

// Behind "smtp-out: ".  6.x and 7.x write of errors this way.
LineClass ReadOldOutbound(std::string_view text, Event& event) {
  event.outbound = true;
  if (Consume(text, "session ")) {
    return TakeSessionId(text, event) && Consume(text, ": ") ? ReadOutboundSentence(text, event)
                                                             : LineClass::kIgnored;
  }
  // Releases that tell errors of TLS from others say so in front.
  Consume(text, "TLS ");
  if (Consume(text, "Error on session ")) {
    if (!TakeSessionId(text, event)) return LineClass::kUnrecognized;
    if (Consume(text, ": opportunistic TLS failed") || Consume(text, ": TLS failed")) {
      // The same id goes on without TLS.
      event.type = EventType::kDisconnect;
      event.tls_error = "opportunistic TLS failed";
      return LineClass::kEvent;
    }
    if (Consume(text, " after ") && !TakeMessagesSent(text, event)) TakeUntil(text, ':');
    return Consume(text, ": ") ? ReadError(text, event) : LineClass::kUnrecognized;
  }
  if (Consume(text, "Connecting to ")) {
    event.type = EventType::kConnecting;
    const std::string_view server = TakeUntil(text, ' ');
    TakeUntil(text, ')');
    if (!Consume(text, ") on session ") || !TakeSessionId(text, event)) {
      return LineClass::kUnrecognized;
    }
    return EventIf(ReadServer(server, event));
  }
  if (Consume(text, "Connected on session ")) {
    event.type = EventType::kConnected;
    return EventIf(TakeSessionId(text, event));
  }
  if (Consume(text, "Started TLS on session ")) {
    return TakeSessionId(text, event) && Consume(text, ": ") ? ReadCiphers(text, event)
                                                             : LineClass::kUnrecognized;
  }
  if (Consume(text, "Server certificate verification ") && EndsWithSessionId(text, event)) {
    return ReadVerification(text, event);
  }
  if (Consume(text, "Disconnecting session ")) {
    return TakeSessionId(text, event) ? ReadDisconnecting(text, event) : LineClass::kUnrecognized;
  }
  if (Consume(text, "Closing session ")) {
    event.type = EventType::kDisconnect;
    if (!TakeSessionId(text, event)) return LineClass::kUnrecognized;
    // "N messages sent.", of which 5.4 has no other line that names the session.
    if (Consume(text, ": ")) TakeMessagesSent(text, event);
    return LineClass::kEvent;
  }
  return LineClass::kIgnored;
}

}  // namespace

bool IsOpensmtpd(std::string_view program) { return Is(program, "smtpd"); }

LineClass ParseOpensmtpd(const FramedLine& line, Event& event) {
  event.Reset();
  std::string_view text = line.text;
  if (TakeSessionId(text, event) && Consume(text, " ")) {
    if (Consume(text, "smtp ")) return ReadInbound(text, event);
    if (Consume(text, "mta ")) {
      event.outbound = true;
      return ReadOutbound(text, event);
    }
    return LineClass::kIgnored;  // mda, filters.
  }
  event.connection = {};
  if (Consume(text, "smtp-in: ")) return ReadOldInbound(text, event);
  if (Consume(text, "smtp-out: ")) return ReadOldOutbound(text, event);
  if (Consume(text, "info: OpenSMTPD ")) {
    event.type = EventType::kInstanceBoundary;
    event.program_name = "OpenSMTPD";
    event.version = TakeUntil(text, ' ');
    return Is(text, " starting") ? LineClass::kEvent : LineClass::kIgnored;
  }
  return LineClass::kIgnored;
}

}  // namespace mxtally
