// What storage/store.h promises about logs: cuts, counts, coverage, inventory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class StoreLogsTest : public StoreTest {
 protected:
  // Adds counts to the hour of `time`.
  static void AddCounts(v1::SessionBatch& batch, const std::string& time, int64_t lines_read) {
    v1::HourCounts& counts = *batch.add_counts();
    SetTime(At(time), counts.mutable_hour());
    counts.mutable_lines()->set_read(lines_read);
    counts.mutable_lines()->set_unrecognized(1);
    counts.mutable_lines()->set_tls_lines(2);
    counts.mutable_lines()->set_counter_lines(3);
    counts.mutable_lines()->set_sessions(4);
    counts.mutable_lines()->set_cut_sessions(5);
    counts.mutable_lines()->set_evicted_sessions(6);
    counts.mutable_lines()->set_oversized(7);
    counts.mutable_lines()->set_foreign_host(8);
    counts.mutable_lines()->set_suppressed(9);
  }

  static void AddGap(v1::SessionBatch& batch, const std::string& start, const std::string& end,
                     int64_t bytes) {
    v1::Gap& gap = *batch.add_gaps();
    gap.set_reason(v1::GAP_REASON_FILE_GONE);
    SetTime(At(start), gap.mutable_start_time());
    SetTime(At(end), gap.mutable_end_time());
    gap.set_bytes_min(bytes);
  }

  static v1::SessionBatch CaughtUpAt(v1::SessionBatch batch, const std::string& time) {
    SetTime(At(time), batch.mutable_caught_up_time());
    return batch;
  }

  HostSighting StatusAt(const std::string& caught_up) {
    HostSighting sighting = {.host = "mx1"};
    v1::LogStatus& log = sighting.logs.emplace_back();
    log.set_log("/var/log/mail.log");
    if (!caught_up.empty()) SetTime(At(caught_up), log.mutable_caught_up_time());
    return sighting;
  }

  // Intervals of the first log on the day of the tests, "10:00:00-11:00:00".
  std::vector<std::string> Covered(const std::string& start = "2026-11-02T00:00:00Z",
                                   const std::string& end = "2026-11-03T00:00:00Z") {
    const HostCoverage coverage = Coverage(start, end);
    std::vector<std::string> covered;
    if (coverage.logs.empty()) return covered;
    for (const auto& [from, to] : coverage.logs[0].covered) {
      covered.push_back(absl::FormatTime("%H:%M:%E*S", from, absl::UTCTimeZone()) + "-" +
                        absl::FormatTime("%H:%M:%E*S", to, absl::UTCTimeZone()));
    }
    return covered;
  }

  int64_t LinesRead() { return Host().logs_size() == 0 ? 0 : Host().logs(0).lines_read(); }
};
INSTANTIATE_TEST_SUITE_P(Backends, StoreLogsTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

const v1::Cut kTen = CutAt(1000, "2026-11-02T10:00:00Z");
const v1::Cut kEleven = CutAt(2000, "2026-11-02T11:00:00Z");
const v1::Cut kNoon = CutAt(3000, "2026-11-02T12:00:00Z");

// --- Cuts ---

TEST_P(StoreLogsTest, UnknownHostHasNoCuts) { EXPECT_THAT(Cuts("nobody"), IsEmpty()); }

TEST_P(StoreLogsTest, CutComesBackFieldByField) {
  Commit(FirstBatch(kTen));
  const auto cuts = Cuts();
  ASSERT_EQ(cuts.size(), 1u);
  EXPECT_EQ(cuts[0].log(), "/var/log/mail.log");
  EXPECT_EQ(cuts[0].cut().SerializeAsString(), kTen.SerializeAsString());
}

TEST_P(StoreLogsTest, CutMovesWithTheBatchThatStartsThere) {
  Commit(FirstBatch(kTen));
  EXPECT_TRUE(Commit(Batch(kTen, kEleven)).counts_applied);
  EXPECT_EQ(Cuts().at(0).cut().offset(), 2000);
}

TEST_P(StoreLogsTest, EachLogHasItsOwnCut) {
  Commit(FirstBatch(kTen));
  v1::SessionBatch other = FirstBatch(kEleven);
  other.set_log("/var/log/other.log");
  EXPECT_TRUE(Commit(other).counts_applied);
  ASSERT_EQ(Cuts().size(), 2u);
  EXPECT_EQ(Cuts().at(0).cut().offset(), 1000);
  EXPECT_EQ(Cuts().at(1).cut().offset(), 2000);
}

TEST_P(StoreLogsTest, BatchThatStartsElsewhereOnlyBringsSessions) {
  Commit(FirstBatch(kTen));
  Commit(Batch(kTen, kEleven));
  v1::SessionBatch again = Batch(kTen, kNoon, {{}});
  AddCounts(again, "2026-11-02T10:00:00Z", 100);
  AddGap(again, "2026-11-02T10:10:00Z", "2026-11-02T10:20:00Z", 1);
  const BatchOutcome outcome = Commit(again);
  EXPECT_FALSE(outcome.counts_applied);
  EXPECT_EQ(outcome.inserted, 1);
  EXPECT_EQ(Cuts().at(0).cut().offset(), 2000);
  EXPECT_EQ(LinesRead(), 0);
  EXPECT_EQ(Host().gap_count(), 0);
}

TEST_P(StoreLogsTest, AnyFieldTellsCutsApart) {
  Commit(FirstBatch(kTen));
  v1::Cut other = kTen;
  other.mutable_file()->set_head_hash(1);
  EXPECT_FALSE(Commit(Batch(other, kEleven)).counts_applied);
  other = kTen;
  other.clear_log_time();
  EXPECT_FALSE(Commit(Batch(other, kEleven)).counts_applied);
  EXPECT_TRUE(Commit(Batch(kTen, kEleven)).counts_applied);
}

TEST_P(StoreLogsTest, FirstBatchMayStartAnywhere) {
  EXPECT_TRUE(Commit(Batch(kTen, kEleven)).counts_applied);
}

TEST_P(StoreLogsTest, FirstBatchSentAgainIsNotCountedAgain) {
  v1::SessionBatch first = FirstBatch(kTen);
  AddCounts(first, "2026-11-02T10:00:00Z", 100);
  EXPECT_TRUE(Commit(first).counts_applied);
  EXPECT_FALSE(Commit(first).counts_applied);
  Commit(Batch(kTen, kEleven));
  EXPECT_FALSE(Commit(first).counts_applied);
  EXPECT_EQ(Cuts().at(0).cut().offset(), 2000);
  EXPECT_EQ(LinesRead(), 100);
}

TEST_P(StoreLogsTest, AnotherFileWithoutAStartIsCounted) {
  Commit(FirstBatch(kEleven));
  EXPECT_TRUE(Commit(FirstBatch(CutAt(10, "2026-11-02T11:30:00Z", /*inode=*/8))).counts_applied);
}

TEST_P(StoreLogsTest, TruncatedFileIsCountedFromItsBeginning) {
  Commit(FirstBatch(kEleven));
  v1::SessionBatch batch = FirstBatch(CutAt(10, "2026-11-02T11:30:00Z"));
  AddGap(batch, "2026-11-02T11:00:00Z", "2026-11-02T11:20:00Z", 50);
  EXPECT_TRUE(Commit(batch).counts_applied);
}

// --- Counts ---

TEST_P(StoreLogsTest, CountsBelongToTheirHour) {
  v1::SessionBatch batch = FirstBatch(kEleven);
  AddCounts(batch, "2026-11-02T10:00:00Z", 100);
  AddCounts(batch, "2026-11-02T11:00:00Z", 20);
  Commit(batch);
  const HostCoverage hour = Coverage("2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z");
  EXPECT_EQ(hour.exceptions.unrecognized_lines(), 1);
  EXPECT_EQ(hour.exceptions.cut_sessions(), 5);
  EXPECT_EQ(hour.exceptions.evicted_sessions(), 6);
  EXPECT_EQ(hour.exceptions.oversized_lines(), 7);
  EXPECT_EQ(hour.exceptions.foreign_host_lines(), 8);
  EXPECT_EQ(hour.exceptions.suppressed_lines(), 9);
  EXPECT_EQ(LinesRead(), 120);
  EXPECT_EQ(Host().logs(0).lines_unrecognized(), 2);
}

TEST_P(StoreLogsTest, CountsAddUpOverBatchesLogsAndDays) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddCounts(batch, "2026-11-01T10:00:00Z", 1);
  AddCounts(batch, "2026-11-02T10:00:00Z", 1);
  Commit(batch);
  v1::SessionBatch more = Batch(kTen, kEleven);
  AddCounts(more, "2026-11-02T10:00:00Z", 1);
  Commit(more);
  batch.set_log("/var/log/other.log");
  Commit(batch);
  const HostCoverage all = Coverage("2026-10-30T05:00:00Z", "2026-11-04T07:00:00Z");
  EXPECT_EQ(all.exceptions.suppressed_lines(), 45);
  EXPECT_EQ(all.exceptions.cut_sessions(), 25);
}

