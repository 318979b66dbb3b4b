#include "agent/run/delivery.h"

#include <random>

#include "gmock/gmock.h"
#include "proto/timestamps/timestamps.h"
#include "tests/agent/run/delivery_fixture.h"

namespace mxtally {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_F(DeliveryTest, HelloTellsWhoTheAgentIs) {
  Session(1);
  Session(2, "other.log");
  Start();
  Run(absl::Seconds(1));
  ASSERT_EQ(hellos_.size(), 1);
  EXPECT_EQ(hellos_[0].host(), "mx1.example.org");
  EXPECT_EQ(hellos_[0].agent_version(), "0.1.0");
  EXPECT_EQ(hellos_[0].parser_version(), kParserVersion);
  EXPECT_EQ(hellos_[0].key_version(), kKeyVersion);
  EXPECT_THAT(hellos_[0].logs(), ElementsAre(folder_.Path("mail.log"), folder_.Path("other.log")));
  EXPECT_EQ(hellos_[0].source_kind(), v1::SOURCE_KIND_FILES);
  EXPECT_TRUE(hellos_[0].has_wall_time());
}

TEST_F(DeliveryTest, NothingIsSentBeforeTheWelcome) {
  Session(1);
  Start();
  Step();
  EXPECT_TRUE(stream().TakeWritten()->has_hello());
  Step();
  EXPECT_FALSE(stream().written.has_value());
}

TEST_F(DeliveryTest, DeliversAndStoresTheCheckpointAfterTheAcknowledgement) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(10));
  EXPECT_EQ(server_.sessions().size(), 1);
  // So far only where the reading began.
  ASSERT_TRUE(file_.stored.has_value());
  EXPECT_TRUE(file_.stored->logs(0).has_first_met_time());
  EXPECT_EQ(file_.stored->logs(0).cut().offset(), 0);
  stream().Send(Acknowledge(1));
  Run(absl::Seconds(2));
  EXPECT_FALSE(file_.stored->logs(0).has_first_met_time());
  EXPECT_EQ(file_.stored->database_id(), "db1");
  EXPECT_EQ(file_.stored->logs(0).cut().SerializeAsString(), server_.stored()->SerializeAsString());
  EXPECT_THAT(observer_.Take(), ElementsAre("connected db1", "caught up mail.log"));
}

TEST_F(DeliveryTest, SequencesCountOverAllLogsAndBeginAnewWithAStream) {
  Session(1);
  Session(2, "other.log");
  Start();
  Run(absl::Seconds(1));
  ASSERT_EQ(batches_.size(), 2);
  EXPECT_EQ(batches_[0].sequence(), 1);
  EXPECT_EQ(batches_[1].sequence(), 2);
  stream().End(absl::OkStatus());
  batches_.clear();
  Run(absl::Seconds(3));
  ASSERT_FALSE(batches_.empty());
  EXPECT_EQ(batches_[0].sequence(), 1);
}

TEST_F(DeliveryTest, ChangesAreGatheredBeforeTheyAreRead) {
  options_.gather = options_.poll_interval / 2;
  Session(1);
  Start();
  Run(absl::Milliseconds(100));
  batches_.clear();
  Session(2);
  const Delivery::Pause quiet = Step();
  EXPECT_TRUE(quiet.watch_logs);
  delivery_->LogsChanged();
  const Delivery::Pause gathering = Step();
  EXPECT_FALSE(gathering.watch_logs);
  EXPECT_EQ(gathering.timeout, options_.gather);
  Session(3);
  Run(options_.gather);
  ASSERT_EQ(batches_.size(), 1);
  EXPECT_EQ(batches_[0].sessions_size(), 2);
}

TEST_F(DeliveryTest, LogsAreLookedAtNowAndThenWithoutANotice) {
  Session(1);
  Start();
  Run(absl::Seconds(1));
  Session(2);
  Run(absl::Seconds(2));
  EXPECT_EQ(server_.sessions().size(), 2);
}

