#include "agent/parser/exim_arrival.h"

#include "agent/parser/fields.h"

namespace mxtally::exim {
namespace {

// P=: whether the session has TLS, and whether the client authenticated.
void ReadProtocol(std::string_view protocol, bool& is_smtp, bool& tls, bool& authenticated) {
  if (Consume(protocol, "utf8")) {
  }
  if (Consume(protocol, "local-")) {
  }
  authenticated = protocol.ends_with("smtpa") || protocol.ends_with("smtpsa");
  if (authenticated) protocol.remove_suffix(1);
  is_smtp = true;
  tls = false;
  if (Is(protocol, "smtp") || Is(protocol, "esmtp") || Is(protocol, "asmtp")) return;
  tls = Is(protocol, "smtps") || Is(protocol, "esmtps") || Is(protocol, "ssmtp") ||
        Is(protocol, "essmtp") || Is(protocol, "asmtps");
  is_smtp = tls;
}

// Takes one of the fields that stand between P= and S= and tell of the session.
void ReadSessionFields(Line& line, Event& event, bool authenticated) {
  std::string_view& text = line.text;
  while (Consume(text, " L*") || Consume(text, " L.-") || Consume(text, " L-") ||
         Consume(text, " L.") || Consume(text, " L") || Consume(text, " SPF")) {
  }
  // A field that is not understood says nothing, not even that there is no TLS.
  if (!TakeTls(line, event, /*outbound=*/false)) {
    event.connection_tls = DeliveryTls::kEstablished;
    event.tls = {};
  }
  if (authenticated && Consume(text, " A=")) event.auth_mechanism = TakeUntil(text, ':', ' ');
}

}  // namespace

LineClass ParseArrival(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (!TakeMailAddress(text, ' ')) return LineClass::kUnrecognized;
  if (Consume(text, " R=")) TakeUntil(text, ' ');
  Consume(text, " DS");
  // A local submission, or one through a pipe.
  if (!Consume(text, " H=")) return LineClass::kIgnored;
  event.type = EventType::kMessageAccepted;
  event.queue_id = line.message_id;
  if (!TakeClient(line, event)) return LineClass::kUnrecognized;
  if (line.cut && text.empty()) {
    event.connection_tls = DeliveryTls::kUnknown;
    return LineClass::kEvent;
  }
  std::string_view before;
  if (!TakeTo(text, " P=", before) || (!line.has_ident && before.find("Ci=") == 0)) {
    return LineClass::kUnrecognized;
  }
  if (line.has_ident) {
    // The first P= may be the ident server's, the second one part of a later field.
    if (text.find(" P=") != std::string_view::npos) {
      event.connection_tls = DeliveryTls::kUnknown;
      return LineClass::kEvent;
    }
    std::string_view rest = before;
    std::string_view ident;
    if (event.connection.empty() && TakeTo(rest, " Ci=", ident)) {
      event.connection = TakeUntil(rest, ' ');
    }
  }
  bool is_smtp = false;
  bool tls = false;
  bool authenticated = false;
  ReadProtocol(TakeUntil(text, ' '), is_smtp, tls, authenticated);
  // With -oMr the submitter may call it anything.
  event.connection_tls = tls       ? DeliveryTls::kEstablished
                         : is_smtp ? DeliveryTls::kPlaintext
                                   : DeliveryTls::kUnknown;
  event.tls = {};
  const bool whole = !(line.cut && text.empty());
  if (whole) ReadSessionFields(line, event, authenticated);
  return LineClass::kEvent;
}

LineClass ParseReject(Line& line, Event& event) {
  std::string_view& text = line.text;
  event.type = EventType::kReject;
  if (!TakeClient(line, event)) return LineClass::kIgnored;
  if (line.has_ident) {
    text = {};
    event.connection_tls = DeliveryTls::kUnknown;
  } else if (!TakeTls(line, event, /*outbound=*/false)) {
    return LineClass::kUnrecognized;
  }
  if (Consume(text, " A=")) TakeUntil(text, ' ');
  if (Consume(text, " F=<")) {
    if (!TakeMailAddress(text, '>') || !Consume(text, ">")) return LineClass::kUnrecognized;
    // Of a client that authenticated.
    if (Consume(text, " A=")) TakeUntil(text, ' ');
  }
  Consume(text, " temporarily");
  if (!Consume(text, " rejected ") && !line.has_ident) {
    // ACL remarks, transactions that were not completed, and the like.
    event.type = EventType::kSessionNote;
    return event.connection_tls == DeliveryTls::kEstablished && NamesConnection(line, event)
               ? LineClass::kEvent
               : LineClass::kIgnored;
  }
  if (!NamesConnection(line, event)) return LineClass::kIgnored;
  if (Consume(text, "EHLO or HELO")) {
    event.place = "EHLO";
  } else if (Consume(text, "after DATA") || Consume(text, "during MIME ACL")) {
    event.place = "DATA";
  } else {
    event.place = TakeUntil(text, ' ', ':');
  }
  // By now a session with TLS has X= (since 4.83).
  if (event.connection_tls == DeliveryTls::kNotLogged &&
      (Is(event.place, "MAIL") || Is(event.place, "RCPT") || Is(event.place, "DATA"))) {
    event.connection_tls = DeliveryTls::kNotShown;
  }
  return LineClass::kEvent;
}

}  // namespace mxtally::exim
