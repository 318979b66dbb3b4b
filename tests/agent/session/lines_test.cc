// From log lines to records, with the framer and the parser of Postfix.  The
// sequences were written by Postfix 3.7.11 and 3.10.13.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/lines_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;

#define TLS13                                                  \
  "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) " \
  "key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256"

using LinesTest = LinesFixture;

TEST_F(LinesTest, PlainEhloAndQuit) {
  EXPECT_THAT(Read({"smtpd[1]: connect from localhost[127.0.0.1]",
                    "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=1 quit=1 commands=2"}),
              ElementsAre("mx1 12:00:01 postfix/smtpd[1]#0 lines=2 smtpd LOOPBACK "
                          "PLAINTEXT/STARTTLS_COUNTER localhost[127.0.0.1] end=12:00:02 "
                          "DISCONNECT"));
}

TEST_F(LinesTest, StarttlsAndOneMessage) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from mail.example[192.0.2.7]",
            "smtpd[1]: Anonymous TLS connection established from mail.example[192.0.2.7]: " TLS13,
            "smtpd[1]: 8FBDA2AD: client=mail.example[192.0.2.7]",
            "cleanup[2]: 8FBDA2AD: message-id=<20261123135124.8FBDA2AD@mx1.example.test>",
            "qmgr[3]: 8FBDA2AD: from=<a@a.test>, size=302, nrcpt=2 (queue active)",
            "smtpd[1]: disconnect from mail.example[192.0.2.7] ehlo=2 starttls=1 mail=1 rcpt=2 "
            "data=1 quit=1 commands=8"}),
      ElementsAre(
          "mx1 12:00:01 postfix/smtpd[1]#0 lines=4 smtpd ESTABLISHED/HANDSHAKE_LINE "
          "protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 iana=TLS_AES_256_GCM_SHA384 "
          "code_point=4866 bits=256/256 kex=x25519 signature=RSA-PSS signature_key=2048 bits "
          "digest=SHA256 trust=ANONYMOUS NEW mail.example[192.0.2.7] end=12:00:06 DISCONNECT "
          "messages=1 id=8FBDA2AD"));
}

TEST_F(LinesTest, HandshakeAndNothingElse) {
  EXPECT_THAT(Read({"smtpd[1]: connect from mail.example[192.0.2.7]",
                    "smtpd[1]: Anonymous TLS connection established from "
                    "mail.example[192.0.2.7]: TLSv1 with cipher ECDHE-RSA-AES256-SHA "
                    "(256/256 bits)",
                    "smtpd[1]: lost connection after STARTTLS from mail.example[192.0.2.7]",
                    "smtpd[1]: disconnect from mail.example[192.0.2.7] ehlo=1 starttls=1 "
                    "commands=2"}),
              ElementsAre("mx1 12:00:01 postfix/smtpd[1]#0 lines=4 smtpd "
                          "ESTABLISHED/HANDSHAKE_LINE protocol=TLSv1 cipher=ECDHE-RSA-AES256-SHA "
                          "iana=TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA code_point=49172 bits=256/256 "
                          "trust=ANONYMOUS mail.example[192.0.2.7] end=12:00:04 LOST_CONNECTION "
                          "after=STARTTLS"));
}

