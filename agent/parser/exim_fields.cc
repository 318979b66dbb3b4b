#include "agent/parser/exim_fields.h"

#include <cstddef>

#include "agent/parser/exim.h"
#include "agent/parser/fields.h"

namespace mxtally::exim {
namespace {

bool IsAddress(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool hexadecimal = IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!hexadecimal && c != '.' && c != ':') return false;
  }
  return true;
}

// A HELO of other characters (helo_accept_junk_hosts) may look like all that follows.
bool IsHelo(std::string_view helo) {
  for (const char c : helo) {
    if (c == ' ' || c == '(' || c == ')') return false;
  }
  return !helo.empty();
}

// Whether there is another "(helo) [address]": with helo_accept_junk_hosts a HELO may hold the
// end of its own field and all that follows, and then nobody knows which is the true one.
bool HasFurtherHost(std::string_view text) {
  for (size_t at = text.find(") ["); at != std::string_view::npos; at = text.find(") [")) {
    text.remove_prefix(at + 3);
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    if (IsAddress(text.substr(0, end))) return true;
  }
  return false;
}

// By the port that the client came to.
std::string_view ServiceOf(int port) {
  switch (port) {
    case 465:
      return "smtps";
    case 587:
      return "submission";
    default:
      return "smtpd";
  }
}

std::string_view TrustOf(std::string_view certificate_verified, bool has_certificate) {
  if (certificate_verified == "yes") return "Trusted";
  if (certificate_verified == "dane") return "Verified";
  // "no" stood for no certificate, too, up to 4.98.
  return has_certificate ? "Untrusted" : "";
}

}  // namespace

bool TakeTo(std::string_view& text, std::string_view end, std::string_view& taken) {
  const size_t at = text.find(end);
  if (at == std::string_view::npos) return false;
  taken = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return true;
}

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

bool TakeClient(Line& line, Event& event) {
  std::string_view& text = line.text;
  Host host;
  if (!TakeHost(text, host) || HasFurtherHost(text)) return false;
  event.has_peer = true;
  event.peer = host.peer;
  event.helo = host.helo;
  event.connection = host.address_and_port;
  event.unframed = true;
  event.service = "smtpd";
  line.has_ident = false;
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
      line.has_ident = true;
      break;
    } else {
      break;
    }
    text = rest;
  }
  if (event.connection.empty()) event.connection = id;
  return true;
}

bool NamesConnection(const Line& line, const Event& event) {
  return !event.connection.empty() || line.pid >= 0;
}

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

}  // namespace mxtally::exim