TEST_F(DeliveryTest, NewLogsAreFoundAndFollowed) {
  Session(1);
  Start();
  Run(absl::Seconds(1));
  Session(2, "new.log");
  Run(absl::Seconds(12));
  EXPECT_EQ(server_.sessions().size(), 2);
  ASSERT_FALSE(batches_.empty());
  EXPECT_EQ(batches_.back().log(), folder_.Path("new.log"));
}

TEST_F(DeliveryTest, LogsTakeTurns) {
  options_.logs.pipeline.batch_log_bytes_max = 300;
  for (int i = 0; i < 20; ++i) {
    Session(1, "a.log");
    Session(2, "b.log");
  }
  Start();
  Run(absl::Seconds(1));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(batches_[i].log(), folder_.Path(i % 2 == 0 ? "a.log" : "b.log"));
  }
}

// ---- The window

TEST_F(DeliveryTest, WindowBoundsWhatIsUnderWay) {
  options_.logs.pipeline.batch_log_bytes_max = 1000;
  options_.logs.pipeline.batch_bytes_max = 3000;
  options_.window_bytes_max = 10'000;
  for (int i = 0; i < 500; ++i) Session(i);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(5));
  EXPECT_LE(bytes_in_flight_max_, 10'000);
  EXPECT_GT(bytes_in_flight_max_, 5'000);
  const size_t under_way = batches_.size();
  Run(absl::Seconds(60));
  EXPECT_EQ(batches_.size(), under_way);
  acknowledging_ = true;
  stream().Send(Acknowledge(static_cast<int64_t>(under_way)));
  Run(absl::Seconds(60));
  EXPECT_EQ(server_.sessions().size(), 500);
}

TEST_F(DeliveryTest, FullWindowWaitsForTheServerAndNotForTheLog) {
  options_.logs.pipeline.batch_log_bytes_max = 1000;
  options_.window_bytes_max = 1;
  for (int i = 0; i < 50; ++i) Session(i);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  EXPECT_FALSE(Step().watch_logs);
  EXPECT_GT(Step().timeout, absl::Seconds(1));
}

// ---- Breaks

TEST_F(DeliveryTest, LostBetweenCommitAndAcknowledgementCountsOnce) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  EXPECT_EQ(server_.total().read(), 2);
  stream().End(absl::UnavailableError("reset"));
  acknowledging_ = true;
  Session(2);
  Run(absl::Seconds(5));
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().read(), 4);
  EXPECT_EQ(server_.key_conflicts(), 0);
}

TEST_F(DeliveryTest, LostBeforeCommitIsReadAgain) {
  Session(1);
  Start();
  Run(absl::Seconds(1));
  committing_ = false;
  Session(2);
  Run(absl::Seconds(3));
  stream().End(absl::UnavailableError("reset"));
  committing_ = true;
  Run(absl::Seconds(5));
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().read(), 4);
}

TEST_F(DeliveryTest, NothingIsReadWithoutAStream) {
  Session(1);
  Start();
  Run(absl::Seconds(1));
  serving_ = false;
  stream().End(absl::UnavailableError("gone"));
  const Delivery::Pause pause = Step();
  EXPECT_FALSE(pause.watch_logs);
  EXPECT_EQ(pause.timeout, observer_.last_delay);
}

TEST_F(DeliveryTest, AttemptsAreMadeLessAndLessOften) {
  serving_ = false;
  Start();
  std::vector<absl::Duration> delays;
  for (int i = 0; i < 12; ++i) {
    Step();
    ASSERT_NE(client_.stream(), nullptr);
    stream().End(absl::UnavailableError("no server"));
    Step();
    delays.push_back(observer_.last_delay);
    clock_ += observer_.last_delay;
  }
  EXPECT_EQ(delays[0], absl::Milliseconds(500));
  EXPECT_EQ(delays[1], absl::Seconds(1));
  EXPECT_EQ(delays[11], absl::Seconds(60));
}

