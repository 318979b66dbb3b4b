#include "agent/parser/exim.h"

#include <cstddef>
#include <cstdint>

#include "agent/parser/fields.h"

namespace mxtally {
namespace {

// ---- Words

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool TakeTo(std::string_view& text, std::string_view end, std::string_view& taken) {
  const size_t at = text.find(end);
  if (at == std::string_view::npos) return false;
  taken = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return true;
}

bool IsAddress(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool hexadecimal = IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!hexadecimal && c != '.' && c != ':') return false;
  }
  return true;
}

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

// An address of the envelope as it was given: "<>" or one whose local part may be quoted
// and hold anything.  Stops at a blank, or at `end`.
bool TakeMailAddress(std::string_view& text, char end) {
  bool quoted = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ' ' || c == end)) {
      break;
    }
  }
  if (quoted || i > text.size()) return false;
  text.remove_prefix(i);
  return true;
}

// A value in double quotes, with backslashes before those within.
bool TakeQuoted(std::string_view& text) {
  if (!Consume(text, "\"")) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// "name (helo) [address]:port", of which name, helo and port may be missing.
struct Host {
  NamedAddress peer;
  std::string_view helo;
  std::string_view address_and_port;  // Empty without a port.
};

// A HELO of other characters (helo_accept_junk_hosts) may look like all that follows.
bool IsHelo(std::string_view helo) {
  for (const char c : helo) {
    if (c == ' ' || c == '(' || c == ')') return false;
  }
  return !helo.empty();
}

bool TakeHost(std::string_view& text, Host& host) {
  host = {};
  if (text.empty()) return false;
  if (text.front() != '(' && text.front() != '[') {
    host.peer.name = TakeUntil(text, ' ');
    if (!Consume(text, " ")) return false;
    // Of a server whose name DNSSEC vouches for (dnssec).
    if (StartsWith(text, "DS [")) text.remove_prefix(3);
    // The HELO was the same.
    if (!StartsWith(text, "(")) host.helo = host.peer.name;
  }
  if (Consume(text, "(")) {
    if (!TakeTo(text, ") ", host.helo) || !IsHelo(host.helo)) return false;
  }
  const std::string_view from = text;
  if (!Consume(text, "[")) return false;
  host.peer.address = TakeUntil(text, ']');
  if (!IsAddress(host.peer.address) || !Consume(text, "]")) return false;
  if (StartsWith(text, ":") && text.size() > 1 && IsDigit(text[1])) {
    text.remove_prefix(1);
    if (!TakeNumber(text, host.peer.port) || host.peer.port > 0xffff) return false;
    host.address_and_port = from.substr(0, from.size() - text.size());
  }
  return true;
}

// Whether there is another "(helo) [address]": with helo_accept_junk_hosts a HELO may hold the
// end of its own field and all that follows, and then nobody knows which is the true one.
bool HasFurtherHost(std::string_view text) {
  for (size_t at = text.find(") ["); at != std::string_view::npos; at = text.find(") [")) {
    text.remove_prefix(at + 3);
    if (const size_t end = text.find(']');
        end != std::string_view::npos && IsAddress(text.substr(0, end))) {
      return true;
    }
  }
  return false;
}

constexpr std::string_view kSmtpd = "smtpd";

// By the port that the client came to.
std::string_view ServiceOf(int port) {
  switch (port) {
    case 465:
      return "smtps";
    case 587:
      return "submission";
    default:
      return kSmtpd;
  }
}

// ---- What lines begin with

// Takes "2026-11-02 04:02:01.123 +0100 " off, which stands in syslog's lines too.
void TakeOwnStamp(std::string_view& text) {
  constexpr std::string_view kForm = "dddd-dd-dd dd:dd:dd";
  if (text.size() < kForm.size()) return;
  for (size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] == 'd' ? !IsDigit(text[i]) : text[i] != kForm[i]) return;
  }
  std::string_view rest = text.substr(kForm.size());
  if (Consume(rest, ".")) {
    while (!rest.empty() && IsDigit(rest.front())) rest.remove_prefix(1);
  }
  if (!Consume(rest, " ")) return;
  if (!rest.empty() && (rest.front() == '+' || rest.front() == '-')) {
    std::string_view zone = rest.substr(1);
    int hours = 0;
    if (TakeNumber(zone, hours) && Consume(zone, " ")) rest = zone;
  }
  text = rest;
}

