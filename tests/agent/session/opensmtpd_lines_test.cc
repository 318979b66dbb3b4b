// From OpenSMTPD's lines to records.  Sequences were written by OpenSMTPD 7.6.0p1 unless
// a comment names another release.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/lines_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

#define TLS13 \
  "protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 iana=TLS_AES_256_GCM_SHA384 code_point=4866"

class OpensmtpdLinesTest : public LinesFixture {
 protected:
  OpensmtpdLinesTest() { program_prefix_.clear(); }
};

TEST_F(OpensmtpdLinesTest, PlainAndQuit) {
  EXPECT_THAT(Read({"smtpd[9]: 9fcdefbc9afc45da smtp connected address=192.0.2.7 host=localhost",
                    "smtpd[9]: 9fcdefbc9afc45da smtp disconnected reason=quit"}),
              ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=2 smtpd PLAINTEXT/NO_TLS_LINE [192.0.2.7] "
                          "end=12:00:02 DISCONNECT"));
}

TEST_F(OpensmtpdLinesTest, SessionsOfOneProcess) {
  EXPECT_THAT(
      Read({"smtpd[9]: 9fcdefbc9afc45da smtp connected address=192.0.2.7 host=localhost",
            "smtpd[9]: 9fcdefc0ea67de43 smtp connected address=192.0.2.8 host=localhost",
            "smtpd[9]: 9fcdefc0ea67de43 smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
            "smtpd[9]: 9fcdefc0ea67de43 smtp message msgid=009b4fb2 size=252 nrcpt=2 proto=ESMTP",
            "smtpd[9]: 9fcdefc0ea67de43 smtp envelope evpid=009b4fb25120febf from=<a@a.test> "
            "to=<u@out.test>",
            "smtpd[9]: 9fcdefbc9afc45da smtp disconnected reason=disconnect",
            "smtpd[9]: 9fcdefc0ea67de43 smtp message msgid=019b4fb2 size=252 nrcpt=1 proto=ESMTP",
            "smtpd[9]: 9fcdefc0ea67de43 smtp disconnected reason=quit"}),
      ElementsAre(
          "mx1 12:00:01 smtpd[9]#0 lines=2 smtpd PLAINTEXT/NO_TLS_LINE [192.0.2.7] "
          "end=12:00:06 LOST_CONNECTION",
          "mx1 12:00:02 smtpd[9]#0 lines=5 smtpd ESTABLISHED/HANDSHAKE_LINE " TLS13
          " bits=256/256 [192.0.2.8] end=12:00:08 DISCONNECT messages=2 id=009b4fb2 id=019b4fb2"));
}

TEST_F(OpensmtpdLinesTest, SessionWithoutALoggedEndIsToldAfterTenMinutes) {
  takes_silent_ = true;
  Read({"smtpd[9]: 9fcdefbc9afc45da smtp connected address=192.0.2.7 host=localhost",
        "smtpd[9]: 9fcdefc0ea67de43 smtp connected address=192.0.2.8 host=localhost"});
  EXPECT_THAT(Pass(absl::Minutes(11)),
              ElementsAre("silent: mx1 12:00:01 smtpd[9]#0 lines=1 smtpd UNKNOWN/UNSPECIFIED "
                          "[192.0.2.7] IDLE",
                          "silent: mx1 12:00:02 smtpd[9]#0 lines=1 smtpd UNKNOWN/UNSPECIFIED "
                          "[192.0.2.8] IDLE"));
  EXPECT_THAT(Read({"smtpd[9]: 9fcdefc0ea67de43 smtp disconnected reason=quit"}),
              ElementsAre("mx1 12:00:02 smtpd[9]#0 lines=2 smtpd PLAINTEXT/NO_TLS_LINE "
                          "[192.0.2.8] end=12:11:04 DISCONNECT"));
  for (int i = 0; i < 2; ++i) EXPECT_THAT(Pass(absl::Minutes(40)), IsEmpty());
  EXPECT_EQ(evicted_sessions(), 1);
}

