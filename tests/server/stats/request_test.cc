#include "server/stats/request.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/stats/time_window.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

const absl::Time kNow = absl::FromCivil(absl::CivilHour(2026, 11, 2, 10), absl::UTCTimeZone());

absl::StatusOr<TlsStatsQuestion> TryParse(const std::string& text) {
  v1::GetTlsStatsRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return ParseRequest(request, kNow);
}

TlsStatsQuestion Parse(const std::string& text) {
  const absl::StatusOr<TlsStatsQuestion> question = TryParse(text);
  EXPECT_TRUE(question.ok()) << question.status();
  return question.ok() ? *question : TlsStatsQuestion();
}

std::string ErrorOf(const std::string& text) {
  const absl::Status status = TryParse(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

LabelSet Set(std::initializer_list<Label> labels) {
  LabelSet set;
  for (const Label label : labels) set.set(static_cast<size_t>(label));
  return set;
}

TEST(RequestTest, EmptyRequestAsksForADayOfInboundSessionsOfExternalPeersInOneRow) {
  const TlsStatsQuestion q = Parse("");
  EXPECT_EQ(FormatWindow(q.window), "2026-11-01T10:00:00Z/2026-11-02T10:00:00Z");
  EXPECT_TRUE(q.query.group_by.none());
  EXPECT_FALSE(q.query.group_by_host);
  EXPECT_EQ(q.query.bucket, absl::ZeroDuration());
  EXPECT_THAT(q.query.hosts, IsEmpty());
  EXPECT_THAT(q.query.filter.peer_classes, ElementsAre(v1::PEER_CLASS_EXTERNAL));
  EXPECT_THAT(q.query.filter.directions, ElementsAre(v1::DIRECTION_INBOUND));
  EXPECT_EQ(q.query.filter.Used(), Set({Label::kPeerClass, Label::kDirection}));
  EXPECT_EQ(q.limit, 1000);
  EXPECT_THAT(q.order_by, IsEmpty());
  EXPECT_THAT(q.pieces, ElementsAre(ZonePiece{q.window, absl::ZeroDuration()}));
}

TEST(RequestTest, GroupsByEachLabelAndToleratesDuplicates) {
  EXPECT_TRUE(Parse("group_by: 'host'").query.group_by_host);
  EXPECT_EQ(Parse("group_by: ['cipher', 'host', 'cipher']").query.group_by, Set({Label::kCipher}));
  EXPECT_EQ(Parse("group_by: ['service', 'direction', 'peer_class', 'protocol', 'cipher',"
                  "'kex_group', 'signature', 'trust', 'tls_state', 'evidence', 'handshake']")
                .query.group_by.count(),
            static_cast<size_t>(kLabelCount));
}

TEST(RequestTest, WrongGroupListsTheRightOnes) {
  for (const char* name : {"hosts", "Host", "", "sessions", "bucket"}) {
    EXPECT_EQ(ErrorOf(absl::StrCat("group_by: '", name, "'")),
              absl::StrCat("group_by has \"", name,
                           "\": expected any of host, service, direction, peer_class, protocol, "
                           "cipher, kex_group, signature, trust, tls_state, evidence, handshake"));
  }
}

TEST(RequestTest, OrdersByNamesWithASignInFront) {
  EXPECT_THAT(Parse("order_by: ['-tls_share', 'host', 'bucket', 'host', '-host']").order_by,
              ElementsAre(OrderKey{Field::kTlsShare, true}, OrderKey{Field::kHost, false},
                          OrderKey{Field::kBucket, false}));
}

TEST(RequestTest, WrongOrderListsTheRightOnes) {
  for (const char* name : {"--host", "share", "-", "+host", "Sessions"}) {
    const std::string error = ErrorOf(absl::StrCat("order_by: '", name, "'"));
    EXPECT_THAT(error,
                HasSubstr(absl::StrCat("order_by has \"", name, "\": expected any of host")));
    EXPECT_THAT(error, HasSubstr("failed_handshakes, unknown_sessions, tls_share, messages, "
                                 "tls_messages, message_tls_share"));
  }
}

TEST(RequestTest, BucketsDivideADay) {
  for (const auto& [text, hours] : {std::pair("hour", 1),
                                    {"day", 24},
                                    {"1h", 1},
                                    {"2h", 2},
                                    {"3h", 3},
                                    {"4h", 4},
                                    {"6h", 6},
                                    {"8h", 8},
                                    {"12h", 12},
                                    {"24h", 24}}) {
    EXPECT_EQ(Parse(absl::StrCat("bucket: '", text, "'")).query.bucket, absl::Hours(hours)) << text;
  }
  for (const char* text : {"0h", "5h", "48h", "h", "7", "week", "30m", "-6h", "+6h", "1d", " 6h"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("bucket: '", text, "'")),
                HasSubstr("expected \"hour\", \"day\", or hours that divide a day: \"1h\""))
        << text;
  }
}

TEST(RequestTest, EnumerationsAreTakenInEveryForm) {
  for (const char* name : {"EXCLUDED", "excluded", "Excluded", "PEER_CLASS_EXCLUDED", "3"}) {
    EXPECT_THAT(
        Parse(absl::StrCat("filter { peer_classes: '", name, "' }")).query.filter.peer_classes,
        ElementsAre(3))
        << name;
  }
  const LabelFilter filter = Parse(R"(filter {
      directions: 'outbound' trusts: ['', 'verified'] tls_states: 'FAILED'
      evidences: 'tls_evidence_no_tls_line' handshakes: 'unspecified' handshakes: '17' })")
                                 .query.filter;
  EXPECT_THAT(filter.directions, ElementsAre(v1::DIRECTION_OUTBOUND));
  EXPECT_THAT(filter.trusts, ElementsAre(0, v1::TLS_TRUST_VERIFIED));
  EXPECT_THAT(filter.tls_states, ElementsAre(v1::TLS_STATE_FAILED));
  EXPECT_THAT(filter.evidences, ElementsAre(v1::TLS_EVIDENCE_NO_TLS_LINE));
  EXPECT_THAT(filter.handshakes, ElementsAre(0, 17));
}

