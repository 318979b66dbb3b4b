#include "agent/parser/sendmail.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>

#include "absl/time/time.h"
#include "agent/parser/fields.h"
#include "agent/parser/openssl_error.h"

namespace mxtally {
namespace {

LineClass EventOf(EventType type, Event& event) {
  event.type = type;
  return LineClass::kEvent;
}

// Digits of queue ids: 0-9, A-Z, a-x.
int Base60(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  if (c >= 'a' && c <= 'x') return c - 'a' + 36;
  return -1;
}

// 8.12 and later; the time is not read out of older ids.
constexpr size_t kDatedIdSizeMin = 13;

// Takes "6ANDxPOY001114: " off: year, month, day, hour, minute and second, two characters of
// sequence, and a process id of at least five digits.  8.10 and 8.11 have one character of
// sequence, "e6FFBLP22398"; 8.9 has the hour and two of sequence, "PAA22398".
bool TakeSendmailQueueId(std::string_view& text, std::string_view& queue_id) {
  size_t size = 0;
  while (size < text.size() && Base60(text[size]) >= 0) ++size;
  size_t time_size = 8;
  if (size < kDatedIdSizeMin) time_size = size == 12 ? 7 : 3;
  if ((size < kDatedIdSizeMin && size != 12 && size != 8) || size > 24) return false;
  for (size_t i = time_size; i < size; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
  }
  std::string_view rest = text.substr(size);
  if (!Consume(rest, ": ")) return false;
  queue_id = text.substr(0, size);
  text = rest;
  return true;
}

// The time that a queue id holds, a whole second of UTC.  Years come again every 60 years.
absl::Time TimeOf(std::string_view queue_id) {
  constexpr int kFirstYear = 1990;
  const auto digit = [queue_id](size_t i) { return Base60(queue_id[i]); };
  int64_t year = 1900 + digit(0);
  while (year < kFirstYear) year += 60;
  const absl::CivilSecond given(year, digit(1) + 1, digit(2), digit(3), digit(4), digit(5));
  return absl::FromCivil(given, absl::UTCTimeZone());
}

constexpr std::string_view kForged = " (may be forged)";

// Reads "host.example [192.0.2.1]", with "user@" in front where ident told, "[192.0.2.1]",
// "[IPv6:2001:db8::1]", behind which "(may be forged)" is said of a name that was not
// verified.  Cut at 100 characters it may lack the address.  Of a server, the name alone.
void SetPeer(std::string_view relay, Event& event) {
  bool verified = true;
  if (relay.ends_with(kForged)) {
    verified = false;
    relay.remove_suffix(kForged.size());
  }
  event.peer = {};
  std::string_view name = relay;
  if (relay.ends_with(']')) {
    const size_t bracket = relay.rfind('[');
    if (bracket == std::string_view::npos) return;
    std::string_view address = relay.substr(bracket + 1, relay.size() - bracket - 2);
    name = relay.substr(0, bracket);
    if (name.ends_with(' ')) name.remove_suffix(1);
    Consume(address, "IPv6:");
    if (StartsWith(address, "UNIX:")) {
      event.local = true;
      address = {};
    }
    event.peer.address = address;
  } else if (!event.outbound) {
    return;
  }
  // "[192.0.2.1] [192.0.2.1]", of a server that was given by its address.
  name = name.substr(name.rfind('@') + 1);
  if (!verified || StartsWith(name, "[")) name = {};
  if (name.ends_with('.')) name.remove_suffix(1);
  event.peer.name = name;
  event.has_peer = !event.peer.address.empty() || !name.empty() || event.local;
}

// By the names that configurations give their daemons.
std::string_view ServiceOfDaemon(std::string_view daemon) {
  if (StartsWith(daemon, "MTA")) return "smtpd";
  if (StartsWith(daemon, "MSA") || StartsWith(daemon, "MSP")) return "submission";
  return daemon;
}

std::string_view TrustOf(std::string_view verify) {
  if (Is(verify, "OK")) return "Trusted";
  if (Is(verify, "TRUSTED")) return "Verified";
  if (Is(verify, "NO") || Is(verify, "NOT")) return "Anonymous";
  if (Is(verify, "FAIL")) return "Untrusted";
  return {};
}

// Reads "RELAY, version=V, verify=W, cipher=C, bits=ALGORITHM/USED[, ...]".  Other lines
// with this beginning are remarks about certificates.
LineClass ReadHandshake(std::string_view text, Event& event) {
  const size_t at = text.rfind(", version=");
  if (at == std::string_view::npos) return LineClass::kIgnored;
  SetPeer(text.substr(0, at), event);
  text.remove_prefix(at + 2);
  event.type = EventType::kTlsEstablished;
  event.tls = {};
  event.tls.text = text;
  if (!Consume(text, "version=")) return LineClass::kUnrecognized;
  event.tls.protocol = TakeUntil(text, ',');
  if (!Consume(text, ", verify=")) return LineClass::kUnrecognized;
  event.tls.trust = TrustOf(TakeUntil(text, ','));
  if (!Consume(text, ", cipher=")) return LineClass::kUnrecognized;
  event.tls.cipher = TakeUntil(text, ',');
  const bool fits = Consume(text, ", bits=") && TakeNumber(text, event.tls.bits_algorithm) &&
                    Consume(text, "/") && TakeNumber(text, event.tls.bits_used) &&
                    !event.tls.protocol.empty() && !event.tls.cipher.empty();
  return fits ? LineClass::kEvent : LineClass::kUnrecognized;
}

// Reads "failed=-1, reason=R, SSL_error=1, errno=0, retry=-1[, relay=RELAY]".  "reason="
// has been there since 8.14.6.  8.12 and 8.13 have "SSL_error=1, timedout=0, errno=0", or end
// behind SSL_error.
LineClass ReadFailedHandshake(std::string_view text, Event& event) {
  event.type = EventType::kTlsFailed;
  TakeUntil(text, ',');
  if (Consume(text, ", reason=")) {
    event.tls_error = text.substr(0, text.find(", SSL_error="));
    text.remove_prefix(event.tls_error.size());
  }
  int ssl_error = 0;
  int timed_out = 0;
  int system_error = 0;
  if (!Consume(text, ", SSL_error=") || !TakeNumber(text, ssl_error) ||
      (Consume(text, ", timedout=") && !TakeNumber(text, timed_out))) {
    return LineClass::kUnrecognized;
  }
  if (!text.empty() && (!Consume(text, ", errno=") || !TakeNumber(text, system_error))) {
    return LineClass::kUnrecognized;
  }
  constexpr int kSslErrorSyscall = 5;
  // ETIMEDOUT of Linux, of the BSDs and of Solaris.
  constexpr int kTimedOut[] = {110, 60, 145};
  if (ssl_error == kSslErrorSyscall || timed_out != 0) {
    event.tls_error = {};
    const bool timeout = timed_out != 0 || std::find(std::begin(kTimedOut), std::end(kTimedOut),
                                                     system_error) != std::end(kTimedOut);
    event.reason = timeout ? "Connection timed out" : "lost connection";
  } else if (event.tls_error.empty() || event.tls_error == "unknown") {
    event.tls_error = {};
    event.reason = "-1";
  } else {
    event.alert = ReadOpensslError(event.tls_error).alert;
  }
  const size_t relay = text.rfind(", relay=");
  if (relay != std::string_view::npos) SetPeer(text.substr(relay + 8), event);
  return LineClass::kEvent;
}

LineClass ReadStarttls(std::string_view text, Event& event) {
  event.outbound = StartsWith(text, "client");
  event.one_connection = !event.outbound;
  if (!Consume(text, "client, ") && !Consume(text, "server, ")) return LineClass::kIgnored;
  if (Consume(text, "relay=")) return ReadHandshake(text, event);
  if (Consume(text, "error: accept ") || Consume(text, "error: connect ")) {
    return ReadFailedHandshake(text, event);
  }
  return LineClass::kIgnored;
}

// Takes ", NAME=VALUE" off the end and returns the value; empty when something else
// stands there.
template <size_t N>
std::string_view TakeLastField(std::string_view& text, const char (&name)[N]) {
  const size_t at = text.rfind(", ");
  if (at == std::string_view::npos) return {};
  std::string_view field = text.substr(at + 2);
  if (!Consume(field, name)) return {};
  text = text.substr(0, at);
  return field;
}

// Passes over an address, or a list of them: everything before the first `end` outside of
// quotes and of "<" and ">".
template <size_t N>
bool SkipAddresses(std::string_view& text, const char (&end)[N]) {
  bool in_brackets = false;
  bool in_quotes = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_quotes) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_quotes = false;
      }
    } else if (c == '"') {
      in_quotes = true;
    } else if (c == '<') {
      in_brackets = true;
    } else if (c == '>') {
      in_brackets = false;
    } else if (!in_brackets && StartsWith(text.substr(i), end)) {
      text.remove_prefix(i + N - 1);
      return true;
    }
  }
  return false;
}

