#include "agent/scan/scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "mxtally/v1/session.pb.h"
#include "tests/agent/source/compress.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using google::protobuf::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kAdminLog[] = "tests/testdata/maillog-20131103";
constexpr char kFailedLog[] = "tests/testdata/maillog-failed-20131103";

class ScanTest : public testing::Test {
 protected:
  ScanTest() {
    options_.format = "json";
    options_.time_zone = "UTC";
    options_.reference_time = "2026-12-01";
  }

  std::string Path(const std::string& name) { return folder_ / name; }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  static std::string Gzip(const std::string& content) { return Compress("gzip", content); }

  static std::string ReadAll(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

  // A session of `pid` in the second `at` of an hour.
  static std::string Session(int pid, const std::string& at, const std::string& counters,
                             const std::string& address = "192.0.2.1") {
    const std::string tag = "Nov  2 " + at + " mx1 postfix/smtpd[" + std::to_string(pid) + "]: ";
    return tag + "connect from x[" + address + "]\n" + tag + "disconnect from x[" + address + "] " +
           counters + "\n";
  }
  static std::string Plain(int pid, const std::string& at) {
    return Session(pid, at, "ehlo=1 quit=1 commands=2");
  }
  static std::string Tls(int pid, const std::string& at) {
    return Session(pid, at, "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7");
  }

  int Scan(const std::vector<std::string>& files) {
    options_.files = files;
    std::ostringstream out;
    std::ostringstream err;
    const int status = RunScan(options_, out, err);
    out_ = out.str();
    err_ = err.str();
    report_.Clear();
    if (options_.format == "json" && !options_.sessions && status != 2) {
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(out_, &report_).ok()) << out_;
    }
    return status;
  }

  // The value at "inbound.by_cipher.0.cipher".
  Value At(const std::string& path) {
    Value value;
    *value.mutable_struct_value() = report_;
    std::istringstream keys(path);
    for (std::string key; std::getline(keys, key, '.');) {
      if (value.has_list_value()) {
        value = Value(value.list_value().values(std::stoi(key)));
      } else {
        EXPECT_TRUE(value.struct_value().fields().contains(key)) << path;
        value = Value(value.struct_value().fields().at(key));
      }
    }
    return value;
  }
  double Number(const std::string& path) {
    const Value value = At(path);
    EXPECT_TRUE(value.has_number_value()) << path;
    return value.number_value();
  }
  std::string Text(const std::string& path) { return At(path).string_value(); }
  bool IsNull(const std::string& path) { return At(path).has_null_value(); }

  // The records that --sessions printed.
  std::vector<v1::SessionRecord> Records() {
    std::vector<v1::SessionRecord> records;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &records.emplace_back()).ok())
          << line;
    }
    return records;
  }

  const TemporaryFolder folder_;
  ScanOptions options_;
  std::string out_;
  std::string err_;
  google::protobuf::Struct report_;
};

TEST_F(ScanTest, AnswersTheAdminsQuestion) {
  options_.reference_time = "";
  options_.exclude_peers = {"monitor.example.com"};
  ASSERT_EQ(Scan({kAdminLog}), 0);
  EXPECT_EQ(err_, "");
  EXPECT_EQ(Number("inbound.sessions"), 5927);
  EXPECT_EQ(Number("inbound.tls_sessions"), 1141);
  EXPECT_EQ(Number("inbound.plaintext_sessions"), 4786);
  EXPECT_EQ(Number("inbound.failed_handshakes"), 0);
  EXPECT_EQ(Number("inbound.unknown_sessions"), 0);
  EXPECT_EQ(Number("inbound.open_sessions"), 0);
  EXPECT_EQ(Number("inbound.tls_share"), 0.19251);
  EXPECT_EQ(Text("inbound.by_service.0.service"), "smtpd");
  EXPECT_EQ(Number("inbound.by_service.0.sessions"), 5927);
  EXPECT_EQ(Number("inbound.by_service.0.tls_sessions"), 1141);
  EXPECT_EQ(Text("inbound.by_protocol.0.protocol"), "TLSv1");
  EXPECT_EQ(Number("inbound.by_protocol.0.sessions"), 628);
  EXPECT_EQ(Text("inbound.by_cipher.0.cipher"), "AES256-SHA");
  EXPECT_EQ(Text("inbound.by_cipher.0.iana"), "TLS_RSA_WITH_AES_256_CBC_SHA");
  EXPECT_EQ(Number("inbound.by_cipher.0.sessions"), 300);
  EXPECT_EQ(Text("inbound.by_peer_class.0.peer_class"), "EXTERNAL");
  EXPECT_EQ(Number("inbound.by_peer_class.0.sessions"), 5927);
  EXPECT_EQ(Text("inbound.by_peer_class.1.peer_class"), "EXCLUDED");
  EXPECT_EQ(Text("window.start"), "2013-11-02T04:02:01Z");
}