// Weeks begin on Thursdays: 2026-10-29, 2026-11-05.
TEST_P(StoreLogsTest, ExceptionsOfAnyWindowAreThoseOfItsHours) {
  const std::vector<std::string> hours = {"2026-10-27T12:00:00Z", "2026-10-28T23:00:00Z",
                                          "2026-10-29T00:00:00Z", "2026-11-01T10:00:00Z",
                                          "2026-11-04T23:00:00Z", "2026-11-05T00:00:00Z",
                                          "2026-11-11T23:00:00Z", "2026-11-12T00:00:00Z",
                                          "2026-11-12T01:00:00Z", "2026-11-13T00:00:00Z"};
  v1::SessionBatch batch = FirstBatch(kTen);
  HostBatch host_batch = {.host = "mx1", .batch = &batch};
  for (const std::string& hour : hours) {
    AddCounts(batch, hour, 1);
    host_batch.rejected.push_back({.hour = At(hour), .sessions = 2});
  }
  ASSERT_TRUE(store_->Commit({&host_batch, 1}).ok());
  for (size_t first = 0; first < hours.size(); ++first) {
    for (size_t end = first; end < hours.size(); ++end) {
      const auto count = static_cast<int64_t>(end - first);
      const v1::ExceptionCounts found = Coverage(hours[first], hours[end]).exceptions;
      EXPECT_EQ(found.cut_sessions(), count * 5) << hours[first] << " " << hours[end];
      EXPECT_EQ(found.evicted_sessions(), count * 6);
      EXPECT_EQ(found.oversized_lines(), count * 7);
      EXPECT_EQ(found.unrecognized_lines(), count);
      EXPECT_EQ(found.foreign_host_lines(), count * 8);
      EXPECT_EQ(found.suppressed_lines(), count * 9);
      EXPECT_EQ(found.rejected_sessions(), count * 2);
    }
  }
}

