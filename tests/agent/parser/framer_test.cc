#include "agent/parser/framer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mxtally {
namespace {

absl::TimeZone Zone(const char* name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone));
  return zone;
}

absl::Time Utc(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << text << ": " << error;
  return time;
}

std::string Text(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

class FramerTest : public testing::Test {
 protected:
  Framer MakeFramer(const char* zone, const char* reference) {
    return Framer({.time_zone = Zone(zone), .reference_time = Utc(reference)});
  }

  // Time of a line that begins with `stamp`, or "no" when it does not fit.
  static std::string TimeOf(Framer& framer, const std::string& stamp) {
    const std::string line = stamp + " mx1 postfix/smtpd[1]: connect from x[192.0.2.1]";
    FramedLine frame;
    return framer.Split(line, frame) ? Text(frame.time) : "no";
  }

  static std::vector<std::string> TimesOf(Framer framer, const std::vector<std::string>& stamps) {
    std::vector<std::string> times;
    times.reserve(stamps.size());
    for (const std::string& stamp : stamps) times.push_back(TimeOf(framer, stamp));
    return times;
  }

  Framer Utc2013() { return MakeFramer("UTC", "2013-12-01T00:00:00Z"); }
  Framer Amsterdam() { return MakeFramer("Europe/Amsterdam", "2026-11-10T00:00:00Z"); }
};

using Times = std::vector<std::string>;

// Shapes.

TEST_F(FramerTest, SplitsStampHostTagAndText) {
  Framer framer = Utc2013();
  FramedLine frame;
  ASSERT_TRUE(
      framer.Split("Nov  2 04:02:01 mx1.example.com postfix/submission/smtpd[8123]: "
                   "connect from x[192.0.2.1]: y",
                   frame));
  EXPECT_EQ(Text(frame.time), "2013-11-02T04:02:01Z");
  EXPECT_EQ(frame.host, "mx1.example.com");
  EXPECT_EQ(frame.tag, "postfix/submission/smtpd[8123]");
  EXPECT_EQ(frame.program, "postfix/submission/smtpd");
  EXPECT_EQ(frame.pid, 8123);
  EXPECT_EQ(frame.text, "connect from x[192.0.2.1]: y");
}

TEST_F(FramerTest, ReadsEveryShapeOfStamp) {
  const std::pair<const char*, const char*> kTable[] = {
      {"Nov  2 04:02:01", "2013-11-02T04:02:01Z"},
      {"Nov 02 04:02:01", "2013-11-02T04:02:01Z"},
      {"Nov 12 04:02:01", "2013-11-12T04:02:01Z"},
      {"\xef\xbb\xbfNov 12 04:02:01", "2013-11-12T04:02:01Z"},
      {"<22>Nov  2 04:02:01", "2013-11-02T04:02:01Z"},
      {"<190>Nov  2 04:02:01", "2013-11-02T04:02:01Z"},
      {"Nov 02 04:02:01.250000", "2013-11-02T04:02:01.25Z"},
      {"Nov  2 23:59:60", "2013-11-03T00:00:00Z"},
      {"2026-11-02T04:02:01Z", "2026-11-02T04:02:01Z"},
      {"2026-11-02T04:02:01+01:00", "2026-11-02T03:02:01Z"},
      {"2026-11-02T04:02:01+0100", "2026-11-02T03:02:01Z"},
      {"2026-11-02T04:02:01-03:30", "2026-11-02T07:32:01Z"},
      {"2026-11-02T04:02:01.123456+01:00", "2026-11-02T03:02:01.123456Z"},
      {"2026-11-02T04:02:01.1Z", "2026-11-02T04:02:01.1Z"},
      {"2026-11-02T04:02:01.123456789Z", "2026-11-02T04:02:01.123456789Z"},
      {"2026-11-02T04:02:01.123456789123Z", "2026-11-02T04:02:01.123456789Z"},
      {"<22>2026-11-02T04:02:01Z", "2026-11-02T04:02:01Z"},
      {"2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"},
      {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
      {"2026-11-02T04:02:01", "2026-11-02T04:02:01Z"},
      {"2026-11-02 04:02:01", "2026-11-02T04:02:01Z"},
      {"1762052521.123456", "2025-11-02T03:02:01.123456Z"},
      {"Mon 2026-11-02 04:02:01 UTC", "2026-11-02T04:02:01Z"},
      {"Mon 2026-11-02 04:02:01.123456 CET", "2026-11-02T04:02:01.123456Z"},
      {"Mon 2026-11-02 04:02:01 +03", "2026-11-02T01:02:01Z"},
      {"Mon 2026-11-02 04:02:01 +0530", "2026-11-01T22:32:01Z"},
      {"Nov  2 04:02:01 <mail.info>", "2013-11-02T04:02:01Z"},
      {"Nov  2 04:02:01 <2.6>", "2013-11-02T04:02:01Z"},
      {"2026-11-02T04:02:01.123456789Z stdout F Nov 02 04:02:00", "2013-11-02T04:02:00Z"},
      {"2026-11-02T04:02:01.123456789Z stderr F 2026-11-02T04:02:00Z", "2026-11-02T04:02:00Z"},
      // Not stamps.
      {"Nov 32 04:02:01", "no"},
      {"Nov  0 04:02:01", "no"},
      {"Feb 30 04:02:01", "no"},
      {"Nov  2 24:02:01", "no"},
      {"Nov  2 04:60:01", "no"},
      {"Nov  2 04:02:61", "no"},
      {"Nov  2 04:02:01.", "no"},
      {"Nov  2 04-02-01", "no"},
      {"Mai  2 04:02:01", "no"},
      {"M\xc3\xa4r  2 04:02:01", "no"},
      {"2026-11-02T04:02:01+25:00", "no"},
      {"2026-11-02T04:02:01+1", "no"},
      {"2026-02-29T04:02:01Z", "no"},
      {"2026-13-01T04:02:01Z", "no"},
      {"762052521.123456", "no"},
      {"17620525210.123456", "no"},
      {"1762052521x", "no"},
      {"Mon 2026-11-02 04:02:01", "no"},
      {"Mon 2026-11-02T04:02:01Z", "no"},
      {"Mon Nov  2 04:02:01", "no"},
      {"Nov  2 04:02:01 <mail", "no"},
      {"2026-11-02T04:02:01.123456789Z stdout P Nov 02 04:02:00", "no"},
      {"<22Nov  2 04:02:01", "no"},
      {"<2222>Nov  2 04:02:01", "no"},
      {"", "no"},
  };
  for (const auto& [stamp, time] : kTable) {
    Framer framer = Utc2013();
    EXPECT_EQ(TimeOf(framer, stamp), time) << stamp;
  }
}

TEST_F(FramerTest, ReadsEveryShapeOfTag) {
  const struct {
    const char* rest;
    const char* tag;
    const char* program;
    int64_t pid;
    const char* text;
  } kTable[] = {
      {"postfix/smtpd[12]: a: b", "postfix/smtpd[12]", "postfix/smtpd", 12, "a: b"},
      {"kernel: x", "kernel", "kernel", -1, "x"},
      // syslogd of Solaris and illumos.
      {"sendmail[12]: [ID 801593 mail.info] a: b", "sendmail[12]", "sendmail", 12, "a: b"},
      {"a[1]: [ID 801593 mail.info]", "a[1]", "a", 1, "[ID 801593 mail.info]"},
      {"a[1]: [ID x mail.info] b", "a[1]", "a", 1, "[ID x mail.info] b"},
      {"a[1]: [ID 1 mail] b", "a[1]", "a", 1, "[ID 1 mail] b"},
      {"a[b]: x", "a[b]", "a[b]", -1, "x"},
      {"a[]: x", "a[]", "a[]", -1, "x"},
      {"[12]: x", "[12]", "", 12, "x"},
      {"a[1][2]: x", "a[1][2]", "a[1]", 2, "x"},
      {"a[99999999999999999999]: x", "a[99999999999999999999]", "a[99999999999999999999]", -1, "x"},
      {"dovecot::imap: x", "dovecot::imap", "dovecot::imap", -1, "x"},
      {"postfix/smtpd[12]:", "postfix/smtpd[12]", "postfix/smtpd", 12, ""},
      {"postfix/smtpd[12]: ", "postfix/smtpd[12]", "postfix/smtpd", 12, ""},
      {"postfix/smtpd[12]:  x", "postfix/smtpd[12]", "postfix/smtpd", 12, " x"},
      // No tag.
      {"last message repeated 3 times", "", "", -1, "last message repeated 3 times"},
      {"postfix/submissions/smtpd[123456 connect from x[192.0.2.1]", "", "", -1,
       "postfix/submissions/smtpd[123456 connect from x[192.0.2.1]"},
      {": x", "", "", -1, ": x"},
      {"x", "", "", -1, "x"},
  };
  for (const auto& row : kTable) {
    Framer framer = Utc2013();
    FramedLine frame;
    const std::string line = std::string("Nov  2 04:02:01 mx1 ") + row.rest;
    ASSERT_TRUE(framer.Split(line, frame)) << line;
    EXPECT_EQ(frame.tag, row.tag);
    EXPECT_EQ(frame.program, row.program);
    EXPECT_EQ(frame.pid, row.pid) << line;
    EXPECT_EQ(frame.text, row.text) << line;
  }
}

TEST_F(FramerTest, ReadsEveryShapeOfRfc5424) {
  const struct {
    const char* rest;
    const char* tag;
    const char* program;
    int64_t pid;
    const char* text;
  } kTable[] = {
      {"postfix/smtpd 12 - - a: b", "postfix/smtpd 12", "postfix/smtpd", 12, "a: b"},
      // As rsyslog writes what came as RFC 3164.
      {"postfix 12 - -  connect from x[192.0.2.1]", "postfix 12", "postfix", 12,
       "connect from x[192.0.2.1]"},
      {"postfix/smtpd 12 ID47 - \xef\xbb\xbfx", "postfix/smtpd 12", "postfix/smtpd", 12, "x"},
      {"postfix/smtpd 12 - [a@1 b=\"]\" c=\"\\\"]\"][d@1] x", "postfix/smtpd 12", "postfix/smtpd",
       12, "x"},
      {"kernel - - - x", "kernel", "kernel", -1, "x"},
      {"a b - - x", "a b", "a", -1, "x"},
      {"- - - - x", "-", "-", -1, "x"},
      {"a 1 - -", "a 1", "a", 1, ""},
  };
  for (const auto& row : kTable) {
    Framer framer = Utc2013();
    FramedLine frame;
    const std::string line = std::string("<22>1 2026-11-02T04:02:01.5+01:00 mx1 ") + row.rest;
    ASSERT_TRUE(framer.Split(line, frame)) << line;
    EXPECT_EQ(frame.host, "mx1");
    EXPECT_EQ(frame.tag, row.tag);
    EXPECT_EQ(frame.program, row.program);
    EXPECT_EQ(frame.pid, row.pid) << line;
    EXPECT_EQ(frame.text, row.text) << line;
    EXPECT_EQ(absl::FormatTime(absl::RFC3339_full, frame.time, absl::UTCTimeZone()),
              "2026-11-02T03:02:01.5+00:00");
  }
  for (const char* line :
       {"<22>1 - mx1 a 1 - - x", "<22>2 2026-11-02T04:02:01Z mx1 a 1 - - x",
        "<22>1 2026-11-02T04:02:01Z mx1 a 1 - x", "<22>1 2026-11-02T04:02:01Z mx1 a 1 - [a x",
        "<22>1 2026-11-02T04:02:01Z mx1 a 1", "<22>1 2026-11-02T04:02:01Z mx1", "<22>1 ",
        "1 2026-11-02T04:02:01Z mx1 a 1 - - x"}) {
    Framer framer = Utc2013();
    FramedLine frame;
    EXPECT_FALSE(framer.Split(line, frame)) << line;
  }
}

// Exim's own files name neither host nor program.
TEST_F(FramerTest, ReadsEveryShapeOfEximsOwnFiles) {
  const struct {
    const char* line;
    const char* time;
    int64_t pid;
    const char* text;
  } kTable[] = {
      {"2026-11-02 04:02:01 a: b", "2026-11-02T04:02:01Z", -1, "a: b"},
      {"2026-11-02 04:02:01.123 a", "2026-11-02T04:02:01.123Z", -1, "a"},
      {"2026-11-02 04:02:01 +0100 a", "2026-11-02T03:02:01Z", -1, "a"},
      {"2026-11-02 04:02:01.123 -0330 [12] a", "2026-11-02T07:32:01.123Z", 12, "a"},
      {"2026-11-02 04:02:01 [12] a\r", "2026-11-02T04:02:01Z", 12, "a"},
      {"2026-11-02 04:02:01 [192.0.2.1] SSL verify error", "2026-11-02T04:02:01Z", -1,
       "[192.0.2.1] SSL verify error"},
      {"2026-11-02 04:02:01 [12]a", "2026-11-02T04:02:01Z", -1, "[12]a"},
      {"2026-11-02 04:02:01 +01 a", "2026-11-02T04:02:01Z", -1, "+01 a"},
      {"2026-11-02 04:02:01 ", "2026-11-02T04:02:01Z", -1, ""},
  };
  HeaderSplitter splitter;
  for (const auto& row : kTable) {
    Framer framer = Utc2013();
    FramedLine frame;
    ASSERT_TRUE(framer.Split(row.line, frame)) << row.line;
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(Text(frame.time), row.time);
      EXPECT_EQ(frame.host, "");
      EXPECT_EQ(frame.tag, "exim");
      EXPECT_EQ(frame.program, "exim");
      EXPECT_EQ(frame.pid, row.pid) << row.line;
      EXPECT_EQ(frame.text, row.text) << row.line;
      // Once more as one that repeats the line before.
      Framer::Stamp stamp;
      bool repeats = false;
      splitter.Split(row.line, frame, stamp, repeats);
      ASSERT_TRUE(splitter.Split(row.line, frame, stamp, repeats));
      ASSERT_TRUE(framer.Resolve(stamp, frame.time));
    }
  }
}

// As a template of rsyslog's may write it.
TEST_F(FramerTest, HostAndTagBehindAStampOfExims) {
  const std::pair<const char*, const char*> kTable[] = {
      {"mx1 postfix/smtpd[12]: connect from x[192.0.2.1]", "postfix/smtpd[12]"},
      // Exim's own.
      {"1smkL5-00000000e65-24eQ H=[192.0.2.1]: SMTP error", "exim"},
      {"1smkL5-00000000e65-24eQ H=x[12]: SMTP error", "exim"},
      {"SMTP connection from [192.0.2.1]: x", "exim"},
      {"exim daemon: x", "exim"},
  };
  for (const auto& [text, tag] : kTable) {
    Framer framer = Utc2013();
    FramedLine frame;
    const std::string line = std::string("2026-11-02 04:02:01 ") + text;
    ASSERT_TRUE(framer.Split(line, frame)) << text;
    EXPECT_EQ(frame.tag, tag) << text;
  }
}

// Of a header in a shape of its own: host, tag, time and text, and that a line is read alike when
// it repeats the one before.
TEST_F(FramerTest, ReadsHeadersOfOtherWriters) {
  const struct {
    const char* line;
    const char* host;
    const char* time;
    const char* tag;
    const char* text;
  } kTable[] = {
      // syslogd of busybox, and with -S; socklogd; what syslog() sends to /dev/log.
      {"Nov  2 04:02:01 mx1 mail.info a/smtpd[1]: x y", "mx1", "2013-11-02T04:02:01Z", "a/smtpd[1]",
       "x y"},
      {"Nov  2 04:02:01.5 mx1 local0.warn a/smtpd[1]: x", "mx1", "2013-11-02T04:02:01.5Z",
       "a/smtpd[1]", "x"},
      {"2026-11-02T04:02:01Z mx1 mail.err a: x", "mx1", "2026-11-02T04:02:01Z", "a", "x"},
      // syslogd of AIX.
      {"Nov  2 04:02:01 mx1 mail:info a/smtpd[1]: x y", "mx1", "2013-11-02T04:02:01Z", "a/smtpd[1]",
       "x y"},
      {"Nov  2 04:02:01 a/smtpd[1]: x y", "", "2013-11-02T04:02:01Z", "a/smtpd[1]", "x y"},
      {"<22>Nov  2 04:02:01 a/smtpd[1]: x y", "", "2013-11-02T04:02:01Z", "a/smtpd[1]", "x y"},
      {"mail.info: Nov  2 04:02:01 a/smtpd[1]: x y", "", "2013-11-02T04:02:01Z", "a/smtpd[1]",
       "x y"},
      {"2026-11-02T04:02:02.5 mail.info: Nov  2 04:02:01 a/smtpd[1]: x", "", "2013-11-02T04:02:01Z",
       "a/smtpd[1]", "x"},
      // Templates of rsyslog's with the severity in a column instead of the host.
      {"2026-11-02T04:02:01.5+01:00 INFO    a/smtpd[1]: x y", "", "2026-11-02T03:02:01.5Z",
       "a/smtpd[1]", "x y"},
      {"2026-11-02T04:02:01.5+01:00 WARNING a/smtpd[1]: x y", "", "2026-11-02T03:02:01.5Z",
       "a/smtpd[1]", "x y"},
      // "docker logs -t" and "docker compose logs".
      {"2026-11-02T04:02:01.123456789Z Nov 02 04:02:00 mx1 a/smtpd[1]: x", "mx1",
       "2013-11-02T04:02:00Z", "a/smtpd[1]", "x"},
      {"2026-11-02T04:02:01.123456789Z 2026-11-02T04:02:00Z mx1 a/smtpd[1]: x", "mx1",
       "2026-11-02T04:02:00Z", "a/smtpd[1]", "x"},
      {"2026-11-02T04:02:01.1Z 2026-11-02T05:02:00+01:00 INFO    a/smtpd[1]: x", "",
       "2026-11-02T04:02:00Z", "a/smtpd[1]", "x"},
      {"mail_1  | Nov 02 04:02:01 mx1 a/smtpd[1]: x", "mx1", "2013-11-02T04:02:01Z", "a/smtpd[1]",
       "x"},
      {"my.mail-1 | 2026-11-02T04:02:01.1Z Nov 02 04:02:00 mx1 a/smtpd[1]: x", "mx1",
       "2013-11-02T04:02:00Z", "a/smtpd[1]", "x"},
      // s6-log, multilog and svlogd.
      {"2026-11-02 04:02:01.123456789  Nov  2 04:02:00 a/smtpd[1]: x y", "", "2013-11-02T04:02:00Z",
       "a/smtpd[1]", "x y"},
      {"2026-11-02 04:02:01.123456789  mail.info: Nov  2 04:02:00 mx1 a/smtpd[1]: x", "mx1",
       "2013-11-02T04:02:00Z", "a/smtpd[1]", "x"},
      {"@40000000654aaa6b0e1b2c3d Nov  2 04:02:00 mx1 a/smtpd[1]: x", "mx1", "2013-11-02T04:02:00Z",
       "a/smtpd[1]", "x"},
      {"@40000000654aaa6b0e1b2c3d 2026-11-02 04:02:00 x", "", "2026-11-02T04:02:00Z", "exim", "x"},
      {"2026-11-02_04:02:01.12345 mail.info: Nov  2 04:02:00 a/smtpd[1]: x", "",
       "2013-11-02T04:02:00Z", "a/smtpd[1]", "x"},
      // RFC 5424 that a syslogd of RFC 3164 got.
      {"Nov  2 04:02:03 relay 1 2026-11-02T04:02:01.5Z mx1 a/smtpd 1 - - x y", "mx1",
       "2026-11-02T04:02:01.5Z", "a/smtpd 1", "x y"},
      // What only looks like one of these.
      {"Nov  2 04:02:01 mail.info a/smtpd[1]: x", "mail.info", "2013-11-02T04:02:01Z", "a/smtpd[1]",
       "x"},
      {"Nov  2 04:02:01 mx1 mail.info text", "mx1", "2013-11-02T04:02:01Z", "", "mail.info text"},
      {"Nov  2 04:02:01 mx1 mail:info: a: x", "mx1", "2013-11-02T04:02:01Z", "mail:info", "a: x"},
      {"Nov  2 04:02:01 mx1 mail.org a: x", "mx1", "2013-11-02T04:02:01Z", "", "mail.org a: x"},
      {"Nov  2 04:02:01 INFO a/smtpd[1]: x", "INFO", "2013-11-02T04:02:01Z", "a/smtpd[1]", "x"},
      {"2026-11-02 04:02:01.123456789  x", "", "2026-11-02T04:02:01.123456789Z", "exim", " x"},
      {"Nov  2 04:02:01 May a: x", "May", "2013-11-02T04:02:01Z", "a", "x"},
      {"Nov  2 04:02:01 mx1 1 2026-11-02T04:02:01.5Z mx1 a", "mx1", "2013-11-02T04:02:01Z", "",
       "1 2026-11-02T04:02:01.5Z mx1 a"},
  };
  HeaderSplitter splitter;
  for (const auto& row : kTable) {
    Framer framer = Utc2013();
    FramedLine frame;
    ASSERT_TRUE(framer.Split(row.line, frame)) << row.line;
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(Text(frame.time), row.time) << row.line;
      EXPECT_EQ(frame.host, row.host) << row.line;
      EXPECT_EQ(frame.tag, row.tag) << row.line;
      EXPECT_EQ(frame.text, row.text) << row.line;
      // Again behind one with the same stamp and host, and as one that repeats the line before.
      const std::string before = std::string(row.line).substr(0, 15) + " mx1 b[2]: y";
      Framer::Stamp stamp;
      bool repeats = false;
      if (i == 0) splitter.Split(before, frame, stamp, repeats);
      ASSERT_TRUE(splitter.Split(row.line, frame, stamp, repeats)) << row.line;
      framer = Utc2013();
      ASSERT_TRUE(framer.Resolve(stamp, frame.time));
    }
  }
}

