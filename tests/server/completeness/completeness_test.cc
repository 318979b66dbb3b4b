#include "server/completeness/completeness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A time of one day; "24:00" is its end.
absl::Time At(const std::string& clock) {
  int hours = 0;
  int minutes = 0;
  EXPECT_EQ(sscanf(clock.c_str(), "%d:%d", &hours, &minutes), 2);
  return absl::FromCivil(absl::CivilDay(2026, 11, 2), absl::UTCTimeZone()) + absl::Hours(hours) +
         absl::Minutes(minutes);
}

google::protobuf::Timestamp Stamp(const std::string& clock) {
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(absl::ToUnixSeconds(At(clock)));
  return stamp;
}

HostCoverage::Log Log(const std::vector<std::pair<std::string, std::string>>& covered,
                      const std::string& caught_up = "", const std::string& name = "mail.log") {
  HostCoverage::Log log;
  log.log = name;
  for (const auto& [start, end] : covered) log.covered.emplace_back(At(start), At(end));
  if (!caught_up.empty()) log.caught_up = At(caught_up);
  return log;
}

// Registered at midnight; heard of at noon, which is now; with sessions.
HostCoverage Host(const std::string& name, std::vector<HostCoverage::Log> logs) {
  HostCoverage host;
  host.host = name;
  host.expected = {{At("00:00"), absl::InfiniteFuture()}};
  host.last_seen = At("12:00");
  host.logs = std::move(logs);
  host.any_session = true;
  return host;
}

class CompletenessTest : public testing::Test {
 protected:
  v1::Completeness Judge(const std::vector<HostCoverage>& hosts) const {
    return CompletenessOf(hosts, asked_, {At(start_), At(end_)}, At(now_));
  }
  static std::vector<std::string> Reasons(const v1::Completeness& c) {
    return {c.reasons().begin(), c.reasons().end()};
  }
  static std::vector<std::string> Findings(const v1::Completeness& c) {
    std::vector<std::string> findings;
    for (const v1::HostFinding& f : c.findings()) {
      EXPECT_FALSE(f.advice().empty());
      findings.push_back(absl::StrCat(f.host(), " ", f.finding()));
    }
    return findings;
  }

  std::string start_ = "06:00";
  std::string end_ = "13:00";
  std::string now_ = "12:00";
  std::vector<std::string> asked_;
};

