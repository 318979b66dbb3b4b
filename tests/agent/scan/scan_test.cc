#include "agent/scan/scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "mxtally/v1/session.pb.h"
#include "tests/agent/scan/scan_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kFailedLog[] = "tests/testdata/maillog-failed-20131103";

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
