// What storage/store.h promises about logs of many hosts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kCollected[] = "loghost:/var/log/mail.log";

const v1::Cut kTen = CutAt(1000, "2026-11-02T10:00:00Z");
const v1::Cut kEleven = CutAt(2000, "2026-11-02T11:00:00Z");
const v1::Cut kNoon = CutAt(3000, "2026-11-02T12:00:00Z");

class StoreCollectorTest : public StoreTest {
 protected:
  // Lines of `host` between two stamps, counted in the hour of the second.
  static void AddPart(v1::SessionBatch& batch, const std::string& host, const std::string& start,
                      const std::string& end, int64_t lines = 1) {
    v1::HostPart& part = *batch.add_host_parts();
    part.set_host(host);
    SetTime(At(start), part.mutable_start_time());
    SetTime(At(end), part.mutable_end_time());
    const int64_t seconds = absl::ToUnixSeconds(At(end));
    v1::HourCounts& counts = *part.add_counts();
    counts.mutable_hour()->set_seconds(seconds - seconds % 3600);
    counts.mutable_lines()->set_read(lines);
    counts.mutable_lines()->set_bytes(100 * lines);
    counts.mutable_lines()->set_parsed(lines);
  }
  static void AddSession(v1::SessionBatch& batch, const std::string& host,
                         const std::string& stamp) {
    v1::SessionRecord& record = *batch.add_sessions();
    record = Session({.stamp = stamp});
    record.mutable_key()->set_host(host);
  }
  static void AddGap(v1::SessionBatch& batch, const std::string& start, const std::string& end) {
    v1::Gap& gap = *batch.add_gaps();
    gap.set_reason(v1::GAP_REASON_FILE_GONE);
    SetTime(At(start), gap.mutable_start_time());
    SetTime(At(end), gap.mutable_end_time());
    gap.set_bytes_min(5);
  }

  BatchOutcome Collect(const v1::SessionBatch& batch) {
    return Commit(HostBatch{.host = "loghost", .batch = &batch, .collected = true});
  }
  void CatchUp(const std::string& time) {
    HostSighting sighting = {.host = "loghost"};
    v1::LogStatus& log = sighting.logs.emplace_back();
    log.set_log("/var/log/mail.log");
    SetTime(At(time), log.mutable_caught_up_time());
    Touch(sighting);
  }

  // Intervals of the host's collected log on the day of the tests, "10:00-11:00".
  std::vector<std::string> Covered(const std::string& host) {
    std::vector<std::string> covered;
    const HostCoverage coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", host);
    for (const HostCoverage::Log& log : coverage.logs) {
      if (log.log != kCollected) continue;
      for (const auto& [from, to] : log.covered) {
        covered.push_back(absl::StrCat(absl::FormatTime("%H:%M", from, absl::UTCTimeZone()), "-",
                                       absl::FormatTime("%H:%M", to, absl::UTCTimeZone())));
      }
    }
    return covered;
  }
  int64_t LinesRead(const std::string& host) {
    int64_t lines = 0;
    const v1::Host known = Host(host);
    for (const v1::HostLog& log : known.logs()) lines += log.lines_read();
    return lines;
  }
  void TouchAs(const std::string& host, v1::SourceKind kind) {
    HostSighting sighting = {.host = host};
    sighting.source_kind = kind;
    Touch(sighting);
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, StoreCollectorTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

TEST_P(StoreCollectorTest, SessionsAndLinesAreThoseOfTheirHosts) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T09:59:00Z", 3);
  AddPart(batch, "mx2", "2026-11-02T09:30:00Z", "2026-11-02T09:58:00Z", 4);
  AddSession(batch, "mx1", "2026-11-02T09:10:00Z");
  AddSession(batch, "mx2", "2026-11-02T09:40:00Z");
  // One key but for the host.
  AddSession(batch, "mx2", "2026-11-02T09:10:00Z");
  const BatchOutcome outcome = Collect(batch);
  EXPECT_EQ(outcome.inserted, 3);
  EXPECT_TRUE(outcome.counts_applied);
  EXPECT_EQ(Host("mx1").sessions(), 1);
  EXPECT_EQ(Host("mx2").sessions(), 2);
  EXPECT_EQ(Host("loghost").sessions(), 0);
  EXPECT_EQ(LinesRead("mx1"), 3);
  EXPECT_EQ(LinesRead("mx2"), 4);
  EXPECT_EQ(LinesRead("loghost"), 0);
  ASSERT_EQ(Host("mx1").logs_size(), 1);
  EXPECT_EQ(Host("mx1").logs(0).log(), kCollected);
  EXPECT_EQ(Host("mx1").source_kind(), v1::SOURCE_KIND_COLLECTOR);
  EXPECT_EQ(absl::FromUnixSeconds(Host("mx2").last_session_time().seconds()),
            At("2026-11-02T09:40:00Z"));
  EXPECT_EQ(Counted().sessions, 3);
}

TEST_P(StoreCollectorTest, TheCutIsTheCollectorsAlone) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  Collect(batch);
  EXPECT_EQ(Cuts("loghost").size(), 1u);
  EXPECT_THAT(Cuts("mx1"), IsEmpty());
}