// Release 5.4.
TEST_F(OpensmtpdLinesTest, TheLastLineTellsHowManyMessagesWereSent) {
  EXPECT_THAT(Read({"smtpd[9]: smtp-out: Connecting to smtp://192.0.2.7:25 (mx.example) on session "
                    "9fcdefbc9afc45da...",
                    "smtpd[9]: smtp-out: Connected on session 9fcdefbc9afc45da",
                    "smtpd[9]: smtp-out: Closing session 9fcdefbc9afc45da: 2 messages sent."}),
              ElementsAre(testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE [192.0.2.7]:25 end=12:00:03 "
                                             "DISCONNECT messages=2")));
}

// Release 5.7, which has no line for a connection that came about.
TEST_F(OpensmtpdLinesTest, WhatOnlyAConnectionTellsIsASession) {
  const std::string connecting =
      "smtpd[9]: smtp-out: session 9fcdefbc9afc45da: connecting to smtp+tls://192.0.2.7:25 (x)";
  const auto read = [&](std::string_view words) {
    return Read({connecting, absl::StrCat("smtpd[9]: smtp-out: session 9fcdefbc9afc45da: ",
                                          std::string(words))});
  };
  EXPECT_THAT(read("error: IO Error: Connection refused"), IsEmpty());
  EXPECT_THAT(read("error: Connection timeout"), IsEmpty());
  EXPECT_THAT(read("connection closed, 1 message sent."),
              ElementsAre(testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE [192.0.2.7]:25 ")));
  EXPECT_THAT(read("error: BANNER rejected: 554 go away"),
              ElementsAre(testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE [192.0.2.7]:25 ")));
  EXPECT_THAT(read("error: TLS failed, downgrading to plain"),
              ElementsAre(testing::HasSubstr(" FAILED/HANDSHAKE_LINE ")));
}

TEST_F(OpensmtpdLinesTest, LocalSubmissionIsLoopback) {
  EXPECT_THAT(
      Read({"smtpd[9]: 9fcdefc47dae6a71 smtp connected address=local host=mx1",
            "smtpd[9]: 9fcdefc47dae6a71 smtp message msgid=009b4fb2 size=252 nrcpt=1 proto=ESMTP",
            "smtpd[9]: 9fcdefc47dae6a71 smtp disconnected reason=quit"}),
      ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=3 smtpd LOOPBACK PLAINTEXT/NO_TLS_LINE [] "
                  "end=12:00:03 DISCONNECT messages=1 id=009b4fb2"));
}

TEST_F(OpensmtpdLinesTest, FailedHandshakes) {
  EXPECT_THAT(
      Read({"smtpd[9]: 9fcdefbe4d47e4aa smtp connected address=192.0.2.7 host=x",
            "smtpd[9]: 9fcdefbe4d47e4aa smtp disconnected reason=\"io-error: handshake failed: "
            "error:0A000418:SSL routines::tlsv1 alert unknown ca\"",
            // 6.8.
            "smtpd[9]: 289f68d86f24c02f smtp connected address=192.0.2.7 host=x",
            "smtpd[9]: 289f68d86f24c02f smtp disconnected reason=\"io-error: error:0A000126:SSL "
            "routines::unexpected eof while reading\""}),
      ElementsAre(
          "mx1 12:00:01 smtpd[9]#0 lines=2 smtpd FAILED/HANDSHAKE_LINE failure=ALERT alert=48 "
          "failure_reason=tlsv1 alert unknown ca [192.0.2.7] end=12:00:02 LOST_CONNECTION",
          "mx1 12:00:03 smtpd[9]#0 lines=2 smtpd FAILED/HANDSHAKE_LINE failure=LOST_CONNECTION "
          "failure_reason=unexpected eof while reading [192.0.2.7] end=12:00:04 LOST_CONNECTION"));
}

TEST_F(OpensmtpdLinesTest, WhoLeavesWithinTlsLeavesNoErrorOfTheLibrary) {
  // 5.4.
  EXPECT_THAT(
      Read({"smtpd[9]: smtp-in: New session 9fcdefbc9afc45da from host x [192.0.2.7]",
            "smtpd[9]: smtp-in: Disconnecting session 9fcdefbc9afc45da: IO error: No SSL error",
            "smtpd[9]: smtp-in: New session 9fcdefbc9afc45db from host x [192.0.2.7]",
            "smtpd[9]: smtp-in: Started TLS on session 9fcdefbc9afc45db: version=TLSv1.2, "
            "cipher=AES128-SHA, bits=128",
            "smtpd[9]: smtp-in: Disconnecting session 9fcdefbc9afc45db: IO error: No SSL error"}),
      ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=2 smtpd FAILED/HANDSHAKE_LINE "
                  "failure=LOST_CONNECTION failure_reason=No SSL error [192.0.2.7] end=12:00:02 "
                  "LOST_CONNECTION",
                  "mx1 12:00:03 smtpd[9]#0 lines=3 smtpd ESTABLISHED/HANDSHAKE_LINE "
                  "protocol=TLSv1.2 cipher=AES128-SHA iana=TLS_RSA_WITH_AES_128_CBC_SHA "
                  "code_point=47 bits=128/128 [192.0.2.7] end=12:00:05 LOST_CONNECTION"));
}

TEST_F(OpensmtpdLinesTest, LibraryErrorAfterTheHandshakeIsNoFailure) {
  EXPECT_THAT(
      Read({"smtpd[9]: 289f68d86f24c02f smtp connected address=192.0.2.7 host=x",
            "smtpd[9]: 289f68d86f24c02f smtp tls ciphers=TLSv1.2:AES256-GCM-SHA384:256",
            "smtpd[9]: 289f68d86f24c02f smtp disconnected reason=\"io-error: error:0A000126:SSL "
            "routines::unexpected eof while reading\""}),
      ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=3 smtpd ESTABLISHED/HANDSHAKE_LINE "
                  "protocol=TLSv1.2 cipher=AES256-GCM-SHA384 iana=TLS_RSA_WITH_AES_256_GCM_SHA384 "
                  "code_point=157 bits=256/256 [192.0.2.7] end=12:00:03 LOST_CONNECTION"));
}

TEST_F(OpensmtpdLinesTest, OneMessageWithALineForEachRecipient) {
  // 6.4.
  EXPECT_THAT(
      Read({"smtpd[9]: 289f68d86f24c02f smtp connected address=192.0.2.7 host=x",
            "smtpd[9]: 289f68d86f24c02f smtp message address=192.0.2.7 host=x msgid=009b4fb2 "
            "from=<a@a.test> to=<u@out.test> size=252 ndest=1 proto=ESMTP",
            "smtpd[9]: 289f68d86f24c02f smtp message address=192.0.2.7 host=x msgid=009b4fb2 "
            "from=<a@a.test> to=<v@out.test> size=252 ndest=1 proto=ESMTP",
            "smtpd[9]: 289f68d86f24c02f smtp disconnected address=192.0.2.7 host=x reason=quit"}),
      ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=4 smtpd PLAINTEXT/NO_TLS_LINE [192.0.2.7] "
                  "end=12:00:04 DISCONNECT messages=1 id=009b4fb2"));
}