TEST_F(FramerTest, AHeaderBehindAStampOfALoggersThatHadNoneIsNoText) {
  const std::string before = "2026-11-02 04:02:01.123456789  x";
  const std::string line = "2026-11-02 04:02:01.123456789  Nov  2 04:02:00 mx1 a/smtpd[1]: x";
  HeaderSplitter splitter;
  FramedLine frame;
  Framer::Stamp stamp;
  bool repeats = false;
  splitter.Split(before, frame, stamp, repeats);
  ASSERT_TRUE(splitter.Split(line, frame, stamp, repeats));
  EXPECT_EQ(frame.tag, "a/smtpd[1]");
}

TEST_F(FramerTest, ASeverityWhereTheLineBeforeHadAHostIsNone) {
  HeaderSplitter splitter;
  FramedLine frame;
  Framer::Stamp stamp;
  bool repeats = false;
  ASSERT_TRUE(splitter.Split("2026-11-02T04:02:01.5 INFO a", frame, stamp, repeats));
  EXPECT_EQ(frame.host, "INFO");
  ASSERT_TRUE(splitter.Split("2026-11-02T04:02:01.5 INFO    a", frame, stamp, repeats));
  EXPECT_EQ(frame.host, "");
  EXPECT_FALSE(repeats);
}

TEST_F(FramerTest, AZoneBehindAStampThatHadNoneIsNoText) {
  HeaderSplitter splitter;
  FramedLine frame;
  Framer::Stamp stamp;
  bool repeats = false;
  ASSERT_TRUE(splitter.Split("2026-11-02 04:02:01.123 [12] a", frame, stamp, repeats));
  ASSERT_TRUE(splitter.Split("2026-11-02 04:02:01.123 +0100 [12] a", frame, stamp, repeats));
  EXPECT_FALSE(repeats);
  EXPECT_EQ(stamp.utc_offset, 3600);
  EXPECT_EQ(frame.text, "a");
}

