// What storage/store.h promises about retention, seals and reopened days.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Duration kDay = absl::Hours(24);

class StoreRetentionTest : public StoreTest {
 protected:
  StoreRetentionTest() {
    options_.retention = {.sessions = 30 * kDay, .hours = 100 * kDay, .days = 400 * kDay};
  }

  // A time of the first day that tests store.
  static absl::Time FirstDay() { return At("2026-01-01T00:00:00Z"); }

  // `count` sessions of a day, an hour apart or less, as the log was written.
  void CommitDay(int day, int count = 3, const std::string& host = "mx1") {
    now_ = FirstDay() + kDay * (day + 1);
    v1::SessionBatch batch = DayBatch(day, count);
    EXPECT_EQ(Commit(batch, host).inserted, count);
  }
  v1::SessionBatch DayBatch(int day, int count = 3) {
    v1::SessionBatch batch;
    batch.set_log("/var/log/mail.log");
    const absl::Time start = FirstDay() + kDay * day;
    *batch.mutable_start() = CutAt(1000 * day, "");
    *batch.mutable_end() = CutAt(1000 * (day + 1), "");
    SetTime(start, batch.mutable_start()->mutable_log_time());
    SetTime(start + kDay, batch.mutable_end()->mutable_log_time());
    for (int i = 0; i < count; ++i) {
      v1::SessionRecord& record = *batch.add_sessions() = Session({});
      SetTime(start + kDay / std::max(count, 24) * i, record.mutable_key()->mutable_stamp());
    }
    return batch;
  }

  // Applies the retention to its end; returns the bites.
  int Maintain(absl::Duration budget = absl::Seconds(10)) {
    int bites = 0;
    while (true) {
      const absl::StatusOr<bool> more = store_->Maintain(budget);
      EXPECT_TRUE(more.ok()) << more.status();
      ++bites;
      if (!more.ok() || !*more) return bites;
    }
  }
  void MaintainAtDay(int day) {
    now_ = FirstDay() + kDay * day;
    Maintain();
  }

  // Sealed days, counted from the first.
  std::vector<int64_t> Sealed(const std::string& host = "mx1") {
    std::vector<int64_t> sealed;
    const absl::CivilDay first = absl::ToCivilDay(FirstDay(), absl::UTCTimeZone());
    const absl::StatusOr<std::vector<absl::CivilDay>> days = store_->SealedDays(host, {});
    EXPECT_TRUE(days.ok()) << days.status();
    if (!days.ok()) return sealed;
    for (const absl::CivilDay day : *days) sealed.push_back(day - first);
    return sealed;
  }

