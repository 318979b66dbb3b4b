// Sessions that this host opened: which lines of Postfix's smtp and lmtp make one.

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/parser/postfix.h"
#include "agent/session/assembler.h"
#include "agent/session/tls_logging.h"
#include "tests/agent/session/session_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

#define TLS13 ": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519"
// As records show it.
#define FACTS13                                                                                 \
  "protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 iana=TLS_AES_256_GCM_SHA384 code_point=4866 " \
  "bits=256/256 kex=x25519"

class OutboundTest : public SessionFixture {
 protected:
  OutboundTest() {
    // The reading began some minutes ago, so that short delivery times are covered.
    At("11:50:00");
    Tick();
    // Its clients log TLS.  A connection that is used again begins no session.
    Lines({ReusedBy("smtp[1]"), ReusedBy("lmtp[1]")});
    At("12:00:00");
  }

  static std::string ReusedBy(std::string_view tag) {
    return absl::StrCat(std::string(tag),
                        ": Untrusted TLS connection reused to mx.a.test[192.0.2.1]:25" TLS13);
  }
  // A reading of ten minutes in which no client logged TLS.
  void RestartWithoutTls() {
    Restart();
    At("11:50:00");
    Tick();
    At("12:00:00");
  }

  // Adds "smtp[9]: TEXT" of the log.
  void Line(std::string_view tagged) {
    const size_t colon = tagged.find(": ");
    const std::string tag = absl::StrCat("postfix/", std::string(tagged.substr(0, colon)));
    FramedLine line;
    line.time = now_;
    line.host = "mx1";
    line.tag = tag;
    line.program = std::string_view(tag).substr(0, tag.rfind('['));
    line.text = tagged.substr(colon + 2);
    Event event;
    const LineClass line_class = ParsePostfix(line, event);
    EXPECT_NE(line_class, LineClass::kUnrecognized) << tagged;
    if (line_class == LineClass::kEvent) {
      assembler_->Add(line, event);
    } else {
      assembler_->Tick(line.time);
    }
  }
  void Lines(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) Line(line);
  }
  // All that is known by now.
  std::vector<std::string> Texts() {
    assembler_->GiveUpAll();
    return TakeTexts();
  }
};

// "QID: to=<u@a.test>, relay=RELAY, FIELDS, status=STATUS".
std::string To(std::string_view id, std::string_view relay, std::string_view fields = "",
               std::string_view status = "sent (250 2.0.0 Ok)",
               std::string_view delays = "0.1/0.02/0.2/0.3") {
  return absl::StrCat(std::string(id), ": to=<u@a.test>, relay=", std::string(relay), ", ",
                      std::string(fields), "delay=0.6, delays=", std::string(delays),
                      ", dsn=2.0.0, status=", std::string(status));
}

constexpr char kMx[] = "mx.a.test[192.0.2.1]:25";
constexpr char kMx2[] = "mx2.a.test[192.0.2.2]:25";

TEST_F(OutboundTest, TlsLineAndDeliveriesOfOneRequestAreOneSession) {
  Line("smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13
       " server-signature RSA-PSS (2048 bits) server-digest SHA256");
  Advance(absl::Seconds(1));
  Lines({"smtp[9]: " + To("4A1B2", kMx), "smtp[9]: " + To("4A1B2", kMx)});
  EXPECT_EQ(assembler_->open_sessions(), 1);
  EXPECT_THAT(TakeTexts(), IsEmpty());
  assembler_->FinishHeld();
  const std::vector<v1::SessionRecord> records = TakeRecords();
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(RecordText(records[0]),
            "mx1 12:00:00 postfix/smtp[9]#0 lines=3 smtp ESTABLISHED/HANDSHAKE_LINE " FACTS13
            " signature=RSA-PSS signature_key=2048 bits digest=SHA256 trust=UNTRUSTED NEW "
            "mx.a.test[192.0.2.1]:25 end=12:00:01 UNSPECIFIED messages=1 id=4A1B2");
  EXPECT_EQ(records[0].direction(), v1::DIRECTION_OUTBOUND);
  // The delivery's set-up and transmission took half a second.
  EXPECT_EQ(records[0].estimated_start_time().seconds(), records[0].key().stamp().seconds());
}

TEST_F(OutboundTest, UpToPostfix24TlsLinesNameTheServerWithoutItsAddress) {
  Lines(
      {"smtp[9]: TLS connection established to mx.a.test: TLSv1 with cipher AES256-SHA (256/256 "
       "bits)",
       "smtp[9]: 4A1B2: to=<u@a.test>, relay=MX.a.test[192.0.2.1], delay=1, status=sent (250 Ok)",
       // A handshake that failed, and the connection without TLS to the same server.
       "smtp[9]: SSL_connect error to mx2.a.test: -1",
       "smtp[9]: 4A1B3: Cannot start TLS: handshake failure",
       "smtp[9]: 4A1B3: to=<u@b.test>, relay=mx2.a.test[192.0.2.2], delay=1, status=sent (250)"});
  EXPECT_THAT(Texts(), ElementsAre(testing::HasSubstr("lines=2 smtp ESTABLISHED/HANDSHAKE_LINE "),
                                   testing::AllOf(testing::HasSubstr(" FAILED/HANDSHAKE_LINE "),
                                                  testing::HasSubstr(" mx2.a.test[] ")),
                                   testing::AllOf(testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE "),
                                                  testing::HasSubstr(" messages=1 "))));
}