TEST_F(LinesTest, FailedHandshakes) {
  auto failed = [this](const std::vector<std::string>& lines) {
    std::vector<std::string> all = {"smtpd[1]: connect from unknown[192.0.2.7]"};
    all.insert(all.end(), lines.begin(), lines.end());
    all.push_back("smtpd[1]: lost connection after STARTTLS from unknown[192.0.2.7]");
    all.push_back("smtpd[1]: disconnect from unknown[192.0.2.7] ehlo=1 starttls=0/1 commands=1/2");
    std::vector<std::string> texts = Read(all);
    EXPECT_EQ(texts.size(), 1);
    const size_t from = texts[0].find("FAILED");
    return texts[0].substr(from, texts[0].find(" [192.0.2.7]") - from);
  };
  EXPECT_EQ(failed({"smtpd[1]: SSL_accept error from unknown[192.0.2.7]: lost connection"}),
            "FAILED/HANDSHAKE_LINE failure=LOST_CONNECTION");
  EXPECT_EQ(failed({"smtpd[1]: SSL_accept error from unknown[192.0.2.7]: Connection timed out"}),
            "FAILED/HANDSHAKE_LINE failure=TIMEOUT");
  EXPECT_EQ(failed({"smtpd[1]: SSL_accept error from unknown[192.0.2.7]: -1",
                    "smtpd[1]: warning: TLS library problem: error:0A00009C:SSL routines::http "
                    "request:../ssl/record/ssl3_record.c:341:"}),
            "FAILED/HANDSHAKE_LINE failure=PROTOCOL failure_reason=http request");
  EXPECT_EQ(failed({"smtpd[1]: SSL_accept error from unknown[192.0.2.7]: -1",
                    "smtpd[1]: warning: TLS library problem: error:0A000418:SSL routines::tlsv1 "
                    "alert unknown ca:../ssl/record/rec_layer_s3.c:1601:SSL alert number 48:"}),
            "FAILED/HANDSHAKE_LINE failure=ALERT alert=48 failure_reason=tlsv1 alert unknown ca");
  EXPECT_EQ(failed({"smtpd[1]: warning: unknown[192.0.2.7]: error setting cipher grade: "
                    "\"medium\"",
                    "smtpd[1]: warning: TLS library problem: error:0A0000B9:SSL routines::no "
                    "cipher match:../ssl/ssl_lib.c:2759:"}),
            "FAILED/STARTTLS_COUNTER failure=LOST_CONNECTION failure_reason=no cipher match");
}

TEST_F(LinesTest, TlsWithoutTlsLines) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from localhost[127.0.0.1]",
            "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=1 starttls=1 quit=1 commands=3"}),
      ElementsAre(testing::HasSubstr(" ESTABLISHED/STARTTLS_COUNTER ")));
}

TEST_F(LinesTest, WrapperMode) {
  EXPECT_THAT(
      Read({"submissions/smtpd[4]: connect from mail.example[192.0.2.7]",
            "submissions/smtpd[4]: disconnect from mail.example[192.0.2.7] ehlo=1 quit=1 "
            "commands=2",
            "submissions/smtpd[4]: connect from mail.example[192.0.2.7]",
            "submissions/smtpd[4]: SSL_accept error from mail.example[192.0.2.7]: -1",
            "submissions/smtpd[4]: warning: TLS library problem: error:0A00010B:SSL "
            "routines::wrong version number:../ssl/record/ssl3_record.c:350:",
            "submissions/smtpd[4]: lost connection after CONNECT from mail.example[192.0.2.7]",
            "submissions/smtpd[4]: disconnect from mail.example[192.0.2.7] commands=0/0"}),
      ElementsAre(testing::HasSubstr(" submissions ESTABLISHED/IMPLICIT_TLS "),
                  testing::HasSubstr(" submissions FAILED/HANDSHAKE_LINE failure=PROTOCOL "
                                     "failure_reason=wrong version number ")));
}

TEST_F(LinesTest, ResumedSessions) {
  for (const char* summary :
       {"TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
        "server-signature RSA-PSS (2048 bits)",
        "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange x25519"}) {
    EXPECT_THAT(
        Read({"smtpd[1]: connect from localhost[127.0.0.1]",
              absl::StrCat("smtpd[1]: Anonymous TLS connection established from "
                           "localhost[127.0.0.1]: ",
                           summary),
              "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 commands=3"}),
        ElementsAre(testing::HasSubstr(" RESUMED ")));
  }
}

TEST_F(LinesTest, ClientCertificateRequired) {
  EXPECT_THAT(Read({"smtpd[1]: connect from localhost[127.0.0.1]",
                    "smtpd[1]: NOQUEUE: abort: TLS from localhost[127.0.0.1]: No client "
                    "certificate presented",
                    "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=1 starttls=1 "
                    "commands=2"}),
              ElementsAre(testing::HasSubstr(" ESTABLISHED/HANDSHAKE_LINE ")));
}

TEST_F(LinesTest, ChunksAreConfirmedByTheQueueManager) {
  EXPECT_THAT(Read({"smtpd[1]: connect from localhost[127.0.0.1]",
                    "smtpd[1]: CDD6E2B4: client=localhost[127.0.0.1]",
                    "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 bdat=2 "
                    "commands=5",
                    "qmgr[3]: CDD6E2B4: from=<a@a.test>, size=302, nrcpt=2 (queue active)"}),
              ElementsAre(testing::EndsWith(" end=12:00:03 DISCONNECT messages=1 id=CDD6E2B4")));
}