TEST_P(StoreCollectorTest, WhatIsReadAgainCountsOnceAndCovers) {
  v1::SessionBatch first = FirstBatch(kTen);
  AddPart(first, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", 3);
  AddSession(first, "mx1", "2026-11-02T09:10:00Z");
  Collect(first);
  v1::SessionBatch again = Batch(CutAt(1, "2026-11-02T08:00:00Z"), kTen);
  AddPart(again, "mx1", "2026-11-02T08:00:00Z", "2026-11-02T10:00:00Z", 3);
  AddSession(again, "mx1", "2026-11-02T09:10:00Z");
  const BatchOutcome outcome = Collect(again);
  EXPECT_FALSE(outcome.counts_applied);
  EXPECT_EQ(outcome.duplicates, 1);
  EXPECT_EQ(LinesRead("mx1"), 3);
  EXPECT_THAT(Covered("mx1"), ElementsAre("08:00-10:00"));
  EXPECT_FALSE(Collect(first).counts_applied);
  EXPECT_EQ(LinesRead("mx1"), 3);
}

TEST_P(StoreCollectorTest, EachHostIsCoveredByItsOwnLines) {
  v1::SessionBatch first = FirstBatch(kTen);
  AddPart(first, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  AddPart(first, "mx2", "2026-11-02T09:00:00Z", "2026-11-02T09:20:00Z");
  Collect(first);
  v1::SessionBatch second = Batch(kTen, kEleven);
  AddPart(second, "mx1", "2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z");
  Collect(second);
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-11:00"));
  EXPECT_THAT(Covered("mx2"), ElementsAre("09:00-09:20"));
  // The next line covers what was before it.
  v1::SessionBatch third = Batch(kEleven, kNoon);
  AddPart(third, "mx2", "2026-11-02T09:20:00Z", "2026-11-02T11:50:00Z");
  Collect(third);
  EXPECT_THAT(Covered("mx2"), ElementsAre("09:00-11:50"));
}

TEST_P(StoreCollectorTest, AHostIsQuietForAnHourAndThenNotReadSinceItsLastLine) {
  now_ = At("2026-11-02T10:00:10Z");
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  Collect(batch);
  now_ = At("2026-11-02T10:59:00Z");
  CatchUp("2026-11-02T10:59:00Z");
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-10:59"));
  HostCoverage coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "mx1");
  EXPECT_EQ(coverage.logs.at(0).caught_up, At("2026-11-02T10:59:00Z"));
  EXPECT_EQ(coverage.last_seen, now_);
  EXPECT_TRUE(coverage.collected);
  EXPECT_EQ(absl::FromUnixSeconds(Host("mx1").last_seen_time().seconds()), now_);
  EXPECT_EQ(absl::FromUnixSeconds(Host("mx1").caught_up_time().seconds()), now_);

  now_ = At("2026-11-02T11:00:00Z");
  CatchUp("2026-11-02T11:00:00Z");
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-10:00"));
  coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "mx1");
  EXPECT_EQ(coverage.logs.at(0).caught_up, At("2026-11-02T10:00:00Z"));
  EXPECT_EQ(coverage.last_seen, At("2026-11-02T10:00:10Z"));
  EXPECT_EQ(absl::FromUnixSeconds(Host("mx1").last_seen_time().seconds()),
            At("2026-11-02T10:00:10Z"));
  // The collector itself is not concerned.
  EXPECT_EQ(Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "loghost").last_seen, now_);
}