TEST_F(OutboundTest, StartIsEstimatedFromDelays) {
  Line("smtp[9]: " + To("4A1B2", kMx, "", "sent (250 Ok)", "0.1/0.02/2/1.5"));
  assembler_->FinishHeld();
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.key().stamp().seconds() * 10 - 35,
            record.estimated_start_time().seconds() * 10 +
                record.estimated_start_time().nanos() / 100'000'000);
}

// As RFC 5424 has it, the process is no part of a word with the program.
TEST_F(OutboundTest, TagsOfAnyHeaderNameTheSameClient) {
  RestartWithoutTls();
  Event event;
  FramedLine line;
  line.time = now_;
  line.host = "mx1";
  line.tag = "postfix/smtp 1";
  line.program = "postfix/smtp";
  const std::string text = ReusedBy("x").substr(3);
  line.text = text;
  ASSERT_EQ(ParsePostfix(line, event), LineClass::kEvent);
  assembler_->Add(line, event);
  Line("smtp[9]: " + To("4A1B2", kMx));
  EXPECT_THAT(Texts(), ElementsAre(testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE ")));
}

TEST_F(OutboundTest, DeliveryWithoutTlsLineIsPlaintext) {
  Line("smtp[9]: " + To("4A1B2", kMx));
  EXPECT_THAT(Texts(), ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=2 smtp "
                                   "PLAINTEXT/NO_TLS_LINE mx.a.test[192.0.2.1]:25 UNSPECIFIED "
                                   "messages=1 id=4A1B2"));
}

TEST_F(OutboundTest, ServiceIsThatOfTheTag) {
  Lines({"relay/smtp[9]: " + To("4A1B2", kMx), "lmtp[8]: " + To("4A1B3", kMx)});
  EXPECT_THAT(
      Texts(),
      ElementsAre("mx1 12:00:00 postfix/relay/smtp[9]#0 lines=2 relay PLAINTEXT/NO_TLS_LINE "
                  "mx.a.test[192.0.2.1]:25 UNSPECIFIED messages=1 id=4A1B2",
                  "mx1 12:00:00 postfix/lmtp[8]#0 lines=2 lmtp PLAINTEXT/NO_TLS_LINE "
                  "mx.a.test[192.0.2.1]:25 UNSPECIFIED messages=1 id=4A1B3"));
}

TEST_F(OutboundTest, SocketsOfThisHostAreNoConnectionsAndLoopbackIsNotExternal) {
  Lines({"lmtp[9]: " + To("4A1B2", "mx1.a.test[private/dovecot-lmtp]"),
         "smtp[8]: " + To("4A1B3", "127.0.0.1[127.0.0.1]:10024")});
  EXPECT_THAT(
      Texts(),
      ElementsAre("mx1 12:00:00 postfix/smtp[8]#0 lines=2 smtp LOOPBACK PLAINTEXT/NO_TLS_LINE "
                  "127.0.0.1[127.0.0.1]:10024 UNSPECIFIED messages=1 id=4A1B3"));
}

// The rule of key version 1.  A change of what is expected here gives other
// keys to sessions that are stored already: it needs a new key_version.
TEST_F(OutboundTest, GoldenKeys) {
  Lines({
      // A handshake, and the request that it was for.
      "smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
      "smtp[9]: " + To("4A1B2", kMx),
      // Another server, another message, another request of the same message.
      "smtp[9]: " + To("4A1B2", kMx2),
      "smtp[9]: " + To("4A1B3", kMx2),
      "smtp[9]: " + To("4A1B3", kMx2, "", "sent (250 Ok)", "0.1/0.5/0.2/0.3"),
      "smtp[9]: " + To("4A1B3", kMx2, "", "sent (250 Ok)", "0.1/0.5/0.3/0.3"),
  });
  Advance(absl::Seconds(1));
  Lines({
      // A failed handshake and the second connection without TLS.
      "smtp[9]: SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
      "smtp[9]: 4A1B4: Cannot start TLS: handshake failure",
      "smtp[9]: " + To("4A1B4", kMx),
      // One handshake after the other without an outcome.
      "smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
      "smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
      // Servers given up.
      "smtp[9]: 4A1B5: lost connection with mx.a.test[192.0.2.1] while sending MAIL FROM",
      "smtp[9]: 4A1B5: host mx2.a.test[192.0.2.2] refused to talk to me: 554 no",
      // No connection.
      "smtp[9]: connect to mx3.a.test[192.0.2.3]:25: Connection refused",
      "smtp[9]: " + To("4A1B5", "none", "", "deferred (connect to mx3.a.test[192.0.2.3]:25)"),
      "smtp[9]: setting up TLS connection to mx3.a.test[192.0.2.3]:25",
      "smtp[9]: warning: TLS library problem: error:0A000102:SSL routines::x:a.c:1:",
      "smtp[9]: TLSRPT: status=failure, domain=a.test, receiving_mx=x[192.0.2.1], failure_type=y",
  });
  assembler_->GiveUpAll();
  std::vector<std::string> keys = TakeKeys();
  std::sort(keys.begin(), keys.end());
  EXPECT_THAT(keys,
              ElementsAre("mx1 12:00:00 postfix/smtp[9]#0", "mx1 12:00:00 postfix/smtp[9]#1",
                          "mx1 12:00:00 postfix/smtp[9]#2", "mx1 12:00:00 postfix/smtp[9]#3",
                          "mx1 12:00:00 postfix/smtp[9]#4", "mx1 12:00:01 postfix/smtp[9]#0",
                          "mx1 12:00:01 postfix/smtp[9]#1", "mx1 12:00:01 postfix/smtp[9]#2",
                          "mx1 12:00:01 postfix/smtp[9]#3", "mx1 12:00:01 postfix/smtp[9]#4"));
  EXPECT_EQ(cut_sessions_, 0);
}

TEST_F(OutboundTest, RecipientsOfOneRequestAreOneMessage) {
  Lines({"smtp[9]: " + To("4A1B2", kMx, "", "bounced (host mx.a.test[192.0.2.1] said: 550 no)"),
         "smtp[9]: 4A1B2: host mx.a.test[192.0.2.1] said: 450 later (in reply to RCPT TO command)",
         "smtp[9]: " + To("4A1B2", kMx, "", "sent (250 Ok)", "0.1/0.02/0.2/0.9"),
         "smtp[9]: " + To("4A1B2", kMx, "", "sent (250 Ok)", "0.1/0.02/0.2/0.9")});
  EXPECT_THAT(Texts(), ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=5 smtp "
                                   "PLAINTEXT/NO_TLS_LINE mx.a.test[192.0.2.1]:25 end=12:00:00 "
                                   "UNSPECIFIED messages=1 id=4A1B2"));
}

