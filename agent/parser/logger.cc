#include "agent/parser/logger.h"

#include <string_view>

#include "agent/parser/fields.h"

namespace mxtally {
namespace {

// A number that a logger's 32 bits cannot hold is none of its.
constexpr int64_t kLinesMax = int64_t{1} << 32;

// The number that `text` begins with.
std::optional<int64_t> TakeLines(std::string_view& text) {
  int64_t lines = 0;
  size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    lines = lines * 10 + (text[digits] - '0');
    if (lines > kLinesMax) return std::nullopt;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return lines;
}

// rsyslog's runtime/ratelimit.c:
//   imjournal: 9337 messages lost due to rate-limiting (20000 allowed within 600 seconds)
//   imuxsock[pid: 123, name: smtpd] from <mx1:smtpd>: begin to drop messages due to rate-limiting
// and before release 8
//   imuxsock lost 4567 messages from pid 123 due to rate-limiting
//   imuxsock begins to drop messages from pid 123 due to rate-limiting
// Newer releases may add their version and a link.
std::optional<int64_t> ParseRsyslog(std::string_view text) {
  if (!text.starts_with("im")) return std::nullopt;
  constexpr std::string_view kLost = " messages lost due to rate-limiting";
  // The last one: names of processes stand before it.
  if (const size_t at = text.rfind(kLost); at != std::string_view::npos) {
    const size_t before = text.rfind(": ", at);
    if (before == std::string_view::npos) return std::nullopt;
    std::string_view number = text.substr(before + 2, at - before - 2);
    const std::optional<int64_t> lines = TakeLines(number);
    return number.empty() ? lines : std::nullopt;
  }
  if (text.find(": begin to drop messages due to rate-limiting") != std::string_view::npos) {
    return 1;
  }
  if (!Consume(text, "imuxsock ")) return std::nullopt;
  const bool begins = Consume(text, "begins to drop");
  std::optional<int64_t> lines = 1;
  if (!begins) {
    if (!Consume(text, "lost ")) return std::nullopt;
    lines = TakeLines(text);
  }
  int pid = 0;
  const bool whole = Consume(text, " messages from pid ") && TakeNumber(text, pid) &&
                     text.starts_with(" due to rate-limiting");
  return whole ? lines : std::nullopt;
}

// systemd's journald-rate-limit.c and journald-server.c:
//   Suppressed 1234 messages from postfix@-.service
std::optional<int64_t> ParseJournald(std::string_view text) {
  if (!Consume(text, "Suppressed ")) return std::nullopt;
  const std::optional<int64_t> lines = TakeLines(text);
  return text.starts_with(" messages from ") ? lines : std::nullopt;
}

}  // namespace

std::optional<int64_t> ParseSuppressed(const FramedLine& line) {
  if (line.program == "rsyslogd") return ParseRsyslog(line.text);
  if (line.program == "systemd-journald") return ParseJournald(line.text);
  return std::nullopt;
}

}  // namespace mxtally
