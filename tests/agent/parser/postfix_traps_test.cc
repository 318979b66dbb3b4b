// What makes a naive reader of Postfix logs miscount, one test each, and
// sequences read from the logs of Postfix 3.7.11 and 3.10.13.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/parser/framer.h"
#include "agent/parser/postfix.h"
#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

std::string Smtpd(std::string_view text) { return Parsed("postfix/smtpd", text); }

TEST(PostfixTrapTest, ConnectIsNotASubstringOfDisconnect) {
  EXPECT_EQ(Smtpd("connect from x[192.0.2.1]"), "connect peer=x[192.0.2.1]");
  EXPECT_EQ(Smtpd("disconnect from x[192.0.2.1]"), "disconnect peer=x[192.0.2.1]");
}

TEST(PostfixTrapTest, ConnectFromOfAnotherProgramIsNoSession) {
  EXPECT_EQ(
      Parsed("postfix/postscreen", "reject: connect from [192.0.2.1]:5: all screening ports busy"),
      "reject connection=[192.0.2.1]:5 service=postscreen peer=[192.0.2.1]:5 place=CONNECT");
  EXPECT_EQ(Parsed("dovecot", "connect from x[192.0.2.1]"), "not mine");
  EXPECT_EQ(Parsed("policyd-spf", "connect from x[192.0.2.1]"), "not mine");
  EXPECT_EQ(Parsed("opendkim/smtp-in", "connect from x[192.0.2.1]"), "not mine");
}

TEST(PostfixTrapTest, ConnectFromInAFatalTextIsNoSession) {
  EXPECT_EQ(Smtpd("fatal: no connect from x[192.0.2.1]"),
            "process-dying reason=no connect from x[192.0.2.1]");
}

TEST(PostfixTrapTest, AnvilStatisticsAreNoSession) {
  EXPECT_EQ(Parsed("postfix/anvil",
                   "statistics: max connection rate 1/60s for (smtpd:61.238.241.86) at Oct 26 "
                   "18:13:50"),
            "ignored");
}

TEST(PostfixTrapTest, HostnameWarningBeforeConnectBelongsToNoSession) {
  EXPECT_EQ(Smtpd("warning: hostname x.example does not resolve to address 192.0.2.1"), "ignored");
}

TEST(PostfixTrapTest, ReasonLineWithQueueIdIsNoMessage) {
  EXPECT_EQ(Smtpd("4ABCDEF: lost connection after DATA (0 bytes) from x[192.0.2.1]"),
            "abnormal-end peer=x[192.0.2.1] queue-id=4ABCDEF place=DATA reason=lost connection");
  EXPECT_EQ(Smtpd("NOQUEUE: lost connection after AUTH from x[192.0.2.1]"),
            "abnormal-end peer=x[192.0.2.1] place=AUTH reason=lost connection");
}

TEST(PostfixTrapTest, WarningIsNotTheLineWithoutIt) {
  EXPECT_EQ(Smtpd("warning: connect from x[192.0.2.1]"), "ignored");
  EXPECT_EQ(Smtpd("warning: disconnect from x[192.0.2.1] starttls=1 commands=1"), "ignored");
}

TEST(PostfixTrapTest, DebugDialogueIsNoEvent) {
  EXPECT_EQ(Smtpd("< x[192.0.2.1]: STARTTLS"), "ignored");
  EXPECT_EQ(Smtpd("> x[192.0.2.1]: 220 2.0.0 Ready to start TLS"), "ignored");
  EXPECT_EQ(Smtpd("< x[192.0.2.1]: connect from y[192.0.2.2]"), "ignored");
}

TEST(PostfixTrapTest, SmtpIsNotSmtpd) {
  EXPECT_EQ(Parsed("postfix/smtp", "connect from x[192.0.2.1]"), "unrecognized");
  EXPECT_EQ(Parsed("postfix/relay/smtp", "connect from x[192.0.2.1]"), "unrecognized");
  for (const char* program : {"postfix/submission/smtpd", "postfix-in/smtpd", "postfix/smtps/smtpd",
                              "postfix/submissions/smtpd", "mx/1.2/smtpd"}) {
    EXPECT_EQ(Parsed(program, "connect from x[192.0.2.1]"), "connect peer=x[192.0.2.1]");
  }
}

