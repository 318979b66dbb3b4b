#include "server/fleet/host_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/support/fake_store.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const absl::Time kNow = absl::FromCivil(absl::CivilHour(2026, 11, 2, 10), absl::UTCTimeZone());

void SetAge(absl::Duration age, google::protobuf::Timestamp* stamp) {
  stamp->set_seconds(absl::ToUnixSeconds(kNow - age));
}

// Ages of what was last seen; nullopt: never.
struct Ages {
  std::optional<absl::Duration> seen;
  std::optional<absl::Duration> caught_up;
  std::optional<absl::Duration> session;
};

v1::Host HostOf(const std::string& name, const Ages& ages) {
  v1::Host host;
  host.set_host(name);
  if (ages.seen) SetAge(*ages.seen, host.mutable_last_seen_time());
  if (ages.caught_up) SetAge(*ages.caught_up, host.mutable_caught_up_time());
  if (ages.session) SetAge(*ages.session, host.mutable_last_session_time());
  return host;
}

class HostListTest : public testing::Test {
 protected:
  v1::ListHostsResponse List() const {
    const auto response = AnswerListHosts(store_, {}, kNow, connected_, guard_);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : v1::ListHostsResponse();
  }
  v1::Host OnlyHost(const Ages& ages) {
    store_.hosts = {HostOf("mx1", ages)};
    return List().hosts(0);
  }
  static std::vector<std::string> Findings(const v1::Host& host) {
    std::vector<std::string> findings;
    for (const v1::HostFinding& f : host.findings()) {
      EXPECT_EQ(f.host(), host.host());
      EXPECT_FALSE(f.advice().empty());
      findings.push_back(f.finding());
    }
    return findings;
  }

  FakeStore store_;
  QueryGuard guard_ = [] { return absl::OkStatus(); };
  std::function<bool(const std::string&)> connected_ = [](const std::string&) { return true; };
};

TEST_F(HostListTest, StateIsJudgedByWhatWasLastSeen) {
  const absl::Duration minute = absl::Minutes(1);
  const absl::Duration hour = absl::Hours(1);
  const absl::Duration second = absl::Seconds(1);
  struct Case {
    Ages ages;
    v1::HostState state;
  };
  for (const Case& c : {
           Case{{second, second, second}, v1::HOST_STATE_REPORTING},
           Case{{minute, minute, hour}, v1::HOST_STATE_REPORTING},
           Case{{second, second, hour + second}, v1::HOST_STATE_QUIET},
           Case{{second, second, std::nullopt}, v1::HOST_STATE_QUIET},
           Case{{second, minute + second, second}, v1::HOST_STATE_LAGGING},
           Case{{second, std::nullopt, second}, v1::HOST_STATE_LAGGING},
           Case{{minute + second, second, second}, v1::HOST_STATE_SILENT},
           Case{{minute + second, std::nullopt, std::nullopt}, v1::HOST_STATE_SILENT},
           Case{{std::nullopt, std::nullopt, std::nullopt}, v1::HOST_STATE_SILENT},
       }) {
    EXPECT_EQ(OnlyHost(c.ages).state(), c.state) << v1::HostState_Name(c.state);
  }
}

TEST_F(HostListTest, LagIsTheAgeOfTheWatermark) {
  EXPECT_EQ(OnlyHost({absl::ZeroDuration(), absl::Seconds(5), std::nullopt}).lag_seconds(), 5);
  EXPECT_EQ(OnlyHost({absl::ZeroDuration(), -absl::Seconds(5), std::nullopt}).lag_seconds(), 0);
  EXPECT_FALSE(OnlyHost({absl::ZeroDuration(), std::nullopt, std::nullopt}).has_lag_seconds());
}

TEST_F(HostListTest, CountsHostsThatReportOrAreQuiet) {
  const absl::Duration second = absl::Seconds(1);
  const absl::Duration day = absl::Hours(24);
  store_.hosts = {HostOf("a", {second, second, second}), HostOf("b", {second, second, day}),
                  HostOf("c", {second, day, day}), HostOf("d", {day, day, day})};
  const v1::ListHostsResponse r = List();
  EXPECT_EQ(r.hosts_expected(), 4);
  EXPECT_EQ(r.hosts_reporting(), 2);
}

