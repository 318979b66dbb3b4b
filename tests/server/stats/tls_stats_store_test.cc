// What answers say about their completeness over a real store, as agents come,
// read, and go.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/stats/tls_stats.h"
#include "storage/open.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kLog[] = "/var/log/mail.log";

class TlsStatsStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.url = absl::StrCat("sqlite:", folder_ / "mxtally.db");
    options.now = [this] { return now_; };
    auto store = OpenStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  static absl::Time At(const std::string& text) {
    absl::Time time;
    std::string error;
    EXPECT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M:%S", text, &time, &error)) << error;
    return time;
  }

  // The agent's hello.
  void Register() { ASSERT_TRUE(store_->Touch({HostSighting{"mx1", "0.1.0", "", {}}}).ok()); }

  // The agent's life sign: at the end of its log now.
  void Status() {
    HostSighting sighting{"mx1", "", "", {}};
    v1::LogStatus& log = sighting.logs.emplace_back();
    log.set_log(kLog);
    SetTime(now_, log.mutable_caught_up_time());
    ASSERT_TRUE(store_->Touch({sighting}).ok());
  }

  // Sessions of these times, and the end of the log after them.
  void Read(const std::vector<std::string>& stamps) {
    v1::SessionBatch batch;
    batch.set_log(kLog);
    if (end_.has_value()) *batch.mutable_start() = *end_;
    v1::Cut& end = *batch.mutable_end();
    if (end_.has_value()) end = *end_;
    for (const std::string& stamp : stamps) {
      v1::SessionRecord& record = *batch.add_sessions();
      record.mutable_key()->set_key_version(1);
      record.mutable_key()->set_host("mx1");
      record.mutable_key()->set_tag("postfix/smtpd[1]");
      SetTime(At(stamp), record.mutable_key()->mutable_stamp());
      record.mutable_rank()->set_lines_used(2);
      record.set_direction(v1::DIRECTION_INBOUND);
      record.set_service("smtpd");
      record.set_peer_class(v1::PEER_CLASS_EXTERNAL);
      record.mutable_tls()->set_state(v1::TLS_STATE_PLAINTEXT);
      v1::HourCounts& counts = *batch.add_counts();
      const int64_t seconds = absl::ToUnixSeconds(At(stamp));
      counts.mutable_hour()->set_seconds(seconds - seconds % 3600);
      counts.mutable_lines()->set_sessions(1);
      counts.mutable_lines()->set_counter_lines(1);
      end.set_offset(end.offset() + 100);
      SetTime(At(stamp), end.mutable_log_time());
    }
    SetTime(now_, batch.mutable_caught_up_time());
    batch.set_once(once_);
    const HostBatch of_host{"mx1", &batch, {}};
    const auto outcome = store_->Commit({of_host});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    end_ = end;
  }

  v1::GetTlsStatsResponse Ask(const std::string& window) const {
    v1::GetTlsStatsRequest request;
    request.set_window(window);
    const auto answer = AnswerTlsStats(*store_, request, now_, [] { return absl::OkStatus(); });
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : v1::GetTlsStatsResponse();
  }
  std::vector<std::string> Reasons(const std::string& window) const {
    const v1::GetTlsStatsResponse answer = Ask(window);
    EXPECT_EQ(answer.completeness().complete(), answer.completeness().reasons().empty());
    return {answer.completeness().reasons().begin(), answer.completeness().reasons().end()};
  }

  static void SetTime(absl::Time time, google::protobuf::Timestamp* stamp) {
    stamp->set_seconds(absl::ToUnixSeconds(time));
  }

  absl::Time now_ = At("2026-11-02 10:00:00");
  std::optional<v1::Cut> end_;
  const TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
  bool once_ = false;
};

