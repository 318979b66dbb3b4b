#include "server/stats/tls_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/support/fake_store.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const absl::Time kNow = absl::FromCivil(absl::CivilHour(2026, 11, 2, 10), absl::UTCTimeZone());

StatsRow Sessions(int64_t sessions, int peer_class = 0) {
  StatsRow row;
  row.labels.tls_state = v1::TLS_STATE_ESTABLISHED;
  row.labels.peer_class = peer_class;
  row.measures.sessions = sessions;
  return row;
}

class TlsStatsTest : public testing::Test {
 protected:
  absl::StatusOr<v1::GetTlsStatsResponse> Try(const v1::GetTlsStatsRequest& request = {}) const {
    return AnswerTlsStats(store_, request, kNow, guard_);
  }
  v1::GetTlsStatsResponse Ask(const v1::GetTlsStatsRequest& request = {}) const {
    const absl::StatusOr<v1::GetTlsStatsResponse> response = Try(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : v1::GetTlsStatsResponse();
  }
  // Answers each query with these rows.
  void Hold(const std::vector<StatsRow>& rows) {
    store_.query_stats = [rows](const StatsQuery&, const QueryGuard&) {
      StatsResult result;
      result.rows = rows;
      return result;
    };
  }

  FakeStore store_;
  QueryGuard guard_ = [] { return absl::OkStatus(); };
};

TEST_F(TlsStatsTest, EmptyAnswerNamesTheNewestHourWithData) {
  store_.newest_hour = kNow - absl::Hours(100);
  const v1::GetTlsStatsResponse r = Ask();
  EXPECT_THAT(r.rows(), IsEmpty());
  EXPECT_EQ(r.newest_data_hour().seconds(), absl::ToUnixSeconds(kNow - absl::Hours(100)));
  EXPECT_EQ(r.effective_window(), "2026-11-01T10:00:00Z/2026-11-02T10:00:00Z");
  EXPECT_TRUE(r.has_rows_omitted());
  EXPECT_TRUE(r.total().has_sessions());
  EXPECT_FALSE(r.total().has_tls_share()) << "no data is not 0 %";
  EXPECT_FALSE(r.completeness().complete());
}

TEST_F(TlsStatsTest, NewestHourIsAbsentWithoutAnyDataAndWithSomeInTheWindow) {
  EXPECT_FALSE(Ask().has_newest_data_hour());
  store_.newest_hour = kNow;
  Hold({Sessions(1)});
  EXPECT_FALSE(Ask().has_newest_data_hour());
}

TEST_F(TlsStatsTest, OtherPeerClassesAreCountedApart) {
  store_.query_stats = [](const StatsQuery& query, const QueryGuard&) {
    StatsResult result;
    if (query.filter.peer_classes.empty()) {
      result.rows = {Sessions(5, v1::PEER_CLASS_EXTERNAL), Sessions(3, v1::PEER_CLASS_EXCLUDED),
                     Sessions(2, 9)};
    } else {
      result.rows = {Sessions(5)};
    }
    return result;
  };
  std::vector<std::string> others;
  const v1::GetTlsStatsResponse r = Ask();
  for (const v1::PeerClassCount& other : r.other_peer_classes()) {
    others.push_back(other.peer_class() + " " + std::to_string(other.sessions()));
  }
  EXPECT_THAT(others, ElementsAre("LOOPBACK 0", "EXCLUDED 3", "9 2"));

  v1::GetTlsStatsRequest all;
  all.mutable_filter()->add_peer_classes("all");
  EXPECT_THAT(Ask(all).other_peer_classes(), IsEmpty());
}

TEST_F(TlsStatsTest, OtherDirectionsAreCountedApart) {
  store_.query_stats = [](const StatsQuery& query, const QueryGuard&) {
    StatsResult result;
    result.rows = {Sessions(5)};
    result.rows[0].labels.direction = v1::DIRECTION_INBOUND;
    if (query.filter.directions.empty()) {
      result.rows.push_back(Sessions(3));
      result.rows[1].labels.direction = v1::DIRECTION_OUTBOUND;
    }
    return result;
  };
  const v1::GetTlsStatsResponse r = Ask();
  EXPECT_EQ(r.total().sessions(), 5);
  ASSERT_EQ(r.other_directions_size(), 1);
  EXPECT_EQ(r.other_directions(0).direction(), "OUTBOUND");
  EXPECT_EQ(r.other_directions(0).sessions(), 3);

  v1::GetTlsStatsRequest all;
  all.mutable_filter()->add_directions("all");
  EXPECT_EQ(Ask(all).total().sessions(), 8);
  EXPECT_THAT(Ask(all).other_directions(), IsEmpty());
}

TEST_F(TlsStatsTest, RowsBeyondTheLimitAreInTheTotal) {
  std::vector<StatsRow> rows;
  for (int i = 1; i <= 5; ++i) {
    rows.push_back(Sessions(i));
    rows.back().host = "mx" + std::to_string(i);
  }
  Hold(rows);
  v1::GetTlsStatsRequest request;
  request.add_group_by("host");
  request.set_limit(2);
  const v1::GetTlsStatsResponse r = Ask(request);
  ASSERT_EQ(r.rows_size(), 2);
  EXPECT_EQ(r.rows(0).labels().host(), "mx5");
  EXPECT_EQ(r.rows_omitted(), 3);
  EXPECT_EQ(r.total().sessions(), 15);
  EXPECT_FALSE(r.total().has_labels());
}

TEST_F(TlsStatsTest, AnswerFitsIntoAMessageOfFourMebibytes) {
  std::vector<StatsRow> rows;
  for (int i = 0; i < 10'000; ++i) {
    rows.push_back(Sessions(1));
    rows.back().host = std::string(1000, 'x') + std::to_string(i);
  }
  Hold(rows);
  v1::GetTlsStatsRequest request;
  request.add_group_by("host");
  request.set_limit(10'000);
  const v1::GetTlsStatsResponse r = Ask(request);
  EXPECT_LT(r.ByteSizeLong(), size_t{4} << 20);
  EXPECT_EQ(r.rows_size() + r.rows_omitted(), 10'000);
}

TEST_F(TlsStatsTest, LabelsThatAreNotGroupedAreAbsent) {
  Hold({Sessions(1)});
  EXPECT_FALSE(Ask().rows(0).has_labels());
  EXPECT_FALSE(Ask().rows(0).has_bucket_start());
  v1::GetTlsStatsRequest request;
  request.add_group_by("trust");
  request.set_bucket("hour");
  const v1::TlsStatsRow row = Ask(request).rows(0);
  EXPECT_TRUE(row.labels().has_trust());
  EXPECT_EQ(row.labels().trust(), "");
  EXPECT_FALSE(row.labels().has_host());
  EXPECT_FALSE(row.labels().has_cipher());
  EXPECT_TRUE(row.has_bucket_start());
}

TEST_F(TlsStatsTest, TooManyGroupsAreRefused) {
  store_.query_stats = [](const StatsQuery&, const QueryGuard&) {
    StatsResult result;
    result.rows.resize(200'001);
    return result;
  };
  v1::GetTlsStatsRequest request;  // Two pieces.
  request.set_window("2026-10-20/2026-10-30");
  request.set_time_zone("Europe/Amsterdam");
  request.set_bucket("day");
  const absl::Status status = Try(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ask for a shorter window"));
}

TEST_F(TlsStatsTest, GuardStopsAlsoBetweenQueries) {
  guard_ = [] { return absl::CancelledError("gone"); };
  EXPECT_EQ(Try().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(TlsStatsTest, ErrorOfTheStoreIsPassedOn) {
  store_.query_stats = [](const StatsQuery&, const QueryGuard&) -> absl::StatusOr<StatsResult> {
    return absl::DataLossError("damaged");
  };
  EXPECT_EQ(Try().status(), absl::DataLossError("damaged"));
}

}  // namespace
}  // namespace mxtally