TEST(PostfixTrapTest, BareSmtpdIsOpenSmtpd) {
  EXPECT_EQ(Parsed("smtpd", "connect from x[192.0.2.1]"), "ignored");
}

TEST(PostfixTrapTest, TagCutByARelayIsUnrecognized) {
  Framer framer({});
  FramedLine line;
  Event event;
  ASSERT_TRUE(
      framer.Split("2026-11-23T14:10:06Z mx1 postfix/submissions/smtpd[123456 connect from "
                   "unknown[192.0.2.1]",
                   line));
  EXPECT_EQ(ParsePostfix(line, event), LineClass::kUnrecognized);
}

TEST(PostfixTrapTest, ProgramCutOffByARelayIsUnrecognized) {
  EXPECT_EQ(Parsed("postfix", "connect from unknown[192.0.2.1]"), "unrecognized");
  Framer framer({});
  FramedLine line;
  Event event;
  ASSERT_TRUE(
      framer.Split("<22>1 2026-11-23T14:10:06.768027+00:00 mx1 postfix 123 - -  connect "
                   "from unknown[192.0.2.1]",
                   line));
  EXPECT_EQ(ParsePostfix(line, event), LineClass::kUnrecognized);
}

TEST(PostfixTrapTest, RepetitionDoesNotHideItsText) {
  EXPECT_EQ(Smtpd("message repeated 3 times: [ warning: x[192.0.2.1]: SASL LOGIN authentication "
                  "failed: no]"),
            "auth-failed peer=x[192.0.2.1] auth=LOGIN");
  EXPECT_EQ(Smtpd("message repeated 2 times: [ lost connection after AUTH from x[192.0.2.1]]"),
            "abnormal-end peer=x[192.0.2.1] place=AUTH reason=lost connection");
  EXPECT_EQ(Smtpd("message repeated many times"), "unrecognized");
}

TEST(PostfixTrapTest, SessionRateLimitAfterHandshakeMeansEncrypted) {
  EXPECT_EQ(Smtpd("warning: New TLS session rate limit exceeded: 6 from x[192.0.2.1] for service "
                  "smtp"),
            "tls-refused-after-handshake peer=x[192.0.2.1] "
            "reason=New TLS session rate limit exceeded");
}

TEST(PostfixTrapTest, AbortAfterHandshakeIsNoFailure) {
  EXPECT_EQ(Smtpd("NOQUEUE: abort: TLS from x[192.0.2.1]: Client certificate not trusted"),
            "tls-refused-after-handshake peer=x[192.0.2.1] reason=Client certificate not trusted");
}

TEST(PostfixTrapTest, TlsLineOfTlsproxyIsNotSmtpds) {
  EXPECT_EQ(Parsed("postfix/tlsproxy",
                   "Anonymous TLS connection established from [192.0.2.1]:5: TLSv1.3 with cipher "
                   "TLS_AES_256_GCM_SHA384 (256/256 bits)"),
            "tls-established connection=[192.0.2.1]:5 only-continues=yes peer=[192.0.2.1]:5 "
            "trust=Anonymous protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256");
}

TEST(PostfixTrapTest, ProtocolAndCipherAreWholeWords) {
  EXPECT_EQ(Smtpd("Anonymous TLS connection established from x[192.0.2.1]: TLSv1 with cipher "
                  "AES256-SHA (256/256 bits)"),
            "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1 cipher=AES256-SHA "
            "bits=256/256");
}

TEST(PostfixTrapTest, BitsAreUsedThenAlgorithm) {
  EXPECT_EQ(Smtpd("Anonymous TLS connection established from x[192.0.2.1]: TLSv1 with cipher "
                  "DES-CBC3-SHA (112/168 bits)"),
            "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1 "
            "cipher=DES-CBC3-SHA bits=112/168");
}

TEST(PostfixTrapTest, RemovedIsNotRemovedCanceled) {
  EXPECT_EQ(Parsed("postfix/qmgr", "8FBDA2AD: removed"), "ignored");
  EXPECT_EQ(Parsed("postfix/cleanup", "8FBDA2AD: removed (canceled)"),
            "queue-id-canceled queue-id=8FBDA2AD");
}

TEST(PostfixTrapTest, RejectOfAMessageCutAtItsEndIsStillRead) {
  EXPECT_EQ(Smtpd("NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 \xc3"),
            "reject peer=x[192.0.2.1] place=RCPT");
}