// With TLS lines or without.
TEST_F(OutboundTest, EachServerThatRefusesTheLoginIsASession) {
  const std::string refusal = " said: 535 5.7.8 Error: authentication failed";
  Lines({"smtp[9]: Trusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[9]: 4A1B2: SASL authentication failed; server mx.a.test[192.0.2.1]" + refusal,
         "smtp[9]: 4A1B2: SASL authentication failed; server mx2.a.test[192.0.2.2]" + refusal,
         "smtp[9]: " + To("4A1B2", "mx3.a.test[192.0.2.3]:25")});
  EXPECT_THAT(Texts(),
              ElementsAre(testing::AllOf(testing::HasSubstr("#0 lines=2 smtp ESTABLISHED/"),
                                         testing::HasSubstr(" mx.a.test[192.0.2.1]:25 ")),
                          testing::AllOf(testing::HasSubstr("#1 lines=2 smtp PLAINTEXT/"),
                                         testing::HasSubstr(" mx2.a.test[192.0.2.2] ")),
                          testing::AllOf(testing::HasSubstr("#2 lines=2 smtp PLAINTEXT/"),
                                         testing::HasSubstr(" mx3.a.test[192.0.2.3]:25 "))));
}

TEST_F(OutboundTest, FailedHandshakeSaysWhyAndPlaintextRetryIsAnotherSession) {
  Lines({
      "smtp[9]: SSL_connect error to mx.a.test[192.0.2.1]:25: -1",
      "smtp[9]: warning: TLS library problem: error:0A000410:SSL routines::sslv3 alert handshake "
      "failure:ssl/record/rec_layer_s3.c:1600:SSL alert number 40:",
      "smtp[9]: 4A1B2: Cannot start TLS: handshake failure",
      "smtp[9]: " + To("4A1B2", kMx),
  });
  EXPECT_THAT(Texts(),
              ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=3 smtp FAILED/HANDSHAKE_LINE "
                          "failure=ALERT alert=40 failure_reason=sslv3 alert handshake failure "
                          "mx.a.test[192.0.2.1]:25 end=12:00:00 UNSPECIFIED",
                          "mx1 12:00:00 postfix/smtp[9]#1 lines=2 smtp PLAINTEXT/NO_TLS_LINE "
                          "mx.a.test[192.0.2.1]:25 UNSPECIFIED messages=1 id=4A1B2"));
}

