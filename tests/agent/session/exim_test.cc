// From lines of Exim to records.  Most sequences were written by Exim 4.96 and 4.98.2.

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "agent/session/assembler.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/record_text.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

#define X13 "X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256"
#define TLS13                                                                          \
  "ESTABLISHED/DELIVERY_FIELD protocol=TLSv1.3 "                                       \
  "cipher=ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM iana=TLS_AES_256_GCM_SHA384 " \
  "code_point=4866 bits=256/256 kex=x25519 signature=RSA-PSS digest=SHA256 NEW"

class EximSessionTest : public testing::Test, protected AssemblerObserver {
 protected:
  // Three hours after the reading began.
  EximSessionTest() {
    ReadLine("End queue run: pid=1");
    now_ += absl::Hours(3);
  }

  // Reads lines, one second apart, and returns the records, those of resting sessions too.
  std::vector<std::string> Read(const std::vector<std::string>& lines) {
    records_.clear();
    for (const std::string& line : lines) ReadLine(line);
    assembler_.FinishHeld();
    return records_;
  }
  // The same of what was handed on so far.
  std::vector<std::string> ReadOnly(const std::vector<std::string>& lines) {
    records_.clear();
    for (const std::string& line : lines) ReadLine(line);
    return records_;
  }
  void Pass(absl::Duration time) { now_ += time; }

  int cut_sessions_ = 0;
  Assembler assembler_{AssemblerOptions{.host = "mx1"}, *this};

 private:
  void ReadLine(std::string_view text) {
    const std::string line = absl::StrCat(
        absl::FormatTime("%Y-%m-%d %H:%M:%S ", now_, absl::UTCTimeZone()), std::string(text));
    now_ += absl::Seconds(1);
    FramedLine framed;
    ASSERT_TRUE(framer_.Split(line, framed)) << line;
    Event event;
    const LineClass line_class = ParseDialect(framed, event);
    EXPECT_NE(line_class, LineClass::kUnrecognized) << line;
    if (line_class == LineClass::kEvent) {
      assembler_.Add(framed, event);
    } else {
      assembler_.Tick(framed.time);
    }
  }

  void OnSession(const Session& session) override {
    v1::SessionRecord record;
    ToRecord(session, record);
    records_.push_back(RecordText(record));
  }
  void OnCutSession() override { ++cut_sessions_; }

  Framer framer_{FramerOptions()};
  absl::Time now_ = absl::FromUnixSeconds(1793610000);  // 2026-11-02 09:00:00 UTC
  std::vector<std::string> records_;
};

// ---- Default selectors: the process that received a message is in the message's id.

TEST_F(EximSessionTest, MessagesOfOneProcessAreOneSession) {
  EXPECT_THAT(
      Read({"1xVUV7-0000BY-1m <= a@a.test H=([127.0.0.1]) [127.0.0.1] P=esmtps " X13 " CV=no S=266",
            "1xVUV7-0000BY-1n <= a@a.test H=([127.0.0.1]) [127.0.0.1] P=esmtps " X13 " CV=no S=240",
            "1xVUV7-0000CK-2D <= a@a.test H=(a.test) [127.0.0.1] P=esmtps "
            "X=TLS1.2:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no S=254",
            "TLS error on connection from (a.test) [127.0.0.1] (recv): The TLS connection was "
            "non-properly terminated."}),
      ElementsAre(
          "mx1 12:00:01 exim[716]#0 lines=2 smtpd LOOPBACK " TLS13
          " [127.0.0.1] helo=[127.0.0.1] end=12:00:02 UNSPECIFIED messages=2 id=1xVUV7-0000BY-1m "
          "id=1xVUV7-0000BY-1n",
          "mx1 12:00:03 exim[764]#0 lines=1 smtpd LOOPBACK ESTABLISHED/DELIVERY_FIELD "
          "protocol=TLSv1.2 cipher=ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM "
          "iana=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 code_point=49200 bits=256/256 kex=x25519 "
          "signature=RSA-PSS digest=SHA256 [127.0.0.1] helo=a.test UNSPECIFIED messages=1 "
          "id=1xVUV7-0000CK-2D"));
}

std::string Message(std::string_view id, std::string_view address = "192.0.2.7") {
  return absl::StrCat(std::string(id), " <= a@a.test H=m [", std::string(address), "] P=esmtp S=1");
}

