// What storage/store.h promises about statistics.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class StoreQueriesTest : public StoreTest {
 protected:
  static StatsQuery Window(const std::string& start, const std::string& end) {
    StatsQuery query;
    query.start = At(start);
    query.end = At(end);
    return query;
  }

  static LabelSet By(std::initializer_list<Label> labels) {
    LabelSet set;
    for (Label label : labels) set.set(static_cast<size_t>(label));
    return set;
  }

  // "2026-11-02T10:00:00Z 3"
  std::vector<std::string> Buckets(const StatsQuery& query) {
    std::vector<std::string> buckets;
    for (const StatsRow& row : Query(query).rows) {
      buckets.push_back(
          absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M", row.bucket, absl::UTCTimeZone()), " ",
                       row.measures.sessions));
    }
    return buckets;
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, StoreQueriesTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

// --- Windows and tiers ---

TEST_P(StoreQueriesTest, EmptyStoreHasNoRows) { EXPECT_THAT(Query(Always()).rows, IsEmpty()); }

TEST_P(StoreQueriesTest, WindowHoldsItsStartAndNotItsEnd) {
  CommitSessions({{.stamp = "2026-11-02T09:59:59.999999999Z"},
                  {.stamp = "2026-11-02T10:00:00Z"},
                  {.stamp = "2026-11-02T10:59:59Z"},
                  {.stamp = "2026-11-02T11:00:00Z"}});
  EXPECT_EQ(Total(Query(Window("2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z"))).sessions, 2);
  EXPECT_EQ(Total(Query(Window("2026-11-02T10:00:00Z", "2026-11-02T10:00:00Z"))).sessions, 0);
}

TEST_P(StoreQueriesTest, WholeDaysComeFromADayTierAndEdgesFromHours) {
  CommitSessions({{.stamp = "2026-11-01T22:00:00Z"},
                  {.stamp = "2026-11-01T23:00:00Z"},
                  {.stamp = "2026-11-02T12:00:00Z"},
                  {.stamp = "2026-11-03T00:00:00Z"},
                  {.stamp = "2026-11-03T01:00:00Z"}});
  const StatsResult result = Query(Window("2026-11-01T23:00:00Z", "2026-11-03T01:00:00Z"));
  EXPECT_EQ(Total(result).sessions, 3);
  EXPECT_THAT(result.tiers, UnorderedElementsAre("fleet_hour_narrow", "fleet_day"));
}

TEST_P(StoreQueriesTest, SmallestTierThatHoldsTheLabelsIsRead) {
  CommitSessions({{}});
  StatsQuery day = Window("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z");
  EXPECT_THAT(Query(day).tiers, ElementsAre("fleet_day"));
  day.group_by = By({Label::kCipher});
  EXPECT_THAT(Query(day).tiers, ElementsAre("fleet_day"));
  day.hosts = {"mx1"};
  EXPECT_THAT(Query(day).tiers, ElementsAre("host_day"));
  day.group_by = By({Label::kDirection, Label::kService, Label::kPeerClass, Label::kTlsState});
  EXPECT_THAT(Query(day).tiers, ElementsAre("host_day_narrow"));
  day.filter.protocols = {"TLSv1.3"};
  EXPECT_THAT(Query(day).tiers, ElementsAre("host_day"));
  day.filter.protocols.clear();
  day.hosts.clear();
  day.group_by_host = true;
  EXPECT_THAT(Query(day).tiers, ElementsAre("host_day_narrow"));
  day.bucket = absl::Hours(6);
  EXPECT_THAT(Query(day).tiers, ElementsAre("host_hour"));
  // Weeks begin on Thursdays.
  StatsQuery month = Window("2026-10-28T00:00:00Z", "2026-11-28T01:00:00Z");
  month.group_by_host = true;
  EXPECT_THAT(Query(month).tiers,
              UnorderedElementsAre("host_hour", "host_day_narrow", "host_week_narrow"));
  month.bucket = absl::Hours(24);
  EXPECT_THAT(Query(month).tiers, UnorderedElementsAre("host_hour", "host_day_narrow"));
}