TEST_F(HostListTest, FleetWithoutHostsIsPrintedAsZero) {
  EXPECT_TRUE(List().has_hosts_expected());
  EXPECT_TRUE(List().has_hosts_reporting());
}

TEST_F(HostListTest, ConnectedIsAskedForEachHost) {
  connected_ = [](const std::string& host) { return host == "b"; };
  store_.hosts = {HostOf("a", {}), HostOf("b", {})};
  const v1::ListHostsResponse r = List();
  EXPECT_TRUE(r.hosts(0).has_connected());
  EXPECT_FALSE(r.hosts(0).connected());
  EXPECT_TRUE(r.hosts(1).connected());
}

TEST_F(HostListTest, FindingsSayWhatIsWrong) {
  const absl::Duration second = absl::Seconds(1);
  EXPECT_THAT(Findings(OnlyHost({second, second, second})), IsEmpty());
  EXPECT_THAT(Findings(OnlyHost({second, std::nullopt, second})), ElementsAre("LAGGING"));
  EXPECT_THAT(Findings(OnlyHost({absl::Hours(1), second, second})), ElementsAre("SILENT"));

  HostCoverage coverage;
  coverage.host = "mx1";
  coverage.tls_not_logged = true;
  coverage.exceptions.set_foreign_host_lines(3);
  store_.coverage = {coverage};
  EXPECT_THAT(Findings(OnlyHost({second, second, second})),
              ElementsAre("TLS_NOT_LOGGED", "FOREIGN_HOST"));
}

TEST_F(HostListTest, LogAheadOfTheServersClockIsAFinding) {
  const absl::Duration second = absl::Seconds(1);
  store_.hosts = {HostOf("mx1", {second, second, second})};
  SetAge(-absl::Seconds(60), store_.hosts[0].add_logs()->mutable_log_time());
  EXPECT_THAT(Findings(List().hosts(0)), IsEmpty());
  SetAge(-absl::Hours(1), store_.hosts[0].add_logs()->mutable_log_time());
  const v1::ListHostsResponse r = List();
  EXPECT_THAT(Findings(r.hosts(0)), ElementsAre("CLOCK_SKEW"));
  EXPECT_THAT(r.hosts(0).findings(0).advice(), HasSubstr("1h ahead"));
}