TEST_F(FramerTest, LineWithoutHeaderIsRefused) {
  for (const char* line :
       {"", "x", "Nov", "Nov  2 04:02:01", "Nov  2 04:02:01 ", "<22>", "<", "Nov  2 04:02:01 mx1",
        "Nov  2 04:02:01  mx1 a: b", "mail.info: x", "x | y",
        " Suggested action: use keep_environment.", "2026-11-02T04:02:01Z",
        "2026-11-02T04:02:01Z mx1", "2026-11-02 04:02:01", "2026-11-02 04:02:01+01:00 a",
        "2026-13-02 04:02:01 a"}) {
    Framer framer = Utc2013();
    FramedLine frame;
    EXPECT_FALSE(framer.Split(line, frame)) << line;
    EXPECT_FALSE(framer.state().last_time.has_value()) << line;
  }
}

TEST_F(FramerTest, ZerosGluedToTheNextLineByACrashAreSkipped) {
  Framer framer = Utc2013();
  FramedLine frame;
  const std::string line = std::string(4096, '\0') + "Nov  2 04:02:01 mx1 a[1]: b";
  ASSERT_TRUE(framer.Split(line, frame));
  EXPECT_EQ(frame.tag, "a[1]");
  EXPECT_FALSE(framer.Split(std::string(4096, '\0'), frame));
}