TEST_P(StoreQueriesTest, EveryTierGivesTheSameAnswer) {
  CommitSessions({{.messages = 3}, {.tag = "a[1]", .cipher = "B"}}, "mx1");
  CommitSessions({{.tls_state = v1::TLS_STATE_FAILED}}, "mx2");
  for (const bool by_host : {false, true}) {
    for (const LabelSet& labels : {LabelSet(), By({Label::kCipher})}) {
      for (const absl::Duration bucket : {absl::Hours(0), absl::Hours(1), absl::Hours(24)}) {
        StatsQuery query = Window("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z");
        query.group_by = labels;
        query.group_by_host = by_host;
        query.bucket = bucket;
        EXPECT_EQ(Total(Query(query)), (Measures{.sessions = 3, .messages = 5, .tls_messages = 4}));
      }
    }
  }
}

TEST_P(StoreQueriesTest, StampsBefore1970HaveHoursToo) {
  CommitSessions({{.stamp = "1969-12-31T23:30:00Z"}, {.stamp = "1969-12-30T00:00:00Z"}});
  EXPECT_EQ(Total(Query(Window("1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"))).sessions, 1);
  EXPECT_EQ(Total(Query(Window("1969-12-30T00:00:00Z", "1970-01-01T00:00:00Z"))).sessions, 2);
  Counted();
}

// --- Buckets ---

TEST_P(StoreQueriesTest, HoursAndDaysAsBuckets) {
  CommitSessions({{.stamp = "2026-11-02T10:30:00Z"},
                  {.stamp = "2026-11-02T10:45:00Z"},
                  {.stamp = "2026-11-02T11:00:00Z"},
                  {.stamp = "2026-11-03T11:00:00Z"}});
  StatsQuery query = Window("2026-11-02T00:00:00Z", "2026-11-04T00:00:00Z");
  query.bucket = absl::Hours(1);
  EXPECT_THAT(Buckets(query),
              ElementsAre("2026-11-02T10:00 2", "2026-11-02T11:00 1", "2026-11-03T11:00 1"));
  query.bucket = absl::Hours(6);
  EXPECT_THAT(Buckets(query), ElementsAre("2026-11-02T06:00 3", "2026-11-03T06:00 1"));
  query.bucket = absl::Hours(24);
  EXPECT_THAT(Buckets(query), ElementsAre("2026-11-02T00:00 3", "2026-11-03T00:00 1"));
  EXPECT_THAT(Query(query).tiers, ElementsAre("fleet_day"));
}

TEST_P(StoreQueriesTest, DayBucketsAtTheEdgesOfTheWindow) {
  CommitSessions({{.stamp = "2026-11-02T23:30:00Z"}, {.stamp = "2026-11-03T11:00:00Z"}});
  StatsQuery query = Window("2026-11-02T22:00:00Z", "2026-11-03T12:00:00Z");
  query.bucket = absl::Hours(24);
  EXPECT_THAT(Buckets(query), ElementsAre("2026-11-02T00:00 1", "2026-11-03T00:00 1"));
}

TEST_P(StoreQueriesTest, DaysOfAnotherZoneComeFromHours) {
  CommitSessions({{.stamp = "2026-11-01T22:30:00Z"},
                  {.stamp = "2026-11-01T23:30:00Z"},
                  {.stamp = "2026-11-02T22:59:59Z"}});
  StatsQuery query = Window("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z");
  query.bucket = absl::Hours(24);
  query.bucket_offset = absl::Hours(1);
  EXPECT_THAT(Buckets(query), ElementsAre("2026-10-31T23:00 1", "2026-11-01T23:00 2"));
  EXPECT_THAT(Query(query).tiers, ElementsAre("fleet_hour_narrow"));
  query.group_by.set(static_cast<size_t>(Label::kCipher));
  EXPECT_THAT(Query(query).tiers, ElementsAre("fleet_hour"));
  query.group_by.reset();
  query.bucket_offset = absl::Hours(-5);
  EXPECT_THAT(Buckets(query), ElementsAre("2026-11-01T05:00 2", "2026-11-02T05:00 1"));
}