TEST_F(DeliveryTest, AcknowledgementMakesTheNextDelayShort) {
  Session(1);
  serving_ = false;
  Start();
  for (int i = 0; i < 8; ++i) {
    Step();
    stream().End(absl::UnavailableError("no server"));
    Step();
    clock_ += observer_.last_delay;
  }
  serving_ = true;
  Run(absl::Seconds(1));
  stream().End(absl::UnavailableError("reset"));
  Step();
  EXPECT_EQ(observer_.last_delay, absl::Milliseconds(500));
}

TEST_F(DeliveryTest, WelcomeAloneDoesNotMakeTheNextDelayShort) {
  Session(1);
  committing_ = false;
  Start();
  for (int i = 0; i < 8; ++i) {
    Run(absl::ZeroDuration());
    stream().End(absl::ResourceExhaustedError("disk full"));
    Step();
    clock_ += observer_.last_delay;
  }
  EXPECT_EQ(observer_.last_delay, absl::Seconds(60));
}

TEST_F(DeliveryTest, ServersRetryDelayIsHonoured) {
  Start();
  Run(absl::Seconds(1));
  v1::StreamSessionsResponse response;
  response.set_retry_delay_ms(7000);
  stream().Send(std::move(response));
  Step();
  stream().End(absl::UnavailableError("draining"));
  Step();
  EXPECT_EQ(observer_.last_delay, absl::Milliseconds(7500));
}

TEST_F(DeliveryTest, RetryDelayInPlaceOfAWelcomeIsHonouredToo) {
  Start();
  Step();
  v1::StreamSessionsResponse response;
  response.set_retry_delay_ms(7000);
  stream().Send(std::move(response));
  Step();
  stream().End(absl::UnavailableError("the store cannot be read"));
  Step();
  EXPECT_EQ(observer_.last_delay, absl::Milliseconds(7500));
  EXPECT_THAT(observer_.Take(), ElementsAre("disconnected UNAVAILABLE"));
}

TEST_F(DeliveryTest, ServerThatDoesNotWelcomeIsLeft) {
  serving_ = false;
  Start();
  EXPECT_EQ(Step().timeout, options_.welcome_timeout);
  clock_ += options_.welcome_timeout;
  Step();
  EXPECT_EQ(client_.stream(), nullptr);
  EXPECT_THAT(observer_.Take(), ElementsAre("disconnected DEADLINE_EXCEEDED"));
}

TEST_F(DeliveryTest, ServerThatBreaksTheContractIsLeft) {
  Session(1);
  Start();
  Run(absl::Seconds(1));
  stream().Send(Acknowledge(99));
  Step();
  EXPECT_EQ(client_.stream(), nullptr);
  EXPECT_THAT(observer_.Take(), Contains("disconnected INTERNAL"));
}

// A server of a later release tells more than this agent knows of.
TEST_F(DeliveryTest, WhatOnlyANewerServerSaysIsPassedOver) {
  const auto with_unknown_fields = [](v1::StreamSessionsResponse response) {
    for (google::protobuf::Message* message :
         {static_cast<google::protobuf::Message*>(&response),
          static_cast<google::protobuf::Message*>(
              response.has_welcome() ? response.mutable_welcome() : nullptr)}) {
      if (message == nullptr) continue;
      google::protobuf::UnknownFieldSet& unknown =
          *message->GetReflection()->MutableUnknownFields(message);
      unknown.AddVarint(900, 7);
      unknown.AddLengthDelimited(901, "new");
    }
    v1::StreamSessionsResponse parsed;
    EXPECT_TRUE(parsed.ParseFromString(response.SerializeAsString()));
    return parsed;
  };
  serving_ = false;
  Session(1);
  Start();
  Step();
  EXPECT_TRUE(stream().TakeWritten()->has_hello());
  stream().Send(with_unknown_fields(Welcome()));
  Step();
  const std::optional<v1::StreamSessionsRequest> request = stream().TakeWritten();
  ASSERT_TRUE(request.has_value() && request->has_batch());
  // A message that is about nothing this agent knows acknowledges nothing.
  stream().Send(with_unknown_fields({}));
  Step();
  EXPECT_THAT(observer_.Take(), ElementsAre("connected db1"));
  stream().Send(with_unknown_fields(Acknowledge(1)));
  Step();
  EXPECT_THAT(observer_.Take(), ElementsAre("caught up mail.log"));
}