TEST_F(EximSessionTest, AProcessIdThatComesAgainIsAnotherSession) {
  // From another client, or later than a client may be silent.
  EXPECT_EQ(Read({Message("1xVUV7-0000BY-1m"), Message("1xVUV8-0000BY-1m", "192.0.2.8")}).size(),
            2);
  EXPECT_THAT(ReadOnly({Message("1xVUV7-0000BZ-1m")}), IsEmpty());
  Pass(absl::Minutes(9));
  EXPECT_THAT(ReadOnly({Message("1xVUV7-0000BZ-1n")}), IsEmpty());
  Pass(absl::Minutes(11));
  EXPECT_EQ(ReadOnly({Message("1xVUV9-0000BZ-1m")}).size(), 1);
}

TEST_F(EximSessionTest, PlaintextIsWhatTheProtocolSays) {
  EXPECT_THAT(Read({Message("1xVUV7-0000BY-1m")}),
              ElementsAre("mx1 12:00:01 exim[716]#0 lines=1 smtpd PLAINTEXT/DELIVERY_FIELD "
                          "m[192.0.2.7] helo=m UNSPECIFIED messages=1 id=1xVUV7-0000BY-1m"));
}

TEST_F(EximSessionTest, LocalSubmissionIsNoSession) {
  EXPECT_THAT(
      Read({"1xVUV7-0000BY-1m <= root@a.test U=root P=local S=266",
            "1xVUV7-0000BY-1m => u <u@b.test> R=local T=mail_spool", "1xVUV7-0000BY-1m Completed"}),
      IsEmpty());
}

TEST_F(EximSessionTest, LinesThatNameNoConnectionCountAsFailuresOnly) {
  EXPECT_THAT(
      Read({"TLS error on connection from (a.test) [192.0.2.7] (gnutls_handshake): timed out",
            "TLS error on connection from (a.test) [192.0.2.7] (gnutls_handshake): No supported "
            "cipher suites have been found.",
            "SMTP command timeout on connection from (a.test) [192.0.2.7]",
            "H=(a.test) [192.0.2.7] F=<a@a.test> rejected RCPT <b@b.test>: no",
            "unexpected disconnection while reading SMTP command from (a.test) [192.0.2.7]"}),
      ElementsAre("mx1 12:00:01 exim#0 lines=1 smtpd FAILED/HANDSHAKE_LINE failure=TIMEOUT "
                  "failure_reason=timed out [192.0.2.7] helo=a.test UNSPECIFIED",
                  "mx1 12:00:02 exim#0 lines=1 smtpd FAILED/HANDSHAKE_LINE failure=PROTOCOL "
                  "failure_reason=No supported cipher suites have been found. [192.0.2.7] "
                  "helo=a.test UNSPECIFIED"));
}

TEST_F(EximSessionTest, WhoLeavesWithinTheHandshakeIsNoErrorOfTheProtocol) {
  const std::pair<const char*, const char*> cases[] = {
      // OpenSSL 3, and before.
      {"(SSL_accept): error:0A000126:SSL routines::unexpected eof while reading",
       "LOST_CONNECTION"},
      {"(SSL_accept): error:00000000:lib(0)::reason(0)", "LOST_CONNECTION"},
      {"(SSL_accept): error:00000000:lib(0):func(0):reason(0)", "LOST_CONNECTION"},
      {"(SSL_accept): error:0A000102:SSL routines::unsupported protocol", "PROTOCOL"},
      {"(SSL_accept): timed out", "TIMEOUT"},
      {"(gnutls_handshake): The operation timed out", "TIMEOUT"},
      {"(gnutls_handshake): Error in the pull function.", "SYSTEM"},
      {"(gnutls_handshake): Error in the push function.", "SYSTEM"},
  };
  for (const auto& [words, failure] : cases) {
    EXPECT_THAT(Read({absl::StrCat("TLS error on connection from m [192.0.2.7] ", words)}),
                ElementsAre(testing::HasSubstr(absl::StrCat("failure=", failure, " "))))
        << words;
  }
}