// Reads behind "from=":
//   ADDRESS, size=N, class=N, [pri=N, ]nrcpts=N[, msgid=M][, bodytype=B][, proto=P]
//     [, daemon=D][, tls_verify=V][, auth=A], relay=RELAY
// A message that was accepted has a Message-ID, the client's or Sendmail's.  One that is
// refused after that has a line of ReadRefusal().
LineClass ReadFrom(std::string_view text, Event& event) {
  const size_t relay = text.rfind(", relay=");
  if (relay == std::string_view::npos) return LineClass::kIgnored;
  std::string_view fields = text.substr(0, relay);
  TakeLastField(fields, "auth=");
  TakeLastField(fields, "tls_verify=");
  const std::string_view daemon = TakeLastField(fields, "daemon=");
  const std::string_view protocol = TakeLastField(fields, "proto=");
  // Submitted on this host, without a connection.
  if (protocol.empty()) return LineClass::kIgnored;
  SetPeer(text.substr(relay + 8), event);
  event.service = ServiceOfDaemon(daemon);
  // "sendmail -bs": the client is a process of this host.
  if (daemon.empty() && event.peer.address.empty()) event.local = true;
  // "ESMTPS", "ESMTPSA", "UTF8SMTPSA".  Many releases say "ESMTP" of TLS, too.
  event.connection_tls = protocol.find("SMTPS") != std::string_view::npos
                             ? DeliveryTls::kEstablished
                             : DeliveryTls::kNotShown;
  int number = 0;
  if (!SkipAddresses(fields, ", size=")) {
    // Cut short, and with it the end of quotes and brackets.
    constexpr size_t kAddressMax = 200;
    fields.remove_prefix(std::min(kAddressMax, fields.size()));
    if (!Consume(fields, ", size=")) return LineClass::kUnrecognized;
  }
  TakeUntil(fields, ',');
  if (!Consume(fields, ", class=")) return LineClass::kUnrecognized;
  TakeUntil(fields, ',');
  if (Consume(fields, ", pri=")) TakeUntil(fields, ',');
  if (!Consume(fields, ", nrcpts=") || !TakeNumber(fields, number)) {
    return LineClass::kUnrecognized;
  }
  const bool accepted = number > 0 && StartsWith(fields, ", msgid=");
  return EventOf(accepted ? EventType::kMessageAccepted : EventType::kTransaction, event);
}

