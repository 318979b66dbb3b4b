// When things are committed, acknowledged, read, and given up.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/ingest/service_fixture.h"

namespace mxtally {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

using IngestFlowTest = IngestServiceTest;

TEST_F(IngestFlowTest, WelcomeComesAfterWhatAnEarlierStreamOfTheHostHadQueued) {
  StartServer();
  store_.Pause();
  auto first = Connect("mx1");
  first->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  first->Cancel();
  auto second = Connect();
  second->Hello("mx1");
  store_.Resume();
  EXPECT_THAT(second->Read().welcome().stored_cuts(), SizeIs(1));
}

TEST_F(IngestFlowTest, NothingIsAcknowledgedBeforeTheCommit) {
  StartServer();
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1));
  std::atomic<bool> acked = false;
  std::thread reader([&] { acked = agent->AwaitAck(1); });
  store_.AwaitPausedCommit();
  EXPECT_FALSE(acked);
  EXPECT_THAT(store_.commits(), IsEmpty());
  store_.Resume();
  reader.join();
  EXPECT_TRUE(acked);
  EXPECT_THAT(store_.commits(), ElementsAre(1));
}

TEST_F(IngestFlowTest, WriterThatHangsIsBusyLongerAndLonger) {
  StartServer();
  auto agent = Connect("mx1");
  ASSERT_TRUE(Eventually([&] { return service_->writer_busy_for() == absl::ZeroDuration(); }));
  store_.Pause();
  agent->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  const absl::Duration first = service_->writer_busy_for();
  EXPECT_GT(first, absl::ZeroDuration());
  // What comes meanwhile is no sign of life.
  agent->Send(Batch("mx1", 2, 1, 1));
  ASSERT_TRUE(Eventually([&] { return service_->writer_busy_for() > 2 * first; }));
  store_.Resume();
  ASSERT_TRUE(agent->AwaitAck(2));
  EXPECT_TRUE(Eventually([&] { return service_->writer_busy_for() == absl::ZeroDuration(); }));
}

TEST_F(IngestFlowTest, HookRunsBetweenCommitAndAcknowledgement) {
  std::atomic<int> commits_at_hook = -1;
  IngestOptions options;
  options.writer.after_commit = [&] {
    commits_at_hook = static_cast<int>(store_.commits().size());
  };
  StartServer(options);
  auto agent = Connect("mx1");
  agent->Send(Batch("mx1", 1));
  ASSERT_TRUE(agent->AwaitAck(1));
  EXPECT_EQ(commits_at_hook, 1);
}

TEST_F(IngestFlowTest, BatchesOfAllStreamsShareACommit) {
  StartServer();
  std::vector<std::unique_ptr<Agent>> agents;
  agents.reserve(5);
  for (int i = 0; i < 5; ++i) agents.push_back(Connect(absl::StrCat("mx", i)));
  store_.Pause();
  agents[0]->Send(Batch("mx0", 1));
  store_.AwaitPausedCommit();
  const int64_t one = service_->queue_bytes();
  for (int i = 1; i < 5; ++i) agents[i]->Send(Batch(absl::StrCat("mx", i), 1));
  ASSERT_TRUE(Eventually([&] { return service_->queue_bytes() == 5 * one; }));
  store_.Resume();
  for (const auto& agent : agents) EXPECT_TRUE(agent->AwaitAck(1));
  EXPECT_THAT(store_.commits(), ElementsAre(1, 4));
  EXPECT_EQ(service_->queue_bytes(), 0);
}

TEST_F(IngestFlowTest, CommitsAreBoundedInBytes) {
  IngestOptions options;
  options.writer.group_bytes_max = 1;
  StartServer(options);
  auto agent = Connect("mx1");
  store_.Pause();
  for (int i = 1; i <= 4; ++i) agent->Send(Batch("mx1", i, 1, i));
  store_.AwaitPausedCommit();
  store_.Resume();
  ASSERT_TRUE(agent->AwaitAck(4));
  EXPECT_THAT(store_.commits(), ElementsAre(1, 1, 1, 1));
}

TEST_F(IngestFlowTest, FailedCommitAcknowledgesNothingAndTheNextStreamRecovers) {
  StartServer();
  auto agent = Connect("mx1");
  store_.FailNextCommit(absl::ResourceExhaustedError("disk full"));
  agent->Send(Batch("mx1", 1));
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("disk full"));
  EXPECT_EQ(agent->acked(), 0);
  EXPECT_GE(agent->retry_delay_ms().value_or(0), 5'000);
  EXPECT_EQ(service_->queue_bytes(), 0);
  EXPECT_FALSE(service_->Ready().ok());

  auto again = Connect("mx1");
  again->Send(Batch("mx1", 1));
  EXPECT_TRUE(again->AwaitAck(1));
  EXPECT_TRUE(service_->Ready().ok());
  EXPECT_THAT(store_.sessions(), SizeIs(1));
}