TEST_P(StoreLogsTest, RejectedSessionsCountWhereTheBatchCounts) {
  const v1::SessionBatch batch = FirstBatch(kTen);
  const HostBatch host_batch = {.host = "mx1",
                                .batch = &batch,
                                .rejected = {{.hour = At("2026-11-02T10:00:00Z"), .sessions = 2}}};
  ASSERT_TRUE(store_->Commit({&host_batch, 1}).ok());
  ASSERT_TRUE(store_->Commit({&host_batch, 1}).ok());
  EXPECT_EQ(Coverage("2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z").exceptions.rejected_sessions(),
            2);
  EXPECT_EQ(Coverage("2026-11-02T11:00:00Z", "2026-11-02T12:00:00Z").exceptions.rejected_sessions(),
            0);
  EXPECT_EQ(Host().exceptions().rejected_sessions(), 2);
}

TEST_P(StoreLogsTest, CoverageTellsWhetherTheWindowHasASession) {
  CommitSessions({{.stamp = "2026-11-01T23:59:59.9Z"}, {.stamp = "2026-11-03T00:00:00Z"}});
  EXPECT_FALSE(Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z").any_session);
  EXPECT_TRUE(Coverage("2026-11-01T23:00:00Z", "2026-11-03T00:00:00Z").any_session);
  EXPECT_TRUE(Coverage("2026-11-02T00:00:00Z", "2026-11-03T01:00:00Z").any_session);
  EXPECT_TRUE(Coverage("2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z").any_session);
}

// --- Gaps ---

TEST_P(StoreLogsTest, GapIsShownInItsWindow) {
  v1::SessionBatch batch = Batch(kTen, kNoon);
  AddGap(batch, "2026-11-02T10:30:00Z", "2026-11-02T10:45:00Z", 50);
  Commit(batch);
  const HostCoverage hour = Coverage("2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z");
  ASSERT_EQ(hour.gaps.size(), 1u);
  EXPECT_EQ(hour.gaps[0].host(), "mx1");
  EXPECT_EQ(hour.gaps[0].log(), "/var/log/mail.log");
  EXPECT_EQ(hour.gaps[0].reason(), "FILE_GONE");
  EXPECT_EQ(hour.gaps[0].bytes_min(), 50);
  EXPECT_EQ(hour.gaps[0].start_time().seconds(), absl::ToUnixSeconds(At("2026-11-02T10:30:00Z")));
  EXPECT_THAT(Coverage("2026-11-02T11:00:00Z", "2026-11-02T12:00:00Z").gaps, IsEmpty());
  EXPECT_EQ(Host().gap_count(), 1);
}

TEST_P(StoreLogsTest, GapIsNotCovered) {
  v1::SessionBatch batch = Batch(kTen, kNoon);
  AddGap(batch, "2026-11-02T10:30:00Z", "2026-11-02T10:45:00Z", 50);
  Commit(batch);
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-10:30:00", "10:45:00-12:00:00"));
}

// --- Coverage by lines ---

TEST_P(StoreLogsTest, BatchesInARowCoverOneInterval) {
  Commit(Batch(kTen, kEleven));
  Commit(Batch(kEleven, kNoon));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-12:00:00"));
}

TEST_P(StoreLogsTest, CoverageIsCutToTheWindow) {
  Commit(Batch(kTen, kNoon));
  EXPECT_THAT(Covered("2026-11-02T11:00:00Z", "2026-11-02T11:30:00Z"),
              ElementsAre("11:00:00-11:30:00"));
  EXPECT_THAT(Covered("2026-11-02T13:00:00Z", "2026-11-02T14:00:00Z"), IsEmpty());
}

TEST_P(StoreLogsTest, LogReadFromItsBeginningIsCoveredFromItsFirstSession) {
  v1::SessionBatch batch = FirstBatch(kNoon, {{.stamp = "2026-11-02T09:15:00Z"}});
  AddCounts(batch, "2026-11-02T09:00:00Z", 10);
  Commit(batch);
  EXPECT_THAT(Covered(), ElementsAre("09:15:00-12:00:00"));
}

TEST_P(StoreLogsTest, AfterAGapCoverageStartsAnew) {
  Commit(Batch(kTen, kEleven));
  v1::SessionBatch batch = FirstBatch(CutAt(10, "2026-11-02T14:00:00Z", /*inode=*/8));
  AddGap(batch, "2026-11-02T11:00:00Z", "2026-11-02T13:00:00Z", 1);
  Commit(batch);
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-11:00:00", "13:00:00-14:00:00"));
}

TEST_P(StoreLogsTest, HoursReadLateJoinTheirNeighbours) {
  Commit(Batch(kTen, kEleven));
  v1::SessionBatch later = FirstBatch(CutAt(10, "2026-11-02T14:00:00Z", /*inode=*/8));
  *later.mutable_start() = CutAt(0, "2026-11-02T13:00:00Z", 8);
  later.clear_start();
  AddGap(later, "2026-11-02T11:00:00Z", "2026-11-02T13:00:00Z", 1);
  Commit(later);
  v1::SessionBatch late = FirstBatch(CutAt(20, "2026-11-02T13:00:00Z", /*inode=*/9));
  AddGap(late, "2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z", 1);
  Commit(late);
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-14:00:00"));
}

TEST_P(StoreLogsTest, ClockSetBackCoversNothingBetween) {
  Commit(Batch(kTen, kNoon));
  Commit(Batch(kNoon, CutAt(4000, "2026-11-02T03:00:00Z")));
  EXPECT_THAT(Covered(), ElementsAre("03:00:00-03:00:00", "10:00:00-12:00:00"));
}

TEST_P(StoreLogsTest, ExpectedFromTheFirstLogTimeOrTheRegistration) {
  Touch(StatusAt(""));
  const auto expected = [this] {
    return Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z").expected;
  };
  EXPECT_THAT(expected(), ElementsAre(std::pair(now_, absl::InfiniteFuture())));
  Commit(Batch(kTen, kEleven));
  EXPECT_THAT(expected(),
              ElementsAre(std::pair(At("2026-11-02T10:00:00Z"), absl::InfiniteFuture())));
}

// --- Coverage by the watermark ---

TEST_P(StoreLogsTest, EndOfALiveLogCoversUpToNow) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T11:10:00Z"));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-11:10:00"));
  const HostCoverage coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z");
  EXPECT_EQ(coverage.logs.at(0).caught_up, At("2026-11-02T11:10:00Z"));
}