// "to=ADDRESSES, delay=T, pri=N, stat=TEXT": for whom the message was that the client's
// process refused, of which ReadFrom() told; no mailer was asked.
LineClass ReadRefusal(Event& event) {
  event.only_continues = true;
  return EventOf(EventType::kTransaction, event);
}

// "hh:mm:ss" or "d+hh:mm:ss".
double Seconds(std::string_view text) {
  double total = 0;
  int number = 0;
  if (text.find('+') != std::string_view::npos) {
    if (!TakeNumber(text, number)) return -1;
    total = number;
    Consume(text, "+");
  }
  for (const double unit : {24.0, 60.0, 60.0}) {
    if (!TakeNumber(text, number)) return -1;
    total = total * unit + number;
    Consume(text, ":");
  }
  return total;
}

DeliveryTrouble TroubleOf(std::string_view status) {
  if (!Consume(status, "Deferred: ")) return DeliveryTrouble::kOther;
  if (StartsWith(status, "Connection reset by ") || StartsWith(status, "Broken pipe")) {
    return DeliveryTrouble::kLostConnection;
  }
  if (StartsWith(status, "Connection timed out with ")) return DeliveryTrouble::kTimeout;
  return DeliveryTrouble::kOther;
}

// Reads behind "to=":
//   ADDRESSES, [ctladdr=A, ]delay=T, xdelay=T, mailer=M, pri=N, relay=RELAY[, dsn=D]
//     [, reply=R], stat=TEXT
// The server's words are at the end.  Local mailers and those that find no server make no
// connection.
LineClass ReadTo(std::string_view text, Event& event) {
  if (!SkipAddresses(text, ", delay=")) return LineClass::kIgnored;
  TakeUntil(text, ',');
  if (StartsWith(text, ", pri=")) return ReadRefusal(event);
  double seconds = -1;
  if (Consume(text, ", xdelay=")) seconds = Seconds(TakeUntil(text, ','));
  if (!Consume(text, ", mailer=")) return LineClass::kIgnored;
  const std::string_view mailer = TakeUntil(text, ',');
  if (!EndsWith(mailer, "smtp") && !Is(mailer, "relay") && !Is(mailer, "smtp8")) {
    return LineClass::kIgnored;
  }
  if (Consume(text, ", pri=")) TakeUntil(text, ',');
  if (!Consume(text, ", relay=")) return LineClass::kIgnored;
  event.outbound = true;
  event.one_connection = false;
  event.service = "smtp";
  const std::string_view relay = TakeUntil(text, ',');
  SetPeer(relay, event);
  // "mx.example.", "[192.0.2.1]": named, not connected to.
  if (event.peer.address.empty() || relay.find(" [") == std::string_view::npos) {
    return LineClass::kIgnored;
  }
  event.type = EventType::kDelivery;
  event.delivery = {};
  event.delivery.connection_uses = 0;
  // STARTTLS=client lines are logged with these.
  event.delivery.tls = DeliveryTls::kNotShown;
  std::string_view dsn;
  if (Consume(text, ", dsn=")) dsn = TakeUntil(text, ',');
  const bool has_reply = StartsWith(text, ", reply=");
  std::string_view status = text.substr(std::min(text.rfind(", stat="), text.size()));
  if (StartsWith(text, ", stat=")) status = text;
  if (!Consume(status, ", stat=")) return LineClass::kUnrecognized;
  event.delivery.sent = dsn.empty() ? StartsWith(status, "Sent") : StartsWith(dsn, "2");
  if (seconds >= 0) {
    event.delivery.connection_seconds = seconds;
    event.delivery.connection_age_seconds = seconds;
  }
  if (event.delivery.sent) return LineClass::kEvent;
  event.delivery.trouble = TroubleOf(status);
  // Without an answer nobody knows whether a connection was made that was not lost.
  event.only_continues = !has_reply && event.delivery.trouble != DeliveryTrouble::kLostConnection;
  return LineClass::kEvent;
}