TEST_F(FramerTest, NoPrefixOfALineReadsBeyondItsEnd) {
  for (const std::string_view line :
       {"<22>Nov  2 04:02:01.123 mx1 postfix/smtpd[1]: x",
        "<22>2026-11-02T04:02:01.123456+01:00 mx1 postfix/smtpd[1]: x",
        "mail_1 | 2026-11-02T04:02:01.1Z 2026-11-02T04:02:01Z INFO    postfix/smtpd[1]: x",
        "2026-11-02T04:02:02 mail.info: Nov  2 04:02:01 mx1 mail.info postfix/smtpd[1]: x",
        "Nov  2 04:02:01 relay 1 2026-11-02T04:02:01Z mx1 postfix/smtpd 1 - - x"}) {
    for (size_t length = 0; length <= line.size(); ++length) {
      // A heap block of exactly this size, so that the address sanitizer sees.
      const std::vector<char> bytes(line.begin(), line.begin() + static_cast<long>(length));
      Framer framer = Utc2013();
      FramedLine frame;
      framer.Split({bytes.data(), bytes.size()}, frame);
    }
  }
}

TEST_F(FramerTest, FormatChangeInTheMiddleOfAFile) {
  EXPECT_EQ(TimesOf(Amsterdam(), {"Nov  2 04:02:01", "2026-11-02T04:02:02.5+01:00",
                                  "Nov  2 04:02:03", "2026-11-02T03:02:04Z"}),
            (Times{"2026-11-02T03:02:01Z", "2026-11-02T03:02:02.5Z", "2026-11-02T03:02:03Z",
                   "2026-11-02T03:02:04Z"}));
}

