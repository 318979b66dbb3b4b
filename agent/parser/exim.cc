#include "agent/parser/exim.h"

#include <cstddef>
#include <cstdint>

#include "agent/parser/exim_arrival.h"
#include "agent/parser/exim_connection.h"
#include "agent/parser/exim_delivery.h"
#include "agent/parser/exim_fields.h"
#include "agent/parser/fields.h"

namespace mxtally {
namespace exim {
namespace {

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

// Takes " DS " off, of a client whose name DNSSEC vouches for (dnssec).
void TakeDnssec(std::string_view& text) {
  if (Consume(text, " DS")) Consume(text, " ");
}

// "exim 4.96 daemon started: pid=...".
LineClass ParseStart(Line& line, Event& event) {
  event.type = EventType::kInstanceBoundary;
  event.program_name = "Exim";
  event.version = TakeUntil(line.text, ' ');
  return StartsWith(line.text, " daemon started: ") ? LineClass::kEvent : LineClass::kIgnored;
}

LineClass ParseMessageLine(Line& line, Event& event) {
  std::string_view& text = line.text;
  if (Consume(text, "<= ") || Consume(text, "(= ")) return ParseArrival(line, event);
  const int64_t receiver = line.pid;
  // Whoever delivers is another process.
  line.pid = event.pid = -1;
  const LineClass delivery = ParseDelivery(line, event);
  if (delivery != LineClass::kNotMine) return delivery;
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
}  // namespace exim

LineClass ParseExim(const FramedLine& framed, Event& event) {
  event.Reset();
  event.tls = {};
  exim::Line line = {.text = framed.text, .message_id = {}, .pid = framed.pid};
  if (!framed.host.empty()) {
    if (!exim::TakePiece(line.text, line.cut)) return LineClass::kIgnored;
    exim::TakeOwnStamp(line.text);
    std::string_view rest = line.text;
    int pid = 0;
    if (Consume(rest, "[") && TakeNumber(rest, pid) && Consume(rest, "] ")) {
      line.text = rest;
      if (line.pid < 0) line.pid = pid;
    }
  }
  int64_t receiver = -1;
  const bool is_message = exim::TakeMessageId(line.text, line.message_id, receiver);
  const int64_t logged = line.pid;
  if (is_message && logged < 0) line.pid = receiver;
  if (framed.pid < 0) event.pid = line.pid;
  const LineClass line_class =
      is_message ? exim::ParseMessageLine(line, event) : exim::ParseOtherLine(line, event);
  // The process that wrote the line, whatever became of the receiver's.
  if (framed.pid < 0 && logged >= 0) event.pid = logged;
  if (framed.pid >= 0) event.pid = -1;
  return line_class;
}

}  // namespace mxtally