  // Sessions counted between two days, by a tier of days, or of hours.
  int64_t CountedByDay(int first, int end) { return CountedBy(first, end, absl::ZeroDuration()); }
  int64_t CountedByHour(int first, int end) { return CountedBy(first, end, absl::Hours(1)); }
  int64_t CountedBy(int first, int end, absl::Duration bucket) {
    StatsQuery query;
    query.start = FirstDay() + kDay * first;
    query.end = FirstDay() + kDay * end;
    query.hosts = {"mx1"};
    query.bucket = bucket;
    return Total(Query(query)).sessions;
  }
  std::optional<double> Gauge(const std::string& name) {
    for (const auto& [found, value] : store_->Gauges()) {
      if (found == name) return value;
    }
    return std::nullopt;
  }
  // Seconds since 1970.
  static double Day(int day) {
    return absl::ToDoubleSeconds(FirstDay() + kDay * day - absl::UnixEpoch());
  }
  int64_t SealedSessions(int day) {
    const absl::Time start = FirstDay() + kDay * day;
    const auto coverage = store_->QueryCoverage({"mx1"}, start, start + kDay, {});
    return coverage.ok() ? coverage->at(0).exceptions.sealed_sessions() : -1;
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, StoreRetentionTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

TEST_P(StoreRetentionTest, NothingIsDoneBeforeItsTime) {
  CommitDay(0);
  MaintainAtDay(30);
  EXPECT_THAT(Sealed(), IsEmpty());
  MaintainAtDay(31);
  EXPECT_THAT(Sealed(), ElementsAre(0));
}

TEST_P(StoreRetentionTest, WithoutRetentionEverythingStays) {
  options_.retention = {};
  Reopen();
  CommitDay(0);
  MaintainAtDay(10'000);
  EXPECT_THAT(Sealed(), IsEmpty());
  EXPECT_EQ(store_->kept_since().hours, absl::InfinitePast());
}

TEST_P(StoreRetentionTest, SealedDayKeepsItsCounts) {
  CommitDay(0);
  CommitDay(1, 2);
  MaintainAtDay(31);
  EXPECT_EQ(Counted().sessions, 5);
  EXPECT_EQ(CountedByDay(0, 1), 3);
  EXPECT_EQ(CountedByHour(0, 1), 3);
}

TEST_P(StoreRetentionTest, LateRecordsOfASealedDayAreNotCountedAndShown) {
  CommitDay(0);
  CommitDay(1);
  MaintainAtDay(31);
  v1::SessionBatch late = DayBatch(0, 5);
  late.set_log("/var/log/archive.log");
  const BatchOutcome outcome = Commit(late);
  EXPECT_EQ(outcome.sealed, 5);
  EXPECT_EQ(outcome.inserted, 0);
  EXPECT_EQ(CountedByDay(0, 1), 3);
  EXPECT_EQ(SealedSessions(0), 5);
  EXPECT_EQ(SealedSessions(1), 0);
  EXPECT_EQ(Host().exceptions().sealed_sessions(), 5);
  EXPECT_TRUE(store_->VerifyRollups({}).ok()) << store_->VerifyRollups({});
}

TEST_P(StoreRetentionTest, LinesOfASealedDayThatAreReadAgainAreNoException) {
  CommitDay(0);
  CommitDay(1);
  MaintainAtDay(31);
  EXPECT_EQ(Commit(DayBatch(0)).sealed, 3) << "they were counted before the day was sealed";
  EXPECT_EQ(SealedSessions(0), 0);
}

TEST_P(StoreRetentionTest, SealOutlivesTheServer) {
  CommitDay(0);
  MaintainAtDay(31);
  Reopen();
  EXPECT_EQ(Commit(DayBatch(0)).sealed, 3);
}

TEST_P(StoreRetentionTest, DayThatStillTakesSessionsIsNotSealed) {
  CommitDay(0);
  now_ = FirstDay() + 40 * kDay;
  v1::SessionBatch late = DayBatch(0, 5);
  late.set_log("/var/log/archive.log");
  EXPECT_EQ(Commit(late).inserted, 2);
  Maintain();
  EXPECT_THAT(Sealed(), IsEmpty());
  now_ += absl::Hours(23);
  Maintain();
  EXPECT_THAT(Sealed(), IsEmpty());
  now_ += absl::Hours(2);
  Maintain();
  EXPECT_THAT(Sealed(), ElementsAre(0));
  EXPECT_EQ(CountedByDay(0, 1), 5);
}

TEST_P(StoreRetentionTest, HostsAreSealedEachForItself) {
  CommitDay(0, 3, "mx1");
  CommitDay(0, 3, "mx2");
  CommitDay(20, 1, "mx1");
  MaintainAtDay(31);
  EXPECT_THAT(Sealed("mx1"), ElementsAre(0));
  EXPECT_THAT(Sealed("mx2"), ElementsAre(0));
}

TEST_P(StoreRetentionTest, HoursGoAndDaysStay) {
  CommitDay(0);
  CommitDay(50);
  MaintainAtDay(101);
  EXPECT_EQ(CountedByHour(0, 1), 0);
  EXPECT_EQ(CountedByDay(0, 1), 3);
  EXPECT_EQ(CountedByHour(50, 51), 3);
  EXPECT_EQ(store_->kept_since().hours, FirstDay() + kDay);
  EXPECT_EQ(store_->kept_since().days, FirstDay() - 299 * kDay);
  EXPECT_TRUE(store_->VerifyRollups({}).ok()) << store_->VerifyRollups({});
}

TEST_P(StoreRetentionTest, DaysGoWithTheirSeals) {
  CommitDay(0);
  CommitDay(1);
  CommitDay(390);
  MaintainAtDay(401);
  EXPECT_EQ(CountedByDay(0, 1), 0);
  EXPECT_EQ(CountedByDay(1, 2), 3);
  EXPECT_THAT(Sealed(), ElementsAre(1));
  EXPECT_EQ(store_->kept_since().days, FirstDay() + kDay);
  EXPECT_TRUE(store_->VerifyRollups({}).ok()) << store_->VerifyRollups({});
  EXPECT_EQ(Commit(DayBatch(0)).sealed, 3) << "a day that is gone takes nothing";
  Reopen();
  EXPECT_EQ(store_->kept_since().days, FirstDay() + kDay);
  EXPECT_EQ(Commit(DayBatch(0)).sealed, 3);
}

TEST_P(StoreRetentionTest, LongerRetentionBringsNothingBack) {
  CommitDay(0);
  MaintainAtDay(101);
  options_.retention.hours = 200 * kDay;
  Reopen();
  MaintainAtDay(102);
  EXPECT_EQ(store_->kept_since().hours, FirstDay() + kDay);
}

TEST_P(StoreRetentionTest, BiteEndsWithItsBudget) {
  for (int day = 0; day < 5; ++day) CommitDay(day, 2000);
  now_ = FirstDay() + 35 * kDay;
  EXPECT_GT(Maintain(absl::ZeroDuration()), 15) << "a bite is 500 sessions at most";
  EXPECT_EQ(Maintain(absl::ZeroDuration()), 1) << "nothing is left";
  EXPECT_THAT(Sealed(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(CountedByDay(0, 5), 10'000);
  EXPECT_TRUE(store_->VerifyRollups({}).ok()) << store_->VerifyRollups({});
}

TEST_P(StoreRetentionTest, SessionsThatComeBetweenBitesAreNeitherLostNorCountedTwice) {
  CommitDay(0, 20);
  now_ = FirstDay() + 60 * kDay;
  ASSERT_TRUE(store_->Maintain(absl::ZeroDuration()).ok());
  v1::SessionBatch late = DayBatch(0, 24);
  late.set_log("/var/log/archive.log");
  EXPECT_EQ(Commit(late).sealed, 24) << "sealed before the first of its sessions goes";
  Maintain();
  EXPECT_EQ(CountedByDay(0, 1), 20);
}

// --- Metrics ---

TEST_P(StoreRetentionTest, FiguresTellWhatWasRemovedAndWhatIsKept) {
  EXPECT_EQ(Gauge("sessions_kept_since_timestamp_seconds"), std::nullopt);
  EXPECT_EQ(Gauge("retention_last_run_timestamp_seconds"), 0);
  CommitDay(0, 3);
  CommitDay(1, 4);
  CommitDay(20, 5);
  MaintainAtDay(30);
  EXPECT_EQ(Gauge("retention_sessions_removed"), 0);
  EXPECT_EQ(Gauge("retention_last_run_timestamp_seconds"), Day(30));
  EXPECT_EQ(Gauge("sessions_kept_since_timestamp_seconds"), Day(0));
  EXPECT_EQ(Gauge("hour_counts_kept_since_timestamp_seconds"), Day(30 - 100));

  MaintainAtDay(40);
  EXPECT_EQ(Gauge("retention_sessions_removed"), 7);
  EXPECT_EQ(Gauge("retention_rows_removed"), 0);
  EXPECT_EQ(Gauge("sessions_kept_since_timestamp_seconds"), Day(20));

  MaintainAtDay(200);
  EXPECT_EQ(Gauge("retention_sessions_removed"), 12);
  EXPECT_GT(Gauge("retention_rows_removed"), 12) << "a row or more for each hour";
  EXPECT_EQ(Gauge("sessions_kept_since_timestamp_seconds"), std::nullopt);
  EXPECT_EQ(Gauge("hour_counts_kept_since_timestamp_seconds"), Day(100));
  EXPECT_EQ(Gauge("day_counts_kept_since_timestamp_seconds"), Day(200 - 400));

  MaintainAtDay(500);
  EXPECT_EQ(Gauge("day_counts_kept_since_timestamp_seconds"), Day(100));
  EXPECT_EQ(Gauge("retention_last_run_timestamp_seconds"), Day(500));
  EXPECT_EQ(Gauge("retention_failures"), 0);
}

// --- Reopening ---

absl::CivilDay First() { return absl::CivilDay(2026, 1, 1); }

TEST_P(StoreRetentionTest, ReopenedDayIsEmptyAndTakesRecords) {
  CommitDay(0);
  CommitDay(1);
  CommitDay(0, 2, "mx2");
  MaintainAtDay(40);
  const absl::Status reopened = store_->ReopenDay("mx1", First());
  ASSERT_TRUE(reopened.ok()) << reopened;
  EXPECT_THAT(Sealed(), ElementsAre(1));
  EXPECT_EQ(CountedByDay(0, 1), 0);
  EXPECT_EQ(CountedByHour(0, 1), 0);
  EXPECT_EQ(CountedByDay(1, 2), 3);
  EXPECT_EQ(Counted().sessions, 5) << "of mx2, and of the other day";
  EXPECT_EQ(Host().sessions(), 3);
  v1::SessionBatch archive = DayBatch(0, 4);
  archive.set_log("/archive/mail.log");
  EXPECT_EQ(Commit(archive).inserted, 4);
  EXPECT_EQ(Counted().sessions, 9);
}

TEST_P(StoreRetentionTest, ReopenedDayIsNotReadUntilItIsReadAgain) {
  CommitDay(0);
  CommitDay(1);
  MaintainAtDay(40);
  ASSERT_TRUE(store_->ReopenDay("mx1", First()).ok());
  const auto covered = [this] {
    return Coverage("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z").logs.at(0).covered;
  };
  EXPECT_THAT(covered(), IsEmpty());
  EXPECT_THAT(Coverage("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z").reopened,
              ElementsAre(std::pair(FirstDay(), FirstDay() + kDay)));
  EXPECT_EQ(Commit(DayBatch(0)).inserted, 3);
  EXPECT_THAT(covered(), ElementsAre(std::pair(FirstDay(), FirstDay() + kDay)));
}

TEST_P(StoreRetentionTest, ReopenedDayIsSealedAgainWhenItIsQuiet) {
  CommitDay(0);
  MaintainAtDay(40);
  ASSERT_TRUE(store_->ReopenDay("mx1", First()).ok());
  Commit(DayBatch(0));
  Maintain();
  EXPECT_THAT(Sealed(), IsEmpty());
  MaintainAtDay(42);
  EXPECT_THAT(Sealed(), ElementsAre(0));
  EXPECT_EQ(CountedByDay(0, 1), 3);
}

TEST_P(StoreRetentionTest, OnlyASealedDayCanBeReopened) {
  CommitDay(0);
  EXPECT_EQ(store_->ReopenDay("mx9", First()).code(), absl::StatusCode::kNotFound);
  const absl::Status open = store_->ReopenDay("mx1", First());
  EXPECT_EQ(open.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(open.message(), "day 2026-01-01 of host mx1 is not sealed: it takes records as it is");
  EXPECT_EQ(Counted().sessions, 3);
}

TEST_P(StoreRetentionTest, DayOlderThanItsHoursCannotBeReopened) {
  CommitDay(0);
  MaintainAtDay(102);
  EXPECT_EQ(store_->ReopenDay("mx1", First()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CountedByDay(0, 1), 3);
}

}  // namespace
}  // namespace mxtally
