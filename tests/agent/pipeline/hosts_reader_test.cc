// A log of many hosts, from its lines to batches.

#include "agent/pipeline/hosts_reader.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "tests/agent/pipeline/pipeline_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;

class HostsReaderTest : public PipelineTest {
 protected:
  HostsReaderTest() {
    options_.assembler.host = "loghost";
    options_.hosts.emplace().collecting.add_hosts("*");
  }

  void Connect(const std::string& host, int seconds, int pid = 100) {
    Append(Line(seconds,
                absl::StrCat("postfix/smtpd[", pid, "]: connect from a.example[192.0.2.1]"), host));
  }
  void Disconnect(const std::string& host, int seconds, int pid = 100) {
    Append(Line(seconds,
                absl::StrCat("postfix/smtpd[", pid,
                             "]: disconnect from a.example[192.0.2.1] ehlo=1 quit=1 commands=2"),
                host));
  }
  void Session(const std::string& host, int seconds, int pid = 100) {
    Connect(host, seconds, pid);
    Disconnect(host, seconds + 1, pid);
  }
  void Note(const std::string& host, int seconds) { Append(Line(seconds, "cron[1]: hello", host)); }

  // "mx1 1, mx2 2": sessions by host.
  std::string Sessions() const {
    std::map<std::string, int> sessions;
    for (const auto& [key, record] : server_.sessions()) ++sessions[record.key().host()];
    std::string text;
    for (const auto& [host, count] : sessions) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", host, " ", count);
    }
    return text;
  }
  static std::string Text(const v1::HostPart& part) {
    int64_t read = 0;
    for (const v1::HourCounts& counts : part.counts()) read += counts.lines().read();
    const auto seconds = [](const google::protobuf::Timestamp& time) {
      return time.seconds() - absl::ToUnixSeconds(At(0));
    };
    return absl::StrCat(part.host(), " ", seconds(part.start_time()), "-", seconds(part.end_time()),
                        " ", read);
  }
  static std::vector<std::string> Parts(const v1::SessionBatch& batch) {
    std::vector<std::string> parts;
    for (const v1::HostPart& part : batch.host_parts()) parts.push_back(Text(part));
    return parts;
  }
};

TEST_F(HostsReaderTest, SessionsAndLinesBelongToTheHostsOfTheirHeaders) {
  Session("loghost", 10);
  // Interleaved, of equal processes.
  Connect("mx1", 20);
  Connect("mx2", 20);
  Disconnect("mx1", 21);
  Disconnect("mx2", 22);
  Note("mx2", 23);
  const auto batches = OpenAndDeliver();
  EXPECT_EQ(Sessions(), "loghost 1, mx1 1, mx2 1");
  EXPECT_EQ(server_.total().read(), 2);
  EXPECT_EQ(server_.total().foreign_host(), 0);
  EXPECT_EQ(server_.total("mx1").sessions(), 1);
  EXPECT_EQ(server_.total("mx2").read(), 3);
  EXPECT_EQ(server_.total("mx2").ignored(), 1);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_THAT(Parts(batches[0]), ElementsAre("mx1 20-21 2", "mx2 20-23 3"));
}

TEST_F(HostsReaderTest, APartReachesBackToTheHostsLastLineBefore) {
  Session("mx1", 10);
  Note("mx2", 15);
  OpenAndDeliver();
  Note("mx1", 300);
  EXPECT_THAT(Parts(Deliver().at(0)), ElementsAre("mx1 11-300 1"));
  // Also after a restart.
  Note("mx2", 400);
  EXPECT_THAT(Parts(OpenAndDeliver().at(0)), ElementsAre("mx2 15-400 1"));
}

TEST_F(HostsReaderTest, OpenSessionsAndMtaAreTold) {
  Append(Line(5, "postfix/master[1]: daemon started -- version 3.7.11, configuration /etc/postfix",
              "mx1"));
  Note("mx2", 6);
  Connect("mx1", 10);
  Connect("mx1", 12, 101);
  const auto batches = OpenAndDeliver();
  ASSERT_EQ(batches.at(0).host_parts_size(), 2);
  const v1::HostPart& mx1 = batches[0].host_parts(0);
  EXPECT_EQ(mx1.open_sessions(), 2);
  EXPECT_EQ(absl::FromUnixSeconds(mx1.oldest_open_time().seconds()), At(10));
  EXPECT_EQ(mx1.mta(), "Postfix 3.7.11");
  EXPECT_EQ(batches[0].host_parts(1).open_sessions(), 0);
  EXPECT_EQ(batches[0].host_parts(1).mta(), "");
  EXPECT_EQ(pipeline_->Status().open_sessions(), 0) << "of the agent's own host";
  EXPECT_EQ(pipeline_->Status().hosts(), 2);
  EXPECT_EQ(pipeline_->mta(), "");
}

TEST_F(HostsReaderTest, OneHostIsKnownWithAndWithoutItsDomain) {
  options_.hosts->collecting.clear_hosts();
  options_.hosts->collecting.add_hosts("mx1.example.net");
  Connect("mx1", 10);
  Disconnect("MX1.example.net", 11);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "mx1.example.net 1");
}