// "check_rcpt, arg1=<...>, relay=..., reject=550 5.7.1 ...".  The rest is about TLS, or of
// whoever delivers (check_compat).
LineClass ReadRuleset(std::string_view text, Event& event) {
  struct Ruleset {
    std::string_view name, place;
  };
  static constexpr Ruleset kRulesets[] = {
      {"check_relay", "CONNECT"}, {"check_mail", "MAIL"}, {"check_rcpt", "RCPT"},
      {"check_data", "DATA"},     {"check_eom", "DATA"},  {"check_vrfy", "VRFY"},
      {"check_etrn", "ETRN"},
  };
  const std::string_view name = TakeUntil(text, ',');
  for (const Ruleset& ruleset : kRulesets) {
    if (ruleset.name != name) continue;
    if (text.find(", reject=") == std::string_view::npos) return LineClass::kIgnored;
    // Recipient and text are the peer's words; of other arguments nobody knows the end.
    const bool has_end = StartsWith(text, ", arg1=<") || Is(name, "check_relay");
    if (has_end && SkipAddresses(text, ", relay=")) {
      SetPeer(text.substr(0, text.find(", reject=")), event);
    }
    event.place = ruleset.place;
    return EventOf(EventType::kReject, event);
  }
  return LineClass::kIgnored;
}