// With smtp_no_mail alone.
TEST_F(EximSessionTest, EachConnectionWithoutMailIsASession) {
  EXPECT_THAT(
      Read({"TLS error on connection from (a.test) [192.0.2.7] (gnutls_handshake): timed out",
            "no MAIL in SMTP connection from (a.test) [192.0.2.7] D=2s C=EHLO,STARTTLS",
            "no MAIL in SMTP connection from (a.test) [192.0.2.7] D=2s C=EHLO,QUIT",
            "no MAIL in SMTP connection from (a.test) [192.0.2.7] D=2s " X13
            " CV=no C=EHLO,STARTTLS,EHLO,QUIT"}),
      ElementsAre("mx1 12:00:03 exim#0 lines=1 smtpd PLAINTEXT/DELIVERY_FIELD [192.0.2.7] "
                  "helo=a.test DISCONNECT",
                  "mx1 12:00:04 exim#0 lines=1 smtpd " TLS13 " [192.0.2.7] helo=a.test DISCONNECT",
                  "mx1 12:00:01 exim#0 lines=1 smtpd FAILED/HANDSHAKE_LINE failure=TIMEOUT "
                  "failure_reason=timed out [192.0.2.7] helo=a.test UNSPECIFIED"));
}

// ---- All selectors.  Which line starts a session is part of the key.

TEST_F(EximSessionTest, GoldenKeyIsThatOfTheStartLine) {
  EXPECT_THAT(
      ReadOnly({"[1111] SMTP connection from [127.0.0.1]:45968 I=[127.0.0.1]:25 (TCP/IP connection "
                "count = 1)",
                "[1245] SMTP connection from (a.test) [127.0.0.1]:45968 I=[127.0.0.1]:25 closed by "
                "QUIT",
                "[1245] no MAIL in SMTP connection from (a.test) [127.0.0.1]:45968 "
                "I=[127.0.0.1]:25 D=0.004s " X13 " CV=no C=EHLO,STARTTLS,EHLO,QUIT"}),
      ElementsAre("mx1 12:00:01 exim[1111]#0 lines=3 smtpd LOOPBACK " TLS13
                  " [127.0.0.1]:45968 helo=a.test end=12:00:03 DISCONNECT"));
}

TEST_F(EximSessionTest, FailedHandshake) {
  EXPECT_THAT(
      ReadOnly({"[1111] SMTP connection from [127.0.0.1]:45982 I=[127.0.0.1]:25 (TCP/IP connection "
                "count = 1)",
                "[1291] TLS error on connection from (a.test) [127.0.0.1]:45982 I=[127.0.0.1]:25 "
                "(gnutls_handshake): The TLS connection was non-properly terminated.",
                "[1291] SMTP connection from (a.test) [127.0.0.1]:45982 I=[127.0.0.1]:25 closed by "
                "EOF",
                "[1291] no MAIL in SMTP connection from (a.test) [127.0.0.1]:45982 "
                "I=[127.0.0.1]:25 D=0.504s C=EHLO,STARTTLS"}),
      ElementsAre("mx1 12:00:01 exim[1111]#0 lines=4 smtpd LOOPBACK FAILED/HANDSHAKE_LINE "
                  "failure=LOST_CONNECTION failure_reason=The TLS connection was non-properly "
                  "terminated. [127.0.0.1]:45982 helo=a.test end=12:00:04 DISCONNECT"));
}

TEST_F(EximSessionTest, TimeoutIsTheLastLine) {
  EXPECT_THAT(
      Read({"[1111] SMTP connection from [127.0.0.1]:47936 I=[127.0.0.1]:25 (TCP/IP connection "
            "count = 1)",
            "[1466] SMTP command timeout on connection from [127.0.0.1]:47936 I=[127.0.0.1]:25"}),
      ElementsAre("mx1 12:00:01 exim[1111]#0 lines=2 smtpd LOOPBACK PLAINTEXT/DELIVERY_FIELD "
                  "[127.0.0.1]:47936 end=12:00:02 TIMEOUT"));
}

TEST_F(EximSessionTest, Release498) {
  EXPECT_THAT(
      ReadOnly(
          {"[11777] SMTP connection from [127.0.0.1]:34988 I=[127.0.0.1]:25 Ci=11777 (TCP/IP "
           "connection count = 1)",
           "[11777] SMTP connection Ci=11777 from (probe.test) [127.0.0.1]:34988 I=[127.0.0.1]:25 "
           "D=0.000s closed by QUIT",
           "[11777] no MAIL in SMTP connection from (probe.test) [127.0.0.1]:34988 "
           "I=[127.0.0.1]:25 Ci=11777 D=0.201s C=EHLO,QUIT"}),
      ElementsAre("mx1 12:00:01 exim[11777]#0 lines=3 smtpd LOOPBACK PLAINTEXT/DELIVERY_FIELD "
                  "[127.0.0.1]:34988 helo=probe.test end=12:00:03 DISCONNECT"));
}