TEST_F(CompletenessTest, HostReadUpToNowIsComplete) {
  const v1::Completeness c = Judge({Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")})});
  EXPECT_TRUE(c.complete());
  EXPECT_THAT(Reasons(c), IsEmpty());
  EXPECT_EQ(c.hosts_expected(), 1);
  EXPECT_EQ(c.hosts_reporting(), 1);
  EXPECT_THAT(Findings(c), IsEmpty());
  EXPECT_EQ(c.data_from().seconds(), absl::ToUnixSeconds(At("06:00")));
  EXPECT_EQ(c.data_to().seconds(), absl::ToUnixSeconds(At("12:00")));
}

TEST_F(CompletenessTest, NothingKnownIsNotComplete) {
  const v1::Completeness c = Judge({});
  EXPECT_FALSE(c.complete());
  EXPECT_THAT(Reasons(c), ElementsAre("no host is known"));
  EXPECT_FALSE(c.has_data_from());
  EXPECT_FALSE(c.has_data_to());
}

TEST_F(CompletenessTest, WindowBeforeEveryHostIsNotComplete) {
  HostCoverage host = Host("mx1", {Log({}, "12:00")});
  host.expected[0].first = At("11:00");
  start_ = "01:00";
  end_ = "02:00";
  const v1::Completeness c = Judge({host});
  EXPECT_FALSE(c.complete());
  EXPECT_EQ(c.hosts_expected(), 0);
  EXPECT_THAT(Reasons(c), ElementsAre("no host was known in this window"));
}

TEST_F(CompletenessTest, CountsThatAreZeroArePresent) {
  const v1::Completeness c = Judge({});
  EXPECT_TRUE(c.has_complete());
  EXPECT_TRUE(c.has_hosts_expected());
  EXPECT_TRUE(c.has_hosts_reporting());
  ASSERT_TRUE(c.has_exceptions());
  const google::protobuf::Descriptor* fields = v1::ExceptionCounts::descriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    EXPECT_TRUE(c.exceptions().GetReflection()->HasField(c.exceptions(), fields->field(i)))
        << fields->field(i)->name();
  }
}

TEST_F(CompletenessTest, OneMinuteOfLagIsAllowed) {
  EXPECT_EQ(Judge({Host("mx1", {Log({{"00:00", "11:59"}}, "11:59")})}).hosts_reporting(), 1);
  EXPECT_EQ(Judge({Host("mx1", {Log({{"00:00", "11:58"}}, "11:58")})}).hosts_reporting(), 0);
}

TEST_F(CompletenessTest, HostHeardOfButReadLessFarLags) {
  const v1::Completeness c = Judge({Host("mx1", {Log({{"00:00", "09:00"}})})});
  EXPECT_FALSE(c.complete());
  EXPECT_EQ(c.hosts_expected(), 1);
  EXPECT_EQ(c.hosts_reporting(), 0);
  EXPECT_THAT(c.lagging_hosts(), ElementsAre("mx1"));
  EXPECT_THAT(c.silent_hosts(), IsEmpty());
  EXPECT_THAT(Reasons(c), ElementsAre("host mx1 is read until 2026-11-02T09:00:00Z"));
  EXPECT_THAT(Findings(c), ElementsAre("mx1 LAGGING"));
}

TEST_F(CompletenessTest, HostNotHeardOfIsSilent) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "09:00"}}, "09:00")});
  host.last_seen = At("09:00");
  const v1::Completeness c = Judge({host});
  EXPECT_THAT(c.silent_hosts(), ElementsAre("mx1"));
  EXPECT_THAT(c.lagging_hosts(), IsEmpty());
  EXPECT_THAT(Reasons(c), ElementsAre("host mx1 is read until 2026-11-02T09:00:00Z, and was last "
                                      "heard of at 2026-11-02T09:00:00Z"));
  EXPECT_THAT(Findings(c), ElementsAre("mx1 SILENT"));
}

TEST_F(CompletenessTest, SilentHostStillReportsForAWindowThatWasReadThrough) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "09:00"}}, "09:00")});
  host.last_seen = At("09:00");
  end_ = "09:00";
  const v1::Completeness c = Judge({host});
  EXPECT_TRUE(c.complete());
  EXPECT_EQ(c.hosts_reporting(), 1);
  EXPECT_THAT(Findings(c), IsEmpty());
}

TEST_F(CompletenessTest, ReadHostWithoutSessionsIsQuiet) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  host.any_session = false;
  const v1::Completeness c = Judge({host});
  EXPECT_TRUE(c.complete());
  EXPECT_EQ(c.hosts_reporting(), 1);
  EXPECT_THAT(c.quiet_hosts(), ElementsAre("mx1"));
}

TEST_F(CompletenessTest, HostThatIsNotReadThroughIsNotQuiet) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "07:00"}, {"08:00", "12:00"}}, "12:00")});
  host.any_session = false;
  EXPECT_THAT(Judge({host}).quiet_hosts(), IsEmpty());
}

TEST_F(CompletenessTest, RegisteredHostWithoutALogLags) {
  const v1::Completeness c = Judge({Host("mx1", {})});
  EXPECT_THAT(c.lagging_hosts(), ElementsAre("mx1"));
  EXPECT_THAT(Reasons(c), ElementsAre("host mx1 is not read within the window"));
}

TEST_F(CompletenessTest, NewHostWhoseLogWasNeverReadLags) {
  HostCoverage host = Host("mx1", {Log({})});
  host.expected[0].first = At("11:59");
  const v1::Completeness c = Judge({host});
  EXPECT_EQ(c.hosts_reporting(), 0);
  EXPECT_THAT(Reasons(c), ElementsAre("host mx1 is not read within the window"));
}

