// What makes a naive reader of whole Postfix sessions miscount, one test each.  The list of all
// such traps is tests/testdata/traps.txt.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/session/peer_class.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/lines_fixture.h"

namespace mxtally {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

#define X "mail.example[192.0.2.7]"
#define TLS12 ": TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)"

using SessionTrapTest = LinesFixture;

TEST_F(SessionTrapTest, OneConnectionIsToldOfThreeTimes) {
  EXPECT_THAT(Read({"postscreen[7]: CONNECT from [192.0.2.7]:40000 to [198.51.100.1]:25",
                    "tlsproxy[8]: CONNECT from [192.0.2.7]:40000",
                    "postscreen[7]: DISCONNECT [192.0.2.7]:40000",
                    "tlsproxy[8]: DISCONNECT [192.0.2.7]:40000"}),
              SizeIs(1));
  EXPECT_THAT(Read({"postscreen[7]: CONNECT from [192.0.2.7]:40001 to [198.51.100.1]:25",
                    "postscreen[7]: PASS OLD [192.0.2.7]:40001", "smtpd[1]: connect from " X,
                    "smtpd[1]: disconnect from " X " quit=1 commands=1"}),
              ElementsAre(HasSubstr(" postfix/smtpd[1]#0 ")));
}

// A relay changes the header, not the key.
TEST(HeaderTrapTest, ARelaysHeaderMakesTheSameKeys) {
  struct Keys : AssemblerObserver {
    void OnSession(const Session& session) override {
      keys.push_back(absl::StrCat(session.key.host, " ", session.key.tag, " ",
                                  absl::ToUnixSeconds(session.key.stamp)));
    }
    std::vector<std::string> keys;
  };
  const auto read = [](const std::vector<std::string>& lines) {
    Keys keys;
    Framer framer{FramerOptions()};
    Assembler assembler(AssemblerOptions{.host = "mx1"}, keys);
    for (const std::string& line : lines) {
      FramedLine framed;
      EXPECT_TRUE(framer.Split(line, framed)) << line;
      Event event;
      EXPECT_EQ(ParseDialect(framed, event), LineClass::kEvent) << line;
      assembler.Add(framed, event);
    }
    return keys.keys;
  };
  const std::vector<std::string> plain =
      read({"2026-11-02T04:02:01Z mx1 postfix/smtpd[12]: connect from " X,
            "2026-11-02T04:02:02Z mx1 postfix/smtpd[12]: disconnect from " X});
  EXPECT_THAT(plain, SizeIs(1));
  EXPECT_EQ(plain,
            read({"<22>2026-11-02T05:02:01+01:00 mx1 postfix/smtpd[12]: connect from " X,
                  "<22>2026-11-02T05:02:02+01:00 mx1 postfix/smtpd[12]: disconnect from " X}));
  EXPECT_EQ(plain,
            read({"<22>1 2026-11-02T04:02:01Z mx1 postfix/smtpd 12 - - connect from " X,
                  "<22>1 2026-11-02T04:02:02Z mx1 postfix/smtpd 12 - - disconnect from " X}));
}

TEST_F(SessionTrapTest, NoTlsLineIsPlaintextOnlyWhereCountersSaySo) {
  EXPECT_THAT(Read({"smtpd[1]: connect from " X, "smtpd[1]: disconnect from " X}),
              ElementsAre(HasSubstr(" PLAINTEXT/NO_TLS_LINE ")));
  EXPECT_THAT(
      Read({"smtpd[1]: connect from " X, "smtpd[1]: disconnect from " X " ehlo=1 commands=1"}),
      ElementsAre(HasSubstr(" PLAINTEXT/STARTTLS_COUNTER ")));
  EXPECT_THAT(Read({"smtpd[1]: connect from " X,
                    "smtpd[1]: disconnect from " X " ehlo=2 starttls=1 commands=3"}),
              ElementsAre(HasSubstr(" ESTABLISHED/STARTTLS_COUNTER ")));
}

TEST_F(SessionTrapTest, AttemptIsNoSuccess) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from " X, "smtpd[1]: setting up TLS connection from " X,
            "smtpd[1]: SSL_accept error from " X ": -1",
            "smtpd[1]: lost connection after STARTTLS from " X, "smtpd[1]: disconnect from " X}),
      ElementsAre(HasSubstr(" FAILED/HANDSHAKE_LINE failure=PROTOCOL ")));
}

TEST_F(SessionTrapTest, CounterTellsAttemptsFromSuccesses) {
  EXPECT_THAT(Read({"smtpd[1]: connect from " X,
                    "smtpd[1]: disconnect from " X " ehlo=1 starttls=0/1 commands=1/2"}),
              ElementsAre(HasSubstr(" FAILED/STARTTLS_COUNTER ")));
  EXPECT_THAT(Read({"smtpd[1]: connect from " X,
                    "smtpd[1]: disconnect from " X " ehlo=2 starttls=1/2 quit=1 commands=4/5"}),
              ElementsAre(HasSubstr(" ESTABLISHED/STARTTLS_COUNTER ")));
}