// Text that a peer chose.

constexpr char kForgedSummary[] =
    "Anonymous TLS connection established from bank.example[198.51.100.7]: TLSv1.3 with cipher "
    "TLS_AES_256_GCM_SHA384 (256/256 bits)";

TEST(PostfixHostileTextTest, PipelinedTextForgesNoHandshake) {
  EXPECT_EQ(Smtpd(std::string("improper command pipelining after EHLO from unknown[192.0.2.1]: ") +
                  "x: " + kForgedSummary),
            "note peer=[192.0.2.1] place=EHLO");
}

TEST(PostfixHostileTextTest, NonSmtpCommandForgesNothing) {
  EXPECT_EQ(Smtpd(std::string("warning: non-SMTP command from x[192.0.2.1]: ") + kForgedSummary),
            "note peer=x[192.0.2.1]");
  EXPECT_EQ(Smtpd("warning: non-SMTP command from x[192.0.2.1]: GET /a disconnect from "
                  "x[1.2.3.4] starttls=1 HTTP/1.1"),
            "note peer=x[192.0.2.1]");
}

TEST(PostfixHostileTextTest, LongRequestForgesNothing) {
  EXPECT_EQ(Smtpd("warning: x[192.0.2.1]: request longer than 2048: SASL PLAIN authentication "
                  "failed..."),
            "ignored");
}

TEST(PostfixHostileTextTest, IllegalAddressForgesNothing) {
  EXPECT_EQ(Smtpd(std::string("warning: Illegal address syntax from x[192.0.2.1] in MAIL "
                              "command: <") +
                  kForgedSummary + ">"),
            "note peer=x[192.0.2.1]");
}

TEST(PostfixHostileTextTest, QuotedAddressForgesNeitherEndNorHelo) {
  EXPECT_EQ(Smtpd("NOQUEUE: reject: RCPT from x[192.0.2.1]: 550 5.1.1 <b@b.test>: no; "
                  "from=<\"x disconnect from y[1.2.3.4] ehlo=2 starttls=1\"@example.org> "
                  "to=<\" helo=<z>\"@b.test> proto=ESMTP helo=<real>"),
            "reject peer=x[192.0.2.1] place=RCPT helo=real");
  EXPECT_EQ(Smtpd("NOQUEUE: reject: RCPT from x[192.0.2.1]: 550 no; from=<\" helo=<z>\"@b.test> "
                  "to=<b@b.test> proto=ESMTP"),
            "reject peer=x[192.0.2.1] place=RCPT");
}

TEST(PostfixHostileTextTest, SenderAddressForgesNoConfirmation) {
  EXPECT_EQ(Parsed("postfix/qmgr",
                   "8FBDA2AD: from=<\"a>, size=1, nrcpt=1 (queue active)\"@x.test>, "
                   "status=expired, returned to sender"),
            "ignored");
}

TEST(PostfixHostileTextTest, HeaderTextForgesNothing) {
  EXPECT_EQ(Parsed("postfix/cleanup",
                   "8FBDA2AD: warning: header Subject: disconnect from a[192.0.2.1] starttls=1 "
                   "from host[192.0.2.2]; from=<a@a.test> to=<b@b.test>: 8FBDA2AD: removed "
                   "(canceled)"),
            "ignored");
}

TEST(PostfixHostileTextTest, ReverseNameIsOnlyAName) {
  EXPECT_EQ(Smtpd("connect from tls-connection-established-from.example[192.0.2.1]"),
            "connect peer=tls-connection-established-from.example[192.0.2.1]");
  EXPECT_EQ(Smtpd("connect from disconnect.from.example[192.0.2.1]"),
            "connect peer=disconnect.from.example[192.0.2.1]");
  EXPECT_EQ(Smtpd("connect from 192.0.2.99[192.0.2.1]"), "connect peer=192.0.2.99[192.0.2.1]");
  const std::string name(255, 'a');
  EXPECT_EQ(Smtpd("connect from " + name + "[192.0.2.1]"), "connect peer=" + name + "[192.0.2.1]");
}