TEST_F(HostsReaderTest, HostsThatTheServerDoesNotTakeAreForeignAndNamed) {
  options_.hosts->collecting.clear_hosts();
  options_.hosts->collecting.add_hosts("mx1");
  Session("mx1", 10);
  Session("mx9", 20);
  Session("MX9", 30);
  Session("mx8.example.net", 40);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "mx1 1");
  EXPECT_EQ(server_.total().foreign_host(), 6);
  EXPECT_EQ(server_.total().ignored(), 6);
  EXPECT_THAT(pipeline_->Status().foreign_hosts(), ElementsAre("mx9", "mx8.example.net"));
  EXPECT_EQ(pipeline_->Status().lines_beyond_hosts_max(), 0);
}

TEST_F(HostsReaderTest, NoMoreThanSixteenForeignHostsAreNamed) {
  options_.hosts->collecting.clear_hosts();
  for (int i = 0; i < 50; ++i) Note(absl::StrCat("h", i), i);
  OpenAndDeliver();
  EXPECT_EQ(pipeline_->Status().foreign_hosts_size(), 16);
  EXPECT_EQ(server_.total().foreign_host(), 50);
}

TEST_F(HostsReaderTest, LinesOfHostsBeyondTheBoundAreForeignAndCounted) {
  options_.hosts->hosts_max = 2;
  int seconds = 0;
  for (const char* host : {"mx1", "mx2", "mx3", "loghost", "mx1", "mx3"}) {
    Session(host, seconds += 10);
  }
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "loghost 1, mx1 2, mx2 1");
  EXPECT_EQ(server_.total().foreign_host(), 4);
  EXPECT_EQ(pipeline_->Status().lines_beyond_hosts_max(), 4);
  EXPECT_EQ(pipeline_->Status().hosts(), 2);
}