TEST_F(SessionTrapTest, FailedHandshakeOfWrapperModeIsNoPortScan) {
  EXPECT_THAT(Read({"submissions/smtpd[1]: connect from " X,
                    "submissions/smtpd[1]: SSL_accept error from " X ": lost connection",
                    "submissions/smtpd[1]: lost connection after CONNECT from " X,
                    "submissions/smtpd[1]: disconnect from " X " commands=0/0"}),
              ElementsAre(HasSubstr(" FAILED/HANDSHAKE_LINE failure=LOST_CONNECTION ")));
}

TEST_F(SessionTrapTest, LibraryLinesCountOneFailureOnce) {
  const std::string problem =
      "smtpd[1]: warning: TLS library problem: error:0A000102:SSL routines::unsupported "
      "protocol:ssl/statem/statem_srvr.c:1657:";
  EXPECT_THAT(Read({"smtpd[1]: connect from " X, "smtpd[1]: SSL_accept error from " X ": -1",
                    problem, problem, problem, "smtpd[1]: lost connection after STARTTLS from " X,
                    "smtpd[1]: disconnect from " X " ehlo=1 starttls=0/1 commands=1/2"}),
              ElementsAre(AllOf(HasSubstr(" FAILED/HANDSHAKE_LINE "),
                                HasSubstr("=unsupported protocol "))));
}

TEST_F(SessionTrapTest, LibraryProblemMayBeOfNoHandshake) {
  const std::string problem =
      "smtpd[1]: warning: TLS library problem: error:0A000126:SSL routines::unexpected eof while "
      "reading:../ssl/record/rec_layer_s3.c:309:";
  // At the start of a process, and in an established session.
  EXPECT_THAT(
      Read({problem, "smtpd[1]: connect from " X,
            "smtpd[1]: Anonymous TLS connection established from " X TLS12, problem,
            "smtpd[1]: disconnect from " X " ehlo=2 starttls=1 commands=3"}),
      ElementsAre(AllOf(HasSubstr(" ESTABLISHED/HANDSHAKE_LINE "), Not(HasSubstr("failure")))));
}

TEST_F(SessionTrapTest, RateLimitBehindAHandshakeIsStillTls) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from " X,
            "smtpd[1]: Anonymous TLS connection established from " X TLS12,
            "smtpd[1]: warning: New TLS session rate limit exceeded: 6 from " X " for service smtp",
            "smtpd[1]: disconnect from " X " ehlo=1 starttls=0/1 commands=1/2"}),
      ElementsAre(HasSubstr(" ESTABLISHED/HANDSHAKE_LINE ")));
}

TEST_F(SessionTrapTest, AnonymousIsTheTrustNotTheCipher) {
  EXPECT_THAT(Read({"smtpd[1]: connect from " X,
                    "smtpd[1]: Anonymous TLS connection established from " X TLS12,
                    "smtpd[1]: disconnect from " X " ehlo=2 starttls=1 commands=3",
                    "smtpd[1]: connect from " X,
                    "smtpd[1]: Anonymous TLS connection established from " X
                    ": TLSv1.2 with cipher AECDH-AES256-SHA (256/256 bits)",
                    "smtpd[1]: disconnect from " X " ehlo=2 starttls=1 commands=3"}),
              ElementsAre(AllOf(HasSubstr(" iana=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 "),
                                HasSubstr(" trust=ANONYMOUS ")),
                          AllOf(HasSubstr(" iana=TLS_ECDH_anon_WITH_AES_256_CBC_SHA "),
                                HasSubstr(" trust=ANONYMOUS "))));
}

TEST_F(SessionTrapTest, LinesOfManyProcessesMix) {
  EXPECT_THAT(Read({"smtpd[1]: connect from " X, "smtpd[2]: connect from " X,
                    "smtpd[2]: Anonymous TLS connection established from " X TLS12,
                    "smtpd[1]: disconnect from " X " ehlo=1 commands=1",
                    "smtpd[2]: disconnect from " X " ehlo=2 starttls=1 commands=3"}),
              ElementsAre(AllOf(HasSubstr("smtpd[1]"), HasSubstr(" PLAINTEXT/")),
                          AllOf(HasSubstr("smtpd[2]"), HasSubstr(" ESTABLISHED/"))));
}

TEST_F(SessionTrapTest, OneProcessServesManySessions) {
  std::vector<std::string> lines;
  for (int i = 0; i < 100; ++i) {
    lines.push_back("smtpd[1]: connect from " X);
    lines.push_back("smtpd[1]: disconnect from " X " quit=1 commands=1");
  }
  EXPECT_THAT(Read(lines), SizeIs(100));
}