TEST_F(DeliveryTest, ServerThatKnowsNoSuchServiceIsTriedAgainLate) {
  Start();
  Step();
  stream().End(absl::UnimplementedError("unknown service mxtally.v1.IngestService"));
  Step();
  EXPECT_EQ(observer_.last_delay, absl::Seconds(60));
  EXPECT_FALSE(delivery_->done());
}

TEST_F(DeliveryTest, RefusedStreamIsTriedAgainLate) {
  Start();
  Run(absl::Seconds(1));
  stream().End(absl::InvalidArgumentError("batch.log: too long"));
  Step();
  EXPECT_EQ(observer_.last_delay, absl::Seconds(60));
}

TEST_F(DeliveryTest, RejectedSessionsAreToldAndCountAsDelivered) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  v1::StreamSessionsResponse response = Acknowledge(1);
  response.add_rejected_sessions()->set_reason("end before start");
  stream().Send(std::move(response));
  Run(absl::Seconds(2));
  EXPECT_THAT(observer_.Take(), Contains("rejected end before start"));
  EXPECT_TRUE(file_.stored.has_value());
}

TEST_F(DeliveryTest, AnotherDatabaseGetsEverythingAgain) {
  Session(1);
  Start();
  Run(absl::Seconds(2));
  server_ = CountingServer();
  database_id_ = "db2";
  stream().End(absl::UnavailableError("restart"));
  Run(absl::Seconds(5));
  EXPECT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.total().read(), 2);
  EXPECT_EQ(file_.stored->logs(0).database_id(), "db2");
}

// ---- The checkpoint

TEST_F(DeliveryTest, CheckpointIsWrittenAtMostOnceASecond) {
  Session(0);
  Start();
  Run(absl::ZeroDuration());
  for (int i = 1; i <= 50; ++i) {
    Session(i);
    delivery_->LogsChanged();
    Run(absl::Milliseconds(100));
  }
  EXPECT_LE(file_.attempts, 6);
  EXPECT_GE(file_.attempts, 4);
}

TEST_F(DeliveryTest, FullDiskStopsOnlyTheCheckpoint) {
  file_.store_status = absl::ResourceExhaustedError("disk full");
  Session(1);
  Start();
  Run(absl::Seconds(3));
  Session(2);
  Run(absl::Seconds(3));
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_THAT(observer_.events, Contains("checkpoint RESOURCE_EXHAUSTED"));
  file_.store_status = absl::OkStatus();
  Run(absl::Seconds(2));
  EXPECT_THAT(observer_.events, Contains("checkpoint OK"));
  EXPECT_EQ(file_.stored->logs(0).cut().SerializeAsString(), server_.stored()->SerializeAsString());
}

// ---- Statuses

TEST_F(DeliveryTest, StatusComesEveryFifteenSeconds) {
  Session(1);
  Start();
  Run(absl::Seconds(61));
  EXPECT_EQ(statuses_.size(), 4);
  ASSERT_EQ(statuses_[0].logs_size(), 1);
  EXPECT_EQ(statuses_[0].logs(0).log(), folder_.Path("mail.log"));
  EXPECT_EQ(statuses_[0].logs(0).bytes_behind(), 0);
}

TEST_F(DeliveryTest, QuietLogIsCaughtUpAsOfNow) {
  Session(1);
  Start();
  Run(absl::Minutes(5));
  const absl::Time caught_up = GetTimestamp(statuses_.back().logs(0).caught_up_time());
  EXPECT_GT(caught_up, clock_ - absl::Seconds(20));
}

TEST_F(DeliveryTest, WhatIsNotAcknowledgedIsNotCaughtUp) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(20));
  ASSERT_FALSE(statuses_.empty());
  EXPECT_FALSE(statuses_.back().logs(0).has_caught_up_time());
}

