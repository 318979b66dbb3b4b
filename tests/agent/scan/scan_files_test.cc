// Sets of files: rotated logs, copies, parts that overlap.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/agent/scan/scan_fixture.h"

namespace mxtally {
namespace {

using ScanFilesTest = ScanTest;

TEST_F(ScanFilesTest, SessionAcrossARotationIsOne) {
  const std::string older =
      Write("maillog.1", "Nov  2 04:00:00 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n");
  const std::string newer = Write("maillog",
                                  "Nov  2 04:00:09 mx1 postfix/smtpd[1]: disconnect from "
                                  "x[192.0.2.1] ehlo=1 quit=1 commands=2\n");
  for (const auto& files : {std::vector{older, newer}, std::vector{newer, older}}) {
    ASSERT_EQ(Scan(files), 0);
    EXPECT_EQ(Number("inbound.sessions"), 1);
    EXPECT_EQ(Number("inbound.open_sessions"), 0);
    EXPECT_EQ(Number("lines.cut_sessions"), 0);
  }
}

TEST_F(ScanFilesTest, CopyOfALogIsNotCountedAgain) {
  const std::string text = Plain(1, "04:00:00") + Tls(2, "04:00:01");
  ASSERT_EQ(Scan({Write("mail.log", text), Write("syslog", text)}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 2);
  EXPECT_EQ(Number("lines.duplicate_sessions"), 2);
}

// A log's files may share lines, as an archive and its plain copy do.
TEST_F(ScanFilesTest, LinesThatTwoFilesOfALogShareAreCountedOnce) {
  const auto connect = [](int pid, const std::string& at) {
    return "Nov  2 " + at + " mx1 postfix/smtpd[" + std::to_string(pid) +
           "]: connect from x[192.0.2.1]\n";
  };
  const auto disconnect = [](int pid, const std::string& at) {
    return "Nov  2 " + at + " mx1 postfix/smtpd[" + std::to_string(pid) +
           "]: disconnect from x[192.0.2.1] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 "
           "commands=7\n";
  };
  const std::string other = "Nov  2 04:00:30 mx1 cron[9]: statistics\n";
  const std::string a = Plain(1, "04:00:00") + connect(7, "04:00:10");
  const std::string b = other + other + other + Tls(2, "04:00:30") + Tls(2, "04:00:30");
  const std::string c = disconnect(7, "04:01:00") + Plain(3, "04:20:01") + connect(8, "04:20:01");
  const std::string d = disconnect(8, "04:20:05") + Tls(4, "04:21:00");
  const struct {
    const char* name;
    std::string older, newer;
    int sessions, open, duplicates;
  } kCases[] = {
      {"neighbours", a + b, c + d, 7, 0, 0},
      {"a copy", a + b + c, a + b + c, 5, 1, 5},
      {"a copy of one stamp", Plain(1, "04:00:00"), Plain(1, "04:00:00"), 1, 0, 1},
      {"a copy and what was written since", a + b, a + b + c + d, 7, 0, 3},
      {"a copy and what was written before", a + b + c + d, a + b, 7, 0, 3},
      {"the end of the one is the beginning of the other", a + b + c, b + c + d, 7, 0, 4},
      {"the same within a second", a + b + c, Plain(3, "04:20:01") + connect(8, "04:20:01") + d, 7,
       0, 1},
      {"a part", a + b + c + d, b, 7, 0, 2},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    const std::string older = Write("maillog.1.gz", Gzip(test.older));
    const std::string newer = Write("maillog", test.newer);
    for (const auto& files : {std::vector{older, newer}, std::vector{newer, older}}) {
      ASSERT_EQ(Scan(files), 0);
      EXPECT_EQ(Number("inbound.sessions"), test.sessions);
      EXPECT_EQ(Number("inbound.open_sessions"), test.open);
      EXPECT_EQ(Number("lines.duplicate_sessions"), test.duplicates);
      EXPECT_EQ(Number("lines.cut_sessions"), 0);
    }
  }
}

// As where gzip was stopped before it had written an archive.
// The next file of a central log begins with a host whose clock is behind.
TEST_F(ScanFilesTest, SessionsOfHostsWhoseClocksDifferGoOnInTheNextFile) {
  const std::string older =
      Plain(1, "04:00:00") + "Nov  2 04:05:00 mx2 postfix/smtpd[7]: connect from x[192.0.2.1]\n";
  const std::string newer = Plain(1, "04:00:02") +
                            "Nov  2 04:05:03 mx2 postfix/smtpd[7]: disconnect from x[192.0.2.1] "
                            "ehlo=1 quit=1 commands=2\n";
  ASSERT_EQ(Scan({Write("mail.log.1", older), Write("mail.log", newer)}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 3);
  EXPECT_EQ(Number("inbound.open_sessions"), 0);
  EXPECT_EQ(Number("lines.cut_sessions"), 0);
}

TEST_F(ScanFilesTest, SessionThatIsOpenBehindTheEndOfACopyGoesOn) {
  const std::string connect = "Nov  2 04:20:00 mx1 postfix/smtpd[7]: connect from x[192.0.2.1]\n";
  const std::string disconnect =
      "Nov  2 04:30:00 mx1 postfix/smtpd[7]: disconnect from x[192.0.2.1] quit=1 commands=1\n";
  const std::string begin = Plain(1, "04:00:00") + Plain(2, "04:10:00");
  ASSERT_EQ(Scan({Write("maillog", disconnect), Write("maillog.1", begin + connect),
                  Write("maillog.1.bak", begin)}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 3);
  EXPECT_EQ(Number("inbound.open_sessions"), 0);
  EXPECT_EQ(Number("lines.cut_sessions"), 0);
}

TEST_F(ScanFilesTest, LinesOfMoreThanTwoFilesAreCountedOnce) {
  const std::string a = Plain(1, "04:00:00") + Plain(1, "04:01:00");
  const std::string b = Plain(2, "04:02:00") + Plain(2, "04:03:00");
  const std::string c = Plain(3, "04:04:00") + Plain(3, "04:05:00");
  const std::string d = Plain(4, "04:06:00") + Plain(4, "04:07:00");
  const struct {
    const char* name;
    std::vector<std::string> files;
  } kCases[] = {
      {"three copies", {a + b + c + d, a + b + c + d, a + b + c + d}},
      {"each overlaps the next", {a + b, b + c, c + d}},
      {"one overlaps the first only", {a + b + c, b, c + d}},
      {"a copy that ends early", {a + b + c, a + b, d}},
      {"copies beside neighbours", {a + b, a + b, c + d, c + d}},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    std::vector<std::string> files;
    for (const std::string& text : test.files) {
      files.push_back(Write("maillog." + std::to_string(files.size()), text));
    }
    ASSERT_EQ(Scan(files), 0);
    EXPECT_EQ(Number("inbound.sessions"), 8);
  }
}

// Lines of several processes are late by a moment, also where a log is rotated; and one may stand
// twice.
TEST_F(ScanFilesTest, NeighboursInDisorderAreNoCopies) {
  const std::string connect = "Nov  2 04:00:09 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n";
  const std::string disconnect =
      "Nov  2 04:00:09 mx1 postfix/smtpd[1]: disconnect from x[192.0.2.1] commands=0/0\n";
  const std::string other_disconnect =
      "Nov  2 04:00:09 mx1 postfix/smtpd[1]: disconnect from x[192.0.2.1] quit=1 commands=1\n";
  const std::string late = Plain(2, "04:00:08");
  const struct {
    const char* name;
    std::string older, newer;
    int sessions;
  } kCases[] = {
      {"a late line begins the next file", connect, late + disconnect, 2},
      {"a late line ends the first", connect + late, disconnect, 2},
      {"a line stands twice", connect + disconnect, connect + other_disconnect + late, 3},
      {"a line ends the one and begins the other", connect, connect + disconnect + late, 3},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    const std::string before = Plain(3, "04:00:00");
    ASSERT_EQ(Scan({Write("maillog.1", before + test.older), Write("maillog", test.newer)}), 0);
    EXPECT_EQ(Number("inbound.sessions"), test.sessions + 1);
    EXPECT_EQ(Number("inbound.open_sessions"), 0);
    EXPECT_EQ(Number("lines.cut_sessions"), 0);
  }
}

TEST_F(ScanFilesTest, SessionThatIsOpenInSeveralCopiesIsOpenOnce) {
  const std::string open = "Nov  2 04:00:00 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n";
  const std::string closed = Plain(1, "04:00:00");
  for (const auto& texts : {std::vector{open, open}, {open, closed}, {closed, open}}) {
    ASSERT_EQ(Scan({Write("mail.log", texts[0]), Write("syslog", texts[1])}), 0);
    const bool is_closed = texts[0] == closed || texts[1] == closed;
    EXPECT_EQ(Number("inbound.sessions"), is_closed ? 1 : 0);
    EXPECT_EQ(Number("inbound.open_sessions"), is_closed ? 0 : 1);
  }
}

TEST_F(ScanFilesTest, LogThatStandsTwiceInAFileIsCountedOnce) {
  const std::string log = Plain(1, "04:00:00") + Tls(2, "04:00:01") + Plain(3, "04:10:00");
  for (const char* name : {"maillog", "minutes"}) {
    ASSERT_EQ(Scan({Write(name, log + log + log)}), 0);
    EXPECT_EQ(Number("inbound.sessions"), 3);
    EXPECT_EQ(Number("inbound.tls_sessions"), 1);
    EXPECT_EQ(Number("lines.duplicate_sessions"), 6);
  }
}

// The second part of the file begins two hours before the end of the first, but
// its first session shortly before.
TEST_F(ScanFilesTest, SessionsOfPartsThatOverlapAreCountedOnce) {
  const std::string other = "Nov  2 04:30:00 mx1 postfix/anvil[9]: statistics: x\n";
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Plain(2, "06:50:00") + other + other +
                                       Plain(2, "06:50:00") + Plain(3, "07:00:00"))}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 3);
  EXPECT_EQ(Number("lines.duplicate_sessions"), 1);
}

// The session of both parts is open while the clock goes back.
TEST_F(ScanFilesTest, SessionThatIsOpenWhereTheNextPartBeginsIsCountedOnce) {
  const std::string other = "Nov  2 04:30:00 mx1 postfix/anvil[9]: statistics: x\n";
  const std::string connect = "Nov  2 06:50:00 mx1 postfix/smtpd[2]: connect from x[192.0.2.1]\n";
  ASSERT_EQ(Scan({Write("maillog", other + connect + other + other + Plain(2, "06:50:00"))}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
}

TEST_F(ScanFilesTest, ClockThatIsSetBackHidesNoSession) {
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Plain(2, "04:10:00") +
                                       Plain(2, "04:00:00") + Plain(1, "04:00:00"))}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 4);
}

}  // namespace
}  // namespace mxtally