TEST_F(IngestFlowTest, WhatIsQueuedBehindAFailedBatchIsNotAcknowledged) {
  StartServer();
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1, 1, 1));
  store_.AwaitPausedCommit();
  const int64_t one = service_->queue_bytes();
  store_.FailNextCommit(absl::UnavailableError("not now"));
  agent->Send(Batch("mx1", 2, 1, 2));
  agent->Send(Batch("mx1", 3, 1, 3));
  ASSERT_TRUE(Eventually([&] { return service_->queue_bytes() > 3 * one; }));
  store_.Resume();
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(agent->acked(), 0);
  EXPECT_TRUE(Eventually([&] { return service_->queue_bytes() == 0; }));
}

TEST_F(IngestFlowTest, OneHostsBatchThatTheStoreCannotTakeDoesNotStopTheOthers) {
  StartServer();
  store_.FailCommitsOf("bad", absl::InternalError("constraint"));
  std::vector<std::unique_ptr<Agent>> agents;
  for (const std::string host : {"mx1", "bad", "mx2"}) agents.push_back(Connect(host));
  store_.Pause();
  agents[0]->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  const int64_t one = service_->queue_bytes();
  agents[0]->Send(Batch("mx1", 2, 1, 1));
  agents[1]->Send(Batch("bad", 1));
  agents[2]->Send(Batch("mx2", 1));
  ASSERT_TRUE(Eventually([&] { return service_->queue_bytes() > 3 * one; }));
  store_.Resume();
  EXPECT_TRUE(agents[0]->AwaitAck(2));
  EXPECT_TRUE(agents[2]->AwaitAck(1));
  EXPECT_EQ(agents[1]->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(agents[1]->acked(), 0);
}

TEST_F(IngestFlowTest, StreamCancelledInMidBatchIsHarmless) {
  StartServer();
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  agent->Cancel();
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::CANCELLED);
  // Ends although the writer still holds its batch.
  EXPECT_TRUE(Eventually([&] { return service_->stream_count() == 0; }));
  store_.Resume();
  auto again = Connect("mx1");
  again->Send(Batch("mx1", 1));
  ASSERT_TRUE(again->AwaitAck(1));
  EXPECT_THAT(store_.sessions(), SizeIs(1));
}

TEST_F(IngestFlowTest, HalfCloseAcknowledgesEverythingAndStoresTheStatus) {
  IngestOptions options;
  options.writer.touch_interval = absl::Hours(1);
  StartServer(options);
  auto agent = Connect("mx1");
  for (int i = 1; i <= 20; ++i) agent->Send(Batch("mx1", i, 1, i));
  agent->SendStatus("Postfix 3.7.11");
  agent->HalfClose();
  EXPECT_TRUE(agent->Finish().ok());
  EXPECT_EQ(agent->acked(), 20);
  const auto touches = store_.touches();
  ASSERT_FALSE(touches.empty());
  ASSERT_THAT(touches.back(), SizeIs(1));
  EXPECT_EQ(touches.back()[0].mta, "Postfix 3.7.11");
  EXPECT_EQ(touches.back()[0].agent_version, "0.1.0");
  EXPECT_THAT(touches.back()[0].logs, SizeIs(1));
}

TEST_F(IngestFlowTest, LifeSignsAreCoalescedPerHost) {
  IngestOptions options;
  options.writer.touch_interval = absl::Hours(1);
  StartServer(options);
  auto mx1 = Connect("mx1");
  auto mx2 = Connect("mx2");
  mx1->HalfClose();
  EXPECT_TRUE(mx1->Finish().ok());  // Both hellos are stored.
  const size_t touches_before = store_.touches().size();
  store_.Pause();
  mx2->Send(Batch("mx2", 1));
  store_.AwaitPausedCommit();
  for (int i = 0; i < 50; ++i) mx2->SendStatus(absl::StrCat("Postfix 3.", i));
  mx2->HalfClose();
  store_.Resume();
  EXPECT_TRUE(mx2->Finish().ok());
  const auto touches = store_.touches();
  EXPECT_EQ(touches.size(), touches_before + 1);
  EXPECT_EQ(touches.back().back().mta, "Postfix 3.49");
  EXPECT_THAT(touches.back().back().logs, SizeIs(1));
}