TEST_F(DeliveryTest, StatusTellsTheMta) {
  folder_.Append("mail.log",
                 "2026-11-01T11:00:00+00:00 mx1 postfix/master[1]: daemon started -- version "
                 "3.7.11, configuration /etc/postfix\n");
  Start();
  Run(absl::Seconds(20));
  ASSERT_FALSE(statuses_.empty());
  EXPECT_EQ(statuses_[0].mta(), "Postfix 3.7.11");
}

// ---- Once

TEST_F(DeliveryTest, OnceDeliversAllStoresTheCheckpointAndIsDone) {
  options_.once = true;
  options_.logs.pipeline.batch_log_bytes_max = 300;
  for (int i = 0; i < 20; ++i) Session(i);
  Start();
  Run(absl::Minutes(1));
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(delivery_->result().ok()) << delivery_->result();
  EXPECT_EQ(server_.sessions().size(), 20);
  EXPECT_EQ(statuses_.size(), 1);
  EXPECT_TRUE(statuses_[0].logs(0).has_caught_up_time());
  EXPECT_EQ(file_.stored->logs(0).cut().SerializeAsString(), server_.stored()->SerializeAsString());
}

TEST_F(DeliveryTest, OnceWaitsForAcknowledgementsWithoutHaste) {
  options_.once = true;
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Minutes(5));
  EXPECT_FALSE(delivery_->done());
  EXPECT_EQ(batches_.size(), 1);
  stream().Send(Acknowledge(1));
  Run(absl::Seconds(5));
  EXPECT_TRUE(delivery_->done());
}

TEST_F(DeliveryTest, OnceIsNotAboutLogsThatAppearLater) {
  options_.once = true;
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Minutes(1));
  Session(2, "new.log");
  Run(absl::Minutes(1));
  stream().Send(Acknowledge(1));
  Run(absl::Seconds(5));
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(delivery_->result().ok()) << delivery_->result();
}

TEST_F(DeliveryTest, OnceAgainHasNothingToDo) {
  options_.once = true;
  Session(1);
  Start();
  Run(absl::Minutes(1));
  Start();
  Run(absl::Minutes(1));
  EXPECT_TRUE(delivery_->done());
  EXPECT_EQ(server_.total().read(), 2);
}

TEST_F(DeliveryTest, OnceWaitsForAServerThatIsAway) {
  options_.once = true;
  Session(1);
  serving_ = false;
  Start();
  for (int i = 0; i < 5; ++i) {
    Step();
    stream().End(absl::UnavailableError("no server"));
    Step();
    clock_ += observer_.last_delay;
  }
  EXPECT_FALSE(delivery_->done());
  serving_ = true;
  Run(absl::Minutes(1));
  EXPECT_TRUE(delivery_->done());
  EXPECT_EQ(server_.sessions().size(), 1);
}

TEST_F(DeliveryTest, OnceFailsWhenTheServerRefusesForGood) {
  options_.once = true;
  Session(1);
  serving_ = false;
  Start();
  Step();
  stream().End(absl::UnimplementedError("unknown service"));
  Step();
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(absl::IsUnimplemented(delivery_->result()));
}

TEST_F(DeliveryTest, OnceFailsForALogThatIsNotThere) {
  options_.once = true;
  options_.logs.find = [this] { return FindLogs({folder_.Path("mail.log")}); };
  Start();
  Run(absl::Minutes(1));
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(absl::IsNotFound(delivery_->result()));
}

TEST_F(DeliveryTest, OnceLeavesOpenSessionsInTheCheckpoint) {
  options_.once = true;
  folder_.Append("mail.log",
                 "2026-11-01T11:00:00+00:00 mx1 postfix/smtpd[1]: connect from "
                 "a.example[192.0.2.1]\n");
  Start();
  Run(absl::Minutes(1));
  EXPECT_EQ(server_.sessions().size(), 0);
  EXPECT_EQ(file_.stored->logs(0).assembler().open_sessions_size(), 1);
}

// ---- Stopping

// ---- Reload