// Whether it can be what the log calls a client, as far as SetPeer() reads it.
bool IsClient(std::string_view text) {
  if (text.ends_with(kForged)) text.remove_suffix(kForged.size());
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return true;
  text.remove_prefix(blank + 1);
  return StartsWith(text, "[UNIX: ") || (StartsWith(text, "[") && Find(text, ' ') == text.size());
}

// "HOST did not issue MAIL/EXPN/VRFY/ETRN during connection to DAEMON".
bool ReadWithoutMail(std::string_view text, Event& event) {
  constexpr std::string_view kWords = " did not issue MAIL/EXPN/VRFY/ETRN during connection to ";
  const size_t at = text.rfind(kWords);
  if (at == std::string_view::npos) return false;
  std::string_view daemon = text.substr(at + kWords.size());
  // Lines about headers end in the client's words.
  if (daemon.find(' ') != std::string_view::npos || !IsClient(text.substr(0, at))) return false;
  event.type = EventType::kDisconnect;
  SetPeer(text.substr(0, at), event);
  event.service = ServiceOfDaemon(daemon);
  return true;
}

std::string_view PlaceOf(std::string_view word) {
  struct Place {
    std::string_view word, place;
  };
  static constexpr Place kPlaces[] = {
      {"mail", "MAIL"}, {"rcpt", "RCPT"}, {"data", "DATA"}, {"auth", "AUTH"},
      {"rset", "RSET"}, {"bdat", "BDAT"}, {"quit", "QUIT"},
  };
  for (const Place& place : kPlaces) {
    if (place.word == word) return place.place;
  }
  return {};
}

// "from HOST to DAEMON after rcpt".
LineClass ReadLostInput(std::string_view text, Event& event) {
  event.reason = "lost connection";
  const size_t after = text.rfind(" after ");
  if (after != std::string_view::npos) {
    event.place = PlaceOf(text.substr(after + 7));
    text = text.substr(0, after);
  }
  const size_t daemon = text.rfind(" to ");
  if (daemon != std::string_view::npos) {
    event.service = ServiceOfDaemon(text.substr(daemon + 4));
    SetPeer(text.substr(0, daemon), event);
  }
  return EventOf(EventType::kAbnormalEnd, event);
}

// "<nouser@localhost>... User unknown": a recipient, in the peer's words.
bool IsRefusedRecipient(std::string_view text) {
  constexpr std::string_view kEnds[] = {"... User unknown", "... Relaying denied",
                                        "... No such user here", "... Cannot resolve PTR record"};
  return std::any_of(std::begin(kEnds), std::end(kEnds), [text](std::string_view end) {
    if (!text.ends_with(end)) return false;
    // Other lines may end in the client's words.
    return StartsWith(text, "<") || Find(text, ' ') == text.size() - end.size() + 3;
  });
}

