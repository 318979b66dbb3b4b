#include "agent/scan/tally.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "agent/scan/report.h"

namespace mxtally {
namespace {

constexpr CipherSuite kSuite = {.iana = "IANA", .code_point = 0x16};

Session Of(v1::TlsState state, const std::string& cipher = "", const CipherSuite* suite = nullptr,
           int messages = 0) {
  Session session;
  session.service = "smtpd";
  session.messages = messages;
  session.tls.state = state;
  auto facts = std::make_shared<HandshakeFacts>();
  facts->protocol = cipher.empty() ? "" : "TLSv1.2";
  facts->cipher = cipher;
  facts->suite = suite;
  session.tls.facts = facts;
  return session;
}

TEST(DirectionTallyTest, SessionsAreTheSumOfTheirStates) {
  DirectionTally tally;
  for (const v1::TlsState state :
       {v1::TLS_STATE_ESTABLISHED, v1::TLS_STATE_PLAINTEXT, v1::TLS_STATE_PLAINTEXT,
        v1::TLS_STATE_FAILED, v1::TLS_STATE_UNKNOWN}) {
    tally.Add(Of(state));
  }
  const DirectionReport report = tally.Report();
  EXPECT_EQ(report.sessions, 5);
  EXPECT_EQ(report.tls_sessions, 1);
  EXPECT_EQ(report.plaintext_sessions, 2);
  EXPECT_EQ(report.failed_handshakes, 1);
  EXPECT_EQ(report.unknown_sessions, 1);
  EXPECT_EQ(report.known_sessions(), 4);
}

TEST(DirectionTallyTest, MessagesOfUnknownSessionsAreInNoShare) {
  DirectionTally tally;
  tally.Add(Of(v1::TLS_STATE_ESTABLISHED, "A", &kSuite, 3));
  tally.Add(Of(v1::TLS_STATE_PLAINTEXT, "", nullptr, 2));
  tally.Add(Of(v1::TLS_STATE_UNKNOWN, "", nullptr, 10));
  const DirectionReport report = tally.Report();
  EXPECT_EQ(report.messages, 15);
  EXPECT_EQ(report.tls_messages, 3);
  EXPECT_EQ(report.messages_of_known, 5);
}

TEST(DirectionTallyTest, SpellingsOfOneSuiteAreOneRowUnderTheMostCommonName) {
  DirectionTally tally;
  for (int i = 0; i < 2; ++i) tally.Add(Of(v1::TLS_STATE_ESTABLISHED, "EDH-X", &kSuite));
  for (int i = 0; i < 3; ++i) tally.Add(Of(v1::TLS_STATE_ESTABLISHED, "DHE-X", &kSuite));
  for (int i = 0; i < 4; ++i) tally.Add(Of(v1::TLS_STATE_ESTABLISHED, "OTHER"));
  tally.Add(Of(v1::TLS_STATE_ESTABLISHED, "ANOTHER"));
  tally.Add(Of(v1::TLS_STATE_ESTABLISHED));
  const DirectionReport report = tally.Report();
  ASSERT_EQ(report.by_cipher.size(), 3);
  EXPECT_EQ(report.by_cipher[0].name, "DHE-X");
  EXPECT_EQ(report.by_cipher[0].iana, "IANA");
  EXPECT_EQ(report.by_cipher[0].sessions, 5);
  EXPECT_EQ(report.by_cipher[1].name, "OTHER");
  EXPECT_EQ(report.by_cipher[2].name, "ANOTHER");
  EXPECT_EQ(report.cipher_not_logged, 1);
  EXPECT_EQ(report.protocol_not_logged, 1);
}

TEST(ReportTest, CsvQuotesLabels) {
  ScanReport report;
  report.inbound.by_service.push_back({.name = "a,\"b\"", .sessions = 2});
  std::ostringstream out;
  PrintCsv(report, out);
  EXPECT_NE(out.str().find("inbound,service_sessions,\"a,\"\"b\"\"\",2\n"), std::string::npos)
      << out.str();
}

TEST(ReportTest, JsonEscapesLabels) {
  ScanReport report;
  report.inbound.by_cipher.push_back({.name = "a\"\\\n", .sessions = 2});
  std::ostringstream out;
  PrintJson(report, out);
  EXPECT_NE(out.str().find(R"({"cipher":"a\"\\\u000a","iana":null,"sessions":2})"),
            std::string::npos)
      << out.str();
}

}  // namespace
}  // namespace mxtally