// Years.

TEST_F(FramerTest, FirstStampGetsTheLatestYearUpToADayAfterTheReference) {
  const struct {
    const char* reference;
    const char* stamp;
    const char* time;
  } kTable[] = {
      {"2013-11-03T04:02:01Z", "Nov  2 04:02:01", "2013-11-02T04:02:01Z"},
      {"2013-11-02T04:02:01Z", "Nov  3 04:02:01", "2013-11-03T04:02:01Z"},
      {"2013-11-02T04:02:01Z", "Nov  3 04:02:02", "2012-11-03T04:02:02Z"},
      {"2014-01-01T00:00:00Z", "Dec 31 23:00:00", "2013-12-31T23:00:00Z"},
      {"2013-12-31T23:00:00Z", "Jan  1 00:00:00", "2014-01-01T00:00:00Z"},
      {"2026-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"},
      {"2103-03-01T00:00:00Z", "Feb 29 12:00:00", "2096-02-29T12:00:00Z"},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(TimesOf(MakeFramer("UTC", row.reference), {row.stamp}), Times{row.time}) << row.stamp;
  }
}

TEST_F(FramerTest, WithoutAReferenceTheYearIsTheLastThatARecordCanHold) {
  Framer framer(FramerOptions{});
  EXPECT_EQ(TimeOf(framer, "Nov  2 04:02:01"), "2261-11-02T04:02:01Z");
}

