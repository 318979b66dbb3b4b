// Two days of a small fleet with an outage of each kind: what is answered about
// every hour of every host must agree with what really happened in it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/fast_forward/small_fleet.h"

namespace mxtally {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::StartsWith;

const absl::Time kStart = absl::FromCivil(absl::CivilDay(2026, 11, 2), absl::UTCTimeZone());
constexpr int kHours = 48;

const std::vector<std::string> kHosts = {"mx1", "mx2", "mx3", "mx4", "mx5", "mx6"};

class FastForwardTest : public testing::Test {
 protected:
  // Something to do so long after the start, before what is logged then.
  void At(int hours, int minutes, std::function<void()> event) {
    events_.emplace(kStart + absl::Hours(hours) + absl::Minutes(minutes), std::move(event));
  }

  void Run() {
    for (int i = 0; i <= kHours * 12; ++i) {
      const absl::Time next = kStart + SmallFleet::kStep * i;
      for (auto [event, end] = events_.equal_range(next); event != end;
           event = events_.erase(event)) {
        event->second();
      }
      fleet_.Step();
    }
    EXPECT_THAT(events_, IsEmpty());
  }

  static absl::Time Hour(int hour) { return kStart + absl::Hours(hour); }
  v1::Completeness Completeness(const std::string& host, int hour) const {
    return fleet_.Ask(host, Hour(hour), Hour(hour + 1)).completeness();
  }
  static std::vector<std::string> Findings(const v1::Host& host) {
    std::vector<std::string> findings;
    for (const v1::HostFinding& f : host.findings()) findings.push_back(f.finding());
    return findings;
  }

  // Hours of `host` whose answer is not complete.
  std::vector<int> Incomplete(const std::string& host) const {
    std::vector<int> hours;
    for (int hour = 0; hour < kHours; ++hour) {
      if (!Completeness(host, hour).complete()) hours.push_back(hour);
    }
    return hours;
  }

  // Every hour of every host against the truth.
  void ExpectTruth() const {
    for (const std::string& host : kHosts) {
      for (int hour = 0; hour < kHours; ++hour) {
        const v1::GetTlsStatsResponse answer = fleet_.Ask(host, Hour(hour), Hour(hour + 1));
        const v1::Completeness& c = answer.completeness();
        const std::string where = absl::StrCat(host, " hour ", hour, "\n", c.DebugString());
        EXPECT_EQ(answer.total().sessions(), fleet_.SessionsToCount(host, Hour(hour))) << where;
        if (c.hosts_expected() > 0) {
          EXPECT_EQ(c.complete(), fleet_.IsWhole(host, Hour(hour))) << where;
        }
        EXPECT_EQ(c.tls_logging_gaps().empty(), fleet_.ShowsCiphers(host, Hour(hour))) << where;
      }
    }
  }

