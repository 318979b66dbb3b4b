#include "agent/parser/exim_delivery.h"

#include <cstddef>

#include "agent/parser/fields.h"

namespace mxtally::exim {
namespace {

void BeginOutbound(const Line& line, Event& event, const Host& host) {
  event.type = EventType::kDelivery;
  event.unframed = true;
  event.outbound = true;
  event.service = "smtp";
  event.connection = line.message_id;
  event.queue_id = line.message_id;
  event.has_peer = true;
  event.peer = host.peer;
  event.delivery = {};
  event.connection_tls = DeliveryTls::kNotLogged;
}

// What follows "H=": HOST, '*' for a connection that was used before, and the fields of
// the connection.  Stops before the first that is not one of these.
bool TakeServer(Line& line, Event& event) {
  Host host;
  if (!TakeHost(line.text, host)) return false;
  host.helo = {};
  BeginOutbound(line, event, host);
  if (Consume(line.text, "*")) event.delivery.connection_uses = 0;
  std::string_view rest = line.text;
  if (Consume(rest, " PRX=")) {
    TakeUntil(rest, ' ');
    line.text = rest;
  }
  if (Consume(rest, " I=")) {
    Host interface;
    if (!TakeHost(rest, interface)) return false;
    // Some releases forget the colon.
    while (!rest.empty() && IsDigit(rest.front())) rest.remove_prefix(1);
    line.text = rest;
  }
  if (Consume(line.text, " TFO*") || Consume(line.text, " TFO")) {
  }
  // Where some releases have it.
  if (Consume(line.text, "*")) event.delivery.connection_uses = 0;
  return TakeTls(line, event, /*outbound=*/true);
}

// Fields that follow those of the connection in a line of success, to the end of the line.
bool OnlyKnownFields(std::string_view text, bool cut) {
  while (!text.empty()) {
    if (!Consume(text, " ")) return false;
    if (StartsWith(text, "C=\"") || StartsWith(text, "DN=\"")) {
      text.remove_prefix(text.find('"'));
      if (!TakeQuoted(text)) return cut;
      continue;
    }
    const std::string_view word = TakeUntil(text, ' ');
    if (word.find('"') != std::string_view::npos) return false;
    const bool known = Is(word, "K") || StartsWith(word, "L") || Is(word, "PRDR") ||
                       StartsWith(word, "A=") || StartsWith(word, "QT=") ||
                       StartsWith(word, "DT=") || StartsWith(word, "PRX=") ||
                       StartsWith(word, "S=") || Is(word, "TFO") || Is(word, "TFO*") ||
                       StartsWith(word, "Ci=") || StartsWith(word, "CV=");
    if (!known) return false;
  }
  return true;
}

// What follows " R=": router, transport, and, of success, all the line.
LineClass ParseSent(Line& line, Event& event) {
  std::string_view& text = line.text;
  TakeUntil(text, ' ');
  if (!Consume(text, " T=")) return LineClass::kIgnored;
  TakeUntil(text, ' ');
  if (Consume(text, " S=")) TakeUntil(text, ' ');
  // Into a mailbox, or a pipe.
  if (!Consume(text, " H=")) return LineClass::kIgnored;
  if (!TakeServer(line, event) || !OnlyKnownFields(text, line.cut)) {
    return LineClass::kUnrecognized;
  }
  return LineClass::kEvent;
}

// "=> RECIPIENT [<ORIGINAL>] [F=<...>] [P=<...>] R=... T=... H=...".  Recipients are shown
// without quotes and may hold blanks, so all that stands before the fields is skipped
// rather than read: the fields are those behind a " R=" with which all the rest of the line
// makes sense, which no recipient can bring about, because the true ones still follow it.
LineClass ParseDelivered(Line& line, Event& event, bool further) {
  LineClass line_class = LineClass::kIgnored;
  for (size_t at = line.text.find(" R="); at != std::string_view::npos;
       at = line.text.find(" R=", at + 1)) {
    Line rest = line;
    rest.text.remove_prefix(at + 3);
    const LineClass found = ParseSent(rest, event);
    if (found == LineClass::kEvent) {
      event.delivery.sent = true;
      event.delivery.further_recipient = further;
      if (event.connection_tls == DeliveryTls::kNotLogged) {
        event.connection_tls = DeliveryTls::kNotShown;
      }
      return found;
    }
    if (found == LineClass::kUnrecognized) line_class = found;
  }
  return line_class;
}

// The text of a failure, and what it says of the connection.  `shows_tls`: the line has X= if the
// connection had TLS; that of a deferred recipient never has.
void ReadTrouble(std::string_view text, Event& event, bool shows_tls) {
  MailDelivery& delivery = event.delivery;
  DeliveryTls& tls = event.connection_tls;
  const bool shown = tls == DeliveryTls::kEstablished;
  delivery.trouble = DeliveryTrouble::kOther;
  if (Consume(text, "TLS session: ")) {
    delivery.trouble = StartsWith(text, "(certificate verification failed")
                           ? DeliveryTrouble::kCertificateRefused
                           : DeliveryTrouble::kHandshakeFailed;
  } else if (StartsWith(text, "a TLS session is required")) {
    // In older releases the host follows.
    std::string_view host;
    TakeTo(text, ", but ", host);
    delivery.trouble = StartsWith(text, "the server did not offer")
                           ? DeliveryTrouble::kTlsNotOffered
                           : DeliveryTrouble::kHandshakeFailed;
  } else if (Consume(text, "SMTP error from remote mail server after ")) {
    const bool initial = StartsWith(text, "initial connection");
    if (initial) delivery.trouble = DeliveryTrouble::kRefusedToTalk;
    if (!shown) tls = initial || shows_tls ? DeliveryTls::kNotShown : DeliveryTls::kUnknown;
  } else {
    if (StartsWith(text, "Remote host closed connection")) {
      delivery.trouble = DeliveryTrouble::kLostConnection;
    } else if (StartsWith(text, "SMTP timeout")) {
      delivery.trouble = DeliveryTrouble::kTimeout;
    }
    // Then X= is missing whether or not there was TLS.
    if (!shown) tls = DeliveryTls::kUnknown;
  }
}

// Up to 4.80 the text of a failure names the server, and nothing tells whether there was TLS:
// "SMTP error from remote mail server after RCPT TO:<...>: host HOST: 550 ...", "Remote host HOST
// closed connection in response to ...", "SMTP timeout while connected to HOST after ...".
LineClass ParseServerInText(Line& line, Event& event) {
  std::string_view& text = line.text;
  DeliveryTrouble trouble = DeliveryTrouble::kOther;
  if (Consume(text, "SMTP error from remote mail server after ")) {
    std::string_view command;
    if (!TakeTo(text, ": host ", command)) return LineClass::kIgnored;
    if (Is(command, "initial connection")) trouble = DeliveryTrouble::kRefusedToTalk;
  } else if (Consume(text, "Remote host ")) {
    trouble = DeliveryTrouble::kLostConnection;
  } else if (Consume(text, "SMTP timeout while connected to ")) {
    trouble = DeliveryTrouble::kTimeout;
  } else {
    return LineClass::kIgnored;
  }
  Host host;
  if (!TakeHost(text, host)) return LineClass::kIgnored;
  BeginOutbound(line, event, host);
  event.delivery.trouble = trouble;
  event.connection_tls =
      trouble == DeliveryTrouble::kRefusedToTalk ? DeliveryTls::kNotShown : DeliveryTls::kUnknown;
  return LineClass::kEvent;
}

// "** RECIPIENT ... R=... T=... H=...: TEXT" and "== RECIPIENT R=... T=... defer (-44) H=...
// DT=1s: TEXT".  The text may be the server's; a line in which it, or the recipient, holds
// fields as well is not understood.
LineClass ParseNotDelivered(Line& line, Event& event, bool shows_tls) {
  std::string_view& text = line.text;
  std::string_view recipient;
  if (!TakeTo(text, " R=", recipient)) return LineClass::kIgnored;
  if (text.find(" R=") != std::string_view::npos) return LineClass::kUnrecognized;
  TakeUntil(text, ' ', ':');
  if (!Consume(text, " T=")) return LineClass::kIgnored;
  TakeUntil(text, ' ', ':');
  if (Consume(text, " S=")) TakeUntil(text, ' ', ':');
  const bool deferred = Consume(text, " defer (");
  if (deferred) {
    TakeUntil(text, ')');
    if (!Consume(text, ")")) return LineClass::kIgnored;
  }
  std::string_view in_text = text;
  if (Consume(in_text, ": ")) {
    Line rest = line;
    rest.text = in_text;
    const LineClass found = ParseServerInText(rest, event);
    // "defer (111): Connection refused" without a server: there was no connection.
    if (found == LineClass::kEvent || !deferred) return found;
  }
  std::string_view cause;
  if (deferred ? !TakeTo(text, " H=", cause) : !Consume(text, " H=")) return LineClass::kIgnored;
  if (!TakeServer(line, event)) return LineClass::kUnrecognized;
  std::string_view fields;
  ReadTrouble(TakeTo(text, ": ", fields) ? text : std::string_view(), event, shows_tls);
  return LineClass::kEvent;
}

// "TLS session: TEXT: delivering unencrypted to H=HOST (not in hosts_require_tls)": over
// another connection.
LineClass ParseUnencrypted(Line& line, Event& event) {
  constexpr std::string_view kUnencrypted = "delivering unencrypted to H=";
  std::string_view& text = line.text;
  const size_t at = text.rfind(kUnencrypted);
  if (at == std::string_view::npos) return LineClass::kIgnored;
  text.remove_prefix(at + kUnencrypted.size());
  if (!TakeServer(line, event)) return LineClass::kUnrecognized;
  event.type = EventType::kServerGivenUp;
  event.delivery.trouble = DeliveryTrouble::kHandshakeFailed;
  return LineClass::kEvent;
}

// "HOST (PREFIX): TEXT", behind "TLS error on connection to " in older releases.  Lines that
// tell each recipient's outcome follow.
LineClass ParseServerTlsError(Line& line, Event& event) {
  Host host;
  if (!TakeHost(line.text, host) || !Consume(line.text, " (")) return LineClass::kIgnored;
  const std::string_view prefix = TakeUntil(line.text, ')', ':');
  if (!Is(prefix, "gnutls_handshake") && !Is(prefix, "SSL_connect")) return LineClass::kIgnored;
  BeginOutbound(line, event, host);
  event.delivery.trouble = DeliveryTrouble::kHandshakeFailed;
  return LineClass::kEvent;
}

}  // namespace

LineClass ParseServerTrouble(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (!TakeServer(line, event)) return LineClass::kIgnored;
  if (Consume(text, " TLS error on connection (")) {
    const std::string_view prefix = TakeUntil(text, ')', ':');
    if (!Is(prefix, "recv") && !Is(prefix, "send") && !Is(prefix, "SSL_read") &&
        !Is(prefix, "SSL_write")) {
      return LineClass::kIgnored;
    }
    event.type = EventType::kSessionNote;
    event.connection_tls = DeliveryTls::kEstablished;
    event.tls = {};
    return LineClass::kEvent;
  }
  if (!Consume(text, ": ")) return LineClass::kIgnored;
  ReadTrouble(text, event, /*shows_tls=*/false);
  return LineClass::kEvent;
}

LineClass ParseDelivery(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (Consume(text, "=> ") || Consume(text, ">> ")) {
    return ParseDelivered(line, event, /*further=*/false);
  }
  if (Consume(text, "-> ")) return ParseDelivered(line, event, /*further=*/true);
  if (Consume(text, "** ")) return ParseNotDelivered(line, event, /*shows_tls=*/true);
  if (Consume(text, "== ")) return ParseNotDelivered(line, event, /*shows_tls=*/false);
  if (Consume(text, "TLS session: ")) return ParseUnencrypted(line, event);
  if (Consume(text, "TLS error on connection to ")) return ParseServerTlsError(line, event);
  return LineClass::kNotMine;
}

}  // namespace mxtally::exim