// Reads what follows a queue id.
LineClass ReadQueueIdLine(std::string_view text, Event& event) {
  if (Consume(text, "from=")) return ReadFrom(text, event);
  if (Consume(text, "to=")) return ReadTo(text, event);
  if (Consume(text, "lost input channel from ")) return ReadLostInput(text, event);
  if (Consume(text, "timeout waiting for input from ")) {
    // Of a server, about which a line of the recipient follows.
    const size_t during = text.rfind(" during ");
    if (during != std::string_view::npos && StartsWith(text.substr(during), " during client ")) {
      return LineClass::kIgnored;
    }
    event.reason = "timeout";
    return EventOf(EventType::kAbnormalEnd, event);
  }
  if (Consume(text, "collect: premature EOM")) {
    event.reason = StartsWith(text, ": Connection timed out") ? "timeout" : "lost connection";
    event.place = "DATA";
    return EventOf(EventType::kAbnormalEnd, event);
  }
  if (Consume(text, "ruleset=")) return ReadRuleset(text, event);
  if (StartsWith(text, "rejecting commands from ")) {
    event.place = "CONNECT";
    return EventOf(EventType::kReject, event);
  }
  if (Consume(text, "AUTH failure (")) {
    event.auth_mechanism = TakeUntil(text, ')', ' ');
    return EventOf(EventType::kAuthFailed, event);
  }
  if (StartsWith(text, "Milter: ") && text.find(", reject=") != std::string_view::npos) {
    return EventOf(EventType::kReject, event);
  }
  if (ReadWithoutMail(text, event)) return LineClass::kEvent;
  if (IsRefusedRecipient(text)) {
    event.place = "RCPT";
    return EventOf(EventType::kReject, event);
  }
  return LineClass::kIgnored;
}

// "RELAY, authid=A, mech=M, bits=N".  The name is the peer's word.
LineClass ReadAuthentication(std::string_view text, Event& event) {
  event.one_connection = true;
  event.type = EventType::kAuthAccepted;
  const size_t mechanism = text.rfind(", mech=");
  if (mechanism == std::string_view::npos) return LineClass::kUnrecognized;
  std::string_view rest = text.substr(mechanism + 7);
  event.auth_mechanism = TakeUntil(rest, ',');
  SetPeer(text.substr(0, text.find(", authid=")), event);
  return LineClass::kEvent;
}

LineClass ParseLine(const FramedLine& line, Event& event) {
  std::string_view text = line.text;
  const bool has_id = TakeSendmailQueueId(text, event.queue_id);
  if (event.queue_id.size() >= kDatedIdSizeMin) event.connection_time = TimeOf(event.queue_id);
  // With a queue id in some releases.
  if (Consume(text, "STARTTLS=")) {
    event.service = StartsWith(text, "client") ? "smtp" : "";
    // No line comes before it.
    event.connection_age_seconds = 0;
    return ReadStarttls(text, event);
  }
  if (Consume(text, "AUTH=server, relay=")) return ReadAuthentication(text, event);
  event.one_connection = true;
  if (has_id) return ReadQueueIdLine(text, event);
  if (Consume(text, "NOQUEUE: connect from ")) {
    SetPeer(text, event);
    return EventOf(EventType::kConnect, event);
  }
  if (StartsWith(text, "ruleset=check_relay")) {
    event.connection_age_seconds = 0;
    text.remove_prefix(sizeof("ruleset=") - 1);
    return ReadRuleset(text, event);
  }
  return Consume(text, "NOQUEUE: ") ? ReadQueueIdLine(text, event) : LineClass::kIgnored;
}

}  // namespace

bool IsSendmail(std::string_view program) {
  if (Consume(program, "sendmail")) return program.empty() || program.front() == '-';
  static constexpr std::string_view kRoles[] = {"mta",      "mta-queue", "mta-runq",
                                                "msp",      "msp-queue", "que",
                                                "que-runq", "queue",     "acceptingconnections"};
  return Consume(program, "sm-") &&
         std::find(std::begin(kRoles), std::end(kRoles), program) != std::end(kRoles);
}

LineClass ParseSendmail(const FramedLine& line, Event& event) {
  event.Reset();
  event.tls = {};
  const LineClass line_class = ParseLine(line, event);
  // Apart from what the process sends, if it sends at once what it receives.
  if (event.one_connection) event.connection = line.tag;
  return line_class;
}

}  // namespace mxtally
