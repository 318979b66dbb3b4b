#include "agent/parser/logger.h"

#include <gtest/gtest.h>

#include <string>

namespace mxtally {
namespace {

// What a line of the log says, as the framer splits it.
std::optional<int64_t> Suppressed(const std::string& line) {
  Framer framer(
      {.time_zone = absl::UTCTimeZone(), .reference_time = absl::FromUnixSeconds(1'793'613'600)});
  FramedLine frame;
  const std::string whole = "Nov  2 04:02:01 mx1 " + line;
  EXPECT_TRUE(framer.Split(whole, frame)) << line;
  return ParseSuppressed(frame);
}

TEST(LoggerTest, SaysHowManyLinesWereLost) {
  const struct {
    const char* line;
    int64_t lines;
  } kCases[] = {
      {"rsyslogd: imjournal: 9337 messages lost due to rate-limiting (20000 allowed within 600 "
       "seconds)",
       9337},
      {"rsyslogd[715]: imuxsock[pid: 123, name: smtpd]: 4567 messages lost due to rate-limiting "
       "(200 allowed within 5 seconds) [v8.2302.0 try https://www.rsyslog.com/e/2177 ]",
       4567},
      {"rsyslogd: imjournal from <mx1:postfix/smtpd>: begin to drop messages due to rate-limiting",
       1},
      {"rsyslogd-2177: imuxsock lost 4567 messages from pid 123 due to rate-limiting", -1},
      {"rsyslogd: imuxsock lost 4567 messages from pid 123 due to rate-limiting", 4567},
      {"rsyslogd: imuxsock begins to drop messages from pid 123 due to rate-limiting", 1},
      {"systemd-journald[300]: Suppressed 1234 messages from postfix@-.service", 1234},
      {"systemd-journald: Suppressed 1 messages from /system/postfix.service", 1},
  };
  for (const auto& c : kCases) EXPECT_EQ(Suppressed(c.line).value_or(-1), c.lines) << c.line;
}

TEST(LoggerTest, SaysOtherThings) {
  for (const char* line : {
           "rsyslogd: [origin software=\"rsyslogd\" swVersion=\"8.2302.0\"] start",
           "rsyslogd: imjournal: journal files changed, reloading...",
           "rsyslogd: action 'x' messages lost due to rate-limiting",
           "rsyslogd: imjournal: some messages lost due to rate-limiting",
           "rsyslogd: imjournal: 99999999999999999999 messages lost due to rate-limiting",
           "rsyslogd: imuxsock lost 5 messages from pid x due to rate-limiting",
           "systemd-journald[300]: Suppressed messages from postfix.service",
           "systemd-journald[300]: System Journal (/var/log/journal) is 8.0M",
       }) {
    EXPECT_EQ(Suppressed(line), std::nullopt) << line;
  }
}

// Names, HELO and everything else that a peer chooses stand in the text.
TEST(LoggerTest, OtherProgramsCannotSayIt) {
  const std::string lost = "imjournal: 9337 messages lost due to rate-limiting (20000 allowed)";
  for (const char* prefix :
       {"postfix/smtpd[123]: ", "postfix/rsyslogd[123]: ", "rsyslogd/smtpd[1]: ", "Rsyslogd: "}) {
    const std::string tag = prefix;
    EXPECT_EQ(Suppressed(tag + lost), std::nullopt) << tag;
    EXPECT_EQ(Suppressed(tag + "rsyslogd: " + lost), std::nullopt) << tag;
    EXPECT_EQ(Suppressed(tag + "Suppressed 9 messages from postfix.service"), std::nullopt) << tag;
  }
}

}  // namespace
}  // namespace mxtally