// Also where the line between them is lost.
TEST_F(OutboundTest, AnswerAfterAFailedHandshakeIsOfThePlaintextRetry) {
  for (const char* status :
       {"bounced (host mx.a.test[192.0.2.1] said: 550 no (in reply to RCPT TO command))",
        "deferred (lost connection with mx.a.test[192.0.2.1] while sending MAIL FROM)"}) {
    Lines({"smtp[9]: SSL_connect error to mx.a.test[192.0.2.1]:25: -1",
           "smtp[9]: " + To("4A1B2", kMx, "", status)});
    EXPECT_THAT(Texts(), ElementsAre(testing::HasSubstr(" FAILED/HANDSHAKE_LINE "),
                                     testing::HasSubstr(" PLAINTEXT/NO_TLS_LINE ")))
        << status;
  }
}

TEST_F(OutboundTest, FailedHandshakeThatDefersTheMessageIsOneSession) {
  Lines({"smtp[9]: SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
         "smtp[9]: TLSRPT: status=failure, domain=a.test, receiving_mx=mx.a.test[192.0.2.1], "
         "failure_type=validation_failure, failure_reason=tls-handshake-failed",
         "smtp[9]: " + To("4A1B2", kMx, "", "deferred (Cannot start TLS: handshake failure)")});
  EXPECT_THAT(Texts(),
              ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=3 smtp FAILED/HANDSHAKE_LINE "
                          "failure=LOST_CONNECTION failure_reason=tls-handshake-failed "
                          "mx.a.test[192.0.2.1]:25 end=12:00:00 UNSPECIFIED id=4A1B2"));
}

// The handshake took place in tlsproxy, whose lines are not counted.
TEST_F(OutboundTest, FailedHandshakeOfTlsproxy) {
  Lines({"tlsproxy[3]: CONNECT to [192.0.2.1]:25",
         "tlsproxy[3]: TLS handshake failed for service=smtp peer=mx.a.test[192.0.2.1]:25",
         "smtp[9]: " + To("4A1B2", kMx, "", "deferred (Cannot start TLS: handshake failure)"),
         "tlsproxy[3]: DISCONNECT [192.0.2.1]:25"});
  EXPECT_THAT(Texts(), ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=1 smtp "
                                   "FAILED/HANDSHAKE_LINE mx.a.test[192.0.2.1]:25 UNSPECIFIED "
                                   "id=4A1B2"));
}

TEST_F(OutboundTest, CertificateThatPolicyRefusesIsTls) {
  Lines(
      {"smtp[9]: certificate verification failed for mx.a.test[192.0.2.1]:25: self-signed "
       "certificate",
       "smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
       "smtp[9]: " + To("4A1B2", kMx, "", "deferred (Server certificate not verified)"),
       // At TLS log level 0.
       "smtp[8]: " + To("4A1B3", kMx, "", "deferred (Server certificate not trusted)")});
  EXPECT_THAT(
      Texts(),
      ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=2 smtp ESTABLISHED/HANDSHAKE_LINE " FACTS13
                  " trust=UNTRUSTED RESUMED mx.a.test[192.0.2.1]:25 end=12:00:00 "
                  "UNSPECIFIED id=4A1B2",
                  "mx1 12:00:00 postfix/smtp[8]#0 lines=1 smtp ESTABLISHED/HANDSHAKE_LINE "
                  "mx.a.test[192.0.2.1]:25 UNSPECIFIED id=4A1B3"));
}

// The default, smtp_tls_loglevel = 0.
TEST_F(OutboundTest, WithoutTlsLinesOnlyFailuresAndFieldsTell) {
  const std::string handshake_failed = "deferred (Cannot start TLS: handshake failure)";
  const struct {
    std::vector<std::string> lines;
    std::vector<std::string> states;
  } kCases[] = {
      {{To("4A1B1", kMx)}, {"UNKNOWN/UNSPECIFIED"}},
      {{To("4A1B1", kMx, "", "bounced (host mx.a.test[192.0.2.1] said: 550 no)")},
       {"UNKNOWN/UNSPECIFIED"}},
      {{To("4A1B1", kMx, "",
           "deferred (lost connection with mx.a.test[192.0.2.1] while sending MAIL FROM)")},
       {"UNKNOWN/UNSPECIFIED"}},
      {{To("4A1B1", kMx, "tls=may, ")}, {"ESTABLISHED/DELIVERY_FIELD"}},
      {{To("4A1B1", kMx, "tls=may:none, ")}, {"PLAINTEXT/DELIVERY_FIELD"}},
      {{To("4A1B1", kMx, "tls=none, ")}, {"PLAINTEXT/DELIVERY_FIELD"}},
      {{To("4A1B1", kMx, "", "deferred (Server certificate not verified)")},
       {"ESTABLISHED/HANDSHAKE_LINE"}},
      {{To("4A1B1", kMx, "",
           "deferred (TLS is required, but was not offered by host mx.a.test[192.0.2.1])")},
       {"PLAINTEXT/DELIVERY_FIELD"}},
      {{"SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
        To("4A1B1", kMx, "", handshake_failed)},
       {"FAILED/HANDSHAKE_LINE"}},
      // Postfix tries again, at once and without TLS.
      {{"SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
        "4A1B1: Cannot start TLS: handshake failure", To("4A1B1", kMx)},
       {"FAILED/HANDSHAKE_LINE", "PLAINTEXT/NO_TLS_LINE"}},
      // This may be another server's name, with TLS.
      {{"SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
        "4A1B1: Cannot start TLS: handshake failure", To("4A1B1", "mx2.a.test[192.0.2.1]:25")},
       {"FAILED/HANDSHAKE_LINE", "UNKNOWN/UNSPECIFIED"}},
      {{"SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
        "4A1B1: Cannot start TLS: handshake failure", To("4A1B1", kMx2)},
       {"FAILED/HANDSHAKE_LINE", "UNKNOWN/UNSPECIFIED"}},
      {{"SSL_connect error to mx.a.test[192.0.2.1]:25: lost connection",
        To("4A1B1", kMx, "", handshake_failed), To("4A1B2", kMx)},
       {"FAILED/HANDSHAKE_LINE", "UNKNOWN/UNSPECIFIED"}},
  };
  for (const auto& c : kCases) {
    RestartWithoutTls();
    for (const std::string& line : c.lines) Line("smtp[9]: " + line);
    std::vector<std::string> states;
    assembler_->GiveUpAll();
    for (const v1::SessionRecord& record : TakeRecords())
      states.push_back(TlsStateText(record.tls()));
    EXPECT_THAT(states, testing::ElementsAreArray(c.states)) << c.lines.back();
  }
}