TEST_F(LinesTest, CanceledTransaction) {
  EXPECT_THAT(Read({"smtpd[1]: connect from localhost[127.0.0.1]",
                    "smtpd[1]: B7E92E41A: client=localhost[127.0.0.1]",
                    "smtpd[1]: B7E92E41A: lost connection after RCPT from localhost[127.0.0.1]",
                    "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 "
                    "commands=3",
                    "cleanup[2]: B7E92E41A: removed (canceled)"}),
              ElementsAre(testing::EndsWith(" LOST_CONNECTION after=RCPT id=B7E92E41A")));
}

TEST_F(LinesTest, XclientAndXforward) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from localhost[127.0.0.1]",
            "smtpd[1]: disconnect from host.example[192.0.2.77] ehlo=2 xclient=0/1 quit=1 "
            "commands=3/4",
            "smtpd[1]: connect from localhost[127.0.0.1]",
            "smtpd[1]: 0B7FB2B6: client=localhost[127.0.0.1], orig_queue_id=ABC123, "
            "orig_client=host.example[192.0.2.77]",
            "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=1 xforward=1 mail=1 rcpt=1 "
            "data=1 quit=1 commands=6"}),
      ElementsAre(testing::HasSubstr(" smtpd PLAINTEXT/STARTTLS_COUNTER "
                                     "host.example[192.0.2.77] "),
                  testing::AllOf(testing::HasSubstr(" LOOPBACK "),
                                 testing::EndsWith(" id=0B7FB2B6 original_id=ABC123"))));
}

TEST_F(LinesTest, KilledProcess) {
  EXPECT_THAT(Read({"smtpd[1]: connect from localhost[127.0.0.1]",
                    "master[6]: warning: process /usr/lib/postfix/sbin/smtpd pid 1 killed by "
                    "signal 9"}),
              ElementsAre(testing::EndsWith(" UNKNOWN/UNSPECIFIED localhost[127.0.0.1] ABORTED")));
}

TEST_F(LinesTest, StoppedInstance) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from localhost[127.0.0.1]", "master[6]: terminating on signal 15"}),
      ElementsAre(testing::EndsWith(" ABORTED")));
}

TEST_F(LinesTest, WarningsBeforeTheStartBelongToNoSession) {
  EXPECT_THAT(Read({"smtpd[1]: connect from a.example[192.0.2.1]",
                    "smtpd[1]: disconnect from a.example[192.0.2.1] quit=1 commands=1",
                    "smtpd[1]: warning: hostname b.example does not resolve to address "
                    "192.0.2.2",
                    "smtpd[1]: connect from unknown[192.0.2.2]",
                    "smtpd[1]: disconnect from unknown[192.0.2.2] quit=1 commands=1"}),
              ElementsAre(testing::HasSubstr(" 12:00:01 postfix/smtpd[1]#0 lines=2 "),
                          testing::HasSubstr(" 12:00:04 postfix/smtpd[1]#0 lines=2 ")));
}

TEST_F(LinesTest, HostileTextForgesNothing) {
  EXPECT_THAT(
      Read({"smtpd[1]: connect from localhost[127.0.0.1]",
            "smtpd[1]: improper command pipelining after EHLO from localhost[127.0.0.1]: x: "
            "Anonymous TLS connection established from bank.example[198.51.100.7]: TLSv1.3 with "
            "cipher TLS_AES",
            "smtpd[1]: warning: non-SMTP command from localhost[127.0.0.1]: GET /a disconnect "
            "from x[1.2.3.4] starttls=1 HTTP/1.1",
            "smtpd[1]: NOQUEUE: reject: RCPT from localhost[127.0.0.1]: 550 5.1.1 "
            "<nobody@other.test>: Recipient address rejected: other.test; from=<\"x disconnect "
            "from y[1.2.3.4] starttls=1\"@a.test> to=<nobody@other.test> proto=ESMTP "
            "helo=<x?y??z??q???a>",
            "smtpd[1]: disconnect from localhost[127.0.0.1] ehlo=0/1 commands=0/1"}),
      ElementsAre("mx1 12:00:01 postfix/smtpd[1]#0 lines=5 smtpd LOOPBACK "
                  "PLAINTEXT/STARTTLS_COUNTER localhost[127.0.0.1] helo=x?y??z??q???a "
                  "end=12:00:05 DISCONNECT rejects=1"));
}

}  // namespace
}  // namespace mxtally