TEST_F(OpensmtpdLinesTest, Outbound) {
  EXPECT_THAT(
      Read({"smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp+tls://192.0.2.9:25 host=x",
            "smtpd[9]: 9fcdefc8ecdb6754 mta connected",
            "smtpd[9]: 9fcdefc8ecdb6754 mta tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
            "smtpd[9]: 9fcdefc8ecdb6754 mta cert-check result=\"unverified\" fingerprint=\"x\"",
            "smtpd[9]: 9fcdefc8ecdb6754 mta delivery evpid=009b4fb25120febf from=<a@a.test> "
            "to=<u@out.test> rcpt=<-> source=\"192.0.2.5\" relay=\"192.0.2.9 (x)\" delay=0s "
            "result=\"Ok\" stat=\"250 2.0.0 Ok\"",
            "smtpd[9]: 9fcdefc8ecdb6754 mta delivery evpid=009b4fb2aaaaaaaa from=<a@a.test> "
            "to=<v@out.test> rcpt=<-> source=\"192.0.2.5\" relay=\"192.0.2.9 (x)\" delay=0s "
            "result=\"Ok\" stat=\"250 2.0.0 Ok\"",
            "smtpd[9]: 9fcdefc8ecdb6754 mta disconnected reason=quit messages=1"}),
      ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=7 smtp ESTABLISHED/HANDSHAKE_LINE " TLS13
                  " bits=256/256 trust=UNTRUSTED [192.0.2.9]:25 "
                  "end=12:00:07 DISCONNECT messages=1 id=009b4fb2"));
}