TEST_P(StoreLogsTest, QuietHoursOfAFollowedLogAreCovered) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T11:00:01Z"));
  Commit(CaughtUpAt(Batch(kEleven, kEleven), "2026-11-02T18:00:00Z"));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-18:00:00"));
}

TEST_P(StoreLogsTest, StatusCoversQuietHoursToo) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T11:00:01Z"));
  Touch(StatusAt("2026-11-02T15:00:00Z"));
  Touch(StatusAt("2026-11-02T16:00:00Z"));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-16:00:00"));
}

TEST_P(StoreLogsTest, LinesAfterQuietHoursJoin) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T11:00:01Z"));
  Touch(StatusAt("2026-11-02T15:00:00Z"));
  Commit(Batch(kEleven, CutAt(3000, "2026-11-02T17:00:00Z")));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-17:00:00"));
}

TEST_P(StoreLogsTest, FollowedLogWasQuietSinceItsLastLine) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T20:00:00Z"));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-20:00:00"));
}

TEST_P(StoreLogsTest, LogReadOnceSaysNothingAboutTheTimeAfterItsLastLine) {
  v1::SessionBatch batch = CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T20:00:00Z");
  batch.set_once(true);
  Commit(batch);
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-11:00:00", "20:00:00-20:00:00"));
  HostSighting status = StatusAt("2026-11-02T20:00:00Z");
  status.logs[0].set_once(true);
  Touch(status);
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-11:00:00", "20:00:00-20:00:00"));
}