TEST_F(IngestFlowTest, StreamsBeyondTheBoundAreSentAway) {
  StartServer({.streams_max = 1});
  auto first = Connect("mx1");
  auto second = Connect();
  second->Hello("mx2");
  EXPECT_EQ(second->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(second->retry_delay_ms().has_value());
  first->Send(Batch("mx1", 1));
  EXPECT_TRUE(first->AwaitAck(1));
}

TEST_F(IngestFlowTest, StreamEndsAtItsAgeWithEverythingAcknowledged) {
  StartServer({.stream_age_max = absl::Milliseconds(200)});
  store_.Pause();
  auto agent = Connect();
  agent->Hello("mx1");
  agent->Read();
  agent->Send(Batch("mx1", 1));
  ASSERT_TRUE(
      Eventually([&] { return service_->queue_bytes() > 0 || service_->stream_count() == 0; }));
  // Else its age came first.
  const bool taken = service_->queue_bytes() > 0;
  std::thread resume([&] { store_.Resume(); });
  const grpc::Status status = agent->Finish();
  resume.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  if (!taken) return;
  EXPECT_EQ(agent->acked(), 1);
  EXPECT_EQ(agent->retry_delay_ms(), 0);
}

TEST_F(IngestFlowTest, AnAgentBeyondItsRateIsAcknowledgedAndToldToStayAway) {
  const absl::Time now = absl::Now();
  StartServer({.quotas = {.sessions_per_second = 10, .burst = absl::Seconds(1), .now = [now] {
                            return now;
                          }}});
  auto agent = Connect("mx1");
  agent->Send(Batch("mx1", 1, 10));
  EXPECT_TRUE(agent->AwaitAck(1));
  agent->Send(Batch("mx1", 2, 50, 10));
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "quota of this agent: expected at most 10 sessions per second, found more");
  EXPECT_EQ(agent->acked(), 2);
  EXPECT_EQ(observer_.inserted, 60);
  // Six seconds to use up what it took, and five to ten as for everyone.
  EXPECT_GE(agent->retry_delay_ms(), 11'000);
  EXPECT_LE(agent->retry_delay_ms(), 16'000);
  EXPECT_EQ(observer_.quota_hits, 1);

  // Back too early; another agent is not concerned.
  auto early = Connect();
  early->Hello("mx1");
  EXPECT_EQ(early->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  auto other = Connect("mx2");
  other->Send(Batch("mx2", 1, 10));
  EXPECT_TRUE(other->AwaitAck(1));
}

TEST_F(IngestFlowTest, AnAgentBeyondItsBytesIsToldSo) {
  StartServer({.quotas = {.bytes_per_second = 1, .burst = absl::ZeroDuration()}});
  auto agent = Connect("mx1");
  agent->SendStatus("Postfix");
  EXPECT_EQ(agent->Finish().error_message(),
            "quota of this agent: expected at most 1 bytes per second, found more");
}

TEST_F(IngestFlowTest, AnAgentWithTooManyStreamsIsRefusedAnother) {
  StartServer({.quotas = {.streams_max = 2}});
  auto first = Connect("mx1");
  auto second = Connect("mx1");
  auto third = Connect();
  third->Hello("mx1");
  const grpc::Status status = third->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "quota of this agent: expected at most 2 streams at a time, found more");
  EXPECT_GE(third->retry_delay_ms(), 5'000);
  EXPECT_TRUE(Connect("mx2") != nullptr);
  second->HalfClose();
  EXPECT_TRUE(second->Finish().ok());
  EXPECT_TRUE(Eventually([&] {
    auto again = Connect();
    again->Hello("mx1");
    return again->Read().has_welcome();
  }));
}

// Streams that never say hello count for the certificate that they came with.
TEST_F(IngestFlowTest, StreamsCountForTheirOwnerBeforeTheHello) {
  IngestOptions options{.quotas = {.streams_max = 2}};
  options.identify = [](const grpc::CallbackServerContext&) {
    StreamOwner owner;
    owner.name = "certificate of mx1";
    return owner;
  };
  StartServer(std::move(options));
  std::vector<std::unique_ptr<Agent>> agents;
  agents.reserve(3);
  for (int i = 0; i < 3; ++i) agents.push_back(Connect());
  EXPECT_TRUE(Eventually([&] { return observer_.quota_hits == 1; }));
  std::vector<StatusCode> codes;
  for (const auto& agent : agents) {
    agent->Hello("mx1");
    agent->HalfClose();
    codes.push_back(agent->Finish().error_code());
  }
  EXPECT_THAT(codes,
              UnorderedElementsAre(StatusCode::OK, StatusCode::OK, StatusCode::RESOURCE_EXHAUSTED));
}

TEST_F(IngestFlowTest, DrainAcknowledgesWhatWasSentAndRefusesNewStreams) {
  StartServer();
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1, 100));
  store_.AwaitPausedCommit();
  bool drained = false;
  std::thread draining([&] { drained = service_->Drain(absl::Seconds(20)); });
  ASSERT_TRUE(Eventually([&] { return !service_->Ready().ok(); }));
  auto late = Connect();
  late->Hello("mx2");
  EXPECT_EQ(late->Finish().error_code(), StatusCode::UNAVAILABLE);
  store_.Resume();
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(agent->acked(), 1);
  draining.join();
  EXPECT_TRUE(drained);
}

TEST_F(IngestFlowTest, DrainDoesNotWaitForeverForTheStore) {
  StartServer();
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  EXPECT_FALSE(service_->Drain(absl::Milliseconds(20)));
  server_->Shutdown(std::chrono::system_clock::now());  // Cancels the stream.
  EXPECT_FALSE(agent->Finish().ok());
  EXPECT_EQ(agent->acked(), 0);
}

TEST_F(IngestFlowTest, FullStreamStopsReadingAndGoesOn) {
  StartServer({.stream_bytes_max = 1});
  auto agent = Connect("mx1");
  store_.Pause();
  std::thread writer([&] {
    for (int i = 1; i <= 50; ++i) agent->Send(Batch("mx1", i, 100, 100 * i));
  });
  store_.AwaitPausedCommit();
  const int64_t one = service_->queue_bytes();
  store_.Resume();
  EXPECT_TRUE(agent->AwaitAck(50));
  writer.join();
  EXPECT_LT(one, 100'000);
  // Never more than one batch was read ahead.
  EXPECT_THAT(store_.commits(), testing::Each(1));
}

TEST_F(IngestFlowTest, FullQueueStopsAllStreamsAndGoesOn) {
  IngestOptions options;
  options.writer.queue_bytes_max = 1;
  StartServer(options);
  std::vector<std::unique_ptr<Agent>> agents;
  agents.reserve(4);
  for (int i = 0; i < 4; ++i) agents.push_back(Connect(absl::StrCat("mx", i)));
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 1; n <= 25; ++n) agents[i]->Send(Batch(absl::StrCat("mx", i), n, 10, 10 * n));
      EXPECT_TRUE(agents[i]->AwaitAck(25));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(store_.sessions(), SizeIs(4 * 25 * 10));
  EXPECT_EQ(service_->queue_bytes(), 0);
}

TEST_F(IngestFlowTest, AgentThatDoesNotReadStopsOnlyItself) {
  IngestOptions options;
  options.stream_bytes_max = 500'000;  // Less than it sends.
  StartServer(options);
  auto slow = Connect("slow");
  auto other = Connect("mx1");
  constexpr int kBatches = 20;
  std::thread writer([&] {
    for (int i = 1; i <= kBatches; ++i) {
      v1::SessionBatch batch = Batch("slow", i, 2000, 2000 * i);
      for (v1::SessionRecord& record : *batch.mutable_sessions()) record.clear_service();
      slow->Send(batch);
    }
  });
  for (int i = 1; i <= 20; ++i) {
    other->Send(Batch("mx1", i, 1, i));
    ASSERT_TRUE(other->AwaitAck(i));
  }
  EXPECT_LT(observer_.rejected, kBatches * 2000);  // It was stopped.
  EXPECT_TRUE(slow->AwaitAck(kBatches));
  writer.join();
  slow->HalfClose();
  EXPECT_TRUE(slow->Finish().ok());
  EXPECT_THAT(slow->rejected(), SizeIs(kBatches * 2000));
}

// Streams that end in every way at any time leave nothing behind, and nothing
// that was acknowledged is missing.
TEST_F(IngestFlowTest, StreamsThatComeAndGoAtRandomLoseNothing) {
  IngestOptions options;
  options.stream_bytes_max = 2000;
  options.writer.queue_bytes_max = 4000;
  options.writer.touch_interval = absl::ZeroDuration();
  StartServer(options);
  std::atomic<int64_t> acked_sessions = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      const std::string host = absl::StrCat("mx", t);
      int next = 0;
      for (int i = 0; i < 40; ++i) {
        auto agent = Connect();
        const int how = static_cast<int>(random() % 5);
        agent->Hello(host);
        if (how == 0) continue;  // Cancelled before the welcome.
        agent->Read();
        const int batches = static_cast<int>(random() % 8);
        for (int n = 1; n <= batches; ++n) agent->Send(Batch(host, n, 3, next + 3 * n));
        if (random() % 2 == 0) agent->SendStatus("Postfix");
        if (how == 1) continue;  // Cancelled with batches under way.
        if (how == 2) agent->Send(Batch(host, 99));
        if (how == 3) agent->HalfClose();
        if (how == 4 && batches > 0) agent->AwaitAck(batches);
        if (how == 2 || how == 3) agent->Finish();
        acked_sessions += 3 * agent->acked();
        next += 3 * static_cast<int>(agent->acked());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return service_->stream_count() == 0; }));
  EXPECT_TRUE(Eventually([&] { return service_->queue_bytes() == 0; }));
  EXPECT_GE(static_cast<int64_t>(store_.sessions().size()), acked_sessions);
  EXPECT_GT(acked_sessions, 0);
}