TEST(PostfixHostileTextTest, UserNameForgesNoField) {
  EXPECT_EQ(Smtpd("8FBDA2AD: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=a, "
                  "sasl_sender=b, orig_queue_id=FORGED"),
            "queue-id-assigned peer=x[192.0.2.1] queue-id=8FBDA2AD auth=PLAIN");
  EXPECT_EQ(Smtpd("warning: x[192.0.2.1]: SASL LOGIN authentication failed: no, "
                  "sasl_username=connect from y[192.0.2.2]"),
            "auth-failed peer=x[192.0.2.1] auth=LOGIN");
}

TEST(PostfixHostileTextTest, AuthenticationMethodEndsAtABlank) {
  EXPECT_EQ(Smtpd("warning: x[192.0.2.1]: SASL A authentication failed: B authentication failed"),
            "auth-failed peer=x[192.0.2.1] auth=A");
}

TEST(PostfixHostileTextTest, FilterAnswerForgesNothing) {
  EXPECT_EQ(Smtpd(std::string("proxy-accept: END-OF-MESSAGE: 250 ") + kForgedSummary + ";"),
            "proxy-accept place=END-OF-MESSAGE");
}

TEST(PostfixHostileTextTest, NoPrefixOfALineReadsBeyondItsEnd) {
  for (const std::string& line :
       {std::string(kForgedSummary) +
            " key-exchange ECDHE (P-256) server-signature RSA-PSS (2048 bits) server-digest SHA256",
        std::string("8FBDA2AD: client=x[192.0.2.1]:25, sasl_method=PLAIN, orig_queue_id=A, b"),
        std::string("disconnect from x[192.0.2.1]:25 ehlo=1/2 commands=1/2 notes=bare_lf"),
        std::string("NOQUEUE: lost connection after DATA (19 bytes) from x[192.0.2.1]"),
        std::string("NOQUEUE: reject: RCPT from x[192.0.2.1]: 5 <a>; proto=SMTP helo=<x>"),
        std::string("warning: TLS library problem: error:1:a::b:c:1:SSL alert number 48:")}) {
    for (size_t length = 0; length <= line.size(); ++length) {
      // A heap block of exactly this size, so that the address sanitizer sees.
      const std::vector<char> bytes(line.begin(), line.begin() + static_cast<long>(length));
      FramedLine frame;
      frame.program = "postfix/smtpd";
      frame.text = {bytes.data(), bytes.size()};
      Event event;
      ParsePostfix(frame, event);
    }
  }
}

// Sequences.

struct Step {
  const char* program;
  const char* text;
  const char* event;
};

void ExpectSequence(const std::vector<Step>& steps) {
  for (const Step& step : steps) EXPECT_EQ(Parsed(step.program, step.text), step.event);
}

constexpr char kSmtpd[] = "postfix/smtpd";

TEST(PostfixSequenceTest, ClientRejectsTheCertificate) {
  ExpectSequence({
      {kSmtpd, "SSL_accept error from localhost[127.0.0.1]: -1",
       "tls-failed peer=localhost[127.0.0.1] reason=-1"},
      {kSmtpd,
       "warning: TLS library problem: error:0A000418:SSL routines::tlsv1 alert unknown "
       "ca:../ssl/record/rec_layer_s3.c:1601:SSL alert number 48:",
       "tls-library-problem alert=48 reason=tlsv1 alert unknown ca"},
      {kSmtpd, "lost connection after STARTTLS from localhost[127.0.0.1]",
       "abnormal-end peer=localhost[127.0.0.1] place=STARTTLS reason=lost connection"},
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=1 starttls=0/1 commands=1/2",
       "disconnect peer=localhost[127.0.0.1] ehlo=1/1 starttls=0/1 commands=1/2"},
  });
}

TEST(PostfixSequenceTest, ServerCannotSetCiphers) {
  ExpectSequence({
      {kSmtpd, "warning: localhost[127.0.0.1]: error setting cipher grade: \"medium\"", "ignored"},
      {kSmtpd,
       "warning: TLS library problem: error:0A0000B9:SSL routines::no cipher "
       "match:../ssl/ssl_lib.c:2759:",
       "tls-library-problem reason=no cipher match"},
      {kSmtpd, "lost connection after STARTTLS from localhost[127.0.0.1]",
       "abnormal-end peer=localhost[127.0.0.1] place=STARTTLS reason=lost connection"},
  });
}