TEST_F(TlsStatsStoreTest, OldLogThatWasReadOnceIsComplete) {
  once_ = true;
  Register();
  Read({"2026-10-01 04:02:01", "2026-10-01 12:00:00", "2026-10-02 04:01:10"});
  now_ += absl::Hours(5);  // The agent has gone.
  const v1::GetTlsStatsResponse answer = Ask("2026-10-01T04:00Z/2026-10-02T05:00Z");
  EXPECT_TRUE(answer.completeness().complete()) << answer.completeness().DebugString();
  EXPECT_EQ(answer.completeness().hosts_reporting(), 1);
  EXPECT_EQ(answer.total().sessions(), 3);
  EXPECT_THAT(Reasons("2026-10-01/2026-10-03"),
              ElementsAre("log /var/log/mail.log of host mx1 was not read from "
                          "2026-10-02T05:00:00Z to 2026-10-03T00:00:00Z"));
}

TEST_F(TlsStatsStoreTest, NewAgentOnAQuietHostIsCompleteAtOnce) {
  Register();
  Read({"2026-11-01 20:10:00"});
  EXPECT_THAT(Reasons("24h"), IsEmpty());
  EXPECT_THAT(Reasons("1h"), IsEmpty());
  EXPECT_THAT(Ask("1h").completeness().quiet_hosts(), ElementsAre("mx1"));
}

TEST_F(TlsStatsStoreTest, NewAgentOnABusyHostIsCompleteAtOnce) {
  Register();
  Read({"2026-11-02 08:10:00", "2026-11-02 09:59:58"});
  EXPECT_THAT(Reasons("24h"), IsEmpty());
  EXPECT_THAT(Reasons("1h"), IsEmpty());
}

TEST_F(TlsStatsStoreTest, NewAgentOnAnEmptyLogIsCompleteBeforeAndAfterItsFirstLine) {
  Register();
  now_ += absl::Seconds(15);
  Status();
  EXPECT_THAT(Reasons("24h"), IsEmpty());
  EXPECT_THAT(Ask("24h").completeness().quiet_hosts(), ElementsAre("mx1"));
  now_ += absl::Minutes(90);
  Status();
  Read({"2026-11-02 11:30:00"});
  EXPECT_THAT(Reasons("24h"), IsEmpty());
  EXPECT_EQ(Ask("24h").total().sessions(), 1);
}

TEST_F(TlsStatsStoreTest, AgentThatIsGoneIsSilentForNowButNotForBefore) {
  Register();
  Read({"2026-11-02 08:10:00", "2026-11-02 09:59:58"});
  now_ += absl::Hours(2);
  EXPECT_THAT(Reasons("24h"), ElementsAre(StartsWith("host mx1 is read until 2026-11-02T10:00:00Z, "
                                                     "and was last heard of at ")));
  EXPECT_THAT(Ask("24h").completeness().silent_hosts(), ElementsAre("mx1"));
  EXPECT_THAT(Reasons("2026-11-02T00:00Z/2026-11-02T10:00Z"), IsEmpty());
}

TEST_F(TlsStatsStoreTest, BacklogThatIsReadLaterMakesTheWindowComplete) {
  Register();
  Read({"2026-11-02 08:10:00", "2026-11-02 09:59:58"});
  now_ += absl::Hours(2);
  Register();  // Back again.
  EXPECT_THAT(Ask("24h").completeness().lagging_hosts(), ElementsAre("mx1"));
  Read({"2026-11-02 10:30:00", "2026-11-02 11:59:00"});
  EXPECT_THAT(Reasons("24h"), IsEmpty());
}

TEST_F(TlsStatsStoreTest, UnknownHostIsNoErrorButNotComplete) {
  Register();
  Read({"2026-11-02 09:59:58"});
  v1::GetTlsStatsRequest request;
  request.mutable_filter()->add_hosts("MX9");
  const auto answer = AnswerTlsStats(*store_, request, now_, [] { return absl::OkStatus(); });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(answer->rows(), IsEmpty());
  EXPECT_THAT(answer->completeness().reasons(), ElementsAre("host mx9 is not known"));
  EXPECT_FALSE(answer->completeness().complete());
}

}  // namespace
}  // namespace mxtally