TEST_F(DeliveryTest, ReloadWaitsForWhatIsUnderWayAndGoesOnAtOnce) {
  acknowledging_ = false;
  Session(1);
  Start();
  Run(absl::Milliseconds(100));
  ASSERT_EQ(batches_.size(), 1);
  int applied = 0;
  delivery_->Reload([&applied] { ++applied; });
  Session(2);
  Run(absl::Seconds(5));
  EXPECT_EQ(applied, 0);
  EXPECT_EQ(batches_.size(), 1) << "nothing more is read before the reload";

  stream().Send(Acknowledge(1));
  acknowledging_ = true;
  Run(absl::Seconds(1));
  EXPECT_EQ(applied, 1);
  EXPECT_EQ(hellos_.size(), 2);
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(batches_.size(), 2) << "nothing is sent again";
}

TEST_F(DeliveryTest, ReloadWithoutAServerIsImmediate) {
  serving_ = false;
  Start();
  Step();
  bool applied = false;
  delivery_->Reload([&applied] { applied = true; });
  Step();
  EXPECT_TRUE(applied);
}

TEST_F(DeliveryTest, ReloadIsAppliedWhenTheStreamBreaksMeanwhile) {
  acknowledging_ = false;
  Session(1);
  Start();
  Run(absl::Milliseconds(100));
  bool applied = false;
  delivery_->Reload([&applied] { applied = true; });
  stream().End(absl::UnavailableError("gone"));
  acknowledging_ = true;
  Run(absl::Seconds(5));
  EXPECT_TRUE(applied);
  EXPECT_EQ(server_.sessions().size(), 1);
}

TEST_F(DeliveryTest, StopWaitsForAcknowledgements) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  delivery_->RequestStop();
  Run(absl::Seconds(1));
  EXPECT_FALSE(delivery_->done());
  stream().Send(Acknowledge(1));
  Run(absl::Seconds(1));
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(delivery_->result().ok());
  EXPECT_TRUE(file_.stored.has_value());
}

TEST_F(DeliveryTest, StopDoesNotWaitForLong) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  delivery_->RequestStop();
  Run(absl::Seconds(10));
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(delivery_->result().ok());
  EXPECT_TRUE(file_.stored->logs(0).has_first_met_time());
}

TEST_F(DeliveryTest, OnceThatIsStoppedHasNotDelivered) {
  options_.once = true;
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  delivery_->RequestStop();
  Run(absl::Seconds(10));
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(absl::IsCancelled(delivery_->result())) << delivery_->result();
}

TEST_F(DeliveryTest, StopReadsNothingMore) {
  Session(1);
  Start();
  acknowledging_ = false;
  Run(absl::Seconds(1));
  Session(2);
  delivery_->RequestStop();
  Run(absl::Seconds(10));
  EXPECT_EQ(server_.sessions().size(), 1);
}

TEST_F(DeliveryTest, StopWithoutAServerIsImmediate) {
  serving_ = false;
  Start();
  Step();
  stream().End(absl::UnavailableError("no server"));
  Step();
  delivery_->RequestStop();
  Step();
  EXPECT_TRUE(delivery_->done());
  EXPECT_TRUE(delivery_->result().ok());
}

// ---- All of it at once

class DeliveryRandomTest : public DeliveryTest, public testing::WithParamInterface<int> {};

TEST_P(DeliveryRandomTest, WhateverBreaksEverySessionAndEveryLineArrivesOnce) {
  std::mt19937 random(GetParam());
  const auto chance = [&random](double p) { return std::bernoulli_distribution(p)(random); };
  options_.logs.pipeline.batch_log_bytes_max = 500;
  int sessions = 0;
  Start();
  for (int i = 0; i < 150; ++i) {
    for (int n = chance(0.5) ? 3 : 0; n > 0; --n) Session(sessions++);
    committing_ = chance(0.8);
    acknowledging_ = chance(0.8);
    file_.store_status = chance(0.2) ? absl::ResourceExhaustedError("full") : absl::OkStatus();
    Run(absl::Milliseconds(300));
    // A server that did not commit a batch does not commit those after it.
    const bool must_end = !committing_ || !acknowledging_;
    if (client_.stream() != nullptr && (must_end || chance(0.1))) {
      stream().End(absl::UnavailableError("reset"));
      Step();
    }
    if (chance(0.1)) {
      Kill();
      Start();
    }
  }
  committing_ = acknowledging_ = true;
  file_.store_status = absl::OkStatus();
  Run(absl::Minutes(5));
  EXPECT_EQ(server_.sessions().size(), sessions);
  EXPECT_EQ(server_.total().read(), 2 * sessions);
  EXPECT_EQ(server_.key_conflicts(), 0);
  EXPECT_EQ(file_.stored->logs(0).cut().SerializeAsString(), server_.stored()->SerializeAsString());
}