// Takes "[1/3] " off, or "[1\3] ", the number of a piece of an entry that is too long for
// syslog.  Only the first tells what it is about; `cut` says that others follow.
bool TakePiece(std::string_view& text, bool& cut) {
  std::string_view rest = text;
  int piece = 0;
  int pieces = 0;
  if (!Consume(rest, "[") || !TakeNumber(rest, piece) ||
      !(Consume(rest, "/") || Consume(rest, "\\")) || !TakeNumber(rest, pieces) ||
      !Consume(rest, "] ")) {
    return true;
  }
  text = rest;
  cut = pieces > 1;
  return piece == 1;
}

int Base62(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  if (c >= 'a' && c <= 'z') return c - 'a' + 36;
  return -1;
}

// "1xVUV7-0000BY-1m ", or "1tABcd-00000000Abc-1XyZ " since 4.97: time, process, fraction
// of the second.  `pid` is the process that received the message.
bool TakeMessageId(std::string_view& text, std::string_view& id, int64_t& pid) {
  constexpr size_t kTime = 6;
  const auto fits = [&](size_t process, size_t fraction) {
    const size_t size = kTime + 1 + process + 1 + fraction;
    if (text.size() <= size || text[size] != ' ' || text[kTime] != '-' ||
        text[kTime + 1 + process] != '-') {
      return false;
    }
    for (size_t i = 0; i < size; ++i) {
      if (i != kTime && i != kTime + 1 + process && Base62(text[i]) < 0) return false;
    }
    constexpr int64_t kPidMax = INT32_MAX;
    pid = 0;
    for (const char c : text.substr(kTime + 1, process)) {
      if (pid <= kPidMax) pid = pid * 62 + Base62(c);
    }
    if (pid > kPidMax) pid = -1;
    id = text.substr(0, size);
    text.remove_prefix(size + 1);
    return true;
  };
  return fits(6, 2) || fits(11, 4);
}

// ---- Inbound

// A line under way: what is left of it, and what was read so far.
struct Line {
  std::string_view text;
  std::string_view message_id;
  // Of the process that wrote the line, or received the message; -1: nobody knows.
  int64_t pid = -1;
  // Others follow, of which the last field may be a part.
  bool cut = false;
};

// Takes HOST with all that `add_host_info_for_log` puts behind it: I=, TFO, U=, Ci=.
// False where there is no address.
bool TakeClient(Line& line, Event& event, bool& has_ident) {
  std::string_view& text = line.text;
  Host host;
  if (!TakeHost(text, host) || HasFurtherHost(text)) return false;
  event.has_peer = true;
  event.peer = host.peer;
  event.helo = host.helo;
  event.connection = host.address_and_port;
  event.unframed = true;
  event.service = kSmtpd;
  has_ident = false;
  std::string_view id = {};
  while (true) {
    std::string_view rest = text;
    if (Consume(rest, " I=")) {
      Host interface;
      if (!TakeHost(rest, interface)) return false;
      event.service = ServiceOf(interface.peer.port);
    } else if (Consume(rest, " TFO*") || Consume(rest, " TFO")) {
    } else if (Consume(rest, " Ci=")) {
      id = TakeUntil(rest, ' ', ':');
    } else if (StartsWith(rest, " U=")) {
      // What an ident server says may look like all that follows.
      has_ident = true;
      break;
    } else {
      break;
    }
    text = rest;
  }
  if (event.connection.empty()) event.connection = id;
  return true;
}

// Whether the line tells whose it is; see exim.h.
bool NamesConnection(const Line& line, const Event& event) {
  return !event.connection.empty() || line.pid >= 0;
}