  SmallFleet fleet_{kHosts, kStart};
  std::multimap<absl::Time, std::function<void()>> events_;
};

TEST_F(FastForwardTest, HealthyFleetIsCompleteInEveryHour) {
  Run();
  ExpectTruth();
  const v1::GetTlsStatsResponse all = fleet_.Ask("", kStart, Hour(kHours));
  EXPECT_TRUE(all.completeness().complete()) << all.completeness().DebugString();
  EXPECT_EQ(all.completeness().hosts_reporting(), 6);
  EXPECT_EQ(all.total().sessions(), 6 * 12 * kHours);
}

TEST_F(FastForwardTest, CompletenessAgreesWithTheTruthThroughEveryOutage) {
  // The agent of mx2 is down for three hours; its log waits.
  At(5, 5, [&] { fleet_.SetAgentRuns("mx2", false); });
  At(6, 30, [&] {
    const v1::Completeness c = Completeness("mx2", 5);
    EXPECT_FALSE(c.complete());
    EXPECT_THAT(c.silent_hosts(), ElementsAre("mx2"));
    EXPECT_TRUE(Completeness("mx2", 4).complete()) << "read before";
    EXPECT_THAT(Findings(fleet_.Find("mx2")), ElementsAre("SILENT"));
  });
  At(8, 0, [&] { fleet_.SetAgentRuns("mx2", true); });

  // The server is down for an hour.
  At(10, 0, [&] { fleet_.SetServerRuns(false); });
  At(11, 0, [&] { fleet_.SetServerRuns(true); });

  // The log of mx3 is removed while nobody reads it.
  At(12, 10, [&] { fleet_.SetAgentRuns("mx3", false); });
  At(12, 45, [&] { fleet_.RemoveLog("mx3"); });
  At(15, 0, [&] { fleet_.SetAgentRuns("mx3", true); });

  // mx4 has no mail, which is no outage.
  At(16, 0, [&] { fleet_.SetMail("mx4", false); });
  At(18, 0, [&] {
    EXPECT_THAT(Completeness("mx4", 16).quiet_hosts(), ElementsAre("mx4"));
    EXPECT_EQ(fleet_.Find("mx4").state(), v1::HOST_STATE_QUIET);
  });
  At(20, 0, [&] { fleet_.SetMail("mx4", true); });

  // mx6 is switched off, and retired an hour later.
  At(18, 5, [&] {
    fleet_.SetAgentRuns("mx6", false);
    fleet_.SetMail("mx6", false);
  });
  At(19, 0, [&] {
    EXPECT_THAT(Completeness("mx6", 18).silent_hosts(), ElementsAre("mx6"));
    fleet_.Retire("mx6", Hour(18));
    EXPECT_EQ(Completeness("mx6", 18).hosts_expected(), 0);
  });

  // mx4 logs no ciphers for three hours.
  At(26, 0, [&] { fleet_.SetTlsLogLevel("mx4", 0); });
  At(28, 0, [&] {
    const v1::Host host = fleet_.Find("mx4");
    ASSERT_THAT(Findings(host), ElementsAre("CIPHERS_NOT_LOGGED"));
    EXPECT_THAT(host.findings(0).advice(),
                StartsWith("smtpd_tls_loglevel is 0 on mx4: ciphers unknown; set it to 1"));
  });
  At(29, 0, [&] { fleet_.SetTlsLogLevel("mx4", 1); });

  // The clock of mx5 is 40 minutes ahead for two hours, then set back.
  At(32, 0, [&] { fleet_.SetClockAhead("mx5", absl::Minutes(40)); });
  At(33, 0, [&] { EXPECT_THAT(Findings(fleet_.Find("mx5")), Contains("CLOCK_SKEW")); });
  At(34, 0, [&] { fleet_.SetClockAhead("mx5", absl::ZeroDuration()); });

  // The logger of mx2 loses lines.
  At(36, 30, [&] { fleet_.LoseLines("mx2", 250); });

  Run();
  ExpectTruth();
  EXPECT_THAT(Incomplete("mx1"), IsEmpty());
  EXPECT_THAT(Incomplete("mx2"), ElementsAre(36));
  EXPECT_THAT(Incomplete("mx3"), ElementsAre(12));
  EXPECT_THAT(Incomplete("mx4"), IsEmpty());
  EXPECT_THAT(Incomplete("mx5"), ElementsAre(32, 33, 34));

  ASSERT_EQ(Completeness("mx3", 12).gaps_size(), 1);
  EXPECT_EQ(Completeness("mx3", 12).gaps(0).reason(), "FILE_GONE");
  EXPECT_EQ(Completeness("mx2", 36).exceptions().suppressed_lines(), 500);

  const v1::Completeness all = fleet_.Ask("", kStart, Hour(kHours)).completeness();
  EXPECT_FALSE(all.complete());
  EXPECT_EQ(all.hosts_expected(), 6);
  EXPECT_EQ(all.hosts_reporting(), 6);
  EXPECT_EQ(all.gaps_size(), 1);
  EXPECT_EQ(all.clock_skews_size(), 1);
  std::vector<std::string> findings;
  for (const v1::HostFinding& f : all.findings()) {
    findings.push_back(absl::StrCat(f.host(), " ", f.finding()));
  }
  EXPECT_THAT(findings,
              IsSupersetOf({"mx2 SUPPRESSED_LINES", "mx4 CIPHERS_NOT_LOGGED", "mx5 CLOCK_SKEW"}));
  EXPECT_EQ(findings.size(), 3u) << testing::PrintToString(findings);
}

}  // namespace
}  // namespace mxtally