TEST_F(FramerTest, NewYearIncrementsOnce) {
  EXPECT_EQ(TimesOf(Utc2013(), {"Dec 31 23:59:58", "Jan  1 00:00:01", "Dec 31 23:59:59",
                                "Jan  1 00:00:02", "Jun  1 00:00:00", "Nov  1 00:00:00"}),
            (Times{"2012-12-31T23:59:58Z", "2013-01-01T00:00:01Z", "2012-12-31T23:59:59Z",
                   "2013-01-01T00:00:02Z", "2013-06-01T00:00:00Z", "2013-11-01T00:00:00Z"}));
}

TEST_F(FramerTest, LeapDayIsReadInTheNearestYearThatHasIt) {
  EXPECT_EQ(TimesOf(MakeFramer("UTC", "2024-12-01T00:00:00Z"),
                    {"Feb 28 23:59:59", "Feb 29 00:00:00", "Mar  1 00:00:00"}),
            (Times{"2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"}));
  // An anchor of a wrong year is corrected by the date itself.
  EXPECT_EQ(TimesOf(MakeFramer("UTC", "2025-12-01T00:00:00Z"),
                    {"Feb 28 23:59:59", "Feb 29 00:00:00", "Mar  1 00:00:00"}),
            (Times{"2025-02-28T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"}));
}