// Its own line, and one that says that TLS would show: where that was not read, the record of
// the same key has a lower rank.
TEST_F(OutboundTest, ReadingThatSawTlsLinesKnowsMore) {
  Line("smtp[9]: " + To("4A1B2", kMx));
  assembler_->GiveUpAll();
  const v1::SessionRecord knowing = TakeOnlyRecord();
  RestartWithoutTls();
  Line("smtp[9]: " + To("4A1B2", kMx));
  assembler_->GiveUpAll();
  const v1::SessionRecord unknowing = TakeOnlyRecord();
  EXPECT_EQ(KeyText(knowing.key()), KeyText(unknowing.key()));
  EXPECT_EQ(TlsStateText(knowing.tls()), "PLAINTEXT/NO_TLS_LINE");
  EXPECT_EQ(TlsStateText(unknowing.tls()), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(knowing.rank().lines_used(), 2);
  EXPECT_EQ(unknowing.rank().lines_used(), 1);
  EXPECT_FALSE(unknowing.has_end_time()) << "one line is its own";
  EXPECT_FALSE(knowing.has_end_time()) << "one line is its own";
}

TEST_F(OutboundTest, TlsLinesSpeakForTheirClientForAWeek) {
  const std::string kEstablished =
      ": Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13;
  const struct {
    std::string tls_line;
    absl::Duration later;
    std::string delivery;
    bool shows;
  } kCases[] = {
      {"smtp[1]" + kEstablished, absl::ZeroDuration(), "smtp[9]", true},
      {ReusedBy("smtp[1]"), absl::ZeroDuration(), "smtp[9]", true},
      {"smtp[1]" + kEstablished, absl::ZeroDuration(), "relay/smtp[9]", true},
      {"relay/smtp[1]" + kEstablished, absl::ZeroDuration(), "smtp[9]", true},
      {"smtp[1]" + kEstablished, absl::ZeroDuration(), "lmtp[9]", false},
      // tlsproxy_client_loglevel is another setting.
      {"tlsproxy[1]" + kEstablished, absl::ZeroDuration(), "smtp[9]", false},
      {"smtp[1]" + kEstablished, absl::Hours(24 * 7), "smtp[9]", true},
      {"smtp[1]" + kEstablished, absl::Hours(24 * 7) + absl::Seconds(1), "smtp[9]", false},
  };
  for (const auto& c : kCases) {
    RestartWithoutTls();
    Line(c.tls_line);
    Advance(c.later);
    SaveAndRestore();
    Line(c.delivery + ": " + To("4A1B2", kMx2));
    assembler_->GiveUpAll();
    std::vector<std::string> states;
    for (const v1::SessionRecord& record : TakeRecords()) {
      if (record.peer().address() == "192.0.2.2") states.push_back(TlsStateText(record.tls()));
    }
    EXPECT_THAT(states, ElementsAre(c.shows ? "PLAINTEXT/NO_TLS_LINE" : "UNKNOWN/UNSPECIFIED"))
        << c.tls_line << " then " << c.delivery << " after " << c.later;
  }
}

TEST_F(OutboundTest, TlsLineThatComesWhileTheSessionRestsSpeaksForItToo) {
  RestartWithoutTls();
  Line("smtp[9]: " + To("4A1B2", kMx));
  Advance(absl::Minutes(4));
  Line(ReusedBy("smtp[8]"));
  EXPECT_THAT(Texts(), ElementsAre(testing::HasSubstr("PLAINTEXT/NO_TLS_LINE")));
}

TEST_F(OutboundTest, InstancesOfPostfixSpeakForThemselves) {
  TlsLoggingTable table(/*clients_max=*/10);
  table.Add("mx1", "postfix-out/smtp[9]", now_);
  EXPECT_TRUE(table.Shows("mx1", "postfix-out/relay/smtp[10]", now_));
  EXPECT_FALSE(table.Shows("mx1", "postfix/smtp[10]", now_));
  EXPECT_FALSE(table.Shows("mx2", "postfix-out/smtp[9]", now_));
}

TEST(TlsLoggingTest, ATagOfAnyBytesIsKnownAsItStandsInKeys) {
  TlsLoggingTable table(/*clients_max=*/10);
  table.Add("mx1",
            "post\xff"
            "fix/smtp",
            absl::UnixEpoch());
  EXPECT_TRUE(table.Shows("mx1", "post?fix/smtp[12]", absl::UnixEpoch()));
  google::protobuf::RepeatedPtrField<agent::v1::TlsLogging> saved;
  table.Save(saved);
  ASSERT_EQ(saved.size(), 1);
  EXPECT_EQ(saved[0].client(), "mx1 post?fix/smtp");
}

TEST_F(OutboundTest, ClientsThatLogTlsAreBounded) {
  TlsLoggingTable table(/*clients_max=*/2);
  for (const char* host : {"mx1", "mx2", "mx3"}) {
    table.Add(host, "postfix/smtp[9]", now_);
    table.Add("mx0", "postfix/smtp[9]", now_ += absl::Seconds(1));
  }
  EXPECT_TRUE(table.Shows("mx0", "postfix/smtp[9]", absl::InfinitePast()));
  EXPECT_FALSE(table.Shows("mx1", "postfix/smtp[9]", absl::InfinitePast()));
  EXPECT_FALSE(table.Shows("mx2", "postfix/smtp[9]", absl::InfinitePast()));
  EXPECT_TRUE(table.Shows("mx3", "postfix/smtp[9]", absl::InfinitePast()));
}

TEST_F(OutboundTest, ExternalSessionsOfWhichNothingTellsAreReported) {
  RestartWithoutTls();
  Lines({"smtp[9]: " + To("4A1B2", kMx), "smtp[8]: " + To("4A1B3", kMx, "tls=may?, "),
         "smtp[7]: " + To("4A1B4", "127.0.0.1[127.0.0.1]:10024")});
  Texts();
  EXPECT_EQ(tls_not_logged_, 1);
}

TEST_F(OutboundTest, RequiredTlsThatTheServerDoesNotHave) {
  Lines({"smtp[9]: " + To("4A1B2", kMx, "",
                          "deferred (TLS is required, but was not offered by host "
                          "mx.a.test[192.0.2.1])"),
         "smtp[9]: " + To("4A1B3", kMx, "",
                          "deferred (TLS is required, but host mx.a.test[192.0.2.1] refused to "
                          "start TLS: 454 later)")});
  EXPECT_THAT(Texts(),
              ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=1 smtp PLAINTEXT/DELIVERY_FIELD "
                          "mx.a.test[192.0.2.1]:25 UNSPECIFIED id=4A1B2",
                          "mx1 12:00:00 postfix/smtp[9]#1 lines=1 smtp FAILED/HANDSHAKE_LINE "
                          "failure=REFUSED mx.a.test[192.0.2.1]:25 UNSPECIFIED id=4A1B3"));
}