TEST(PostfixSequenceTest, PlainTextToTheWrapperPort) {
  constexpr char kSubmissions[] = "submissions/smtpd";
  ExpectSequence({
      {kSubmissions, "SSL_accept error from localhost[127.0.0.1]: -1",
       "tls-failed peer=localhost[127.0.0.1] reason=-1"},
      {kSubmissions,
       "warning: TLS library problem: error:0A00010B:SSL routines::wrong version "
       "number:../ssl/record/ssl3_record.c:350:",
       "tls-library-problem reason=wrong version number"},
      {kSubmissions, "lost connection after CONNECT from localhost[127.0.0.1]",
       "abnormal-end peer=localhost[127.0.0.1] place=CONNECT reason=lost connection"},
      {kSubmissions, "disconnect from localhost[127.0.0.1] commands=0/0",
       "disconnect peer=localhost[127.0.0.1] commands=0/0"},
  });
}

TEST(PostfixSequenceTest, XclientChangesThePeer) {
  ExpectSequence({
      {kSmtpd, "connect from localhost[127.0.0.1]", "connect peer=localhost[127.0.0.1]"},
      {kSmtpd, "disconnect from host.example[192.0.2.77] ehlo=2 xclient=0/1 quit=1 commands=3/4",
       "disconnect peer=host.example[192.0.2.77] ehlo=2/2 xclient=0/1 quit=1/1 commands=3/4"},
  });
}

TEST(PostfixSequenceTest, MessageGivenUpInPostfix310) {
  ExpectSequence({
      {kSmtpd, "B7E92E41A: client=localhost[127.0.0.1]",
       "queue-id-assigned peer=localhost[127.0.0.1] queue-id=B7E92E41A"},
      {kSmtpd, "B7E92E41A: lost connection after RCPT from localhost[127.0.0.1]",
       "abnormal-end peer=localhost[127.0.0.1] queue-id=B7E92E41A place=RCPT "
       "reason=lost connection"},
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 commands=3",
       "disconnect peer=localhost[127.0.0.1] ehlo=1/1 mail=1/1 rcpt=1/1 commands=3/3"},
      {"postfix/cleanup", "B7E92E41A: removed (canceled)", "queue-id-canceled queue-id=B7E92E41A"},
  });
}

TEST(PostfixSequenceTest, HostileHeloAndSender) {
  ExpectSequence({
      {kSmtpd,
       "improper command pipelining after EHLO from localhost[127.0.0.1]: MAIL FROM:<\"x "
       "disconnect from y[1.2.3.4] starttls=1\"@a.test>\\r\\nRCPT "
       "TO:<nobody@other.test>\\r\\nQUIT\\r\\n",
       "note peer=localhost[127.0.0.1] place=EHLO"},
      {kSmtpd,
       "NOQUEUE: reject: RCPT from localhost[127.0.0.1]: 550 5.1.1 <nobody@other.test>: Recipient "
       "address rejected: other.test; from=<\"x disconnect from y[1.2.3.4] starttls=1\"@a.test> "
       "to=<nobody@other.test> proto=ESMTP helo=<x?y??z??q???a>",
       "reject peer=localhost[127.0.0.1] place=RCPT helo=x?y??z??q???a"},
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=0/1 commands=0/1",
       "disconnect peer=localhost[127.0.0.1] ehlo=0/1 commands=0/1"},
  });
}

TEST(PostfixSequenceTest, FurtherCounters) {
  ExpectSequence({
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=1 quit=1 help=1 commands=3",
       "disconnect peer=localhost[127.0.0.1] ehlo=1/1 quit=1/1 help=1/1 commands=3/3"},
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=2 starttls=1/2 quit=1 commands=4/5",
       "disconnect peer=localhost[127.0.0.1] ehlo=2/2 starttls=1/2 quit=1/1 commands=4/5"},
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 bdat=2 commands=5",
       "disconnect peer=localhost[127.0.0.1] ehlo=1/1 mail=1/1 rcpt=1/1 bdat=2/2 commands=5/5"},
      {kSmtpd, "disconnect from localhost[127.0.0.1] ehlo=1 unknown=0/1 commands=1/2",
       "disconnect peer=localhost[127.0.0.1] ehlo=1/1 unknown=0/1 commands=1/2"},
  });
}

}  // namespace
}  // namespace mxtally