TEST_F(CompletenessTest, HoleBeforeTheEndIsAReasonButTheHostReports) {
  const v1::Completeness c =
      Judge({Host("mx1", {Log({{"00:00", "07:00"}, {"08:30", "12:00"}}, "12:00")})});
  EXPECT_FALSE(c.complete());
  EXPECT_EQ(c.hosts_reporting(), 1);
  EXPECT_THAT(Reasons(c), ElementsAre("log mail.log of host mx1 was not read from "
                                      "2026-11-02T07:00:00Z to 2026-11-02T08:30:00Z"));
}

TEST_F(CompletenessTest, OldLogIsReadThroughTheHourItEndsIn) {
  now_ = "24:00";
  HostCoverage host = Host("mx1", {Log({{"06:20", "08:40"}}, "24:00")});
  host.expected[0].first = At("06:20");
  end_ = "09:00";
  EXPECT_TRUE(Judge({host}).complete());
  EXPECT_EQ(Judge({host}).hosts_reporting(), 1);
}

TEST_F(CompletenessTest, OldLogSaysNothingAboutLaterHours) {
  now_ = "24:00";
  HostCoverage host = Host("mx1", {Log({{"06:20", "08:40"}}, "24:00")});
  host.expected[0].first = At("06:20");
  end_ = "11:00";
  const v1::Completeness c = Judge({host});
  EXPECT_FALSE(c.complete());
  EXPECT_EQ(c.hosts_reporting(), 1) << "everything there is was read";
  EXPECT_THAT(Reasons(c), ElementsAre("log mail.log of host mx1 was not read from "
                                      "2026-11-02T09:00:00Z to 2026-11-02T11:00:00Z"));
}

TEST_F(CompletenessTest, EndOfReadingWithinAnHourIsNotStretched) {
  const v1::Completeness c = Judge({Host("mx1", {Log({{"00:00", "11:10"}}, "11:10")})});
  EXPECT_EQ(c.hosts_reporting(), 0);
  EXPECT_EQ(c.data_to().seconds(), absl::ToUnixSeconds(At("11:10")));
}

TEST_F(CompletenessTest, LogsBeginWithTheirFirstLineInTheWindowInWhichTheirHostBegins) {
  HostCoverage host = Host("mx1", {Log({{"07:00", "12:00"}}, "12:00"),
                                   Log({{"10:00", "12:00"}}, "12:00", "submission.log")});
  host.expected[0].first = At("06:30");
  EXPECT_TRUE(Judge({host}).complete());
  start_ = "08:00";
  EXPECT_THAT(Reasons(Judge({host})),
              ElementsAre("log submission.log of host mx1 was not read from "
                          "2026-11-02T08:00:00Z to 2026-11-02T10:00:00Z"));
}

TEST_F(CompletenessTest, EachLogMustBeRead) {
  const v1::Completeness c = Judge({Host(
      "mx1", {Log({{"00:00", "12:00"}}, "12:00"), Log({{"00:00", "10:00"}}, "10:00", "b.log")})});
  EXPECT_THAT(c.lagging_hosts(), ElementsAre("mx1"));
  EXPECT_THAT(Reasons(c), ElementsAre("host mx1 is read until 2026-11-02T10:00:00Z"));
  EXPECT_EQ(c.data_to().seconds(), absl::ToUnixSeconds(At("12:00")));
}

TEST_F(CompletenessTest, GapIsListedAndExplainedOnce) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  v1::HostGap gap;
  gap.set_host("mx1");
  gap.set_log("mail.log");
  *gap.mutable_start_time() = Stamp("07:00");
  *gap.mutable_end_time() = Stamp("08:00");
  gap.set_bytes_min(4096);
  gap.set_reason("FILE_GONE");
  host.gaps.push_back(gap);
  const v1::Completeness c = Judge({host});
  EXPECT_FALSE(c.complete());
  EXPECT_EQ(c.hosts_reporting(), 1);
  ASSERT_THAT(c.gaps(), SizeIs(1));
  EXPECT_EQ(c.gaps(0).SerializeAsString(), gap.SerializeAsString());
  EXPECT_THAT(Reasons(c), ElementsAre("log mail.log of host mx1 misses at least 4096 bytes from "
                                      "2026-11-02T07:00:00Z to 2026-11-02T08:00:00Z"));
}