TEST_F(SessionTrapTest, OrderAcrossProcessesIsNotFixed) {
  EXPECT_THAT(Read({"smtpd[1]: connect from " X, "smtpd[1]: CDD6E2B4: client=" X,
                    "smtpd[1]: disconnect from " X " ehlo=1 mail=1 rcpt=1 bdat=2 commands=5",
                    "cleanup[2]: CDD6E2B4: message-id=<x@y.test>",
                    "qmgr[3]: CDD6E2B4: from=<a@a.test>, size=302, nrcpt=2 (queue active)"}),
              ElementsAre(HasSubstr(" messages=1 ")));
}

TEST_F(SessionTrapTest, HealthChecksAndMonitoringAreSetApart) {
  const auto peers = PeerClassifier::Create({"10.0.0.2", "monitor.example"});
  ASSERT_TRUE(peers.ok());
  options_.peers = &*peers;
  Restart();
  EXPECT_THAT(
      Read({"smtpd[1]: connect from lb[10.0.0.2]",
            "smtpd[1]: disconnect from lb[10.0.0.2] "
            "commands=0/0",
            "smtpd[1]: connect from probe.monitor.example[192.0.2.1]",
            "smtpd[1]: disconnect from probe.monitor.example[192.0.2.1] ehlo=1 quit=1 commands=2"}),
      ElementsAre(HasSubstr(" EXCLUDED "), HasSubstr(" EXCLUDED ")));
}

TEST_F(SessionTrapTest, UnknownIsNoName) {
  EXPECT_THAT(Read({"smtpd[1]: connect from unknown[192.0.2.1]",
                    "smtpd[1]: disconnect from unknown[192.0.2.1] quit=1 commands=1",
                    "smtpd[1]: connect from unknown[unknown]",
                    "smtpd[1]: disconnect from unknown[unknown] commands=0/0"}),
              ElementsAre(HasSubstr(" [192.0.2.1] "), Not(HasSubstr("unknown"))));
}

TEST_F(SessionTrapTest, MessageWithAFilterHasAnotherIdOrNone) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from " X, "smtpd[1]: NOQUEUE: client=" X,
            "smtpd[1]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 8FBDA2AD; "
            "from=<a@a.test> to=<b@b.test> proto=ESMTP helo=<x.test>",
            "smtpd[1]: disconnect from " X " ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"}),
      ElementsAre(AllOf(HasSubstr(" messages=1"), Not(HasSubstr(" id=")))));
}

// Postfix before 3.5: the connection whose HAProxy header was broken repeats the
// counters of the session before.
TEST_F(SessionTrapTest, StaleCountersAreTheSessionsBefore) {
  EXPECT_THAT(
      Read({"smtpd[5]: warning: haproxy read: short protocol header: x",
            "smtpd[5]: connect from unknown[unknown]",
            "smtpd[5]: disconnect from unknown[unknown] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 "
            "quit=1 commands=7"}),
      ElementsAre(AllOf(HasSubstr(" PLAINTEXT/STARTTLS_COUNTER "), Not(HasSubstr("messages")))));
  // XCLIENT may say that the address is not known; the counters are the session's own.
  EXPECT_THAT(Read({"smtpd[5]: connect from proxy[10.0.0.1]",
                    "smtpd[5]: disconnect from unknown[unknown] ehlo=3 xclient=0/1 starttls=1 "
                    "quit=1 commands=5/6"}),
              ElementsAre(HasSubstr(" ESTABLISHED/STARTTLS_COUNTER ")));
}

TEST_F(SessionTrapTest, CleanupsLineEndsNoMessageOfQmgrs) {
  EXPECT_THAT(Read({"smtpd[1]: connect from " X, "smtpd[1]: CDD6E2B4: client=" X,
                    "smtpd[1]: disconnect from " X, "qmgr[3]: CDD6E2B4: removed",
                    "qmgr[3]: CDD6E2B4: from=<a@a.test>, size=302, nrcpt=2 (queue active)"}),
              ElementsAre(HasSubstr(" messages=1 ")));
  EXPECT_THAT(Read({"smtpd[1]: connect from " X, "smtpd[1]: CDD6E2B4: client=" X,
                    "smtpd[1]: disconnect from " X, "cleanup[2]: CDD6E2B4: removed (canceled)"}),
              ElementsAre(Not(HasSubstr("messages"))));
}

TEST_F(SessionTrapTest, LinesOfOtherProgramsBelongToNoSession) {
  EXPECT_THAT(Read({"anvil[9]: statistics: max connection rate 1/60s for (smtpd:192.0.2.7) at Oct "
                    "26 18:13:50",
                    "smtpd[1]: warning: hostname x.example does not resolve to address 192.0.2.7"}),
              IsEmpty());
  EXPECT_EQ(assembler().remembered(), 0);
}

}  // namespace
}  // namespace mxtally