// 58: up to 4.96 it is the daemon's process that writes the start line.
TEST_F(EximSessionTest, Trap58TheStartLineIsOfAnotherProcess) {
  EXPECT_THAT(
      Read({"[1111] SMTP connection from [127.0.0.1]:1 I=[127.0.0.1]:25 (TCP/IP connection count = "
            "1)",
            "[1111] SMTP connection from [127.0.0.1]:2 I=[127.0.0.1]:25 (TCP/IP connection count = "
            "2)",
            "[1199] 1xVUVl-0000JL-36 <= a@a.test H=(a) [127.0.0.1]:2 I=[127.0.0.1]:25 P=esmtp S=1",
            "[1198] 1xVUVl-0000JK-36 <= a@a.test H=(a) [127.0.0.1]:1 I=[127.0.0.1]:25 P=esmtps " X13
            " S=1",
            "[1199] SMTP connection from (a) [127.0.0.1]:2 I=[127.0.0.1]:25 closed by QUIT",
            "[1198] SMTP connection from (a) [127.0.0.1]:1 I=[127.0.0.1]:25 lost D=1s"}),
      ElementsAre("mx1 12:00:02 exim[1111]#0 lines=3 smtpd LOOPBACK PLAINTEXT/DELIVERY_FIELD "
                  "[127.0.0.1]:2 helo=a end=12:00:05 DISCONNECT messages=1 id=1xVUVl-0000JL-36",
                  "mx1 12:00:01 exim[1111]#0 lines=3 smtpd LOOPBACK " TLS13
                  " [127.0.0.1]:1 helo=a end=12:00:06 LOST_CONNECTION messages=1 "
                  "id=1xVUVl-0000JK-36"));
}

// With pid and smtp_connection, but no port: the start line tells nothing.
TEST_F(EximSessionTest, ByProcess) {
  EXPECT_THAT(ReadOnly({"[1111] SMTP connection from [192.0.2.7] (TCP/IP connection count = 1)",
                        "[1198] 1xVUVl-0000JK-36 <= a@a.test H=(a) [192.0.2.7] P=esmtp S=1",
                        "[1198] H=(a) [192.0.2.7] F=<a@a.test> rejected RCPT <b@b.test>: no",
                        "[1198] SMTP connection from (a) [192.0.2.7] closed by QUIT",
                        "[1198] 1xVUVl-0000JK-37 <= a@a.test H=(a) [192.0.2.7] P=esmtp S=1"}),
              IsEmpty());
  EXPECT_THAT(Read({}),
              ElementsAre("mx1 12:00:02 exim[1198]#0 lines=3 smtpd PLAINTEXT/DELIVERY_FIELD "
                          "[192.0.2.7] helo=a end=12:00:04 DISCONNECT messages=1 rejects=1 "
                          "id=1xVUVl-0000JK-36",
                          "mx1 12:00:05 exim[1198]#0 lines=1 smtpd PLAINTEXT/DELIVERY_FIELD "
                          "[192.0.2.7] helo=a UNSPECIFIED messages=1 id=1xVUVl-0000JK-37"));
}

TEST_F(EximSessionTest, AClosedConnectionOfWhichNothingElseIsKnownIsUnknown) {
  EXPECT_THAT(Read({"[1198] SMTP connection from (a) [192.0.2.7] closed by QUIT"}),
              ElementsAre("mx1 12:00:01 exim[1198]#0 lines=1 smtpd UNKNOWN/UNSPECIFIED [192.0.2.7] "
                          "helo=a DISCONNECT"));
}

TEST_F(EximSessionTest, ARejectWithoutXIsPlaintextForWantOfALine) {
  EXPECT_THAT(Read({"[1198] H=(a) [192.0.2.7] F=<a@a.test> rejected RCPT <b@b.test>: no"}),
              ElementsAre("mx1 12:00:01 exim[1198]#0 lines=1 smtpd PLAINTEXT/NO_TLS_LINE "
                          "[192.0.2.7] helo=a UNSPECIFIED rejects=1"));
}

TEST_F(EximSessionTest, APortThatComesAgainIsAnotherSession) {
  EXPECT_EQ(Read({"1xVUVl-0000JK-36 <= a@a.test H=(a) [192.0.2.7]:1 P=esmtp S=1",
                  "1xVUVl-0000JK-37 <= a@a.test H=(a) [192.0.2.7]:1 P=esmtp S=1",
                  "1xVUVl-0000JL-36 <= a@a.test H=(a) [192.0.2.7]:1 P=esmtp S=1"})
                .size(),
            2);
}