TEST_P(StoreCollectorTest, BeforeTheEndOfTheLogNoHostIsQuiet) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T09:50:00Z");
  Collect(batch);
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-09:50"));
  EXPECT_FALSE(Host("mx1").has_caught_up_time());
}

TEST_P(StoreCollectorTest, QuietJoinsWhatAClockThatWasSetBackHadCovered) {
  v1::SessionBatch first = FirstBatch(kTen);
  AddPart(first, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  Collect(first);
  v1::SessionBatch second = Batch(kTen, kEleven);
  AddPart(second, "mx1", "2026-11-02T10:00:00Z", "2026-11-02T09:30:00Z");
  Collect(second);
  CatchUp("2026-11-02T10:20:00Z");
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-10:20"));
}

TEST_P(StoreCollectorTest, AGapConcernsAllHostsMetBeforeIt) {
  v1::SessionBatch first = FirstBatch(kTen);
  AddPart(first, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  Collect(first);
  v1::SessionBatch second = Batch(kTen, kNoon);
  AddGap(second, "2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z");
  AddPart(second, "mx1", "2026-11-02T10:00:00Z", "2026-11-02T12:00:00Z");
  AddPart(second, "mx2", "2026-11-02T11:10:00Z", "2026-11-02T12:00:00Z");
  Collect(second);
  EXPECT_EQ(Host("loghost").gap_count(), 1);
  EXPECT_EQ(Host("mx1").gap_count(), 1);
  EXPECT_EQ(Host("mx2").gap_count(), 0);
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-10:00", "11:00-12:00"));
  const HostCoverage coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "mx1");
  ASSERT_EQ(coverage.gaps.size(), 1u);
  EXPECT_EQ(coverage.gaps[0].log(), kCollected);
}

TEST_P(StoreCollectorTest, ExceptionsAreThoseOfTheirHosts) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  AddPart(batch, "mx2", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  v1::LineCounts& lines = *batch.mutable_host_parts(0)->mutable_counts(0)->mutable_lines();
  lines.set_unrecognized(7);
  lines.set_cut_sessions(6);
  lines.set_evicted_sessions(5);
  lines.set_suppressed(4);
  const HostBatch host_batch{
      .host = "loghost",
      .batch = &batch,
      .rejected = {{.hour = At("2026-11-02T10:00:00Z"), .sessions = 3, .host = "mx1"},
                   {.hour = At("2026-11-02T10:00:00Z"), .sessions = 2, .host = "loghost"}},
      .collected = true};
  Commit(host_batch);
  const auto exceptions = [&](const std::string& host) {
    return Coverage("2026-11-02T09:00:00Z", "2026-11-02T11:00:00Z", host).exceptions;
  };
  EXPECT_EQ(exceptions("mx1").unrecognized_lines(), 7);
  EXPECT_EQ(exceptions("mx1").cut_sessions(), 6);
  EXPECT_EQ(exceptions("mx1").evicted_sessions(), 5);
  EXPECT_EQ(exceptions("mx1").suppressed_lines(), 4);
  EXPECT_EQ(exceptions("mx1").rejected_sessions(), 3);
  EXPECT_EQ(exceptions("mx2").unrecognized_lines(), 0);
  EXPECT_EQ(exceptions("mx2").rejected_sessions(), 0);
  EXPECT_EQ(exceptions("loghost").rejected_sessions(), 2);
}

TEST_P(StoreCollectorTest, OpenSessionsAndMtaAreThoseOfTheirHosts) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  batch.mutable_host_parts(0)->set_open_sessions(2);
  SetTime(At("2026-11-02T09:30:00Z"), batch.mutable_host_parts(0)->mutable_oldest_open_time());
  batch.mutable_host_parts(0)->set_mta("Postfix 3.7.11");
  Collect(batch);
  EXPECT_EQ(Host("mx1").logs(0).open_sessions(), 2);
  EXPECT_EQ(Host("mx1").mta(), "Postfix 3.7.11");
  EXPECT_EQ(Host("loghost").mta(), "");
  EXPECT_EQ(Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "mx1").logs.at(0).oldest_open,
            At("2026-11-02T09:30:00Z"));
}