TEST(RequestTest, WrongEnumerationListsTheRightOnes) {
  EXPECT_EQ(ErrorOf("filter { tls_states: 'TLS' }"),
            "filter.tls_states has \"TLS\": expected any of ESTABLISHED, FAILED, PLAINTEXT, "
            "UNKNOWN");
  EXPECT_EQ(ErrorOf("filter { peer_classes: 'internal' }"),
            "filter.peer_classes has \"internal\": expected any of EXTERNAL, LOOPBACK, EXCLUDED, "
            "or \"all\"");
  EXPECT_THAT(ErrorOf("filter { directions: 'in' }"), HasSubstr("INBOUND, OUTBOUND, or \"all\""));
  EXPECT_THAT(ErrorOf("filter { trusts: '-1' }"), HasSubstr("ANONYMOUS, UNTRUSTED"));
  EXPECT_THAT(ErrorOf("filter { evidences: 'x' }"), HasSubstr("HANDSHAKE_LINE"));
  EXPECT_THAT(ErrorOf("filter { handshakes: 'x' }"), HasSubstr("NEW, RESUMED, REUSED"));
}

TEST(RequestTest, InboundIsTheUsualDirectionUnlessServicesAreTold) {
  for (const char* request : {"", "group_by: 'cipher'", "filter { hosts: 'mx1' }"}) {
    EXPECT_THAT(Parse(request).query.filter.directions, ElementsAre(v1::DIRECTION_INBOUND))
        << request;
  }
  for (const char* request :
       {"group_by: ['host', 'direction']", "group_by: 'service'", "filter { services: 'smtp' }",
        "filter { directions: 'all' }", "filter { directions: ['inbound', 'ALL'] }"}) {
    EXPECT_THAT(Parse(request).query.filter.directions, IsEmpty()) << request;
  }
  EXPECT_THAT(Parse("group_by: 'service' filter { directions: 'inbound' }").query.filter.directions,
              ElementsAre(v1::DIRECTION_INBOUND));
}