TEST_F(ScanTest, FailedHandshakesAreNotTls) {
  options_.reference_time = "";
  ASSERT_EQ(Scan({kFailedLog}), 0);
  EXPECT_EQ(Number("inbound.failed_handshakes"), 40);
  EXPECT_EQ(Number("inbound.sessions"),
            Number("inbound.tls_sessions") + Number("inbound.plaintext_sessions") +
                Number("inbound.failed_handshakes") + Number("inbound.unknown_sessions"));
}

TEST_F(ScanTest, BothDirectionsAreThereWhenThereIsNothing) {
  ASSERT_EQ(Scan({Write("maillog", "")}), 0);
  for (const std::string direction : {"inbound", "outbound"}) {
    for (const char* count : {"sessions", "tls_sessions", "plaintext_sessions", "failed_handshakes",
                              "unknown_sessions", "open_sessions", "messages", "tls_messages"}) {
      EXPECT_EQ(Number(direction + "." + count), 0) << count;
    }
    EXPECT_TRUE(IsNull(direction + ".tls_share"));
    EXPECT_TRUE(IsNull(direction + ".message_tls_share"));
    for (const char* rows : {"by_service", "by_protocol", "by_cipher", "by_peer_class"}) {
      EXPECT_TRUE(At(direction + "." + rows).has_list_value()) << rows;
    }
  }
  for (const char* count : {"read", "parsed", "ignored", "unrecognized", "oversized"}) {
    EXPECT_EQ(Number(std::string("lines.") + count), 0);
  }
  EXPECT_TRUE(IsNull("window.start"));
}

TEST_F(ScanTest, EveryLineIsCountedOnce) {
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + "no header\n" +
                                       "Nov  2 04:00:01 mx1 dovecot: x\n" +
                                       "Nov  2 04:00:01 mx1 postfix/smtpd[1]: what is this\n" +
                                       std::string(100'000, 'x') + "\n")}),
            0);
  EXPECT_EQ(Number("lines.read"), 6);
  EXPECT_EQ(Number("lines.parsed"), 2);
  EXPECT_EQ(Number("lines.ignored"), 2);
  EXPECT_EQ(Number("lines.unrecognized"), 1);
  EXPECT_EQ(Number("lines.oversized"), 1);
}

TEST_F(ScanTest, SharesHaveTheirOwnUnits) {
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Plain(1, "04:00:01") +
                                       Plain(1, "04:00:02") + Tls(1, "04:00:03"))}),
            0);
  EXPECT_EQ(Number("inbound.tls_share"), 0.25);
  EXPECT_EQ(Number("inbound.messages"), 1);
  EXPECT_EQ(Number("inbound.tls_messages"), 1);
  EXPECT_EQ(Number("inbound.message_tls_share"), 1);
}

TEST_F(ScanTest, UnitWithoutAJournalIsWrongUsage) {
  options_.journal_units = {"a.service"};
  EXPECT_EQ(Scan({Write("maillog", Plain(1, "04:00:00"))}), 2);
  EXPECT_EQ(err_, "mxtally-agent scan: --journal-unit without --journal or --journal-directory\n");
}

TEST_F(ScanTest, LastLineMayLackItsEnd) {
  std::string text = Plain(1, "04:00:00");
  text.pop_back();
  ASSERT_EQ(Scan({Write("maillog", text)}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
  EXPECT_EQ(Number("lines.read"), 2);
}

TEST_F(ScanTest, OpenSessionsAreApart) {
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") +
                                       "Nov  2 04:00:01 mx1 postfix/smtpd[1]: connect from "
                                       "x[192.0.2.1]\n")}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
  EXPECT_EQ(Number("inbound.open_sessions"), 1);
}