TEST_P(StoreLogsTest, LineAppendedToALogReadOnceTellsThatItWasQuiet) {
  v1::SessionBatch batch = CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T20:00:00Z");
  batch.set_once(true);
  Commit(batch);
  Commit(Batch(kEleven, CutAt(3000, "2026-11-02T22:00:00Z")));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-22:00:00"));
}

TEST_P(StoreLogsTest, LinesReadAgainAreCovered) {
  Commit(Batch(kEleven, kNoon));
  EXPECT_FALSE(Commit(Batch(kTen, kEleven)).counts_applied);
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-12:00:00"));
}

TEST_P(StoreLogsTest, WatermarkBeforeTheLastLineCoversNothing) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T10:59:00Z"));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-11:00:00"));
}

TEST_P(StoreLogsTest, WatermarkNeverMovesBack) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T11:00:30Z"));
  Touch(StatusAt("2026-11-02T11:00:10Z"));
  EXPECT_EQ(Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z").logs.at(0).caught_up,
            At("2026-11-02T11:00:30Z"));
}

TEST_P(StoreLogsTest, TimeThatWasLostStaysUncovered) {
  Commit(CaughtUpAt(Batch(kTen, kEleven), "2026-11-02T11:00:01Z"));
  v1::SessionBatch batch = FirstBatch(CutAt(10, "2026-11-02T14:00:00Z", /*inode=*/8));
  AddGap(batch, "2026-11-02T11:00:00Z", "2026-11-02T13:00:00Z", 1);
  Commit(batch);
  Touch(StatusAt("2026-11-02T20:00:00Z"));
  EXPECT_THAT(Covered(), ElementsAre("10:00:00-11:00:01", "13:00:00-20:00:00"));
}

// --- Inventory ---