TEST_F(CompletenessTest, GapsOfAllHostsAreOldestFirst) {
  std::vector<HostCoverage> hosts;
  for (const auto& [name, start] : {std::pair("mx1", "09:00"), std::pair("mx2", "07:00")}) {
    hosts.push_back(Host(name, {Log({{"00:00", "12:00"}}, "12:00")}));
    v1::HostGap gap;
    gap.set_host(name);
    *gap.mutable_start_time() = Stamp(start);
    hosts.back().gaps.push_back(gap);
  }
  const v1::Completeness c = Judge(hosts);
  ASSERT_THAT(c.gaps(), SizeIs(2));
  EXPECT_EQ(c.gaps(0).host(), "mx2");
}

TEST_F(CompletenessTest, EachExceptionIsSummedAndMakesIncomplete) {
  const google::protobuf::Descriptor* fields = v1::ExceptionCounts::descriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = fields->field(i);
    std::vector<HostCoverage> hosts;
    for (const char* name : {"mx1", "mx2"}) {
      hosts.push_back(Host(name, {Log({{"00:00", "12:00"}}, "12:00")}));
      v1::ExceptionCounts& e = hosts.back().exceptions;
      e.GetReflection()->SetInt64(&e, field, 3);
    }
    const v1::Completeness c = Judge(hosts);
    EXPECT_FALSE(c.complete()) << field->name();
    EXPECT_EQ(c.exceptions().GetReflection()->GetInt64(c.exceptions(), field), 6) << field->name();
    EXPECT_THAT(Reasons(c), ElementsAre(testing::StartsWith("6 "))) << field->name();
  }
}

TEST_F(CompletenessTest, ForeignHostLinesAreAFinding) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  host.exceptions.set_foreign_host_lines(5);
  EXPECT_THAT(Findings(Judge({host})), ElementsAre("mx1 FOREIGN_HOST"));
}

TEST_F(CompletenessTest, SessionsThatEndWithoutAnyTraceOfTlsAreAFinding) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  host.tls_not_logged = true;
  const v1::Completeness c = Judge({host});
  EXPECT_THAT(Findings(c), ElementsAre("mx1 TLS_NOT_LOGGED"));
  for (const char* setting : {"smtpd_tls_loglevel = 1", "tls_cipher", "LogLevel 9"}) {
    EXPECT_THAT(c.findings(0).advice(), HasSubstr(setting));
  }
  host.mta_config.emplace().set_smtpd_tls_loglevel(0);
  EXPECT_THAT(Judge({host}).findings(0).advice(), HasSubstr("smtpd_tls_loglevel is 0 on mx1"));
}

TEST_F(CompletenessTest, PostfixThatLogsNoTlsOfWhatItSendsIsAFinding) {
  const struct {
    std::string level, security;
    std::string advice;
  } kCases[] = {
      {"", "", "set smtp_tls_loglevel = 1 in main.cf"},
      {"0", "may", "smtp_tls_loglevel is 0 there; set smtp_tls_loglevel = 1 in main.cf"},
      {"1", "may", "smtp_tls_loglevel is 1 there now"},
      // Postfix's defaults.
      {"0", "(empty)", "it uses no TLS now; set it to may, and smtp_tls_loglevel to 1"},
      {"1", "none", "it uses no TLS now"},
  };
  for (const auto& c : kCases) {
    HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
    host.outbound_tls_not_logged = true;
    v1::MtaConfig& config = host.mta_config.emplace();
    if (!c.level.empty()) config.set_smtp_tls_loglevel(c.level[0] - '0');
    if (!c.security.empty()) {
      config.set_smtp_tls_security_level(c.security == "(empty)" ? "" : c.security);
    }
    const v1::Completeness answer = Judge({host});
    EXPECT_THAT(Findings(answer), ElementsAre("mx1 OUTBOUND_TLS_NOT_LOGGED"));
    EXPECT_THAT(answer.findings(0).advice(), HasSubstr(c.advice));
    EXPECT_TRUE(answer.complete()) << "what is unknown is counted apart";
  }
}

