#include "agent/parser/postfix_lines.h"

#include <algorithm>

namespace mxtally {

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

bool IsChatter(std::string_view text) {
  static constexpr std::string_view kStarts[] = {
      "error: ", "table ", "initializing the server-side TLS engine",
      "initializing the client-side TLS engine", "using backwards-compatible default setting",
      "using default ", "SASL authentication ",
      // TLS log levels above 1.
      "SSL_accept:", "SSL_connect:", "SSL3 alert ", "subject=", "issuer=", "read from ",
      "write to ", "certificate verification failed for ",
      "CA certificate verification failed for ", "client certificate verification failed for ",
      "verify ", "depth=", "fingerprint=", "looking up session ", "looking for session ",
      "reloaded session ", "save session ", "using DANE RR", "DNSSEC-signed TLSA record",
      "Peer certificate could not be verified", "Server certificate could not be verified",
      "certificate peer name verification failed for ", "remove session ", "Reusing old session",
      "server certificate verification failed for ",
      // smtpd -v, smtp -v: the dialogue, and lines without a function's name.
      "< ", "> ", ">>> ", "<<< ", "send attr ", "input attribute ", "connect to subsystem ",
      "connection established", "connection closed", "idle timeout", "process generation",
      "report ", "query milter states ", "skipping reply for event ", "abort all milters",
      "disconnect event to all milters", "free all milters", "free milter ", "been_here", "trying ",
      "begin ", "pref ", "end ", "host name lookup methods: ", "Using ESMTP PIPELINING, ",
      "starting new SASL client", "disposing SASL state "};
  for (const std::string_view start : kStarts) {
    if (text.starts_with(start)) return true;
  }
  if (text.ends_with(" stream disconnect")) return true;
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

}  // namespace mxtally