std::string_view TrustOf(std::string_view certificate_verified, bool has_certificate) {
  if (certificate_verified == "yes") return "Trusted";
  if (certificate_verified == "dane") return "Verified";
  // "no" stood for no certificate, too, up to 4.98.
  return has_certificate ? "Untrusted" : "";
}

// Takes " X=... CV=... DN="..." SNI=..." off, as far as they are there; `outbound`: the
// server always has a certificate.  False where they have no such form.
bool TakeTls(Line& line, Event& event, bool outbound) {
  std::string_view& text = line.text;
  if (!Consume(text, " X=")) return true;
  std::string_view value = TakeUntil(text, ' ');
  if (outbound && value.ends_with(':')) {
    // A text of failure follows.
    value.remove_suffix(1);
    text = {text.data() - 1, text.size() + 1};
  }
  event.connection_tls = DeliveryTls::kEstablished;
  // Of a cut line the last field may not be whole.
  if (line.cut && text.empty()) {
    event.tls = {};
    return true;
  }
  if (!ParseEximTls(value, event.tls)) return false;
  std::string_view verified = {};
  bool has_certificate = outbound;
  if (Consume(text, " CV=")) verified = TakeUntil(text, ' ', ':');
  if (StartsWith(text, " DN=\"")) {
    text.remove_prefix(4);
    if (!TakeQuoted(text)) return line.cut;
    has_certificate = true;
  }
  event.tls.trust = TrustOf(verified, has_certificate);
  // In quotes, as some releases have it.
  if (Consume(text, " SNI=\"")) {
    event.tls.sni = TakeUntil(text, '"');
    Consume(text, "\"");
  } else if (Consume(text, " SNI=")) {
    event.tls.sni = TakeUntil(text, ' ');
  }
  return true;
}

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