TEST_F(EximSessionTest, ServiceIsToldByThePort) {
  EXPECT_THAT(
      Read({"1xVUVl-0000JK-36 <= a@a.test H=(a) [192.0.2.7]:1 I=[192.0.2.1]:587 P=esmtpsa " X13
            " CV=no A=plain_server:user S=1"}),
      ElementsAre("mx1 12:00:01 exim[1198]#0 lines=1 submission " TLS13
                  " [192.0.2.7]:1 helo=a UNSPECIFIED messages=1 auth=1 "
                  "mechanism=plain_server id=1xVUVl-0000JK-36"));
}

// ---- Where the reading began.

TEST(EximReadingTest, AConnectionOfBeforeIsCutAndAMessageIsNot) {
  struct Counter : AssemblerObserver {
    void OnSession(const Session& session) override {
      ++sessions;
      lines_used += session.rank.lines_used;
    }
    void OnCutSession() override { ++cut; }
    int sessions = 0;
    uint32_t lines_used = 0;
    int cut = 0;
  } counter;
  Assembler assembler({.host = "mx1"}, counter);
  Framer framer{FramerOptions()};
  for (const char* line : {
           "2026-11-02 12:00:00 End queue run: pid=1",
           "2026-11-02 12:00:01 [3] SMTP connection from (a) [192.0.2.7]:1 closed by QUIT",
           "2026-11-02 12:00:02 [4] no MAIL in SMTP connection from (a) [192.0.2.7] D=9s C=QUIT",
           "2026-11-02 12:00:03 [5] no MAIL in SMTP connection from (a) [192.0.2.7] D=1s C=QUIT",
           "2026-11-02 12:00:04 1xVUVl-0000JK-36 <= a@a.test H=(a) [192.0.2.7] P=esmtp S=1",
           "2026-11-02 12:00:05 1xVUVl-0000JK-36 -> u@x.test R=r T=t H=mx [192.0.2.9] C=\"ok\"",
           "2026-11-02 12:00:06 1xVUVl-0000JL-36 => u@x.test R=r T=t H=mx [192.0.2.8]* C=\"ok\"",
       }) {
    FramedLine framed;
    ASSERT_TRUE(framer.Split(line, framed));
    Event event;
    if (ParseDialect(framed, event) == LineClass::kEvent) {
      assembler.Add(framed, event);
    } else {
      assembler.Tick(framed.time);
    }
  }
  assembler.FinishHeld();
  EXPECT_EQ(counter.sessions, 2);
  // That of the message may have begun before: a reading that knows replaces it.
  EXPECT_EQ(counter.lines_used, 1);
  EXPECT_EQ(counter.cut, 4);
}

TEST_F(EximSessionTest, ARestartChangesNothing) {
  ReadOnly({"[1111] SMTP connection from [192.0.2.7]:1 (TCP/IP connection count = 1)",
            "[1198] SMTP connection from (a) [192.0.2.7]:1 lost",
            "1xVUVl-0000JM-36 <= a@a.test H=(a) [192.0.2.7] P=esmtp S=1",
            "1xVUVh-0000Hg-1N => u@x.test R=r T=t H=mx [192.0.2.9] C=\"ok\""});
  agent::v1::AssemblerState state;
  assembler_.Save(state);
  AssemblerObserver& observer = *this;
  Assembler restored({.host = "mx1"}, observer);
  restored.Restore(state);
  agent::v1::AssemblerState again;
  restored.Save(again);
  EXPECT_EQ(again.SerializeAsString(), state.SerializeAsString());
  EXPECT_EQ(restored.open_sessions(), 3);
}

// ---- Outbound

std::string Delivered(std::string_view flag_and_recipient, std::string_view host,
                      std::string_view id = "1xVUVh-0000Hg-1N") {
  return absl::StrCat(std::string(id), " ", std::string(flag_and_recipient),
                      " R=out T=smtp H=", std::string(host), " " X13 " CV=no C=\"250 ok\"");
}