TEST_P(StoreLogsTest, SightingRegistersAHost) {
  HostSighting sighting = {.host = "mx1", .agent_version = "0.1.0", .mta = "Postfix"};
  Touch(sighting);
  const v1::Host host = Host();
  EXPECT_EQ(host.host(), "mx1");
  EXPECT_EQ(host.agent_version(), "0.1.0");
  EXPECT_EQ(host.mta(), "Postfix");
  EXPECT_EQ(host.registered_time().seconds(), absl::ToUnixSeconds(now_));
  EXPECT_FALSE(host.has_last_session_time());
  EXPECT_FALSE(host.has_caught_up_time());
  EXPECT_TRUE(host.has_sessions());
}

TEST_P(StoreLogsTest, SightingWithoutAVersionKeepsIt) {
  Touch({.host = "mx1", .agent_version = "0.1.0", .mta = "Postfix"});
  now_ += absl::Seconds(15);
  Touch({.host = "mx1"});
  EXPECT_EQ(Host().agent_version(), "0.1.0");
  EXPECT_EQ(Host().mta(), "Postfix");
  EXPECT_EQ(Host().last_seen_time().seconds(), absl::ToUnixSeconds(now_));
}

TEST_P(StoreLogsTest, InventoryShowsTheNewestSession) {
  CommitSessions({{.stamp = "2026-11-02T10:00:00Z"}, {.stamp = "2026-11-02T09:00:00Z"}});
  EXPECT_EQ(Host().last_session_time().seconds(), absl::ToUnixSeconds(At("2026-11-02T10:00:00Z")));
  EXPECT_EQ(Host().sessions(), 2);
}

TEST_P(StoreLogsTest, StatusShowsInTheInventory) {
  HostSighting sighting = StatusAt("2026-11-02T11:00:00Z");
  v1::LogStatus& log = sighting.logs[0];
  log.set_bytes_behind(5);
  log.set_open_sessions(3);
  SetTime(At("2026-11-02T10:59:00Z"), log.mutable_log_time());
  SetTime(At("2026-11-02T10:30:00Z"), log.mutable_oldest_open_time());
  Touch(sighting);
  const v1::Host host = Host();
  ASSERT_EQ(host.logs_size(), 1);
  EXPECT_EQ(host.logs(0).bytes_behind(), 5);
  EXPECT_EQ(host.logs(0).open_sessions(), 3);
  EXPECT_EQ(host.logs(0).log_time().seconds(), absl::ToUnixSeconds(At("2026-11-02T10:59:00Z")));
  EXPECT_EQ(host.caught_up_time().seconds(), absl::ToUnixSeconds(At("2026-11-02T11:00:00Z")));
  const HostCoverage coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z");
  EXPECT_EQ(coverage.logs.at(0).oldest_open, At("2026-11-02T10:30:00Z"));
  Touch(StatusAt("2026-11-02T11:00:15Z"));
  EXPECT_FALSE(
      Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z").logs.at(0).oldest_open.has_value());
}

TEST_P(StoreLogsTest, HostIsCaughtUpAsFarAsItsLastLog) {
  Touch(StatusAt("2026-11-02T11:00:00Z"));
  HostSighting other = StatusAt("2026-11-02T10:00:00Z");
  other.logs[0].set_log("/var/log/other.log");
  Touch(other);
  EXPECT_EQ(Host().caught_up_time().seconds(), absl::ToUnixSeconds(At("2026-11-02T10:00:00Z")));
  HostSighting behind = StatusAt("");
  behind.logs[0].set_log("/var/log/third.log");
  Touch(behind);
  EXPECT_FALSE(Host().has_caught_up_time());
}

TEST_P(StoreLogsTest, HostsAreListedByName) {
  for (const char* host : {"mx2", "mx10", "mx1"}) CommitSessions({{}}, host);
  const auto hosts = store_->ListHosts({}, {});
  ASSERT_TRUE(hosts.ok());
  std::vector<std::string> names;
  for (const v1::Host& host : *hosts) names.push_back(host.host());
  EXPECT_THAT(names, ElementsAre("mx1", "mx10", "mx2"));
  const auto coverage =
      store_->QueryCoverage({}, At("2026-11-02T00:00:00Z"), At("2026-11-03T00:00:00Z"), {});
  ASSERT_TRUE(coverage.ok());
  EXPECT_EQ(coverage->size(), 3u);
  EXPECT_THAT(*store_->ListHosts({"mx3"}, {}), IsEmpty());
}

}  // namespace
}  // namespace mxtally