// "<= SENDER [R=ref] H=HOST ... P=esmtps X=... S=266 ...".
LineClass ParseArrival(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (!TakeMailAddress(text, ' ')) return LineClass::kUnrecognized;
  if (Consume(text, " R=")) TakeUntil(text, ' ');
  Consume(text, " DS");
  // A local submission, or one through a pipe.
  if (!Consume(text, " H=")) return LineClass::kIgnored;
  event.type = EventType::kMessageAccepted;
  event.queue_id = line.message_id;
  bool has_ident = false;
  if (!TakeClient(line, event, has_ident)) return LineClass::kUnrecognized;
  if (line.cut && text.empty()) {
    event.connection_tls = DeliveryTls::kUnknown;
    return LineClass::kEvent;
  }
  std::string_view before;
  if (!TakeTo(text, " P=", before) || (!has_ident && before.find("Ci=") == 0)) {
    return LineClass::kUnrecognized;
  }
  if (has_ident) {
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

// "H=HOST [X=... CV=...] F=<SENDER> rejected RCPT <...>: text".
LineClass ParseReject(Line& line, Event& event) {
  std::string_view& text = line.text;
  bool has_ident = false;
  event.type = EventType::kReject;
  if (!TakeClient(line, event, has_ident)) return LineClass::kIgnored;
  if (has_ident) {
    text = {};
    event.connection_tls = DeliveryTls::kUnknown;
  } else if (!TakeTls(line, event, /*outbound=*/false)) {
    return LineClass::kUnrecognized;
  }
  if (Consume(text, " A=")) TakeUntil(text, ' ');
  if (Consume(text, " F=<")) {
    if (!TakeMailAddress(text, '>') || !Consume(text, ">")) return LineClass::kUnrecognized;
  }
  Consume(text, " temporarily");
  if (!Consume(text, " rejected ") && !has_ident) {
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
  bool has_ident = false;
  // A user, of "-bs", is no client.
  if (!Consume(text, " from ") || !TakeClient(line, event, has_ident)) return LineClass::kIgnored;
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
  if (has_ident) return LineClass::kEvent;
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

// "no MAIL in [TFO ]SMTP connection from HOST D=TIME[ A=...][ X=...]...[ C=cmds]".
LineClass ParseNoMail(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (!Consume(text, "TFO ")) Consume(text, "TFO* ");
  if (!Consume(text, "SMTP connection from ")) return LineClass::kUnrecognized;
  bool has_ident = false;
  if (!TakeClient(line, event, has_ident)) return LineClass::kIgnored;
  event.type = EventType::kDisconnect;
  if (has_ident) {
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

// "TLS error on connection[ Ci=...] from HOST[ I=...] (PREFIX): TEXT", and OpenSSL's
// "TLS error (SSL_read): on connection from HOST ...".
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
  bool has_ident = false;
  if (!Consume(text, " from ") || !TakeClient(line, event, has_ident)) return LineClass::kIgnored;
  if (event.connection.empty()) event.connection = id;
  if (prefix.empty()) {
    std::string_view before;
    if (!TakeTo(text, " (", before)) return LineClass::kIgnored;
    prefix = TakeUntil(text, ')', ':');
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

// A line of which HOST is the next: the connection has ended.
LineClass ParseEnd(Line& line, Event& event, std::string_view reason, std::string_view place) {
  bool has_ident = false;
  if (!TakeClient(line, event, has_ident)) return LineClass::kIgnored;
  if (!NamesConnection(line, event)) return LineClass::kIgnored;
  event.type = EventType::kClosed;
  event.reason = reason;
  event.place = place;
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

// "exim 4.96 daemon started: pid=...".
LineClass ParseStart(Line& line, Event& event) {
  event.type = EventType::kInstanceBoundary;
  event.program_name = "Exim";
  event.version = TakeUntil(line.text, ' ');
  return StartsWith(line.text, " daemon started: ") ? LineClass::kEvent : LineClass::kIgnored;
}

// "NAME authenticator failed for HOST: 535 ...".
LineClass ParseAuthFailed(Line& line, Event& event) {
  std::string_view& text = line.text;
  TakeUntil(text, ' ');
  if (!Consume(text, " authenticator failed for ")) return LineClass::kIgnored;
  Consume(text, "H=");
  bool has_ident = false;
  if (!TakeClient(line, event, has_ident) || !NamesConnection(line, event)) {
    return LineClass::kIgnored;
  }
  event.type = EventType::kAuthFailed;
  return LineClass::kEvent;
}

// ---- Outbound

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

// The text of a failure, and what it says of the connection.
void ReadTrouble(std::string_view text, Event& event) {
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
    if (StartsWith(text, "initial connection")) {
      delivery.trouble = DeliveryTrouble::kRefusedToTalk;
    } else if (!shown) {
      tls = DeliveryTls::kNotShown;
    }
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

// "** RECIPIENT ... R=... T=... H=...: TEXT" and "== RECIPIENT R=... T=... defer (-44) H=...
// DT=1s: TEXT".  The text may be the server's; a line in which it, or the recipient, holds
// fields as well is not understood.
LineClass ParseNotDelivered(Line& line, Event& event) {
  std::string_view& text = line.text;
  std::string_view recipient;
  if (!TakeTo(text, " R=", recipient)) return LineClass::kIgnored;
  if (text.find(" R=") != std::string_view::npos) return LineClass::kUnrecognized;
  TakeUntil(text, ' ');
  if (!Consume(text, " T=")) return LineClass::kIgnored;
  TakeUntil(text, ' ');
  if (Consume(text, " S=")) TakeUntil(text, ' ');
  if (Consume(text, " defer (")) {
    // "defer (111): Connection refused" without a server: there was no connection.
    std::string_view cause;
    if (!TakeTo(text, " H=", cause)) return LineClass::kIgnored;
  } else if (!Consume(text, " H=")) {
    return LineClass::kIgnored;
  }
  if (!TakeServer(line, event)) return LineClass::kUnrecognized;
  std::string_view fields;
  ReadTrouble(TakeTo(text, ": ", fields) ? text : std::string_view(), event);
  return LineClass::kEvent;
}

// "H=HOST: TEXT" of a message: this server is given up for now.  Without the colon there
// was no connection.
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
  ReadTrouble(text, event);
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

// ---- All

// Of a client's connection, behind "SMTP ", and "TLS error": with a message that is under way
// or without.
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

// Takes " DS " off, of a client whose name DNSSEC vouches for (dnssec).
void TakeDnssec(std::string_view& text) {
  if (Consume(text, " DS")) Consume(text, " ");
}

LineClass ParseMessageLine(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (Consume(text, "<= ") || Consume(text, "(= ")) return ParseArrival(line, event);
  const int64_t receiver = line.pid;
  // Whoever delivers is another process.
  line.pid = event.pid = -1;
  if (Consume(text, "=> ") || Consume(text, ">> ")) {
    return ParseDelivered(line, event, /*further=*/false);
  }
  if (Consume(text, "-> ")) return ParseDelivered(line, event, /*further=*/true);
  if (Consume(text, "** ") || Consume(text, "== ")) return ParseNotDelivered(line, event);
  if (Consume(text, "TLS session: ")) return ParseUnencrypted(line, event);
  if (Consume(text, "TLS error on connection to ")) return ParseServerTlsError(line, event);
  if (Consume(text, "SMTP ") || StartsWith(text, "TLS error")) {
    line.pid = event.pid = receiver;
    return ParseClientLine(line, event);
  }
  TakeDnssec(text);
  if (!Consume(text, "H=")) return LineClass::kIgnored;
  Line rest = line;
  if (ParseServerTrouble(rest, event) == LineClass::kEvent) return LineClass::kEvent;
  event.Reset();
  event.tls = {};
  line.pid = event.pid = receiver;
  return ParseReject(line, event);
}

LineClass ParseOtherLine(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (text.empty()) return LineClass::kIgnored;
  switch (text.front()) {
    case 'S':
      if (Consume(text, "SMTP ")) return ParseClientLine(line, event);
      break;
    case 'n':
      if (Consume(text, "no MAIL in ")) return ParseNoMail(line, event);
      break;
    case 'T':
      if (StartsWith(text, "TLS error")) return ParseClientLine(line, event);
      break;
    case ' ':
      TakeDnssec(text);
      [[fallthrough]];
    case 'H':
      if (Consume(text, "H=")) return ParseReject(line, event);
      break;
    case 'u':
      if (Consume(text, "unexpected disconnection while reading SMTP command from ")) {
        return ParseEnd(line, event, "lost connection", {});
      }
      break;
    case 'e':
      if (Consume(text, "exim ")) return ParseStart(line, event);
      break;
    default:
      break;
  }
  return ParseAuthFailed(line, event);
}

}  // namespace

LineClass ParseExim(const FramedLine& framed, Event& event) {
  event.Reset();
  event.tls = {};
  Line line = {.text = framed.text, .message_id = {}, .pid = framed.pid};
  if (!framed.host.empty()) {
    if (!TakePiece(line.text, line.cut)) return LineClass::kIgnored;
    TakeOwnStamp(line.text);
    std::string_view rest = line.text;
    int pid = 0;
    if (Consume(rest, "[") && TakeNumber(rest, pid) && Consume(rest, "] ")) {
      line.text = rest;
      if (line.pid < 0) line.pid = pid;
    }
  }
  int64_t receiver = -1;
  const bool is_message = TakeMessageId(line.text, line.message_id, receiver);
  const int64_t logged = line.pid;
  if (is_message && logged < 0) line.pid = receiver;
  if (framed.pid < 0) event.pid = line.pid;
  const LineClass line_class =
      is_message ? ParseMessageLine(line, event) : ParseOtherLine(line, event);
  // The process that wrote the line, whatever became of the receiver's.
  if (framed.pid < 0 && logged >= 0) event.pid = logged;
  if (framed.pid >= 0) event.pid = -1;
  return line_class;
}

}  // namespace mxtally