// --- Sources, clocks, configuration ---

v1::AgentHello HelloFrom(v1::SourceKind kind) {
  v1::AgentHello hello;
  hello.set_host("mx1");
  hello.set_source_kind(kind);
  return hello;
}

TEST_F(IngestFlowTest, SecondKindOfSourceIsRefusedWithTheNameOfTheFirst) {
  StartServer();
  auto files = Connect();
  files->Hello(HelloFrom(v1::SOURCE_KIND_FILES));
  EXPECT_TRUE(files->Read().has_welcome());
  auto journal = Connect();
  journal->Hello(HelloFrom(v1::SOURCE_KIND_JOURNAL));
  const grpc::Status status = journal->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              HasSubstr("host mx1 is read from log files, and this agent reads the journal"));
  EXPECT_TRUE(journal->retry_delay_ms().has_value());
  auto again = Connect();
  again->Hello(HelloFrom(v1::SOURCE_KIND_FILES));
  EXPECT_TRUE(again->Read().has_welcome());
}

TEST_F(IngestFlowTest, AgentThatDoesNotTellItsSourceIsNotRefused) {
  StartServer();
  auto files = Connect();
  files->Hello(HelloFrom(v1::SOURCE_KIND_FILES));
  EXPECT_TRUE(files->Read().has_welcome());
  auto old = Connect();
  old->Hello(HelloFrom(v1::SOURCE_KIND_UNSPECIFIED));
  EXPECT_TRUE(old->Read().has_welcome());
}