TEST_F(OutboundTest, TlsFieldOfDeliveriesDecidesWithoutTlsLine) {
  Lines({"smtp[1]: " + To("4A1B1", kMx, "tls=may, "),
         "smtp[2]: " + To("4A1B2", kMx, "tls=may:none, "),
         "smtp[3]: " + To("4A1B3", kMx, "tls=!encrypt, ", "deferred (x)"),
         "smtp[4]: " + To("4A1B4", kMx, "tls=may?, ", "deferred (x)"),
         "smtp[5]: " + To("4A1B5", kMx, "tls=dane/!requiretls:nostarttls, ", "bounced (x)")});
  const std::vector<std::string> texts = Texts();
  ASSERT_THAT(texts, SizeIs(5));
  EXPECT_THAT(texts[0], testing::HasSubstr("ESTABLISHED/DELIVERY_FIELD"));
  EXPECT_THAT(texts[1], testing::HasSubstr("PLAINTEXT/DELIVERY_FIELD"));
  EXPECT_THAT(texts[2], testing::HasSubstr("FAILED/DELIVERY_FIELD"));
  EXPECT_THAT(texts[3], testing::HasSubstr("UNKNOWN/UNSPECIFIED"));
  EXPECT_THAT(texts[4], testing::HasSubstr("PLAINTEXT/DELIVERY_FIELD"));
}