// --- Groups ---

TEST_P(StoreQueriesTest, TlsStateIsAlwaysSplit) {
  CommitSessions({{.ordinal = 0},
                  {.ordinal = 1},
                  {.ordinal = 2, .tls_state = v1::TLS_STATE_PLAINTEXT},
                  {.ordinal = 3, .tls_state = v1::TLS_STATE_FAILED},
                  {.ordinal = 4, .tls_state = v1::TLS_STATE_UNKNOWN}});
  std::vector<std::pair<int, int64_t>> states;
  for (const StatsRow& row : Query(Always()).rows) {
    states.emplace_back(row.labels.tls_state, row.measures.sessions);
    EXPECT_EQ(row.labels.service, "") << "only grouped labels are shown";
  }
  EXPECT_THAT(states, UnorderedElementsAre(testing::Pair(v1::TLS_STATE_ESTABLISHED, 2),
                                           testing::Pair(v1::TLS_STATE_PLAINTEXT, 1),
                                           testing::Pair(v1::TLS_STATE_FAILED, 1),
                                           testing::Pair(v1::TLS_STATE_UNKNOWN, 1)));
}

TEST_P(StoreQueriesTest, EachLabelGroups) {
  v1::SessionBatch batch = FirstBatch(CutAt(1, "2026-11-02T10:00:00Z"));
  v1::SessionRecord record = Session({});
  record.mutable_tls()->set_cipher_iana("TLS_AES_256_GCM_SHA384");
  record.mutable_tls()->set_cipher_code_point(0x1302);
  record.mutable_tls()->set_kex_group("x25519");
  record.mutable_tls()->set_signature("ECDSA");
  record.mutable_tls()->set_trust(v1::TLS_TRUST_TRUSTED);
  record.mutable_tls()->set_handshake(v1::TLS_HANDSHAKE_RESUMED);
  *batch.add_sessions() = record;
  Commit(batch);
  const Labels all = LabelsOf(record);
  for (int i = 0; i < kLabelCount; ++i) {
    StatsQuery query = Always();
    query.group_by.set(static_cast<size_t>(i));
    const StatsResult result = Query(query);
    ASSERT_EQ(result.rows.size(), 1u);
    Labels expected = Projected(all, query.group_by);
    expected.tls_state = v1::TLS_STATE_ESTABLISHED;
    EXPECT_EQ(result.rows[0].labels, expected) << "label " << i;
  }
}

TEST_P(StoreQueriesTest, GroupsByHost) {
  CommitSessions({{.ordinal = 0}, {.ordinal = 1}}, "mx1");
  CommitSessions({{}}, "mx2");
  StatsQuery query = Always();
  query.group_by_host = true;
  std::vector<std::pair<std::string, int64_t>> hosts;
  for (const StatsRow& row : Query(query).rows) hosts.emplace_back(row.host, row.measures.sessions);
  EXPECT_THAT(hosts, UnorderedElementsAre(testing::Pair("mx1", 2), testing::Pair("mx2", 1)));
}