TEST_F(HostListTest, TooManyNamesAreRefused) {
  v1::ListHostsRequest request;
  for (int i = 0; i < 1001; ++i) request.add_hosts(absl::StrCat("mx", i));
  const absl::Status status = AnswerListHosts(store_, request, kNow, connected_, guard_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1001 names: expected at most 1000"));
}

TEST_F(HostListTest, RetiredHostIsListedAndNotExpected) {
  const absl::Duration second = absl::Seconds(1);
  const absl::Duration day = absl::Hours(24);
  store_.hosts = {HostOf("a", {second, second, second}), HostOf("b", {day, day, day})};
  SetAge(day, store_.hosts[1].mutable_retired_time());
  const v1::ListHostsResponse r = List();
  EXPECT_EQ(r.hosts_expected(), 1);
  EXPECT_EQ(r.hosts(1).state(), v1::HOST_STATE_RETIRED);
  EXPECT_THAT(Findings(r.hosts(1)), IsEmpty());
}

TEST_F(HostListTest, ExpectedHostThatNeverReportedIsAFinding) {
  EXPECT_EQ(OnlyHost({}).state(), v1::HOST_STATE_SILENT);
  EXPECT_THAT(Findings(OnlyHost({})), ElementsAre("NEVER_REPORTED"));
}

TEST_F(HostListTest, AgentsClockThatIsOffIsAFinding) {
  const absl::Duration second = absl::Seconds(1);
  store_.hosts = {HostOf("mx1", {second, second, second})};
  store_.hosts[0].set_clock_ahead_seconds(-60);
  EXPECT_THAT(Findings(List().hosts(0)), IsEmpty());
  store_.hosts[0].set_clock_ahead_seconds(-90);
  const v1::ListHostsResponse r = List();
  EXPECT_THAT(Findings(r.hosts(0)), ElementsAre("CLOCK_SKEW"));
  EXPECT_THAT(r.hosts(0).findings(0).advice(), HasSubstr("1m30s behind the server's clock"));
}

TEST_F(HostListTest, ConfigurationThatHidesCiphersIsAFindingBeforeAnySession) {
  const absl::Duration second = absl::Seconds(1);
  store_.hosts = {HostOf("mx7", {second, second, second})};
  store_.hosts[0].mutable_mta_config()->set_smtpd_tls_loglevel(1);
  EXPECT_THAT(Findings(List().hosts(0)), IsEmpty());
  store_.hosts[0].mutable_mta_config()->set_smtpd_tls_loglevel(0);
  const v1::ListHostsResponse r = List();
  EXPECT_THAT(Findings(r.hosts(0)), ElementsAre("CIPHERS_NOT_LOGGED"));
  EXPECT_THAT(r.hosts(0).findings(0).advice(),
              testing::StartsWith("smtpd_tls_loglevel is 0 on mx7: ciphers unknown; set it to 1"));
}

TEST_F(HostListTest, LogThatPostfixWritesElsewhereIsAFinding) {
  const absl::Duration second = absl::Seconds(1);
  store_.hosts = {HostOf("mx1", {second, second, second})};
  v1::Host& host = store_.hosts[0];
  host.set_source_kind(v1::SOURCE_KIND_FILES);
  host.add_logs()->set_log("/var/log/mail.log");
  for (const char* path : {"", "/dev/stdout", "/var/log/mail.log"}) {
    host.mutable_mta_config()->set_maillog_file(path);
    EXPECT_THAT(Findings(List().hosts(0)), IsEmpty()) << path;
  }
  host.mutable_mta_config()->set_maillog_file("/var/log/postfix.log");
  const v1::ListHostsResponse r = List();
  EXPECT_THAT(Findings(r.hosts(0)), ElementsAre("LOG_ELSEWHERE"));
  EXPECT_THAT(r.hosts(0).findings(0).advice(), HasSubstr("--log /var/log/postfix.log"));
}

// --- One host ---

TEST_F(HostListTest, OneHostIsToldWithItsIntervals) {
  const absl::Duration second = absl::Seconds(1);
  store_.hosts = {HostOf("mx1", {second, second, second})};
  HostCoverage coverage;
  coverage.host = "mx1";
  coverage.expected = {{kNow - absl::Hours(9), kNow - absl::Hours(5)},
                       {kNow - absl::Hours(4), absl::InfiniteFuture()}};
  HostCoverage::Log& log = coverage.logs.emplace_back();
  log.log = "mail.log";
  log.covered = {{kNow - absl::Hours(3), kNow}};
  for (int i = 0; i < 1001; ++i) {
    v1::HostGap& gap = coverage.gaps.emplace_back();
    SetAge(absl::Hours(3000 - i), gap.mutable_start_time());
  }
  coverage.clock_skews.emplace_back().set_ahead_seconds(90);
  coverage.tls_logging_gaps.emplace_back().set_shows("NO_CIPHERS");
  store_.coverage = {coverage};
  store_.sealed_days = {absl::CivilDay(2026, 9, 30), absl::CivilDay(2026, 10, 1)};
  v1::GetHostRequest request;
  request.set_host("MX1");
  const auto r = AnswerGetHost(store_, request, kNow, connected_, guard_);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->host().host(), "mx1");
  EXPECT_EQ(r->host().state(), v1::HOST_STATE_REPORTING);
  ASSERT_EQ(r->expected_size(), 2);
  EXPECT_TRUE(r->expected(0).has_end_time());
  EXPECT_FALSE(r->expected(1).has_end_time());
  ASSERT_EQ(r->covered_size(), 1);
  EXPECT_EQ(r->covered(0).log(), "mail.log");
  ASSERT_EQ(r->gaps_size(), 1000);
  EXPECT_EQ(r->gaps(0).start_time().seconds(), absl::ToUnixSeconds(kNow - absl::Hours(2999)))
      << "the newest are told";
  EXPECT_EQ(r->clock_skews_size(), 1);
  EXPECT_EQ(r->tls_logging_gaps_size(), 1);
  EXPECT_THAT(r->sealed_days(), ElementsAre("2026-09-30", "2026-10-01"));
}

TEST_F(HostListTest, UnknownHostIsNotFound) {
  v1::GetHostRequest request;
  EXPECT_EQ(AnswerGetHost(store_, request, kNow, connected_, guard_).status().code(),
            absl::StatusCode::kInvalidArgument);
  request.set_host("mx9");
  EXPECT_EQ(AnswerGetHost(store_, request, kNow, connected_, guard_).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace mxtally