// tlsproxy keeps the connection, smtp processes take turns; both log the handshake.
TEST_F(OutboundTest, ReusedTlsConnectionIsOneSession) {
  Lines({"tlsproxy[3]: CONNECT to [192.0.2.1]:25",
         "tlsproxy[3]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[9]: " + To("4A1B2", kMx)});
  Advance(absl::Seconds(2));
  Lines({"smtp[11]: Untrusted TLS connection reused to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[11]: " + To("4A1B3", kMx, "conn_use=2, "),
         "smtp[11]: " + To("4A1B3", kMx, "conn_use=2, "),
         "smtp[9]: Untrusted TLS connection reused to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[9]: " + To("4A1B4", kMx, "conn_use=3, "), "tlsproxy[3]: DISCONNECT [192.0.2.1]:25"});
  EXPECT_THAT(Texts(), ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=5 smtp "
                                   "ESTABLISHED/HANDSHAKE_LINE " FACTS13
                                   " trust=UNTRUSTED RESUMED mx.a.test[192.0.2.1]:25 "
                                   "end=12:00:02 UNSPECIFIED messages=3 id=4A1B2 id=4A1B3 "
                                   "id=4A1B4"));
  EXPECT_EQ(cut_sessions_, 0);
}

TEST_F(OutboundTest, PlaintextConnectionIsHandedFromProcessToProcess) {
  Lines({"smtp[9]: " + To("4A1B2", kMx), "smtp[9]: " + To("4A1B9", kMx2),
         "smtp[11]: " + To("4A1B3", kMx, "conn_use=2, "),
         "smtp[9]: " + To("4A1B4", kMx, "conn_use=3, "),
         // Another connection to the same server.
         "smtp[11]: " + To("4A1B5", kMx),
         "smtp[12]: 4A1B6: lost connection with mx.a.test[192.0.2.1] while sending MAIL FROM"});
  EXPECT_THAT(
      Texts(),
      ElementsAre("mx1 12:00:00 postfix/smtp[9]#1 lines=2 smtp PLAINTEXT/NO_TLS_LINE "
                  "mx2.a.test[192.0.2.2]:25 UNSPECIFIED messages=1 id=4A1B9",
                  "mx1 12:00:00 postfix/smtp[9]#0 lines=4 smtp PLAINTEXT/NO_TLS_LINE "
                  "mx.a.test[192.0.2.1]:25 end=12:00:00 UNSPECIFIED messages=3 id=4A1B2 id=4A1B3 "
                  "id=4A1B4",
                  "mx1 12:00:00 postfix/smtp[11]#0 lines=3 smtp PLAINTEXT/NO_TLS_LINE "
                  "mx.a.test[192.0.2.1]:25 end=12:00:00 LOST_CONNECTION after=MAIL messages=1 "
                  "id=4A1B5"));
}

TEST_F(OutboundTest, ConnectionThatTheReadingDidNotSeeBeginIsCut) {
  Lines({"smtp[9]: " + To("4A1B2", kMx, "conn_use=2, "),
         "smtp[9]: " + To("4A1B2", kMx, "conn_use=2, "),
         "smtp[9]: " + To("4A1B3", kMx, "conn_use=3, ")});
  EXPECT_THAT(Texts(), IsEmpty());
  EXPECT_EQ(cut_sessions_, 1);
}

// A TLS line may have been written before the first line of the reading.
TEST_F(OutboundTest, DeliveryThatMayHaveBegunBeforeTheReadingIsCut) {
  Restart();
  Tick();
  Advance(absl::Seconds(3));
  Lines({"smtp[9]: " + To("4A1B2", kMx, "", "sent (250 Ok)", "0.1/0.02/1/5"),
         "smtp[9]: " + To("4A1B2", kMx, "", "sent (250 Ok)", "0.1/0.02/1/5")});
  EXPECT_EQ(cut_sessions_, 1);
  Advance(absl::Seconds(1));
  // Of this process everything was read since.
  Line("smtp[9]: " + To("4A1B3", kMx, "", "sent (250 Ok)", "0.1/0.02/1/5"));
  // Of this one the delays say that everything was.
  Line("smtp[8]: " + To("4A1B4", kMx, "", "sent (250 Ok)", "0.1/0.02/0.1/1"));
  // Of this one nobody knows.
  Line("smtp[7]: 4A1B5: lost connection with mx.a.test[192.0.2.9] while sending MAIL FROM");
  assembler_->GiveUpAll();
  EXPECT_THAT(TakeKeys(),
              ElementsAre("mx1 12:00:04 postfix/smtp[9]#0", "mx1 12:00:04 postfix/smtp[8]#0"));
  EXPECT_EQ(cut_sessions_, 2);
}

// It may be the second of its stamp.
TEST_F(OutboundTest, SessionBehindACutOneOfItsStampIsUncertain) {
  Restart();
  Tick();
  Advance(absl::Seconds(3));
  Lines({"smtp[9]: " + To("4A1B2", kMx, "", "sent (250 Ok)", "0.1/0.02/1/5"),
         "smtp[9]: " + To("4A1B3", kMx), "smtp[9]: " + To("4A1B4", kMx)});
  Advance(absl::Seconds(1));
  Line("smtp[9]: " + To("4A1B5", kMx));
  assembler_->GiveUpAll();
  std::vector<std::string> ranks;
  for (const v1::SessionRecord& record : TakeRecords()) {
    ranks.push_back(absl::StrCat(KeyText(record.key()), " ", record.rank().lines_used()));
  }
  EXPECT_THAT(ranks,
              ElementsAre("mx1 12:00:03 postfix/smtp[9]#0 0", "mx1 12:00:03 postfix/smtp[9]#1 0",
                          "mx1 12:00:04 postfix/smtp[9]#0 1"));
}