TEST_P(StoreQueriesTest, TooManyRowsAreRefused) {
  options_.stats_rows_max = 2;
  Reopen();
  CommitSessions({{.ordinal = 0, .cipher = "A"}, {.ordinal = 1, .cipher = "B"}});
  StatsQuery query = Always();
  query.group_by = By({Label::kCipher});
  EXPECT_EQ(Query(query).rows.size(), 2u);
  CommitSessions({{.ordinal = 2, .cipher = "C"}});
  EXPECT_EQ(store_->QueryStats(query, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

// --- Filters ---

TEST_P(StoreQueriesTest, HostsFilter) {
  CommitSessions({{}}, "mx1");
  CommitSessions({{}}, "mx2");
  CommitSessions({{}}, "mx10");
  StatsQuery query = Always();
  query.hosts = {"mx1", "mx10", "mx1"};
  EXPECT_EQ(Total(Query(query)).sessions, 2);
  query.hosts = {"nobody"};
  EXPECT_THAT(Query(query).rows, IsEmpty());
}

TEST_P(StoreQueriesTest, EachLabelFilters) {
  CommitSessions({{}, {.ordinal = 1, .service = "submission", .cipher = "B"}});
  const auto sessions = [this](const LabelFilter& filter) {
    StatsQuery query = Always();
    query.filter = filter;
    return Total(Query(query)).sessions;
  };
  EXPECT_EQ(sessions({.services = {"submission"}}), 1);
  EXPECT_EQ(sessions({.services = {"smtpd", "submission"}}), 2);
  EXPECT_EQ(sessions({.services = {"smt"}}), 0);
  EXPECT_EQ(sessions({.ciphers = {"B"}}), 1);
  EXPECT_EQ(sessions({.services = {"smtpd"}, .ciphers = {"B"}}), 0);
  EXPECT_EQ(sessions({.directions = {v1::DIRECTION_OUTBOUND}}), 0);
  EXPECT_EQ(sessions({.peer_classes = {v1::PEER_CLASS_EXTERNAL}}), 2);
  EXPECT_EQ(sessions({.tls_states = {v1::TLS_STATE_PLAINTEXT}}), 0);
  EXPECT_EQ(sessions({.evidences = {v1::TLS_EVIDENCE_HANDSHAKE_LINE}}), 2);
  EXPECT_EQ(sessions({.protocols = {"TLSv1.2"}}), 0);
  EXPECT_EQ(sessions({.kex_groups = {""}}), 2);
  EXPECT_EQ(sessions({.signatures = {"RSA"}}), 0);
  EXPECT_EQ(sessions({.trusts = {v1::TLS_TRUST_TRUSTED}}), 0);
  EXPECT_EQ(sessions({.handshakes = {0}}), 2);
}

TEST_P(StoreQueriesTest, CiphersMatchByEitherName) {
  v1::SessionBatch batch = FirstBatch(CutAt(1, "2026-11-02T10:00:00Z"), {{.cipher = "AES256-SHA"}});
  batch.mutable_sessions(0)->mutable_tls()->set_cipher_iana("TLS_RSA_WITH_AES_256_CBC_SHA");
  Commit(batch);
  StatsQuery query = Always();
  for (const char* name : {"AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA"}) {
    query.filter.ciphers = {name};
    EXPECT_EQ(Total(Query(query)).sessions, 1) << name;
  }
  query.filter.ciphers = {"RC4"};
  EXPECT_EQ(Total(Query(query)).sessions, 0);
}

TEST_P(StoreQueriesTest, HostileFilterTextIsJustText) {
  CommitSessions({{.service = "x' OR 1=1 --"}, {.ordinal = 1}});
  StatsQuery query = Always();
  query.filter.services = {"x' OR 1=1 --"};
  query.hosts = {"mx1", "mx1' OR '1'='1"};
  EXPECT_EQ(Total(Query(query)).sessions, 1);
}

// --- The newest hour ---

TEST_P(StoreQueriesTest, NewestHourHonoursHostsAndFilter) {
  CommitSessions({{.stamp = "2026-11-02T10:30:00Z"},
                  {.stamp = "2026-11-01T09:30:00Z", .service = "submission"}});
  CommitSessions({{.stamp = "2026-11-04T01:30:00Z"}}, "mx2");
  const auto newest = [this](const std::vector<std::string>& hosts, const LabelFilter& filter) {
    const auto hour = store_->NewestHour(hosts, filter, {});
    EXPECT_TRUE(hour.ok()) << hour.status();
    return hour.value_or(std::nullopt);
  };
  EXPECT_EQ(newest({}, {}), At("2026-11-04T01:00:00Z"));
  EXPECT_EQ(newest({"mx1"}, {}), At("2026-11-02T10:00:00Z"));
  EXPECT_EQ(newest({"mx1", "mx2"}, {}), At("2026-11-04T01:00:00Z"));
  EXPECT_EQ(newest({}, {.services = {"submission"}}), At("2026-11-01T09:00:00Z"));
  EXPECT_EQ(newest({"mx2"}, {.services = {"submission"}}), std::nullopt);
  EXPECT_EQ(newest({}, {.services = {"none"}}), std::nullopt);
  EXPECT_EQ(newest({"nobody"}, {}), std::nullopt);
}

// --- Guards ---

TEST_P(StoreQueriesTest, GuardStopsAQueryWithItsOwnStatus) {
  CommitSessions({{}});
  const QueryGuard guard = [] { return absl::DeadlineExceededError("too long"); };
  EXPECT_EQ(store_->QueryStats(Always(), guard).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(store_->ListHosts({}, guard).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(store_->QueryCoverage({}, At("2026-11-02T00:00:00Z"), At("2026-11-03T00:00:00Z"), guard)
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Total(Query(Always())).sessions, 1) << "the next query is not affected";
}

TEST_P(StoreQueriesTest, GuardStopsALongQueryInItsMiddle) {
  std::vector<v1::SessionRecord> records;
  v1::SessionBatch batch = FirstBatch(CutAt(1, "2026-11-02T10:00:00Z"));
  for (int i = 0; i < 20'000; ++i) *batch.add_sessions() = Session({.tag = absl::StrCat("t", i)});
  Commit(batch);
  std::atomic<int> asked = 0;
  const QueryGuard guard = [&asked] {
    return ++asked > 3 ? absl::CancelledError("gone") : absl::OkStatus();
  };
  EXPECT_EQ(store_->VerifyRollups(guard).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 4) << "asked no more once it said no";
}

TEST_P(StoreQueriesTest, WaitForAReaderHonoursTheGuard) {
  options_.readers_max = 1;
  Reopen();
  CommitSessions({{}});
  // The one reader runs a query that waits in its guard until the other, which
  // waits for the reader, has been stopped.
  std::atomic<bool> other_stopped = false;
  std::atomic<bool> first_runs = false;
  std::thread first([&] {
    const QueryGuard wait = [&] {
      first_runs = true;
      first_runs.notify_one();
      other_stopped.wait(false);
      return absl::OkStatus();
    };
    EXPECT_TRUE(store_->QueryStats(Always(), wait).ok());
  });
  first_runs.wait(false);
  const QueryGuard stop = [] { return absl::CancelledError("gone"); };
  EXPECT_EQ(store_->QueryStats(Always(), stop).status().code(), absl::StatusCode::kCancelled);
  other_stopped = true;
  other_stopped.notify_one();
  first.join();
}

TEST_P(StoreQueriesTest, QueriesSeeWholeTransactionsWhileOthersCommit) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  readers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      StatsQuery query = Window("2026-11-01T23:00:00Z", "2026-11-03T01:00:00Z");
      while (!stop) {
        // Each transaction brings one session to an edge hour and two to a day.
        const Measures total = Total(Query(query));
        EXPECT_EQ(total.sessions % 3, 0);
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    const std::string tag = absl::StrCat("t", i);
    CommitSessions({{.stamp = "2026-11-01T23:00:00Z", .tag = tag},
                    {.stamp = "2026-11-02T01:00:00Z", .tag = tag},
                    {.stamp = "2026-11-02T02:00:00Z", .tag = tag}});
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(Counted().sessions, 300);
}

}  // namespace
}  // namespace mxtally