TEST_F(EximSessionTest, RecipientsOfATransactionAreOneSession) {
  EXPECT_THAT(
      Read({Delivered("=> u@out.test", "mx.example [192.0.2.9]"),
            Delivered("-> v@out.test", "mx.example [192.0.2.9]"), "1xVUVh-0000Hg-1N Completed"}),
      ElementsAre("mx1 12:00:01 exim#0 lines=2 smtp ESTABLISHED/DELIVERY_FIELD protocol=TLSv1.3 "
                  "cipher=ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM "
                  "iana=TLS_AES_256_GCM_SHA384 code_point=4866 bits=256/256 kex=x25519 "
                  "signature=RSA-PSS digest=SHA256 trust=UNTRUSTED NEW mx.example[192.0.2.9] "
                  "end=12:00:02 UNSPECIFIED messages=1 id=1xVUVh-0000Hg-1N"));
}

TEST_F(EximSessionTest, EachTransactionOfAMessageHasAConnection) {
  EXPECT_EQ(Read({Delivered("=> u@out.test", "mx.example [192.0.2.9]"),
                  Delivered("=> v@out.test", "mx.example [192.0.2.9]"),
                  Delivered("=> v@other.test", "mx.other [192.0.2.10]")})
                .size(),
            3);
}

TEST_F(EximSessionTest, AMessageOverAConnectionInUseIsOfItsSession) {
  const std::vector<std::string> records =
      Read({Delivered("=> u@out.test", "mx.example [192.0.2.9]"),
            Delivered("=> v@out.test", "mx.example [192.0.2.9]*", "1xVUVh-0000Hh-1N"),
            Delivered("-> w@out.test", "mx.example [192.0.2.9]*", "1xVUVh-0000Hh-1N")});
  ASSERT_EQ(records.size(), 1);
  EXPECT_THAT(records[0], testing::HasSubstr(" messages=2 "));
  EXPECT_THAT(records[0], testing::HasSubstr(" lines=3 "));
}

// 29: two TCP sessions, of which the first failed.
TEST_F(EximSessionTest, Trap29PlaintextAfterAFailedHandshakeIsAnotherSession) {
  EXPECT_THAT(
      Read({"1xVUVh-0000Hg-1N TLS session: (gnutls_handshake): Error in the pull function.: "
            "delivering unencrypted to H=mx.example [192.0.2.9] (not in hosts_require_tls)",
            "1xVUVh-0000Hg-1N => u@out.test R=out T=smtp H=mx.example [192.0.2.9] C=\"250 ok\"",
            "1xVUVh-0000Hg-1N Completed"}),
      ElementsAre("mx1 12:00:01 exim#0 lines=1 smtp FAILED/HANDSHAKE_LINE mx.example[192.0.2.9] "
                  "UNSPECIFIED",
                  "mx1 12:00:02 exim#0 lines=1 smtp PLAINTEXT/NO_TLS_LINE mx.example[192.0.2.9] "
                  "UNSPECIFIED messages=1 id=1xVUVh-0000Hg-1N"));
}

TEST_F(EximSessionTest, ServerThatRefusesAtOnceHadNoTls) {
  EXPECT_THAT(
      Read({"1xVUVh-0000Hg-1N ** u@x.test R=r T=t H=mx.example [192.0.2.9]: SMTP error from "
            "remote mail server after initial connection: 554 go away"}),
      ElementsAre(testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE mx.example[192.0.2.9]")));
}

TEST_F(EximSessionTest, FailuresOfOneAttemptAreOneSessionAndARetryIsAnother) {
  const std::string given_up =
      "1xVUVh-0000Hg-1N H=mx.example [192.0.2.9]: Remote host closed connection in response to "
      "MAIL";
  const std::string deferred =
      "1xVUVh-0000Hg-1N == u@x.test R=r T=t defer (-18) H=mx.example [192.0.2.9]: Remote host "
      "closed connection in response to MAIL";
  ReadOnly({given_up, deferred, deferred});
  Pass(absl::Minutes(1));
  EXPECT_THAT(Read({given_up, deferred}),
              ElementsAre("mx1 12:00:01 exim#0 lines=3 smtp UNKNOWN/UNSPECIFIED "
                          "mx.example[192.0.2.9] end=12:00:03 LOST_CONNECTION id=1xVUVh-0000Hg-1N",
                          "mx1 12:01:04 exim#0 lines=2 smtp UNKNOWN/UNSPECIFIED "
                          "mx.example[192.0.2.9] end=12:01:05 LOST_CONNECTION "
                          "id=1xVUVh-0000Hg-1N"));
}

}  // namespace
}  // namespace mxtally
