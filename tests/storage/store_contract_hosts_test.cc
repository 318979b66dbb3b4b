// What storage/store.h promises about hosts: when they are expected, their
// clocks, their configuration, and what their logs show of TLS.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class StoreHostsTest : public StoreTest {
 protected:
  // Intervals in which a host is expected, "03 00:00-03 02:00"; "" for no end.
  std::vector<std::string> Expected(const std::string& host = "mx1") {
    std::vector<std::string> expected;
    for (const auto& [start, end] :
         Coverage("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", host).expected) {
      const auto text = [](absl::Time time) {
        return time == absl::InfiniteFuture()
                   ? std::string()
                   : absl::FormatTime("%d %H:%M", time, absl::UTCTimeZone());
      };
      expected.push_back(absl::StrCat(text(start), "-", text(end)));
    }
    return expected;
  }

  void Expect(const std::vector<std::string>& hosts) {
    const absl::Status status = store_->ExpectHosts(hosts);
    EXPECT_TRUE(status.ok()) << status;
  }

  void TouchWithClock(absl::Duration ahead) {
    HostSighting sighting = {.host = "mx1"};
    sighting.clock_ahead = ahead;
    Touch(sighting);
  }

  // "02 10:00-02 12:00 +3600".
  std::vector<std::string> Skews(const std::string& start = "2026-11-01T00:00:00Z",
                                 const std::string& end = "2026-12-01T00:00:00Z") {
    std::vector<std::string> skews;
    for (const v1::HostClockSkew& skew : Coverage(start, end).clock_skews) {
      const auto text = [](const google::protobuf::Timestamp& time) {
        return absl::FormatTime("%d %H:%M", absl::FromUnixSeconds(time.seconds()),
                                absl::UTCTimeZone());
      };
      skews.push_back(absl::StrCat(text(skew.start_time()), "-", text(skew.end_time()), " ",
                                   skew.ahead_seconds()));
    }
    return skews;
  }

  // Counts of one hour, each call continuing the same log.
  void CommitCounts(const std::string& hour, const v1::LineCounts& lines) {
    v1::SessionBatch batch = FirstBatch(CutAt(offset_ += 1000, hour));
    if (offset_ > 1000) *batch.mutable_start() = last_;
    last_ = batch.end();
    v1::HourCounts& counts = *batch.add_counts();
    SetTime(At(hour), counts.mutable_hour());
    *counts.mutable_lines() = lines;
    EXPECT_TRUE(Commit(batch).counts_applied);
  }

  static v1::LineCounts Lines(int sessions, int tls_lines, int counter_lines, int unlogged = 0) {
    v1::LineCounts lines;
    lines.set_sessions(sessions);
    lines.set_tls_lines(tls_lines);
    lines.set_counter_lines(counter_lines);
    lines.set_tls_unlogged_sessions(unlogged);
    return lines;
  }

  // "10-12 NOTHING", hours of the day.
  std::vector<std::string> TlsGaps(const std::string& start = "2026-11-02T00:00:00Z",
                                   const std::string& end = "2026-11-03T00:00:00Z") {
    std::vector<std::string> gaps;
    for (const v1::TlsLoggingGap& gap : Coverage(start, end).tls_logging_gaps) {
      const auto hour = [](const google::protobuf::Timestamp& time) {
        return time.seconds() / 3600 % 24;
      };
      gaps.push_back(
          absl::StrCat(hour(gap.start_time()), "-", hour(gap.end_time()), " ", gap.shows()));
    }
    return gaps;
  }

  v1::Cut last_;
};
INSTANTIATE_TEST_SUITE_P(Backends, StoreHostsTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

// --- Expectation ---

TEST_P(StoreHostsTest, RetiredHostIsExpectedUntilThen) {
  Touch({.host = "mx1"});
  const auto retired = store_->RetireHost("mx1", At("2026-11-03T02:00:00Z"));
  ASSERT_TRUE(retired.ok()) << retired.status();
  EXPECT_EQ(*retired, At("2026-11-03T02:00:00Z"));
  EXPECT_THAT(Expected(), ElementsAre("03 00:00-03 02:00"));
  EXPECT_EQ(Host().retired_time().seconds(), absl::ToUnixSeconds(*retired));
}

TEST_P(StoreHostsTest, RetiringAgainMovesTheEnd) {
  Touch({.host = "mx1"});
  ASSERT_TRUE(store_->RetireHost("mx1", At("2026-11-03T02:00:00Z")).ok());
  ASSERT_TRUE(store_->RetireHost("mx1", At("2026-11-03T01:00:00Z")).ok());
  EXPECT_THAT(Expected(), ElementsAre("03 00:00-03 01:00"));
}

TEST_P(StoreHostsTest, RetirementBeforeTheExpectationIsRefused) {
  Touch({.host = "mx1"});
  const auto retired = store_->RetireHost("mx1", At("2026-11-02T23:00:00Z"));
  EXPECT_EQ(retired.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(retired.status().message(),
            "host mx1 is expected since 2026-11-03T00:00:00Z: expected a later time, found "
            "2026-11-02T23:00:00Z");
  EXPECT_THAT(Expected(), ElementsAre("03 00:00-"));
}

TEST_P(StoreHostsTest, UnknownHostCannotRetire) {
  EXPECT_EQ(store_->RetireHost("mx9", now_).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreHostsTest, RetiredHostThatIsHeardOfIsExpectedAgain) {
  Touch({.host = "mx1"});
  ASSERT_TRUE(store_->RetireHost("mx1", At("2026-11-03T02:00:00Z")).ok());
  now_ = At("2026-11-05T00:00:00Z");
  Touch({.host = "mx1"});
  EXPECT_THAT(Expected(), ElementsAre("03 00:00-03 02:00", "05 00:00-"));
  EXPECT_FALSE(Host().has_retired_time());
  now_ = At("2026-11-06T00:00:00Z");
  ASSERT_TRUE(store_->RetireHost("mx1", now_).ok());
  now_ = At("2026-11-07T00:00:00Z");
  CommitSessions({{}});
  EXPECT_THAT(Expected(), ElementsAre("02 10:00-03 02:00", "05 00:00-06 00:00", "07 00:00-"))
      << "the first begins with the first line, which has been read now";
}

TEST_P(StoreHostsTest, ListedHostIsExpectedBeforeItReports) {
  Expect({"mx1", "MX2"});
  EXPECT_THAT(Expected("mx1"), ElementsAre("03 00:00-"));
  EXPECT_THAT(Expected("mx2"), ElementsAre("03 00:00-"));
  EXPECT_EQ(Coverage("2026-11-03T00:00:00Z", "2026-11-04T00:00:00Z").last_seen,
            absl::InfinitePast());
  EXPECT_FALSE(Host().has_last_seen_time());
  now_ += absl::Hours(1);
  Touch({.host = "mx1"});
  EXPECT_TRUE(Host().has_last_seen_time());
  EXPECT_THAT(Expected("mx1"), ElementsAre("03 00:00-")) << "since it was listed";
}

TEST_P(StoreHostsTest, HostThatIsNoLongerListedRetiresOnlyIfItNeverReported) {
  Expect({"mx1", "mx2"});
  Touch({.host = "mx1"});
  now_ += absl::Hours(1);
  Expect({"mx3"});
  EXPECT_THAT(Expected("mx1"), ElementsAre("03 00:00-"));
  EXPECT_THAT(Expected("mx2"), ElementsAre("03 00:00-03 01:00"));
  now_ += absl::Hours(1);
  Expect({"mx2"});
  EXPECT_THAT(Expected("mx2"), ElementsAre("03 00:00-03 01:00", "03 02:00-"));
}

// --- Source and configuration ---

TEST_P(StoreHostsTest, FirstKindOfSourceStandsUntilTheHostIsRetired) {
  EXPECT_EQ(*store_->SourceKindOf("mx1"), v1::SOURCE_KIND_UNSPECIFIED);
  HostSighting sighting = {.host = "mx1"};
  Touch(sighting);
  EXPECT_EQ(*store_->SourceKindOf("mx1"), v1::SOURCE_KIND_UNSPECIFIED);
  sighting.source_kind = v1::SOURCE_KIND_FILES;
  Touch(sighting);
  sighting.source_kind = v1::SOURCE_KIND_JOURNAL;
  Touch(sighting);
  EXPECT_EQ(*store_->SourceKindOf("mx1"), v1::SOURCE_KIND_FILES);
  EXPECT_EQ(Host().source_kind(), v1::SOURCE_KIND_FILES);
  ASSERT_TRUE(store_->RetireHost("mx1", now_).ok());
  Touch(sighting);
  EXPECT_EQ(*store_->SourceKindOf("mx1"), v1::SOURCE_KIND_JOURNAL);
}

TEST_P(StoreHostsTest, ConfigurationStaysUntilAnotherIsTold) {
  HostSighting sighting = {.host = "mx1"};
  sighting.mta_config.emplace().set_smtpd_tls_loglevel(0);
  sighting.mta_config->set_mail_version("3.7.11");
  Touch(sighting);
  Touch({.host = "mx1"});
  EXPECT_EQ(Host().mta_config().mail_version(), "3.7.11");
  ASSERT_TRUE(Host().mta_config().has_smtpd_tls_loglevel());
  const HostCoverage coverage = Coverage("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z");
  ASSERT_TRUE(coverage.mta_config.has_value());
  EXPECT_EQ(coverage.mta_config->smtpd_tls_loglevel(), 0);
}

// --- Clocks ---

TEST_P(StoreHostsTest, SkewConcernsTheTimesThatStampsAreMissingFromAndGoTo) {
  now_ = At("2026-11-02T10:00:00Z");
  TouchWithClock(absl::Hours(1));
  now_ += absl::Minutes(5);
  TouchWithClock(absl::Hours(1));
  EXPECT_THAT(Skews(), ElementsAre("02 10:00-02 11:05 3600"));
  EXPECT_DOUBLE_EQ(Host().clock_ahead_seconds(), 3600);
}

TEST_P(StoreHostsTest, ClockBehindIsASkewToo) {
  now_ = At("2026-11-02T10:00:00Z");
  TouchWithClock(-absl::Hours(2));
  EXPECT_THAT(Skews(), ElementsAre("02 08:00-02 10:00 -7200"));
  EXPECT_THAT(Skews("2026-11-02T11:00:00Z", "2026-11-02T12:00:00Z"), IsEmpty());
}

TEST_P(StoreHostsTest, LessThanAMinuteIsNoSkew) {
  TouchWithClock(absl::Seconds(59));
  TouchWithClock(-absl::Seconds(59));
  EXPECT_THAT(Skews(), IsEmpty());
  EXPECT_DOUBLE_EQ(Host().clock_ahead_seconds(), -59);
}

TEST_P(StoreHostsTest, SkewThatComesBackIsAnotherOne) {
  now_ = At("2026-11-02T10:00:00Z");
  TouchWithClock(absl::Minutes(2));
  now_ += absl::Hours(1);
  TouchWithClock(absl::ZeroDuration());
  now_ += absl::Hours(1);
  TouchWithClock(absl::Minutes(2));
  EXPECT_THAT(Skews(), ElementsAre("02 10:00-02 10:02 120", "02 12:00-02 12:02 120"));
}

TEST_P(StoreHostsTest, StampsAheadOfTheServersClockAreASkew) {
  now_ = At("2026-11-02T10:00:00Z");
  HostSighting sighting = {.host = "mx1"};
  sighting.clock_ahead = absl::ZeroDuration();
  v1::LogStatus& log = sighting.logs.emplace_back();
  log.set_log("/var/log/mail.log");
  SetTime(At("2026-11-02T13:00:00Z"), log.mutable_log_time());
  Touch(sighting);
  EXPECT_THAT(Skews(), ElementsAre("02 10:00-02 13:00 10800"));
}

// --- TLS by hour ---

TEST_P(StoreHostsTest, HoursWithoutTlsLinesJoin) {
  CommitCounts("2026-11-02T10:00:00Z", Lines(5, 0, 0));
  CommitCounts("2026-11-02T12:00:00Z", Lines(5, 0, 0));
  EXPECT_THAT(TlsGaps(), ElementsAre("10-11 NOTHING", "12-13 NOTHING"));
  CommitCounts("2026-11-02T11:00:00Z", Lines(5, 0, 0));
  EXPECT_THAT(TlsGaps(), ElementsAre("10-13 NOTHING"));
  EXPECT_TRUE(Coverage("2026-11-02T10:00:00Z", "2026-11-02T13:00:00Z").tls_not_logged);
}

TEST_P(StoreHostsTest, TlsLineThatComesLaterClearsItsHour) {
  for (const char* hour : {"10", "11", "12"}) {
    CommitCounts(absl::StrCat("2026-11-02T", hour, ":00:00Z"), Lines(5, 0, 0));
  }
  CommitCounts("2026-11-02T11:00:00Z", Lines(1, 1, 0));
  EXPECT_THAT(TlsGaps(), ElementsAre("10-11 NOTHING", "12-13 NOTHING"));
  EXPECT_FALSE(Coverage("2026-11-02T10:00:00Z", "2026-11-02T13:00:00Z").tls_not_logged)
      << "the log can show TLS";
  EXPECT_TRUE(Coverage("2026-11-02T12:00:00Z", "2026-11-02T13:00:00Z").tls_not_logged);
}

TEST_P(StoreHostsTest, CountersTellTlsWithoutCiphers) {
  CommitCounts("2026-11-02T10:00:00Z", Lines(5, 0, 5, 2));
  CommitCounts("2026-11-02T11:00:00Z", Lines(5, 0, 5, 0));
  CommitCounts("2026-11-02T12:00:00Z", Lines(5, 1, 5, 1));
  EXPECT_THAT(TlsGaps(), ElementsAre("10-11 NO_CIPHERS"));
  EXPECT_FALSE(Coverage("2026-11-02T10:00:00Z", "2026-11-02T13:00:00Z").tls_not_logged);
}

TEST_P(StoreHostsTest, HourMayGoFromNothingToNoCiphers) {
  CommitCounts("2026-11-02T10:00:00Z", Lines(1, 0, 0));
  CommitCounts("2026-11-02T10:00:00Z", Lines(1, 0, 1, 1));
  EXPECT_THAT(TlsGaps(), ElementsAre("10-11 NO_CIPHERS"));
}

TEST_P(StoreHostsTest, HourWithoutSessionsShowsAsMuchTlsAsThereIs) {
  CommitCounts("2026-11-02T10:00:00Z", Lines(0, 0, 0));
  EXPECT_THAT(TlsGaps(), IsEmpty());
}

TEST_P(StoreHostsTest, HoursWithoutTlsLinesOfWhatPostfixSendsAreApart) {
  const auto outbound = [](int unlogged, int tls_lines) {
    v1::LineCounts lines = Lines(5, 0, 5, 1);
    lines.set_outbound_unlogged_sessions(unlogged);
    lines.set_outbound_tls_lines(tls_lines);
    return lines;
  };
  CommitCounts("2026-11-02T10:00:00Z", outbound(3, 0));
  CommitCounts("2026-11-02T11:00:00Z", outbound(2, 1));
  CommitCounts("2026-11-02T12:00:00Z", outbound(0, 0));
  CommitCounts("2026-11-02T13:00:00Z", outbound(1, 0));
  EXPECT_THAT(TlsGaps(),
              UnorderedElementsAre("10-14 NO_CIPHERS", "10-11 NO_OUTBOUND", "13-14 NO_OUTBOUND"));
  const auto not_logged = [this](const std::string& start, const std::string& end) {
    return Coverage("2026-11-02T" + start + ":00:00Z", "2026-11-02T" + end + ":00:00Z")
        .outbound_tls_not_logged;
  };
  EXPECT_TRUE(not_logged("10", "11"));
  EXPECT_FALSE(not_logged("10", "14")) << "the log can show TLS";
  EXPECT_FALSE(not_logged("12", "13")) << "nothing is unknown";
  EXPECT_TRUE(not_logged("13", "14"));
  CommitCounts("2026-11-02T13:00:00Z", outbound(0, 1));
  EXPECT_THAT(TlsGaps(), UnorderedElementsAre("10-14 NO_CIPHERS", "10-11 NO_OUTBOUND"));
}

TEST_P(StoreHostsTest, TlsGapIsCutToTheWindow) {
  for (const char* hour : {"10", "11", "12"}) {
    CommitCounts(absl::StrCat("2026-11-02T", hour, ":00:00Z"), Lines(5, 0, 0));
  }
  EXPECT_THAT(TlsGaps("2026-11-02T11:00:00Z", "2026-11-02T12:00:00Z"),
              ElementsAre("11-12 NOTHING"));
  EXPECT_THAT(TlsGaps("2026-11-02T13:00:00Z", "2026-11-02T14:00:00Z"), IsEmpty());
}

}  // namespace
}  // namespace mxtally