TEST(RequestTest, AllPeerClassesLiftTheRestriction) {
  for (const char* classes : {"'all'", "'ALL'", "['external', 'all']"}) {
    EXPECT_THAT(
        Parse(absl::StrCat("filter { peer_classes: ", classes, " }")).query.filter.peer_classes,
        IsEmpty());
  }
  EXPECT_THAT(ErrorOf("filter { peer_classes: ['all', 'x'] }"), HasSubstr("\"x\""));
}

TEST(RequestTest, TextIsTakenInEitherCase) {
  const TlsStatsQuestion q = Parse(R"(filter {
      hosts: ['MX1.Example.org', 'mx1.example.org'] protocols: 'tlsv1.2'
      ciphers: 'aes256-sha' services: 'SMTPD' signatures: 'ed25519' kex_groups: 'X25519' })");
  EXPECT_THAT(q.query.hosts, ElementsAre("mx1.example.org"));
  EXPECT_THAT(q.query.filter.protocols, UnorderedElementsAre("tlsv1.2", "TLSV1.2", "TLSv1.2"));
  EXPECT_THAT(q.query.filter.ciphers, UnorderedElementsAre("aes256-sha", "AES256-SHA"));
  EXPECT_THAT(q.query.filter.services, UnorderedElementsAre("smtpd", "SMTPD"));
  EXPECT_THAT(q.query.filter.signatures, UnorderedElementsAre("ed25519", "ED25519", "Ed25519"));
  EXPECT_THAT(q.query.filter.kex_groups, UnorderedElementsAre("x25519", "X25519"));
}

TEST(RequestTest, FilterListsAreBounded) {
  v1::GetTlsStatsRequest request;
  for (int i = 0; i < 1000; ++i) request.mutable_filter()->add_hosts(absl::StrCat("mx", i));
  EXPECT_TRUE(ParseRequest(request, kNow).ok());
  request.mutable_filter()->add_hosts("one-more");
  EXPECT_EQ(ParseRequest(request, kNow).status().message(),
            "filter.hosts has 1001 values: expected at most 1000");
}

TEST(RequestTest, LimitHasBounds) {
  EXPECT_EQ(Parse("limit: 1").limit, 1);
  EXPECT_EQ(Parse("limit: 10000").limit, 10'000);
  EXPECT_EQ(ErrorOf("limit: 10001"), "limit is 10001: expected 1 to 10000, or 0 for 1000");
  EXPECT_THAT(ErrorOf("limit: -1"), HasSubstr("limit is -1"));
}

TEST(RequestTest, WindowIsSplitAtAChangeOfOffsetForLocalBucketsOnly) {
  const std::string summer = "window: '2026-10-24/2026-10-27' time_zone: 'Europe/Amsterdam' ";
  EXPECT_THAT(Parse(summer + "bucket: 'day'").pieces, SizeIs(2));
  EXPECT_THAT(Parse(summer + "bucket: '2h'").pieces, SizeIs(2));
  EXPECT_THAT(Parse(summer + "bucket: 'hour'").pieces, SizeIs(1));
  EXPECT_THAT(Parse(summer).pieces, SizeIs(1));
}

TEST(RequestTest, DatesOfTheWindowAreDaysOfTheZone) {
  EXPECT_EQ(
      FormatWindow(Parse("window: '2026-10-25/2026-10-26' time_zone: 'Europe/Amsterdam'").window),
      "2026-10-24T22:00:00Z/2026-10-25T23:00:00Z");
}

TEST(RequestTest, HalfHourZoneIsRefusedAlsoWithoutBuckets) {
  EXPECT_THAT(ErrorOf("time_zone: 'Asia/Kolkata'"), HasSubstr("only offsets of whole hours"));
}

}  // namespace
}  // namespace mxtally
