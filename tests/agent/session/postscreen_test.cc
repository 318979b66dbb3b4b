// Sessions of postscreen: those that it ended itself are its own, those that it handed on
// are smtpd's.  The sequences were written by Postfix 3.7.11.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/lines_fixture.h"

namespace mxtally {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

#define P "[192.0.2.7]:40000"
#define REJECT                                                                               \
  "postscreen[7]: NOQUEUE: reject: RCPT from " P                                             \
  ": 450 4.3.2 Service currently unavailable; from=<a@a.test>, to=<b@b.test>, proto=ESMTP, " \
  "helo=<client.test>"
#define SUMMARY                                                                      \
  "tlsproxy[8]: Anonymous TLS connection established from " P                        \
  ": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 " \
  "server-signature RSA-PSS (2048 bits) server-digest SHA256"

constexpr char kConnect[] = "postscreen[7]: CONNECT from " P " to [198.51.100.1]:25";
constexpr char kDisconnect[] = "postscreen[7]: DISCONNECT " P;
constexpr char kOther[] = "postscreen[7]: CONNECT from [192.0.2.8]:5 to [198.51.100.1]:25";
constexpr char kOtherDisconnect[] = "postscreen[7]: DISCONNECT [192.0.2.8]:5";

class PostscreenTest : public LinesFixture {
 protected:
  // The connection was handed on and nothing of it is left.
  void ExpectForgotten() {
    EXPECT_EQ(assembler().remembered(), 0);
    EXPECT_EQ(assembler().open_sessions(), 0);
    EXPECT_EQ(evicted_sessions(), 0);
    EXPECT_EQ(cut_sessions(), 0);
  }
};

TEST_F(PostscreenTest, EarlyTalkerIsPostscreensSession) {
  EXPECT_THAT(
      Read({kConnect, "postscreen[7]: PREGREET 17 after 0 from " P ": EHLO x\\r\\n",
            "postscreen[7]: HANGUP after 3 from " P " in tests after SMTP handshake", kDisconnect}),
      ElementsAre("mx1 12:00:01 postfix/postscreen[7]#0 lines=4 postscreen "
                  "PLAINTEXT/NO_TLS_LINE [192.0.2.7]:40000 end=12:00:04 "
                  "LOST_CONNECTION"));
}

TEST_F(PostscreenTest, RejectedClientIsPostscreensSession) {
  EXPECT_THAT(Read({kConnect, "postscreen[7]: DNSBL rank 3 for " P, REJECT, REJECT, kDisconnect}),
              ElementsAre("mx1 12:00:01 postfix/postscreen[7]#0 lines=5 postscreen "
                          "PLAINTEXT/NO_TLS_LINE [192.0.2.7]:40000 helo=client.test "
                          "end=12:00:05 DISCONNECT rejects=2"));
}

TEST_F(PostscreenTest, LimitsAndTimeouts) {
  EXPECT_THAT(
      Read({kConnect, "postscreen[7]: COMMAND COUNT LIMIT from " P " after NOOP", kDisconnect}),
      ElementsAre(EndsWith(" end=12:00:03 DISCONNECT limits=1")));
  EXPECT_THAT(
      Read({kConnect, "postscreen[7]: COMMAND TIME LIMIT from " P " after MAIL", kDisconnect}),
      ElementsAre(EndsWith(" end=12:00:06 TIMEOUT after=MAIL")));
}

TEST_F(PostscreenTest, HandedOnConnectionIsSmtpdsSession) {
  for (const char* line : {"PASS NEW " P, "PASS OLD " P, "ALLOWLISTED " P, "WHITELISTED " P}) {
    EXPECT_THAT(Read({kConnect, absl::StrCat("postscreen[7]: ", line),
                      "smtpd[1]: connect from client.example[192.0.2.7]:40000",
                      "smtpd[1]: disconnect from client.example[192.0.2.7]:40000 quit=1 commands=1",
                      kOther, kOtherDisconnect}),
                ElementsAre(HasSubstr(" postfix/smtpd[1]#0 "), HasSubstr("[192.0.2.8]:5")));
    ExpectForgotten();
  }
}

TEST_F(PostscreenTest, HandedOnConnectionIsForgottenWithTheNextLineOfItsProcess) {
  EXPECT_THAT(Read({kConnect, "postscreen[7]: PASS NEW " P}), IsEmpty());
  EXPECT_EQ(assembler().open_sessions(), 0);
  EXPECT_EQ(assembler().remembered(), 1);
  Read({"postscreen[9]: CONNECT from [192.0.2.9]:6 to [198.51.100.1]:25"});
  EXPECT_EQ(assembler().remembered(), 2);
  Read({kOther});
  EXPECT_EQ(assembler().remembered(), 2);
}

TEST_F(PostscreenTest, PassBehindItsOwnDialogueHandsNothingOn) {
  EXPECT_THAT(Read({kConnect, REJECT, "postscreen[7]: PASS NEW " P, kOther, kDisconnect}),
              ElementsAre(AllOf(StartsWith("mx1 12:00:01 postfix/postscreen[7]#0 lines=4 "),
                                EndsWith(" DISCONNECT rejects=1"))));
}

// "RCPT" without "MAIL" passes the tests and leaves no line.
TEST_F(PostscreenTest, DisconnectTakesThePassBack) {
  EXPECT_THAT(Read({kConnect, "postscreen[7]: PASS NEW " P, kDisconnect}),
              ElementsAre(AllOf(StartsWith("mx1 12:00:01 postfix/postscreen[7]#0 lines=3 "),
                                EndsWith(" DISCONNECT"))));
  ExpectForgotten();
}

TEST_F(PostscreenTest, WhatIsBetweenPassAndDisconnectSurvivesARestart) {
  Read({kConnect, "postscreen[7]: PASS NEW " P});
  SaveAndRestore();
  EXPECT_THAT(Read({kDisconnect}), ElementsAre(HasSubstr(" 12:00:01 postfix/postscreen[7]#0 ")));
  Read({kConnect, "postscreen[7]: PASS NEW " P});
  SaveAndRestore();
  EXPECT_THAT(Read({kOther, kOtherDisconnect}), ElementsAre(HasSubstr("[192.0.2.8]:5")));
  ExpectForgotten();
}

// With "postscreen_greet_action = ignore".
TEST_F(PostscreenTest, ConnectionHandedOnInSilenceIsForgottenInTime) {
  EXPECT_THAT(Read({kConnect, "postscreen[7]: PREGREET 17 after 0 from " P ": EHLO x\\r\\n",
                    "smtpd[1]: connect from client.example[192.0.2.7]:40000",
                    "smtpd[1]: disconnect from client.example[192.0.2.7]:40000 quit=1 commands=1"}),
              ElementsAre(HasSubstr(" postfix/smtpd[1]#0 ")));
  EXPECT_EQ(assembler().open_sessions(), 0);
  EXPECT_THAT(Pass(absl::Minutes(11)), IsEmpty());
  ExpectForgotten();
}

TEST_F(PostscreenTest, TheNextConnectionOfThePortEndsOneHandedOnInSilence) {
  EXPECT_THAT(Read({kConnect, "postscreen[7]: DENYLISTED " P, kConnect, kDisconnect}),
              ElementsAre(StartsWith("mx1 12:00:03 ")));
}

// The key: one ordinal for each CONNECT, whatever becomes of the connection.
TEST_F(PostscreenTest, ConnectionsHandedOnHaveTheirOrdinal) {
  step_ = absl::ZeroDuration();
  EXPECT_THAT(
      Read({kConnect, "postscreen[7]: PASS OLD " P, kOther, kConnect, kOtherDisconnect,
            kDisconnect}),
      ElementsAre(AllOf(HasSubstr(" 12:00:01 postfix/postscreen[7]#1 "), HasSubstr(":5 ")),
                  AllOf(HasSubstr(" 12:00:01 postfix/postscreen[7]#2 "), HasSubstr(":40000 "))));
}

TEST_F(PostscreenTest, TlsIsTlsproxys) {
  EXPECT_THAT(Read({kConnect, "tlsproxy[8]: CONNECT from " P, SUMMARY, REJECT,
                    "postscreen[7]: PASS OLD " P, kDisconnect, "tlsproxy[8]: DISCONNECT " P}),
              ElementsAre("mx1 12:00:01 postfix/postscreen[7]#0 lines=6 postscreen "
                          "ESTABLISHED/HANDSHAKE_LINE protocol=TLSv1.3 "
                          "cipher=TLS_AES_256_GCM_SHA384 iana=TLS_AES_256_GCM_SHA384 "
                          "code_point=4866 bits=256/256 kex=x25519 signature=RSA-PSS "
                          "signature_key=2048 bits digest=SHA256 trust=ANONYMOUS NEW "
                          "[192.0.2.7]:40000 helo=client.test end=12:00:06 DISCONNECT rejects=1"));
  ExpectForgotten();
}

TEST_F(PostscreenTest, FailedHandshake) {
  EXPECT_THAT(Read({kConnect, "tlsproxy[8]: CONNECT from " P,
                    "tlsproxy[8]: warning: TLS library problem: error:0A00009C:SSL routines::http "
                    "request:../ssl/record/ssl3_record.c:341:",
                    "tlsproxy[8]: TLS handshake failed for service=smtpd peer=" P,
                    "postscreen[7]: HANGUP after 0.02 from " P " in tests after SMTP handshake",
                    "tlsproxy[8]: DISCONNECT " P, kDisconnect}),
              ElementsAre(AllOf(HasSubstr(" postscreen FAILED/HANDSHAKE_LINE [192.0.2.7]:40000 "),
                                EndsWith(" LOST_CONNECTION"))));
  EXPECT_THAT(Read({kConnect, "tlsproxy[8]: CONNECT from " P,
                    "postscreen[7]: COMMAND TIME LIMIT from " P " after STARTTLS",
                    "tlsproxy[8]: TLS handshake failed for service=smtpd peer=" P, kDisconnect}),
              ElementsAre(HasSubstr(" postscreen FAILED/HANDSHAKE_LINE failure=TIMEOUT ")));
}

// "tlsproxy_tls_loglevel = 0", or a failure before Postfix 3.4: only what comes
// after it tells that the handshake succeeded.
TEST_F(PostscreenTest, HandshakeWithoutALine) {
  EXPECT_THAT(Read({kConnect, "tlsproxy[8]: CONNECT from " P, REJECT, kDisconnect}),
              ElementsAre(HasSubstr(" ESTABLISHED/SETUP_LINE ")));
  EXPECT_THAT(Read({kConnect, "tlsproxy[8]: CONNECT from " P,
                    "postscreen[7]: COMMAND TIME LIMIT from " P " after EHLO", kDisconnect}),
              ElementsAre(HasSubstr(" ESTABLISHED/SETUP_LINE ")));
  for (const char* line :
       {"postscreen[7]: HANGUP after 0.02 from " P " in tests after SMTP handshake",
        "postscreen[7]: COMMAND TIME LIMIT from " P " after STARTTLS", "anvil[9]: statistics: x"}) {
    EXPECT_THAT(Read({kConnect, "tlsproxy[8]: CONNECT from " P, line, kDisconnect}),
                ElementsAre(HasSubstr(" UNKNOWN/UNSPECIFIED ")));
  }
}

TEST_F(PostscreenTest, TlsproxyNeverBeginsASession) {
  Pass(absl::Hours(3));
  EXPECT_THAT(Read({"tlsproxy[8]: CONNECT from " P, SUMMARY,
                    "tlsproxy[8]: TLS handshake failed for service=smtpd peer=" P}),
              IsEmpty());
  ExpectForgotten();
}

TEST_F(PostscreenTest, EndsWithoutBeginning) {
  EXPECT_THAT(Read({kDisconnect}), IsEmpty());
  EXPECT_EQ(cut_sessions(), 1);
  Pass(absl::Hours(3));
  EXPECT_THAT(Read({REJECT, kDisconnect}), ElementsAre(HasSubstr(" postscreen PLAINTEXT")));
}

TEST_F(PostscreenTest, ConnectionsOpenWhenPostfixStops) {
  // Those that may have been handed on in silence are no sessions.
  EXPECT_THAT(
      Read({kConnect, "postscreen[7]: PREGREET 17 after 0 from " P ": EHLO x\\r\\n",
            "postscreen[7]: CONNECT from [192.0.2.9]:6 to [198.51.100.1]:25", kOther,
            "tlsproxy[8]: CONNECT from [192.0.2.8]:5",
            "postscreen[7]: CONNECT from [192.0.2.10]:7 to [198.51.100.1]:25",
            "postscreen[7]: PASS OLD [192.0.2.10]:7", "master[6]: terminating on signal 15"}),
      testing::UnorderedElementsAre(AllOf(HasSubstr("[192.0.2.8]:5 "), EndsWith(" ABORTED")),
                                    AllOf(HasSubstr("[192.0.2.9]:6 "), EndsWith(" ABORTED"))));
  ExpectForgotten();
}

TEST_F(PostscreenTest, ConnectionsOpenWhenPostscreenIsKilled) {
  EXPECT_THAT(Read({kConnect,
                    "master[6]: warning: process /usr/lib/postfix/sbin/postscreen pid 7 "
                    "killed by signal 9"}),
              ElementsAre(EndsWith(" ABORTED")));
  ExpectForgotten();
}

TEST_F(PostscreenTest, ConnectionsThatMayBeHandedOnGoFirstWhenTheTableIsFull) {
  options_.open_sessions_max = 2;
  Restart();
  EXPECT_THAT(Read({"smtpd[1]: connect from a.example[192.0.2.1]", kConnect,
                    "smtpd[2]: connect from b.example[192.0.2.2]",
                    "smtpd[1]: disconnect from a.example[192.0.2.1] quit=1 commands=1",
                    "smtpd[2]: disconnect from b.example[192.0.2.2] quit=1 commands=1"}),
              ElementsAre(HasSubstr(" postfix/smtpd[1]#0 "), HasSubstr(" postfix/smtpd[2]#0 ")));
  ExpectForgotten();
}

}  // namespace
}  // namespace mxtally