TEST_F(IngestFlowTest, AgentsClockIsComparedWhenItsWordComes) {
  const absl::Time now = absl::FromUnixSeconds(1'793'613'600);
  IngestOptions options;
  options.now = [now] { return now; };
  options.writer.touch_interval = absl::ZeroDuration();
  StartServer(std::move(options));
  auto agent = Connect("mx1");
  v1::AgentStatus status;
  status.mutable_wall_time()->set_seconds(absl::ToUnixSeconds(now) + 90);
  status.mutable_mta_config()->set_smtpd_tls_loglevel(0);
  agent->SendStatus(status);
  agent->HalfClose();
  EXPECT_TRUE(agent->Finish().ok());
  bool told = false;
  for (const auto& sightings : store_.touches()) {
    for (const HostSighting& sighting : sightings) {
      if (!sighting.clock_ahead) continue;
      told = true;
      EXPECT_EQ(*sighting.clock_ahead, absl::Seconds(90));
      ASSERT_TRUE(sighting.mta_config.has_value());
      EXPECT_TRUE(sighting.mta_config->has_smtpd_tls_loglevel());
    }
  }
  EXPECT_TRUE(told);
}

// --- Work between two groups ---

TEST_F(IngestFlowTest, WorkOfTheServerRunsWhenAllThatWasQueuedIsStored) {
  StartServer();
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  size_t commits = 0;
  std::thread performer([&] {
    service_->Perform([&](Store& store) {
      EXPECT_EQ(&store, &store_);
      commits = store_.commits().size();
    });
  });
  store_.Resume();
  performer.join();
  EXPECT_EQ(commits, 1u);
}

TEST_F(IngestFlowTest, RetentionIsAppliedBiteByBiteUntilNothingIsLeft) {
  store_.AddMaintenance(5);
  StartServer();
  store_.AwaitMaintained();
  EXPECT_EQ(store_.bites(), 5);
  auto agent = Connect("mx1");
  agent->Send(Batch("mx1", 1));
  EXPECT_TRUE(agent->AwaitAck(1));
  EXPECT_EQ(store_.bites(), 5) << "not asked again before the interval is over";
}

}  // namespace
}  // namespace mxtally