TEST_F(OpensmtpdLinesTest, FailedHandshakeThenPlaintextIsTwoSessions) {
  EXPECT_THAT(
      Read({"smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp://192.0.2.9:25 host=x",
            "smtpd[9]: 9fcdefc8ecdb6754 mta connected",
            "smtpd[9]: smtp-out: Error on session 9fcdefc8ecdb6754: opportunistic TLS failed, "
            "downgrading to plain",
            "smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp+notls://192.0.2.9:25 host=x",
            "smtpd[9]: 9fcdefc8ecdb6754 mta connected",
            "smtpd[9]: 9fcdefc8ecdb6754 mta disconnected reason=quit messages=0"}),
      ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=3 smtp FAILED/HANDSHAKE_LINE failure=PROTOCOL "
                  "failure_reason=opportunistic TLS failed [192.0.2.9]:25 end=12:00:03 DISCONNECT",
                  "mx1 12:00:04 smtpd[9]#0 lines=3 smtp PLAINTEXT/NO_TLS_LINE "
                  "[192.0.2.9]:25 end=12:00:06 DISCONNECT"));
}

TEST_F(OpensmtpdLinesTest, WhatNeverConnectedIsNoSession) {
  EXPECT_THAT(
      Read({"smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp://192.0.2.9:25 host=x",
            "smtpd[9]: 9fcdefc8ecdb6754 mta error reason=IO Error: Connection refused",
            "smtpd[9]: 0000000000000000 mta delivery evpid=009b4fb25120febf from=<a@a.test> "
            "to=<u@out.test> rcpt=<-> source=\"-\" relay=\"192.0.2.9\" delay=0s "
            "result=\"TempFail\" stat=\"Network error on destination MXs\"",
            "smtpd[9]: 9fcdefc8ecdb6754 mta delivery evpid=009b4fb25120febf from=<a@a.test> "
            "to=<u@out.test> rcpt=<-> source=\"-\" relay=\"192.0.2.9\" delay=0s "
            "result=\"TempFail\" stat=\"Network error on destination MXs\""}),
      IsEmpty());
  EXPECT_EQ(assembler().open_sessions(), 0);
}

// The clock moves in steps: the line comes before anybody looked for idle sessions.
TEST_F(OpensmtpdLinesTest, WhatConnectsForAnHourIsForgotten) {
  Read({"smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp://192.0.2.9:25 host=x"});
  Pass(options_.idle_max - absl::Seconds(4));
  const std::vector<std::string> other_lines(4, "anvil[9]: statistics: nothing");
  Read(other_lines);
  EXPECT_EQ(assembler().open_sessions(), 1);
  EXPECT_THAT(Read({"smtpd[9]: 9fcdefc8ecdb6754 mta connected"}), IsEmpty());
  EXPECT_EQ(assembler().open_sessions(), 0);
}

TEST_F(OpensmtpdLinesTest, AStartEndsWhatWasOpen) {
  EXPECT_THAT(Read({"smtpd[9]: 9fcdefbc9afc45da smtp connected address=192.0.2.7 host=localhost",
                    "smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp://192.0.2.9:25 host=x",
                    "smtpd[11]: info: OpenSMTPD 7.6.0-portable starting"}),
              ElementsAre("mx1 12:00:01 smtpd[9]#0 lines=1 smtpd UNKNOWN/UNSPECIFIED [192.0.2.7] "
                          "ABORTED"));
  EXPECT_EQ(assembler().open_sessions(), 0);
}

// Which line starts a session is part of its key.
TEST_F(OpensmtpdLinesTest, GoldenKeys) {
  Read({"smtpd[9]: 9fcdefbc9afc45da smtp connected address=192.0.2.7 host=localhost",
        "smtpd[9]: 9fcdefc8ecdb6754 mta connecting address=smtp://192.0.2.9:25 host=x"});
  EXPECT_THAT(Read({"smtpd[9]: 9fcdefbc9afc45da smtp disconnected reason=quit",
                    "smtpd[9]: 9fcdefc8ecdb6754 mta connected",
                    "smtpd[9]: 9fcdefc8ecdb6754 mta disconnected reason=quit messages=0"}),
              ElementsAre(testing::StartsWith("mx1 12:00:01 smtpd[9]#0 "),
                          testing::StartsWith("mx1 12:00:02 smtpd[9]#0 ")));
}

}  // namespace
}  // namespace mxtally