TEST_F(HostsReaderTest, AHostThatHasNotWrittenForADayMakesRoom) {
  options_.hosts->hosts_max = 2;
  Connect("mx1", 10);
  Session("mx2", 20);
  Note("mx2", 86'000);
  Session("mx3", 86'300);  // mx1 wrote less than a day before.
  Note("mx2", 86'420);
  Session("mx3", 86'421);
  const auto batches = OpenAndDeliver();
  EXPECT_EQ(Sessions(), "mx1 1, mx2 1, mx3 1");
  EXPECT_EQ(pipeline_->Status().lines_beyond_hosts_max(), 2);
  // Its open session is idle, as its next line would have said.
  for (const auto& [key, record] : server_.sessions()) {
    EXPECT_EQ(record.end_reason(),
              record.key().host() == "mx1" ? v1::END_REASON_IDLE : v1::END_REASON_DISCONNECT);
  }
  EXPECT_EQ(server_.total("mx1").evicted_sessions(), 1);
  EXPECT_THAT(Parts(batches.at(0)),
              ElementsAre("mx1 10-10 1", "mx2 20-86420 4", "mx3 86421-86422 2"));
}

TEST_F(HostsReaderTest, TheServersBoundHoldsForAllLogsOfAStream) {
  HostBudget budget;
  budget.Reset(1);
  options_.hosts->budget = &budget;
  EXPECT_TRUE(budget.Take("mx1"));  // By another log.
  Session("mx1", 10);
  Session("mx2", 20);
  Session("loghost", 30);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "loghost 1, mx1 1");
  EXPECT_EQ(pipeline_->Status().lines_beyond_hosts_max(), 2);
  // Of the next stream it begins anew.
  budget.Reset(1);
  EXPECT_TRUE(budget.Take("mx2"));
}

TEST_F(HostsReaderTest, SessionsBeyondTheBoundAreGivenUpOnTheHostThatHasMost) {
  options_.hosts->sessions_max = 10;
  Connect("mx2", 5);
  Connect("mx3", 5);
  for (int i = 0; i < 50; ++i) Connect("mx1", 10 + i, 100 + i);
  Disconnect("mx2", 100);
  Disconnect("mx3", 100);
  OpenAndDeliver();
  EXPECT_EQ(server_.total("mx2").evicted_sessions(), 0);
  EXPECT_EQ(server_.total("mx3").evicted_sessions(), 0);
  EXPECT_EQ(server_.total("mx2").sessions(), 1);
  EXPECT_EQ(server_.total("mx1").evicted_sessions(), 42);
  for (const auto& [key, record] : server_.sessions()) {
    EXPECT_EQ(record.end_reason(),
              record.key().host() == "mx1" ? v1::END_REASON_EVICTED : v1::END_REASON_DISCONNECT);
  }
}

TEST_F(HostsReaderTest, OrdinalsBeyondTheBoundAreForgottenOnTheHostThatHasMost) {
  options_.hosts->ordinals_max = 10;
  Note("mx2", 4);
  Session("mx2", 5);
  for (int i = 0; i < 50; ++i) Session("mx1", 10 + 2 * i);
  Session("mx2", 5);
  OpenAndDeliver();
  EXPECT_EQ(server_.total("mx2").forgotten_ordinals(), 0);
  EXPECT_EQ(server_.total("mx1").forgotten_ordinals(), 41);
  EXPECT_EQ(Sessions(), "mx1 50, mx2 2");
}

TEST_F(HostsReaderTest, AWrongClockOfOneHostIsNoOthersConcern) {
  const int week = 7 * 86'400;
  Connect("mx1", 100);
  Connect("mx2", 100 + week);
  Note("mx2", 200 + week);
  Note("mx2", 300 + week);
  Disconnect("mx1", 101);
  Disconnect("mx2", 301 + week);
  OpenAndDeliver();
  for (const auto& [key, record] : server_.sessions()) {
    EXPECT_EQ(record.end_reason(), v1::END_REASON_DISCONNECT) << record.DebugString();
  }
  EXPECT_EQ(server_.by_hour("mx1").size(), 1u);
  EXPECT_EQ(server_.by_hour("mx1").begin()->first, absl::ToUnixSeconds(At(0)));
  EXPECT_EQ(server_.by_hour("mx2").begin()->first, absl::ToUnixSeconds(At(week)));
}

TEST_F(HostsReaderTest, LinesThatCannotBeFramedAreTheLogs) {
  Note("mx1", 10);
  Append("garbage");
  Append("no stamp mx1 postfix/smtpd[1]: garbage");
  options_.follower.line_bytes_max = 1000;
  Append(Line(20, std::string(2000, 'x'), "mx1"));
  OpenAndDeliver();
  EXPECT_EQ(server_.total().read(), 3);
  EXPECT_EQ(server_.total().unrecognized(), 1);
  EXPECT_EQ(server_.total().oversized(), 1);
  EXPECT_EQ(server_.total("mx1").read(), 1);
}

TEST_F(HostsReaderTest, AfterAGapEveryHostsStampsAreUncertain) {
  options_.once = true;
  Connect("mx1", 10);
  Connect("mx2", 10);
  OpenAndDeliver();
  // The rest of the file is gone, and what was written next is another file.
  folder_.Remove("mail.log");
  Session("mx1", 500, 7);
  const auto batches = OpenAndDeliver();
  ASSERT_EQ(server_.gaps().size(), 1u);
  bool found = false;
  for (const auto& [key, record] : server_.sessions()) {
    if (record.key().tag() != "postfix/smtpd[7]") continue;
    found = true;
    EXPECT_EQ(record.rank().lines_used(), 0u) << "lines of its second may be missing";
  }
  EXPECT_TRUE(found);
}

TEST_F(HostsReaderTest, AHostThatTheServerTakesNoLongerIsForgotten) {
  Session("mx1", 10);
  Session("mx2", 20);
  OpenAndDeliver();
  EXPECT_EQ(checkpoint_->hosts_size(), 2);
  options_.hosts->collecting.clear_hosts();
  options_.hosts->collecting.add_hosts("mx2");
  Session("mx1", 30);
  Session("mx2", 40);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "mx1 1, mx2 2");
  EXPECT_EQ(server_.total().foreign_host(), 2);
  EXPECT_EQ(checkpoint_->hosts_size(), 1);
}

TEST_F(HostsReaderTest, WhereHostsWereForeignBeforeAllIsReadAgain) {
  const HostsReaderOptions hosts = *options_.hosts;
  options_.hosts.reset();
  Session("loghost", 10);
  Session("mx1", 20);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "loghost 1");
  options_.hosts = hosts;
  Session("mx1", 30);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "loghost 1, mx1 2");
  EXPECT_EQ(server_.total().read(), 4) << "counted when they were read first";
  EXPECT_EQ(server_.total("mx1").read(), 2);
  EXPECT_EQ(server_.key_conflicts(), 0);
  // And back.
  options_.hosts.reset();
  Session("loghost", 40);
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "loghost 2, mx1 2");
}

TEST_F(HostsReaderTest, ABatchEndsBeforeItHasTooManyParts) {
  for (int i = 0; i < 2000; ++i) Note(absl::StrCat("h", i % 900), i);
  size_t batches = 0;
  for (const v1::SessionBatch& batch : OpenAndDeliver()) {
    EXPECT_LE(batch.host_parts_size(), 500);
    ++batches;
  }
  EXPECT_GT(batches, 3u);
  int64_t read = 0;
  for (int i = 0; i < 900; ++i) read += server_.total(absl::StrCat("h", i)).read();
  EXPECT_EQ(read, 2000);
}

TEST_F(HostsReaderTest, TwoCopiesOfALogInOneFileBeginAgainForEachHost) {
  for (int copy = 0; copy < 2; ++copy) {
    Note("mx1", 1);
    Note("mx2", 1);
    Session("mx1", 10);
    Session("mx2", 10);
    Session("mx1", 30);
  }
  OpenAndDeliver();
  EXPECT_EQ(Sessions(), "mx1 2, mx2 1");
  EXPECT_EQ(server_.key_conflicts(), 0);
}

}  // namespace
}  // namespace mxtally