TEST_F(FramerTest, OneStrayStampWithAYearDecidesNoYear) {
  EXPECT_EQ(TimesOf(Utc2013(), {"Nov  2 04:00:00", "1970-01-01T00:00:07Z", "Nov  2 04:00:01"}),
            (Times{"2013-11-02T04:00:00Z", "1970-01-01T00:00:07Z", "2013-11-02T04:00:01Z"}));
  EXPECT_EQ(TimesOf(Utc2013(), {"Nov  2 04:00:00", "2020-01-01T00:00:07Z", "2020-01-01T00:00:08Z",
                                "Jan  1 00:00:09"}),
            (Times{"2013-11-02T04:00:00Z", "2020-01-01T00:00:07Z", "2020-01-01T00:00:08Z",
                   "2020-01-01T00:00:09Z"}));
}

// As after a restart of the agent, wherever that falls.
TEST_F(FramerTest, StrayStampDecidesNoYearForAFramerThatGoesOnFromAState) {
  const Times lines = {"Nov  2 04:00:00", "1970-01-01T00:00:07Z", "Nov  2 04:00:01"};
  Times times;
  FramerState state;
  for (const std::string& line : lines) {
    Framer framer({.reference_time = Utc("2013-12-01T00:00:00Z")}, state);
    times.push_back(TimeOf(framer, line));
    state = framer.state();
  }
  EXPECT_EQ(times, (Times{"2013-11-02T04:00:00Z", "1970-01-01T00:00:07Z", "2013-11-02T04:00:01Z"}));
}

TEST_F(FramerTest, TimesThatNoRecordCanHoldAreRefused) {
  EXPECT_EQ(TimesOf(Utc2013(),
                    {"0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:30:00+01:00",
                     "1970-01-01T00:00:00Z", "2261-12-31T23:59:59Z", "2261-12-31T23:59:59-01:00"}),
            (Times{"no", "no", "no", "1970-01-01T00:00:00Z", "2261-12-31T23:59:59Z", "no"}));
}

// Local time.

TEST_F(FramerTest, RepeatedHourIsReadInTheOrderOfTheLines) {
  EXPECT_EQ(TimesOf(Amsterdam(),
                    {"Oct 25 01:59:59", "Oct 25 02:00:00", "Oct 25 02:59:59", "Oct 25 02:00:00",
                     "Oct 25 02:30:00", "Oct 25 02:59:59", "Oct 25 03:00:00"}),
            (Times{"2026-10-24T23:59:59Z", "2026-10-25T00:00:00Z", "2026-10-25T00:59:59Z",
                   "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:59:59Z",
                   "2026-10-25T02:00:00Z"}));
}

TEST_F(FramerTest, QuietLogInTheRepeatedHour) {
  EXPECT_EQ(TimesOf(Amsterdam(), {"Oct 25 02:30:00", "Oct 25 02:10:00", "Oct 25 02:55:00"}),
            (Times{"2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z", "2026-10-25T01:55:00Z"}));
}

TEST_F(FramerTest, LinesOutOfOrderAroundTheChangeOfPass) {
  EXPECT_EQ(TimesOf(Amsterdam(),
                    {"Oct 25 02:59:59", "Oct 25 02:00:00", "Oct 25 02:59:58", "Oct 25 02:00:01"}),
            (Times{"2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", "2026-10-25T00:59:58Z",
                   "2026-10-25T01:00:01Z"}));
}