INSTANTIATE_TEST_SUITE_P(Seeds, DeliveryRandomTest, testing::Range(0, 30));

// ---- Collectors

class CollectorDeliveryTest : public DeliveryTest {
 protected:
  CollectorDeliveryTest() {
    options_.logs.pipeline.hosts.emplace();
    Line("mx2", "connect");
    Line("mx2", "disconnect");
    Line("mx3", "connect");
    Line("mx3", "disconnect");
  }
  void Line(const std::string& host, const std::string& what) {
    folder_.Append(
        "mail.log",
        absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%S+00:00", clock_, absl::UTCTimeZone()), " ",
                     host, " postfix/smtpd[1]: ", what, " from a.example[192.0.2.1]\n"));
  }
  std::vector<std::string> Hosts() const {
    std::vector<std::string> hosts;
    for (const auto& [key, record] : server_.sessions()) hosts.push_back(record.key().host());
    return hosts;
  }
};

TEST_F(CollectorDeliveryTest, SendsForTheHostsThatTheServerNames) {
  collecting_.emplace().add_hosts("mx2");
  collecting_->set_hosts_max(10);
  Start();
  Run(absl::Seconds(5));
  ASSERT_FALSE(hellos_.empty());
  EXPECT_TRUE(hellos_[0].hosts_from_log());
  EXPECT_EQ(hellos_[0].host(), "mx1.example.org");
  EXPECT_THAT(Hosts(), ElementsAre("mx2"));
  EXPECT_EQ(server_.total().foreign_host(), 2);
  // The next stream is told anew.
  collecting_->add_hosts("mx3");
  stream().End(absl::OkStatus());
  Run(absl::Seconds(5));
  clock_ += absl::Minutes(1);
  Line("mx3", "connect");
  Line("mx3", "disconnect");
  Run(absl::Seconds(20));
  EXPECT_THAT(Hosts(), UnorderedElementsAre("mx2", "mx3"));
  EXPECT_EQ(statuses_.back().logs(0).hosts(), 2);
}

TEST_F(CollectorDeliveryTest, KeepsToTheNumberThatTheServerPermits) {
  collecting_.emplace().add_hosts("*");
  collecting_->set_hosts_max(1);
  Start();
  Run(absl::Seconds(20));
  EXPECT_THAT(Hosts(), ElementsAre("mx2"));
  EXPECT_EQ(statuses_.back().logs(0).lines_beyond_hosts_max(), 2);
}

TEST_F(CollectorDeliveryTest, AServerThatKnowsNothingOfItGetsNothing) {
  Start();
  Run(absl::Seconds(5));
  EXPECT_THAT(observer_.Take(), Contains("disconnected UNIMPLEMENTED"));
  EXPECT_THAT(batches_, IsEmpty());
  // Until it is a newer one.
  collecting_.emplace().add_hosts("*");
  collecting_->set_hosts_max(10);
  Run(absl::Minutes(2));
  EXPECT_THAT(Hosts(), UnorderedElementsAre("mx2", "mx3"));
}

TEST_F(CollectorDeliveryTest, WithOnceSuchAServerIsTheEnd) {
  options_.once = true;
  Start();
  Run(absl::Seconds(5));
  ASSERT_TRUE(delivery_->done());
  EXPECT_THAT(std::string(delivery_->result().message()),
              HasSubstr("expected a server that knows of it"));
}

}  // namespace
}  // namespace mxtally