TEST_F(CompletenessTest, HoursWithoutCiphersAreListedAndExplainedByTheConfiguration) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  v1::TlsLoggingGap& gap = host.tls_logging_gaps.emplace_back();
  gap.set_host("mx1");
  gap.set_shows("NO_CIPHERS");
  *gap.mutable_start_time() = Stamp("08:00");
  *gap.mutable_end_time() = Stamp("10:00");
  v1::Completeness c = Judge({host});
  EXPECT_TRUE(c.complete()) << "the share is known";
  ASSERT_THAT(c.tls_logging_gaps(), SizeIs(1));
  EXPECT_EQ(c.tls_logging_gaps(0).SerializeAsString(), gap.SerializeAsString());
  EXPECT_THAT(Findings(c), ElementsAre("mx1 CIPHERS_NOT_LOGGED"));
  EXPECT_THAT(c.findings(0).advice(), HasSubstr("set smtpd_tls_loglevel = 1"));
  host.mta_config.emplace().set_smtpd_tls_loglevel(0);
  EXPECT_THAT(Judge({host}).findings(0).advice(),
              testing::StartsWith("smtpd_tls_loglevel is 0 on mx1: ciphers unknown; set it to 1"));
  host.mta_config->set_smtpd_tls_loglevel(1);
  EXPECT_THAT(Judge({host}).findings(0).advice(),
              HasSubstr("was 0 up to 2026-11-02T10:00Z and is 1 now"));
}

TEST_F(CompletenessTest, ClockSkewMakesIncompleteAndIsListed) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  v1::HostClockSkew& skew = host.clock_skews.emplace_back();
  skew.set_host("mx1");
  *skew.mutable_start_time() = Stamp("07:00");
  *skew.mutable_end_time() = Stamp("09:00");
  skew.set_ahead_seconds(-3600);
  const v1::Completeness c = Judge({host});
  EXPECT_FALSE(c.complete());
  EXPECT_THAT(Reasons(c), ElementsAre("the clock of host mx1 was up to 1h behind the server's, "
                                      "which concerns log times from 2026-11-02T07:00:00Z to "
                                      "2026-11-02T09:00:00Z"));
  EXPECT_THAT(Findings(c), ElementsAre("mx1 CLOCK_SKEW"));
  EXPECT_THAT(c.clock_skews(), SizeIs(1));
}

TEST_F(CompletenessTest, SuppressedLinesAreAFinding) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  host.exceptions.set_suppressed_lines(5);
  const v1::Completeness c = Judge({host});
  EXPECT_THAT(Findings(c), ElementsAre("mx1 SUPPRESSED_LINES"));
  EXPECT_THAT(Reasons(c), ElementsAre("5 lines were lost by a logger, as it says, before they "
                                      "could be read"));
}

TEST_F(CompletenessTest, CountsThatRetentionRemovedMakeIncomplete) {
  const std::vector<HostCoverage> hosts = {Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")})};
  CompletenessOptions options;
  options.counts_since = At("06:00");
  EXPECT_TRUE(
      CompletenessOf(hosts, {}, {At("06:00"), At("12:00")}, At("12:00"), options).complete());
  options.counts_since = At("07:00");
  const v1::Completeness c =
      CompletenessOf(hosts, {}, {At("06:00"), At("12:00")}, At("12:00"), options);
  EXPECT_THAT(Reasons(c), ElementsAre("counts before 2026-11-02T07:00:00Z were removed by "
                                      "retention, or are kept by day only"));
}

TEST_F(CompletenessTest, SessionOpenForLongerThanAnHourMakesIncomplete) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")});
  host.logs[0].oldest_open = At("11:30");
  EXPECT_TRUE(Judge({host}).complete());
  host.logs[0].oldest_open = At("10:30");
  EXPECT_THAT(Reasons(Judge({host})), ElementsAre("a session of host mx1 is open since "
                                                  "2026-11-02T10:30:00Z and counts when it ends"));
  host.logs[0].oldest_open = At("05:00");  // Belongs to an earlier hour.
  EXPECT_TRUE(Judge({host}).complete());
}