TEST_F(OutboundTest, SessionEndsWhenItRestedForFiveMinutes) {
  Line("smtp[9]: " + To("4A1B2", kMx));
  Advance(absl::Minutes(5));
  Line("smtp[8]: " + To("4A1B3", kMx, "conn_use=2, "));
  EXPECT_THAT(TakeTexts(), IsEmpty());
  Advance(absl::Minutes(5) + absl::Seconds(1));
  // Whatever the clock's steps: what becomes of a line depends on its own time.
  Line("smtp[8]: " + To("4A1B4", kMx, "conn_use=3, "));
  EXPECT_THAT(TakeTexts(), ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=3 smtp "
                                       "PLAINTEXT/NO_TLS_LINE mx.a.test[192.0.2.1]:25 "
                                       "end=12:05:00 UNSPECIFIED messages=2 id=4A1B2 id=4A1B3"));
  EXPECT_EQ(cut_sessions_, 1);
  EXPECT_EQ(assembler_->open_sessions(), 0);
}

TEST_F(OutboundTest, HandshakeWithoutOutcomeIsIdleAfterAnHourAndSwallowsItsLateLines) {
  Line("smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13);
  EXPECT_EQ(assembler_->open_sessions(), 1);
  Advance(absl::Hours(1) + absl::Seconds(1));
  Lines({"smtp[9]: " + To("4A1B2", kMx), "smtp[9]: " + To("4A1B2", kMx)});
  EXPECT_THAT(Texts(), ElementsAre("mx1 12:00:00 postfix/smtp[9]#0 lines=1 smtp "
                                   "ESTABLISHED/HANDSHAKE_LINE " FACTS13
                                   " trust=UNTRUSTED RESUMED mx.a.test[192.0.2.1]:25 IDLE"));
  EXPECT_EQ(evicted_sessions_, 1);
}

TEST_F(OutboundTest, DyingProcessAndStoppedInstanceEndWhatHasNoOutcome) {
  Lines({"smtp[9]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[8]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[7]: Untrusted TLS connection established to mx.a.test[192.0.2.1]:25" TLS13,
         "smtp[9]: fatal: watchdog timeout",
         "master[2]: warning: process /usr/lib/postfix/sbin/smtp pid 8 killed by signal 9",
         "master[2]: terminating on signal 15"});
  const std::vector<std::string> texts = TakeTexts();
  ASSERT_THAT(texts, SizeIs(3));
  for (const std::string& text : texts) EXPECT_THAT(text, testing::HasSubstr(" ABORTED"));
}

TEST_F(OutboundTest, TableOfSessionsIsBounded) {
  options_.open_sessions_max = 10;
  Restart();
  Tick();
  Advance(absl::Minutes(10));
  for (int i = 0; i < 1000; ++i) {
    Line(absl::StrCat("smtp[", i, "]: ", To(absl::StrCat("4A1B", i), kMx)));
    EXPECT_LE(assembler_->remembered(), 10);
  }
  EXPECT_THAT(TakeRecords(), SizeIs(990));
  EXPECT_EQ(evicted_sessions_, 990);
}

TEST_F(OutboundTest, RestoredAssemblerGoesOnWithConnections) {
  Lines({"smtp[9]: " + To("4A1B2", kMx), "smtp[8]: " + To("4A1B9", kMx2)});
  SaveAndRestore();
  Lines({"smtp[9]: " + To("4A1B2", kMx), "smtp[11]: " + To("4A1B3", kMx, "conn_use=2, ")});
  SaveAndRestore();
  Lines({"smtp[11]: " + To("4A1B3", kMx, "conn_use=2, "), "smtp[9]: " + To("4A1B4", kMx)});
  EXPECT_THAT(Texts(), ElementsAre("mx1 12:00:00 postfix/smtp[8]#0 lines=2 smtp "
                                   "PLAINTEXT/NO_TLS_LINE mx2.a.test[192.0.2.2]:25 UNSPECIFIED "
                                   "messages=1 id=4A1B9",
                                   "mx1 12:00:00 postfix/smtp[9]#0 lines=5 smtp "
                                   "PLAINTEXT/NO_TLS_LINE mx.a.test[192.0.2.1]:25 end=12:00:00 "
                                   "UNSPECIFIED messages=2 id=4A1B2 id=4A1B3",
                                   "mx1 12:00:00 postfix/smtp[9]#1 lines=2 smtp "
                                   "PLAINTEXT/NO_TLS_LINE mx.a.test[192.0.2.1]:25 UNSPECIFIED "
                                   "messages=1 id=4A1B4"));
}

}  // namespace
}  // namespace mxtally