TEST_F(FramerTest, SmallStepBackInTheRepeatedHourIsNoChangeOfPass) {
  EXPECT_EQ(TimesOf(Amsterdam(), {"Oct 25 02:40:00", "Oct 25 02:39:58", "Oct 25 02:50:00",
                                  "Oct 25 02:10:00", "Oct 25 02:09:59"}),
            (Times{"2026-10-25T00:40:00Z", "2026-10-25T00:39:58Z", "2026-10-25T00:50:00Z",
                   "2026-10-25T01:10:00Z", "2026-10-25T01:09:59Z"}));
}

TEST_F(FramerTest, PassOfTheRepeatedHourSurvivesARestart) {
  Framer first = Amsterdam();
  EXPECT_EQ(TimeOf(first, "Oct 25 02:59:00"), "2026-10-25T00:59:00Z");
  EXPECT_EQ(first.state().utc_offset, absl::Hours(2));
  EXPECT_EQ(TimeOf(first, "Oct 25 02:05:00"), "2026-10-25T01:05:00Z");
  EXPECT_EQ(first.state().utc_offset, absl::Hours(1));
  Framer second({.time_zone = Zone("Europe/Amsterdam")}, first.state());
  EXPECT_EQ(TimeOf(second, "Oct 25 02:06:00"), "2026-10-25T01:06:00Z");
}

TEST_F(FramerTest, SkippedHourIsReadWithTheOffsetBefore) {
  EXPECT_EQ(TimesOf(Amsterdam(), {"Mar 29 01:59:59", "Mar 29 02:30:00", "Mar 29 03:00:00"}),
            (Times{"2026-03-29T00:59:59Z", "2026-03-29T01:30:00Z", "2026-03-29T01:00:00Z"}));
}

TEST_F(FramerTest, ClockThatStepsBackIsBelieved) {
  EXPECT_EQ(TimesOf(Amsterdam(), {"Nov  2 05:00:00", "Nov  2 04:10:00", "Nov  2 04:10:00",
                                  "Nov  1 04:10:00", "Nov  2 05:00:01"}),
            (Times{"2026-11-02T04:00:00Z", "2026-11-02T03:10:00Z", "2026-11-02T03:10:00Z",
                   "2026-11-01T03:10:00Z", "2026-11-02T04:00:01Z"}));
}

TEST_F(FramerTest, ZoneWhoseOffsetChangesWithinAnHourIsReadExactly) {
  // Lord Howe Island moves its clocks by half an hour: 02:00 becomes 01:30.
  EXPECT_EQ(TimesOf(MakeFramer("Australia/Lord_Howe", "2026-11-10T00:00:00Z"),
                    {"Apr  5 01:29:59", "Apr  5 01:30:00", "Apr  5 01:59:59", "Apr  5 01:30:00",
                     "Apr  5 02:00:00"}),
            (Times{"2026-04-04T14:29:59Z", "2026-04-04T14:30:00Z", "2026-04-04T14:59:59Z",
                   "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"}));
}

// A reader that remembers nothing but the state must agree with one that keeps
// its memory of the hour, line by line.
TEST_F(FramerTest, MemoryOfTheHourChangesNoTime) {
  const absl::TimeZone zone = Zone("Europe/Amsterdam");
  for (const char* start : {"2026-10-24T22:00:00Z", "2026-03-28T22:00:00Z", "2025-12-31T20:00:00Z",
                            "2024-02-28T20:00:00Z"}) {
    const FramerOptions options = {.time_zone = zone, .reference_time = Utc(start)};
    Framer keeping(options);
    FramerState state;
    absl::Time time = Utc(start);
    uint32_t random = 1;
    for (int i = 0; i < 3000; ++i) {
      random = random * 1664525 + 1013904223;
      time += absl::Seconds(static_cast<int>(random >> 20) % 24 - 4);
      const std::string stamp = absl::FormatTime("%b %e %H:%M:%S", time, zone);
      Framer forgetting(options, state);
      const std::string expected = TimeOf(forgetting, stamp);
      state = forgetting.state();
      ASSERT_EQ(TimeOf(keeping, stamp), expected) << stamp;
      ASSERT_EQ(keeping.state().utc_offset, state.utc_offset) << stamp;
    }
  }
}

TEST_F(FramerTest, PeekChangesNothing) {
  Framer framer = Utc2013();
  EXPECT_EQ(framer.PeekTime("Jan  2 04:02:01 mx1 a[1]: b"), Utc("2013-01-02T04:02:01Z"));
  EXPECT_EQ(framer.PeekTime("no header"), std::nullopt);
  EXPECT_FALSE(framer.state().last_time.has_value());
  EXPECT_EQ(TimeOf(framer, "Nov  2 04:02:01"), "2013-11-02T04:02:01Z");
}

}  // namespace
}  // namespace mxtally