TEST_F(CompletenessTest, HostIsExpectedFromItsRegistrationToItsRetirement) {
  HostCoverage host = Host("mx1", {Log({{"08:00", "10:00"}}, "10:00")});
  host.expected = {{At("08:00"), At("10:00")}};
  host.last_seen = At("10:00");
  EXPECT_TRUE(Judge({host}).complete());
  start_ = "10:00";
  EXPECT_EQ(Judge({host}).hosts_expected(), 0);
}

TEST_F(CompletenessTest, RetiredHostThatCameBackIsNotExpectedInBetween) {
  HostCoverage host = Host("mx1", {Log({{"06:00", "08:00"}, {"10:15", "12:00"}}, "12:00")});
  host.expected = {{At("05:00"), At("08:00")}, {At("10:00"), absl::InfiniteFuture()}};
  EXPECT_TRUE(Judge({host}).complete());
  EXPECT_EQ(Judge({host}).hosts_expected(), 1);
  host.expected = {{At("05:00"), absl::InfiniteFuture()}};
  EXPECT_THAT(Reasons(Judge({host})),
              ElementsAre("log mail.log of host mx1 was not read from 2026-11-02T08:00:00Z to "
                          "2026-11-02T10:15:00Z"));
}

TEST_F(CompletenessTest, ExpectedHostThatNeverReportedIsNamed) {
  HostCoverage host = Host("mx1", {});
  host.last_seen = absl::InfinitePast();
  host.any_session = false;
  const v1::Completeness c = Judge({host});
  EXPECT_EQ(c.hosts_expected(), 1);
  EXPECT_EQ(c.hosts_reporting(), 0);
  EXPECT_THAT(c.silent_hosts(), ElementsAre("mx1"));
  EXPECT_THAT(Reasons(c), ElementsAre("host mx1 is expected and has never reported"));
  EXPECT_THAT(Findings(c), ElementsAre("mx1 NEVER_REPORTED"));
}

TEST_F(CompletenessTest, ReopenedDayMayBeReadFromAnyLog) {
  HostCoverage host = Host("mx1", {Log({{"00:00", "06:30"}, {"08:00", "12:00"}}, "12:00"),
                                   Log({{"06:00", "08:30"}}, "12:00", "archive/mail.log")});
  now_ = "36:00";
  start_ = "07:00";
  end_ = "08:00";
  EXPECT_FALSE(Judge({host}).complete());
  host.reopened = {{At("00:00"), At("24:00")}};
  EXPECT_TRUE(Judge({host}).complete());
}

TEST_F(CompletenessTest, AskedHostThatIsNotKnownMakesIncomplete) {
  asked_ = {"mx1", "mx9"};
  const v1::Completeness c = Judge({Host("mx1", {Log({{"00:00", "12:00"}}, "12:00")})});
  EXPECT_FALSE(c.complete());
  EXPECT_EQ(c.hosts_expected(), 1);
  EXPECT_THAT(Reasons(c), ElementsAre("host mx9 is not known"));
}

TEST_F(CompletenessTest, ListsAndReasonsAreBounded) {
  std::vector<HostCoverage> hosts;
  hosts.reserve(3000);
  for (int i = 0; i < 3000; ++i) {
    hosts.push_back(Host(absl::StrCat("mx", i), {Log({{"00:00", "09:00"}})}));
  }
  const v1::Completeness c = Judge(hosts);
  EXPECT_EQ(c.hosts_expected(), 3000);
  EXPECT_THAT(c.lagging_hosts(), SizeIs(1000));
  EXPECT_THAT(c.findings(), SizeIs(1000));
  EXPECT_THAT(Reasons(c), SizeIs(100));
  EXPECT_THAT(Reasons(c), Contains("and 2901 more"));
}

}  // namespace
}  // namespace mxtally
