#include "server/stats/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mxtally {
namespace {

using testing::ElementsAre;

StatsRow Found(const std::string& cipher, uint32_t code_point, int64_t sessions,
               int tls_state = v1::TLS_STATE_ESTABLISHED) {
  StatsRow row;
  row.labels.cipher = cipher;
  row.labels.cipher_code_point = code_point;
  if (code_point != 0) row.labels.cipher_iana = absl::StrCat("IANA_", code_point);
  row.labels.tls_state = tls_state;
  row.measures = {.sessions = sessions, .messages = 0, .tls_messages = 0};
  return row;
}

TlsStatsQuestion ByCipher() {
  TlsStatsQuestion question;
  question.query.group_by.set(static_cast<size_t>(Label::kCipher));
  question.zone = absl::UTCTimeZone();
  question.pieces.resize(1);
  return question;
}

// "cipher iana sessions" of each row, in the default order.
std::vector<std::string> Fold(const TlsStatsQuestion& question, std::vector<StatsRow> found) {
  std::vector<StatsResult> results(1);
  results[0].rows = std::move(found);
  std::vector<Row> rows = FoldRows(question, results);
  OrderRows({}, rows.size(), rows);
  std::vector<std::string> shown;
  for (const Row& row : rows) {
    const v1::TlsStatsRow out = RowMessage(row, question.query);
    shown.push_back(absl::StrCat(out.labels().cipher(), " ",
                                 out.labels().has_cipher_iana() ? out.labels().cipher_iana() : "-",
                                 " ", out.sessions()));
  }
  return shown;
}

TEST(RowsTest, SpellingsOfOneSuiteAreOneRowNamedByTheMostCommon) {
  EXPECT_THAT(Fold(ByCipher(), {Found("RSA-AES", 0x35, 2), Found("AES256-SHA", 0x35, 5),
                                Found("OTHER", 0x2f, 3)}),
              ElementsAre("AES256-SHA IANA_53 7", "OTHER IANA_47 3"));
}

TEST(RowsTest, EquallyCommonSpellingsTakeTheFirstByName) {
  EXPECT_THAT(Fold(ByCipher(), {Found("B", 0x35, 2), Found("A", 0x35, 2)}),
              ElementsAre("A IANA_53 4"));
}

TEST(RowsTest, SpellingIsTheMostCommonOfTheWholeAnswer) {
  TlsStatsQuestion question = ByCipher();
  question.query.group_by_host = true;
  std::vector<StatsRow> found = {Found("A", 0x35, 1), Found("B", 0x35, 9)};
  found[0].host = "mx1";
  found[1].host = "mx2";
  EXPECT_THAT(Fold(question, found), ElementsAre("B IANA_53 9", "B IANA_53 1"));
}

TEST(RowsTest, UnknownSuitesStayApart) {
  EXPECT_THAT(Fold(ByCipher(), {Found("X", 0, 2), Found("Y", 0, 1), Found("", 0, 1)}),
              ElementsAre("X - 2", " - 1", "Y - 1"));
}

TEST(RowsTest, SpellingThatAnOlderAgentDidNotKnowJoinsItsSuite) {
  EXPECT_THAT(Fold(ByCipher(), {Found("A", 0, 2), Found("A", 0x35, 1)}),
              ElementsAre("A IANA_53 3"));
}

TEST(RowsTest, TlsStatesFoldIntoCounts) {
  std::vector<StatsResult> results(1);
  for (int state = 0; state <= 5; ++state) {  // 5: only a newer release knows.
    StatsRow row = Found("", 0, 1 << state, state);
    row.measures.messages = 10 << state;
    row.measures.tls_messages = state == v1::TLS_STATE_ESTABLISHED ? 10 << state : 0;
    results[0].rows.push_back(row);
  }
  const std::vector<Row> rows = FoldRows(ByCipher(), results);
  ASSERT_EQ(rows.size(), 1u);
  const Counts& c = rows[0].counts;
  EXPECT_EQ(c.sessions, 63);
  EXPECT_EQ(c.tls, 2);
  EXPECT_EQ(c.failed, 4);
  EXPECT_EQ(c.plaintext, 8);
  EXPECT_EQ(c.unknown, 1 + 16 + 32);
  EXPECT_EQ(c.messages, 630);
  EXPECT_EQ(c.tls_messages, 20);
  EXPECT_EQ(c.unknown_messages, 490);
  EXPECT_EQ(c.TlsShare(), 2.0 / 14);
  EXPECT_EQ(c.MessageTlsShare(), 20.0 / 140);
}

TEST(RowsTest, SharesOfNothingKnownAreAbsentAndZerosPresent) {
  Counts counts;
  counts.Add(v1::TLS_STATE_UNKNOWN, {.sessions = 3, .messages = 4, .tls_messages = 0});
  v1::TlsStatsRow out;
  SetCounts(counts, out);
  EXPECT_FALSE(out.has_tls_share());
  EXPECT_FALSE(out.has_message_tls_share());
  EXPECT_TRUE(out.has_tls_sessions());
  EXPECT_TRUE(out.has_plaintext_sessions());
  EXPECT_TRUE(out.has_failed_handshakes());
  EXPECT_TRUE(out.has_tls_messages());
  counts.Add(v1::TLS_STATE_PLAINTEXT, {.sessions = 1, .messages = 1, .tls_messages = 0});
  SetCounts(counts, out);
  EXPECT_TRUE(out.has_tls_share());
  EXPECT_EQ(out.tls_share(), 0);
  EXPECT_TRUE(out.has_message_tls_share());
}

// Sessions of the rows in order; each row has another number of them.
std::string Ordered(std::vector<Row> rows, const std::vector<OrderKey>& keys, size_t count = 99) {
  OrderRows(keys, count, rows);
  return absl::StrJoin(
      rows.begin(), rows.begin() + std::min(count, rows.size()), " ",
      [](std::string* out, const Row& row) { absl::StrAppend(out, row.counts.sessions); });
}

Row Of(int64_t sessions, int64_t tls, int64_t unknown, const std::string& host, int hour) {
  Row row;
  row.host = host;
  row.bucket = absl::FromUnixSeconds(hour * 3600);
  row.counts.sessions = sessions;
  row.counts.tls = tls;
  row.counts.unknown = unknown;
  row.counts.plaintext = sessions - tls - unknown;
  return row;
}

TEST(RowsTest, DefaultOrderIsByBucketThenMostSessionsThenLabels) {
  EXPECT_EQ(Ordered({Of(1, 0, 0, "a", 2), Of(3, 0, 0, "a", 1), Of(4, 0, 0, "a", 1)}, {}), "4 3 1");
  std::vector<Row> rows = {Of(1, 0, 0, "b", 1), Of(1, 0, 0, "a", 1)};
  OrderRows({}, 2, rows);
  EXPECT_EQ(rows[0].host, "a");
}

TEST(RowsTest, AbsentSharesComeLastEitherWay) {
  const std::vector<Row> rows = {Of(5, 0, 5, "a", 1), Of(10, 5, 0, "a", 1), Of(4, 1, 0, "a", 1)};
  EXPECT_EQ(Ordered(rows, {{Field::kTlsShare, false}}), "4 10 5");
  EXPECT_EQ(Ordered(rows, {{Field::kTlsShare, true}}), "10 4 5");
}

TEST(RowsTest, EnumerationsAreOrderedByTheirNames) {
  std::vector<Row> rows = {Of(1, 0, 0, "", 1), Of(2, 0, 0, "", 1), Of(3, 0, 0, "", 1)};
  rows[0].labels.peer_class = v1::PEER_CLASS_LOOPBACK;
  rows[1].labels.peer_class = v1::PEER_CLASS_EXTERNAL;
  rows[2].labels.peer_class = v1::PEER_CLASS_EXCLUDED;
  EXPECT_EQ(Ordered(rows, {{Field::kPeerClass, false}}), "3 2 1");
}

TEST(RowsTest, OnlyTheRowsAskedForAreOrdered) {
  EXPECT_EQ(Ordered({Of(1, 0, 0, "", 1), Of(2, 0, 0, "", 1), Of(3, 0, 0, "", 1)}, {}, 2), "3 2");
}

}  // namespace
}  // namespace mxtally