TEST_F(ScanTest, OpenSessionsAreThoseThatWereAskedFor) {
  const std::string path =
      Write("maillog",
            "Nov  2 04:00:01 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n"
            "Nov  2 05:00:01 mx1 postfix/smtpd[2]: connect from localhost[127.0.0.1]\n");
  ASSERT_EQ(Scan({path}), 0);
  EXPECT_EQ(Number("inbound.open_sessions"), 1);
  options_.peer_class = "all";
  ASSERT_EQ(Scan({path}), 0);
  EXPECT_EQ(Number("inbound.open_sessions"), 2);
  options_.since = "2026-11-02T05:00";
  ASSERT_EQ(Scan({path}), 0);
  EXPECT_EQ(Number("inbound.open_sessions"), 1);
}

TEST_F(ScanTest, SessionsThatBeganBeforeTheLogAreCut) {
  ASSERT_EQ(Scan({Write("maillog",
                        "Nov  2 04:00:01 mx1 postfix/smtpd[1]: disconnect from "
                        "x[192.0.2.1] ehlo=1 commands=1\n")}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 0);
  EXPECT_EQ(Number("lines.cut_sessions"), 1);
}

TEST_F(ScanTest, PostfixThatLogsNoTlsOfWhatItSendsIsTold) {
  const std::string path = Write(
      "maillog",
      "Nov  2 04:00:00 mx1 postfix/qmgr[1]: 4A1B2: removed\n"
      "Nov  2 04:10:00 mx1 postfix/smtp[9]: 4A1B2: to=<u@a.test>, relay=a.test[192.0.2.1]:25, "
      "delay=0.6, delays=0.1/0.02/0.2/0.3, dsn=2.0.0, status=sent (250 Ok)\n");
  ASSERT_EQ(Scan({path}), 0);
  EXPECT_EQ(Number("outbound.unknown_sessions"), 1);
  options_.format = "table";
  ASSERT_EQ(Scan({path}), 0);
  EXPECT_THAT(out_, HasSubstr("in no share: set smtp_tls_loglevel = 1"));
}

// Files.

TEST_F(ScanTest, SessionAcrossARotationIsOne) {
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

TEST_F(ScanTest, CopyOfALogIsNotCountedAgain) {
  const std::string text = Plain(1, "04:00:00") + Tls(2, "04:00:01");
  ASSERT_EQ(Scan({Write("mail.log", text), Write("syslog", text)}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 2);
  EXPECT_EQ(Number("lines.duplicate_sessions"), 2);
}

// A log's files may share lines, as an archive and its plain copy do.
TEST_F(ScanTest, LinesThatTwoFilesOfALogShareAreCountedOnce) {
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
TEST_F(ScanTest, SessionsOfHostsWhoseClocksDifferGoOnInTheNextFile) {
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

TEST_F(ScanTest, SessionThatIsOpenBehindTheEndOfACopyGoesOn) {
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

TEST_F(ScanTest, LinesOfMoreThanTwoFilesAreCountedOnce) {
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
TEST_F(ScanTest, NeighboursInDisorderAreNoCopies) {
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

TEST_F(ScanTest, SessionThatIsOpenInSeveralCopiesIsOpenOnce) {
  const std::string open = "Nov  2 04:00:00 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n";
  const std::string closed = Plain(1, "04:00:00");
  for (const auto& texts : {std::vector{open, open}, {open, closed}, {closed, open}}) {
    ASSERT_EQ(Scan({Write("mail.log", texts[0]), Write("syslog", texts[1])}), 0);
    const bool is_closed = texts[0] == closed || texts[1] == closed;
    EXPECT_EQ(Number("inbound.sessions"), is_closed ? 1 : 0);
    EXPECT_EQ(Number("inbound.open_sessions"), is_closed ? 0 : 1);
  }
}

TEST_F(ScanTest, LogThatStandsTwiceInAFileIsCountedOnce) {
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
TEST_F(ScanTest, SessionsOfPartsThatOverlapAreCountedOnce) {
  const std::string other = "Nov  2 04:30:00 mx1 postfix/anvil[9]: statistics: x\n";
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Plain(2, "06:50:00") + other + other +
                                       Plain(2, "06:50:00") + Plain(3, "07:00:00"))}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 3);
  EXPECT_EQ(Number("lines.duplicate_sessions"), 1);
}

// The session of both parts is open while the clock goes back.
TEST_F(ScanTest, SessionThatIsOpenWhereTheNextPartBeginsIsCountedOnce) {
  const std::string other = "Nov  2 04:30:00 mx1 postfix/anvil[9]: statistics: x\n";
  const std::string connect = "Nov  2 06:50:00 mx1 postfix/smtpd[2]: connect from x[192.0.2.1]\n";
  ASSERT_EQ(Scan({Write("maillog", other + connect + other + other + Plain(2, "06:50:00"))}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
}

TEST_F(ScanTest, ClockThatIsSetBackHidesNoSession) {
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Plain(2, "04:10:00") +
                                       Plain(2, "04:00:00") + Plain(1, "04:00:00"))}),
            0);
  EXPECT_EQ(Number("inbound.sessions"), 4);
}

// Chunks are parsed by several threads; sessions and lines go across them.
TEST_F(ScanTest, LongLogIsGatheredInItsOrder) {
  const auto line = [](int second, int pid, const std::string& text) {
    return absl::StrFormat("Nov  2 04:%02d:%02d mx1 postfix/smtpd[%d]: %s\n", second / 60 % 60,
                           second % 60, pid, text);
  };
  constexpr int kSessions = 20'000;
  constexpr int kProcesses = 50;
  std::string log;
  for (int i = 0; i < kSessions + kProcesses; ++i) {
    const int second = i / 10;
    if (i == kSessions / 2) log.append(300'000, 'x').append("\n");
    // The session before of this process ends.
    if (i >= kProcesses) {
      log += line(second, i % kProcesses,
                  absl::StrFormat("disconnect from x[192.0.2.1] ehlo=%d commands=%d",
                                  i - kProcesses, i - kProcesses));
    }
    if (i < kSessions) log += line(second, i % kProcesses, "connect from x[192.0.2.1]");
  }
  const std::string path = Write("maillog", log);
  ASSERT_EQ(Scan({path}), 0);
  EXPECT_EQ(Number("inbound.sessions"), kSessions);
  EXPECT_EQ(Number("inbound.open_sessions"), 0);
  EXPECT_EQ(Number("lines.read"), 2 * kSessions + 1);
  EXPECT_EQ(Number("lines.parsed"), 2 * kSessions);
  EXPECT_EQ(Number("lines.oversized"), 1);

  options_.sessions = true;
  ASSERT_EQ(Scan({path}), 0);
  const std::vector<v1::SessionRecord> records = Records();
  ASSERT_EQ(records.size(), static_cast<size_t>(kSessions));
  for (int i = 0; i < kSessions; ++i) ASSERT_EQ(records[i].commands(0).total(), i);
}

TEST_F(ScanTest, LinesOfDatesThatCannotBeAreUnrecognizedOneByOne) {
  std::string log;
  for (const char* date : {"Mai 10", "Feb 30", "Nov 32"}) {
    log += absl::StrFormat("%s 10:00:00 mx postfix/anvil[1]: statistics: x\n", date);
  }
  ASSERT_EQ(Scan({Write("maillog", log)}), 0);
  EXPECT_EQ(Number("lines.unrecognized"), 3);
}

// Where a chunk ends must not decide how often a stray stamp was seen.
TEST_F(ScanTest, TwoLinesOfAStrayStampAreTwoWhereverAChunkEnds) {
  const std::string stray = "2036-11-10T10:00:00Z mx sshd[5]: x\n";
  const std::string session =
      "2026-11-10T10:00:01Z mx postfix/smtpd[1]: connect from x[192.0.2.1]\n" + stray + stray +
      "2026-11-10T10:00:01Z mx postfix/smtpd[1]: disconnect from x[192.0.2.1] ehlo=1 commands=1\n";
  const std::string padding = "2026-11-10T10:00:00Z mx sshd[5]: " + std::string(64, 'x') + "\n";
  constexpr size_t kChunkBytes = size_t{256} * 1024;
  std::string log;
  while (log.size() + 2 * padding.size() + session.size() < kChunkBytes) log += padding;
  for (size_t more = 0; more < padding.size() + session.size(); ++more) {
    log.insert(log.size() - 1, "x");
    ASSERT_EQ(Scan({Write("maillog", log + session)}), 0);
    ASSERT_EQ(Number("lines.evicted_sessions"), 1) << more;
  }
}

TEST_F(ScanTest, TheSecondLineOfAStampConfirmsItsYear) {
  const std::string line = "2026-11-02T03:59:59Z mx1 sshd[5]: x\n";
  options_.sessions = true;
  ASSERT_EQ(Scan({Write("maillog", "2036-11-10T10:00:00Z mx1 sshd[5]: x\n" + line + line +
                                       Plain(1, "04:00:00"))}),
            0);
  const std::vector<v1::SessionRecord> records = Records();
  ASSERT_EQ(records.size(), 1);
  EXPECT_EQ(records[0].key().stamp().seconds(), 1793592000);  // 2026-11-02T04:00:00Z
}

TEST_F(ScanTest, UnreadableFileIsNamedAndTheRestReported) {
  ASSERT_EQ(Scan({Path("missing"), Write("maillog", Plain(1, "04:00:00")),
                  Write("maillog.2.xz", std::string("\xfd\x37zXZ\0", 6))}),
            1);
  EXPECT_EQ(Number("inbound.sessions"), 1);
  EXPECT_THAT(err_, HasSubstr(Path("missing") + ": No such file or directory\n"));
  EXPECT_THAT(err_, HasSubstr(Path("maillog.2.xz") + ": truncated xz file\n"));
}

TEST_F(ScanTest, ReportThatCannotBeWrittenIsTold) {
  options_.files = {Write("maillog", Plain(1, "04:00:00"))};
  for (const char* format : {"table", "json", "csv", "sessions"}) {
    options_.sessions = format == std::string("sessions");
    options_.format = options_.sessions ? "table" : format;
    std::ofstream full("/dev/full");
    std::ostringstream err;
    EXPECT_EQ(RunScan(options_, full, err), 1) << format;
    EXPECT_EQ(err.str(), "mxtally-agent scan: the report could not be written\n") << format;
  }
}

TEST_F(ScanTest, ReadsStandardInput) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text = Plain(1, "04:00:00");
  ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  options_.standard_input = ends[0];
  EXPECT_EQ(Scan({"-"}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
  ::close(ends[0]);
}

TEST_F(ScanTest, ClosedStandardInputIsTold) {
  options_.standard_input = -1;
  EXPECT_EQ(Scan({"-", Write("maillog", Plain(1, "04:00:00"))}), 1);
  EXPECT_EQ(err_, "mxtally-agent scan: standard input is closed\n");
  EXPECT_EQ(Number("inbound.sessions"), 1);
}

TEST_F(ScanTest, CompressedFilesGiveThePlainReport) {
  options_.reference_time = "2013-11-04";
  const std::string text = ReadAll(kAdminLog);
  ASSERT_EQ(Scan({Write("a.log", text)}), 0);
  const std::string plain = out_;
  EXPECT_EQ(Number("inbound.sessions"), 6227);
  const size_t cut = text.size() / 3;  // Within a line.
  for (const std::string compression : kCompressions) {
    // Recognised by content, whatever the name.
    ASSERT_EQ(Scan({Write("b.log.gz", Compress(compression, text))}), 0);
    EXPECT_EQ(out_, plain) << compression;
    EXPECT_EQ(err_, "");
    ASSERT_EQ(Scan({Write("c.log", Compress(compression, text.substr(0, cut)) +
                                       Compress(compression, "") +
                                       Compress(compression, text.substr(cut)))}),
              0);
    EXPECT_EQ(out_, plain) << compression << ", several members";
  }
}

TEST_F(ScanTest, PlainFileMayBeNamedLikeACompressedOne) {
  ASSERT_EQ(Scan({Write("maillog.1.gz", Plain(1, "04:00:00"))}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
}

TEST_F(ScanTest, EmptyGzipIsAnEmptyLog) {
  EXPECT_EQ(Scan({Write("maillog.1.gz", Gzip(""))}), 0);
  EXPECT_EQ(err_, "");
  EXPECT_EQ(Number("lines.read"), 0);
}

TEST_F(ScanTest, RotatedFilesMayBeCompressed) {
  const std::string tag = "mx1 postfix/smtpd[1]: ";
  std::vector<std::string> files = {
      Write("m.log",
            "Nov  2 06:00:01 " + tag + "disconnect from x[192.0.2.1] ehlo=1 quit=1 commands=2\n"),
      Write("m.log.1", "Nov  2 05:00:00 " + tag +
                           "disconnect from x[192.0.2.1] ehlo=1 commands=1\n" + "Nov  2 05:59:59 " +
                           tag + "connect from x[192.0.2.1]\n"),
      Write("m.log.2.gz", Gzip("Nov  2 04:59:59 " + tag + "connect from x[192.0.2.1]\n")),
  };
  std::sort(files.begin(), files.end());
  do {
    ASSERT_EQ(Scan(files), 0);
    EXPECT_EQ(Number("inbound.sessions"), 2);
    EXPECT_EQ(Number("inbound.open_sessions"), 0);
    EXPECT_EQ(Number("lines.cut_sessions"), 0);
  } while (std::next_permutation(files.begin(), files.end()));
}

TEST_F(ScanTest, TruncatedGzipIsNamedAndWhatCouldBeReadReported) {
  options_.reference_time = "2013-11-04";
  const std::string gzip = Gzip(ReadAll(kAdminLog));
  ASSERT_EQ(Scan({Write("maillog.1.gz", gzip.substr(0, gzip.size() / 2))}), 1);
  EXPECT_THAT(err_, HasSubstr(Path("maillog.1.gz") + ": truncated gzip file\n"));
  EXPECT_GT(Number("inbound.sessions"), 2000);
  EXPECT_LT(Number("inbound.sessions"), 4000);
  // Wherever it was cut, it is not taken for an empty or a plain file.
  const std::string small = Gzip(Plain(1, "04:00:00"));
  for (size_t size = 2; size < small.size(); ++size) {
    EXPECT_EQ(Scan({Write("maillog.2.gz", small.substr(0, size))}), 1) << size;
    EXPECT_THAT(err_, HasSubstr(Path("maillog.2.gz") + ": ")) << size;
  }
}

TEST_F(ScanTest, DamagedGzipIsNamed) {
  options_.reference_time = "2013-11-04";
  std::string gzip = Gzip(ReadAll(kAdminLog));
  std::fill_n(gzip.begin() + static_cast<std::ptrdiff_t>(gzip.size() / 2), 1000, '\xff');
  EXPECT_EQ(Scan({Write("maillog.1.gz", gzip)}), 1);
  EXPECT_THAT(err_, HasSubstr(Path("maillog.1.gz") + ": "));
  EXPECT_GT(Number("inbound.sessions"), 2000);
}

TEST_F(ScanTest, ReadsCompressedStandardInputHoweverItComes) {
  const std::string text = Plain(1, "04:00:00");
  for (const std::string compression : {"", "gzip", "xz", "bzip2", "zstd"}) {
    const std::string stored = compression.empty() ? text : Compress(compression, text);
    // Bytes that are there at the first look; the others come when those are taken.
    for (const size_t first : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, stored.size()}) {
      int ends[2];
      ASSERT_EQ(::pipe(ends), 0);
      std::thread writer([&] {
        ASSERT_EQ(::write(ends[1], stored.data(), first), static_cast<ssize_t>(first));
        int unread = 1;
        while (unread > 0) {
          ASSERT_EQ(::ioctl(ends[0], FIONREAD, &unread), 0);
          std::this_thread::yield();
        }
        ASSERT_EQ(::write(ends[1], stored.data() + first, stored.size() - first),
                  static_cast<ssize_t>(stored.size() - first));
        ::close(ends[1]);
      });
      options_.standard_input = ends[0];
      EXPECT_EQ(Scan({"-"}), 0);
      writer.join();
      EXPECT_EQ(err_, "");
      EXPECT_EQ(Number("inbound.sessions"), 1) << compression << " " << first;
      ::close(ends[0]);
    }
  }
}

TEST_F(ScanTest, OtherCompressionOnStandardInputIsRefused) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "\x04\x22\x4d\x18xxx", 7), 7);
  ::close(ends[1]);
  options_.standard_input = ends[0];
  EXPECT_EQ(Scan({"-"}), 1);
  EXPECT_THAT(err_, HasSubstr("unsupported compression (lz4)"));
  ::close(ends[0]);
}

TEST_F(ScanTest, YearsFollowEachFilesOwnDate) {
  options_.reference_time = "";
  ASSERT_EQ(Scan({Write("maillog-20131103", Plain(1, "04:00:00"))}), 0);
  EXPECT_EQ(Text("window.start"), "2013-11-02T04:00:00Z");
  ASSERT_EQ(Scan({Write("maillog-20231103", Plain(1, "04:00:00")), Path("maillog-20131103")}), 0);
  EXPECT_EQ(Text("window.start"), "2013-11-02T04:00:00Z");
  EXPECT_EQ(Text("window.end"), "2023-11-02T04:00:00Z");
  EXPECT_EQ(Number("inbound.sessions"), 2);
}

TEST_F(ScanTest, StandardInputIsDatedByTheClock) {
  options_.reference_time = "";
  options_.now = [] { return absl::FromUnixSeconds(1'500'000'000); };  // 2017-07-14
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text = Plain(1, "04:00:00");
  ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  options_.standard_input = ends[0];
  EXPECT_EQ(Scan({"-"}), 0);
  EXPECT_EQ(Text("window.start"), "2016-11-02T04:00:00Z");
  ::close(ends[0]);
}

// Options.

TEST_F(ScanTest, TimeZoneIsThatOfStampsWithoutOne) {
  options_.time_zone = "Europe/Amsterdam";
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00"))}), 0);
  EXPECT_EQ(Text("window.start"), "2026-11-02T03:00:00Z");
}

TEST_F(ScanTest, SinceAndUntilAreAboutTheSessionsBeginning) {
  const std::string log = Write("maillog", Plain(1, "04:00:00") + Plain(1, "04:00:01") +
                                               Plain(1, "04:00:02") + Plain(1, "04:00:03"));
  options_.since = "2026-11-02T04:00:01Z";
  options_.until = "2026-11-02T05:00:03+01:00";
  ASSERT_EQ(Scan({log}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 2);
  EXPECT_EQ(Number("inbound.by_peer_class.0.sessions"), 2);
  EXPECT_EQ(Number("lines.read"), 8);
  EXPECT_EQ(Text("window.start"), "2026-11-02T04:00:01Z");
  EXPECT_EQ(Text("window.end"), "2026-11-02T04:00:03Z");

  options_.since = "2026-11-03";
  options_.until = "";
  ASSERT_EQ(Scan({log}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 0);
  EXPECT_TRUE(IsNull("window.start"));
}

TEST_F(ScanTest, PeerClassChoosesWhatIsCounted) {
  const std::string log =
      Write("maillog", Session(1, "04:00:00", "commands=0/0") +
                           Session(1, "04:00:01", "commands=0/0", "127.0.0.1") +
                           Session(1, "04:00:02", "commands=0/0", "198.51.100.7"));
  options_.exclude_peers = {"198.51.100.0/24"};
  for (const auto& [peer_class, sessions] :
       {std::pair{"external", 1}, {"loopback", 1}, {"excluded", 1}, {"all", 3}}) {
    options_.peer_class = peer_class;
    ASSERT_EQ(Scan({log}), 0);
    EXPECT_EQ(Number("inbound.sessions"), sessions) << peer_class;
    EXPECT_EQ(At("inbound.by_peer_class").list_value().values_size(), 3);
  }
}

TEST_F(ScanTest, SessionsArePrintedOnePerLine) {
  options_.sessions = true;
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Tls(2, "04:00:01") +
                                       Session(3, "04:00:02", "commands=0/0", "127.0.0.1"))}),
            0);
  const std::vector<v1::SessionRecord> records = Records();
  ASSERT_EQ(records.size(), 2);
  EXPECT_EQ(records[0].key().host(), "mx1");
  EXPECT_EQ(records[0].key().tag(), "postfix/smtpd[1]");
  EXPECT_EQ(records[0].tls().state(), v1::TLS_STATE_PLAINTEXT);
  EXPECT_EQ(records[1].tls().state(), v1::TLS_STATE_ESTABLISHED);
  EXPECT_EQ(records[1].messages(), 1);
}

TEST_F(ScanTest, HostsOfACentralLogAreKeptApart) {
  options_.sessions = true;
  ASSERT_EQ(Scan({Write("maillog",
                        "Nov  2 04:00:00 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n"
                        "Nov  2 04:00:00 mx2 postfix/smtpd[1]: connect from x[192.0.2.1]\n"
                        "Nov  2 04:00:00 mx1 postfix/smtpd[1]: disconnect from x[192.0.2.1]\n"
                        "Nov  2 04:00:00 mx2 postfix/smtpd[1]: disconnect from x[192.0.2.1]\n")}),
            0);
  std::vector<std::string> hosts;
  for (const v1::SessionRecord& record : Records()) hosts.push_back(record.key().host());
  EXPECT_THAT(hosts, ElementsAre("mx1", "mx2"));
}

TEST_F(ScanTest, WrongOptionsAreNamed) {
  const std::string log = Write("maillog", Plain(1, "04:00:00"));
  const auto error_of = [&](auto change) {
    const ScanOptions saved = options_;
    change(options_);
    EXPECT_EQ(Scan({log}), 2);
    EXPECT_EQ(out_, "");
    options_ = saved;
    return err_;
  };
  EXPECT_THAT(error_of([](ScanOptions& o) { o.format = "xml"; }), HasSubstr("--format: \"xml\""));
  EXPECT_THAT(error_of([](ScanOptions& o) { o.since = "soon"; }), HasSubstr("--since: \"soon\""));
  EXPECT_THAT(error_of([](ScanOptions& o) { o.until = "x"; }), HasSubstr("--until"));
  EXPECT_THAT(error_of([](ScanOptions& o) { o.reference_time = "x"; }),
              HasSubstr("--reference-time"));
  EXPECT_THAT(error_of([](ScanOptions& o) { o.time_zone = "Mars/Olympus"; }),
              HasSubstr("--time-zone: \"Mars/Olympus\""));
  EXPECT_THAT(error_of([](ScanOptions& o) { o.exclude_peers = {"not a peer"}; }),
              HasSubstr("--exclude-peer"));
  EXPECT_THAT(error_of([](ScanOptions& o) { o.peer_class = "friends"; }),
              HasSubstr("--peer-class: \"friends\""));
  EXPECT_EQ(Scan({}), 2);
}

TEST_F(ScanTest, TableShowsTheShareWithItsNumbers) {
  options_.format = "table";
  options_.reference_time = "";
  options_.exclude_peers = {"monitor.example.com"};
  ASSERT_EQ(Scan({kAdminLog}), 0);
  EXPECT_THAT(out_, HasSubstr("19.25 %  (1141 of 5927)"));
  EXPECT_THAT(out_, HasSubstr("AES256-SHA"));
  EXPECT_LT(out_.find(" AES256-SHA"), out_.find(" RC4-SHA"));
  EXPECT_THAT(out_, Not(HasSubstr("\033")));
}

TEST_F(ScanTest, CsvHasOneNumberPerLine) {
  options_.format = "csv";
  ASSERT_EQ(Scan({Write("maillog", Plain(1, "04:00:00") + Tls(2, "04:00:01"))}), 0);
  EXPECT_THAT(out_, HasSubstr("direction,measure,label,value\n"));
  EXPECT_THAT(out_, HasSubstr("inbound,sessions,,2\n"));
  EXPECT_THAT(out_, HasSubstr("inbound,tls_share,,0.5\n"));
  EXPECT_THAT(out_, HasSubstr("outbound,tls_share,,\n"));
  EXPECT_THAT(out_, HasSubstr("inbound,service_tls_sessions,smtpd,1\n"));
  EXPECT_THAT(out_, HasSubstr(",lines,read,4\n"));
}

TEST_F(ScanTest, LongWorkTellsHowFarItIsAndClearsTheLine) {
  int64_t seconds = 0;
  options_.show_progress = true;
  options_.now = [&seconds] { return absl::FromUnixSeconds(1'800'000'000 + seconds++); };
  ASSERT_EQ(Scan({kAdminLog}), 0);
  EXPECT_THAT(err_, HasSubstr(" of 3 MB, "));
  EXPECT_THAT(err_, HasSubstr(" left\033[K"));
  EXPECT_THAT(err_, testing::EndsWith("\r\033[K"));
}

TEST_F(ScanTest, ShortWorkIsSilent) {
  options_.show_progress = true;
  options_.now = [] { return absl::FromUnixSeconds(1'800'000'000); };
  ASSERT_EQ(Scan({kAdminLog}), 0);
  EXPECT_THAT(err_, IsEmpty());
}

}  // namespace
}  // namespace mxtally