TEST_P(StoreCollectorTest, StampsAheadOfTheServerAreAClockSkew) {
  now_ = At("2026-11-02T10:00:00Z");
  v1::SessionBatch batch = FirstBatch(kEleven);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T11:00:00Z");
  AddPart(batch, "mx2", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  Collect(batch);
  const auto skews = [&](const std::string& host) {
    return Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", host).clock_skews;
  };
  ASSERT_EQ(skews("mx1").size(), 1u);
  EXPECT_EQ(skews("mx1")[0].ahead_seconds(), 3600);
  EXPECT_THAT(skews("mx2"), IsEmpty());
}

TEST_P(StoreCollectorTest, AHostWithAnAgentOfItsOwnIsForeignToACollector) {
  TouchAs("mx1", v1::SOURCE_KIND_FILES);
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", 3);
  AddPart(batch, "mx2", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", 4);
  AddSession(batch, "mx1", "2026-11-02T09:10:00Z");
  AddSession(batch, "mx2", "2026-11-02T09:10:00Z");
  const BatchOutcome outcome = Collect(batch);
  EXPECT_EQ(outcome.inserted, 1);
  EXPECT_EQ(outcome.other_source, 1);
  EXPECT_THAT(outcome.other_source_hosts, ElementsAre("mx1"));
  EXPECT_EQ(Host("mx1").sessions(), 0);
  EXPECT_EQ(Host("mx1").logs_size(), 0);
  EXPECT_EQ(Host("mx1").source_kind(), v1::SOURCE_KIND_FILES);
  EXPECT_EQ(Host("mx2").sessions(), 1);
  EXPECT_EQ(LinesRead("loghost"), 3);
  EXPECT_EQ(Host("loghost").exceptions().foreign_host_lines(), 3);
  // Not a word of the host.
  v1::SessionBatch more = Batch(kTen, kEleven);
  AddPart(more, "mx1", "2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z", 3);
  const absl::Time seen = absl::FromUnixSeconds(Host("mx1").last_seen_time().seconds());
  now_ += absl::Hours(1);
  Collect(more);
  EXPECT_EQ(absl::FromUnixSeconds(Host("mx1").last_seen_time().seconds()), seen);
}

TEST_P(StoreCollectorTest, RetirementLetsTheKindOfSourceChange) {
  TouchAs("mx1", v1::SOURCE_KIND_FILES);
  ASSERT_TRUE(store_->RetireHost("mx1", now_).ok());
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z");
  AddSession(batch, "mx1", "2026-11-02T09:10:00Z");
  EXPECT_EQ(Collect(batch).inserted, 1);
  EXPECT_EQ(Host("mx1").source_kind(), v1::SOURCE_KIND_COLLECTOR);
  EXPECT_FALSE(Host("mx1").has_retired_time());
  TouchAs("mx1", v1::SOURCE_KIND_FILES);
  EXPECT_EQ(Host("mx1").source_kind(), v1::SOURCE_KIND_COLLECTOR);
}

TEST_P(StoreCollectorTest, TwoCollectorsOfOneHostCountItsSessionsOnce) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", 3);
  AddSession(batch, "mx1", "2026-11-02T09:10:00Z");
  Collect(batch);
  const BatchOutcome outcome =
      Commit(HostBatch{.host = "loghost2", .batch = &batch, .collected = true});
  EXPECT_EQ(outcome.duplicates, 1);
  EXPECT_TRUE(outcome.counts_applied);
  ASSERT_EQ(Host("mx1").logs_size(), 2);
  EXPECT_EQ(Host("mx1").logs(0).log(), "loghost2:/var/log/mail.log");
  EXPECT_EQ(Host("mx1").sessions(), 1);
}

TEST_P(StoreCollectorTest, AllOfItSurvivesAReopening) {
  v1::SessionBatch batch = FirstBatch(kTen);
  AddPart(batch, "mx1", "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", 3);
  Collect(batch);
  Reopen();
  v1::SessionBatch next = Batch(kTen, kEleven);
  AddPart(next, "mx1", "2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z", 3);
  EXPECT_TRUE(Collect(next).counts_applied);
  EXPECT_EQ(LinesRead("mx1"), 6);
  EXPECT_THAT(Covered("mx1"), ElementsAre("09:00-11:00"));
}

}  // namespace
}  // namespace mxtally
