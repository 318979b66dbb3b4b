#include "server/ingest/ingest_service.h"

#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mxtally/v1/ingest.grpc.pb.h"
#include "tests/server/ingest/fake_store.h"
#include "tests/server/ingest/records.h"

namespace mxtally {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr int kMessageBytesMax = 4 << 20;

// Waits until `condition` holds, which other threads bring about.
bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// Counts what ingest reports.
class CountingObserver final : public IngestObserver {
 public:
  void OnCommitted(int64_t batches, int64_t, const BatchOutcome& outcome, absl::Duration) override {
    committed_batches += batches;
    inserted += outcome.inserted;
    duplicates += outcome.duplicates;
  }
  void OnStoreFailed(const absl::Status&) override { ++store_failures; }
  void OnSessionRejected(const std::string&, const Rejection&) override { ++rejected; }
  void OnStreamOpened(const std::string&, int streams_of_host) override {
    streams_of_host_max = std::max(streams_of_host_max.load(), streams_of_host);
  }
  void OnStreamEnded(const std::string&, const absl::Status&) override { ++ended; }

  std::atomic<int64_t> committed_batches = 0;
  std::atomic<int64_t> inserted = 0;
  std::atomic<int64_t> duplicates = 0;
  std::atomic<int64_t> store_failures = 0;
  std::atomic<int64_t> rejected = 0;
  std::atomic<int64_t> ended = 0;
  std::atomic<int> streams_of_host_max = 0;
};

// An agent's end of a stream.  Every wait ends after half a minute.
class Agent {
 public:
  explicit Agent(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::IngestService::NewStub(channel)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = stub_->StreamSessions(&context_);
  }
  ~Agent() {
    if (!finished_) {
      context_.TryCancel();
      (void)stream_->Finish();
    }
  }

  bool Hello(const std::string& host) {
    v1::StreamSessionsRequest request;
    request.mutable_hello()->set_host(host);
    request.mutable_hello()->set_agent_version("0.1.0");
    return stream_->Write(request);
  }
  // Says hello and waits for the welcome.
  v1::ServerWelcome Open(const std::string& host) {
    Hello(host);
    const v1::StreamSessionsResponse response = Read();
    EXPECT_TRUE(response.has_welcome());
    return response.welcome();
  }
  bool Send(const v1::SessionBatch& batch) {
    v1::StreamSessionsRequest request;
    *request.mutable_batch() = batch;
    return stream_->Write(request);
  }
  bool SendStatus(const std::string& mta) {
    v1::StreamSessionsRequest request;
    request.mutable_status()->set_mta(mta);
    request.mutable_status()->add_logs()->set_log("/var/log/mail.log");
    return stream_->Write(request);
  }
  // An empty message when the stream has ended.
  v1::StreamSessionsResponse Read() {
    v1::StreamSessionsResponse response;
    if (!stream_->Read(&response)) response.Clear();
    return response;
  }
  // Reads until `sequence` is acknowledged; collects the rejections.  False
  // when the stream ended before.
  bool AwaitAck(int64_t sequence) {
    v1::StreamSessionsResponse response;
    while (acked_ < sequence) {
      if (!stream_->Read(&response)) return false;
      Note(response);
    }
    return true;
  }
  // Reads to the end of the stream.
  grpc::Status Finish() {
    v1::StreamSessionsResponse response;
    while (stream_->Read(&response)) Note(response);
    finished_ = true;
    return stream_->Finish();
  }
  void HalfClose() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }

  int64_t acked() const { return acked_; }
  const std::vector<v1::RejectedSession>& rejected() const { return rejected_; }
  std::optional<int64_t> retry_delay_ms() const { return retry_delay_ms_; }

 private:
  void Note(const v1::StreamSessionsResponse& response) {
    EXPECT_GE(response.acked_sequence(), acked_);
    acked_ = response.acked_sequence();
    rejected_.insert(rejected_.end(), response.rejected_sessions().begin(),
                     response.rejected_sessions().end());
    if (response.has_retry_delay_ms()) retry_delay_ms_ = response.retry_delay_ms();
  }

  grpc::ClientContext context_;
  std::unique_ptr<v1::IngestService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamSessionsRequest, v1::StreamSessionsResponse>>
      stream_;
  int64_t acked_ = 0;
  std::vector<v1::RejectedSession> rejected_;
  std::optional<int64_t> retry_delay_ms_;
  bool finished_ = false;
};

class IngestServiceTest : public testing::Test {
 protected:
  // Keeps gRPC's library up between tests: its shutdown waits ten seconds for
  // a client's connection that the server reset in the middle of a write.
  static void SetUpTestSuite() { grpc_init(); }

  ~IngestServiceTest() override { StopServer(); }

  void StartServer(IngestOptions options = {}) {
    options.server_version = "0.1.0-test";
    service_ = std::make_unique<IngestService>(store_, observer_, std::move(options));
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    channel_ =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
  }
  void StopServer() {
    store_.Resume();
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    service_.reset();
  }
  std::unique_ptr<Agent> Connect() { return std::make_unique<Agent>(channel_); }
  std::unique_ptr<Agent> Connect(const std::string& host) {
    auto agent = Connect();
    agent->Open(host);
    return agent;
  }

  FakeStore store_;
  CountingObserver observer_;
  std::unique_ptr<IngestService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(IngestServiceTest, WelcomeNamesTheDatabaseAndWhatTheServerTakes) {
  StartServer();
  const v1::ServerWelcome welcome = Connect()->Open("mx1");
  EXPECT_EQ(welcome.database_id(), "fake-1");
  EXPECT_EQ(welcome.server_version(), "0.1.0-test");
  EXPECT_EQ(welcome.batch_bytes_max(), 1 << 20);
  EXPECT_EQ(welcome.keepalive_ms_min(), 10'000);
  EXPECT_THAT(welcome.stored_cuts(), IsEmpty());
}

TEST_F(IngestServiceTest, WelcomeHoldsTheStoredCutsOfTheHostOnly) {
  StartServer();
  auto mx1 = Connect("mx1");
  auto mx2 = Connect("mx2");
  mx1->Send(Batch("mx1", 1));
  ASSERT_TRUE(mx1->AwaitAck(1));
  EXPECT_THAT(Connect()->Open("mx2").stored_cuts(), IsEmpty());
  const v1::ServerWelcome welcome = Connect()->Open("mx1");
  ASSERT_THAT(welcome.stored_cuts(), SizeIs(1));
  EXPECT_EQ(welcome.stored_cuts(0).log(), "/var/log/mail.log");
  EXPECT_EQ(welcome.stored_cuts(0).cut().offset(), 100);
}

TEST_F(IngestServiceTest, WelcomeComesAfterWhatAnEarlierStreamOfTheHostHadQueued) {
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

TEST_F(IngestServiceTest, FirstMessageMustBeHello) {
  StartServer();
  auto agent = Connect();
  agent->Send(Batch("mx1", 1));
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "expected hello first");
  EXPECT_THAT(store_.commits(), IsEmpty());
}

TEST_F(IngestServiceTest, EndWithoutHelloIsAnError) {
  StartServer();
  auto agent = Connect();
  agent->HalfClose();
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestServiceTest, SecondHelloIsAnError) {
  StartServer();
  auto agent = Connect("mx1");
  agent->Hello("mx1");
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestServiceTest, BadHostIsRefusedWithTheReason) {
  StartServer();
  auto agent = Connect();
  agent->Hello("MX1.example");
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), StartsWith("hello.host: expected [a-z0-9._-]"));
  EXPECT_GE(agent->retry_delay_ms().value_or(0), 60'000);
  EXPECT_THAT(store_.touches(), IsEmpty());
}

TEST_F(IngestServiceTest, BytesThatAreNoMessageEndTheStream) {
  StartServer();
  grpc::ClientContext context;
  const grpc::internal::RpcMethod method("/mxtally.v1.IngestService/StreamSessions",
                                         grpc::internal::RpcMethod::BIDI_STREAMING);
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel_.get(), method, &context));
  const grpc::Slice garbage("\xff\xff\xff\xff garbage");
  stream->Write(grpc::ByteBuffer(&garbage, 1));
  grpc::ByteBuffer response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestServiceTest, HelloMustComeInTime) {
  StartServer({.hello_wait_max = absl::Milliseconds(20)});
  EXPECT_EQ(Connect()->Finish().error_code(), StatusCode::UNAVAILABLE);
  auto opened = Connect("mx1");
  opened->Send(Batch("mx1", 1));
  EXPECT_TRUE(opened->AwaitAck(1));
}

TEST_F(IngestServiceTest, NothingIsAcknowledgedBeforeTheCommit) {
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

TEST_F(IngestServiceTest, HookRunsBetweenCommitAndAcknowledgement) {
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

TEST_F(IngestServiceTest, BatchesOfAllStreamsShareACommit) {
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

TEST_F(IngestServiceTest, CommitsAreBoundedInBytes) {
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

TEST_F(IngestServiceTest, RejectedSessionsAreNamedAndTheRestIsStored) {
  StartServer();
  auto agent = Connect("mx1");
  v1::SessionBatch batch = Batch("mx1", 1, 4);
  batch.mutable_sessions(1)->mutable_key()->set_host("mx2");
  batch.mutable_sessions(2)->mutable_key()->clear_stamp();
  agent->Send(batch);
  ASSERT_TRUE(agent->AwaitAck(1));
  ASSERT_THAT(agent->rejected(), SizeIs(2));
  EXPECT_EQ(agent->rejected()[0].sequence(), 1);
  EXPECT_EQ(agent->rejected()[0].index(), 1);
  EXPECT_EQ(agent->rejected()[0].reason(), R"(key.host: expected "mx1", found "mx2")");
  EXPECT_EQ(agent->rejected()[1].index(), 2);
  const std::vector<v1::SessionRecord> stored = store_.sessions();
  ASSERT_THAT(stored, SizeIs(2));
  EXPECT_EQ(stored[0].key().ordinal() + stored[1].key().ordinal(), 0u + 3u);
  // Both in the hour of the stamp; where there is none, of the end of the batch.
  const absl::Time hour = absl::FromUnixSeconds(kStamp - kStamp % 3600);
  EXPECT_THAT(store_.rejected(), ElementsAre(std::make_pair(hour, 2)));
  EXPECT_EQ(observer_.rejected, 2);
}

TEST_F(IngestServiceTest, ThousandsOfRejectionsAllArrive) {
  StartServer();
  auto agent = Connect("mx1");
  v1::SessionBatch batch = Batch("mx1", 1, 2500);
  for (v1::SessionRecord& record : *batch.mutable_sessions()) record.clear_service();
  agent->Send(batch);
  agent->HalfClose();
  EXPECT_TRUE(agent->Finish().ok());
  EXPECT_EQ(agent->acked(), 1);
  EXPECT_THAT(agent->rejected(), SizeIs(2500));
}

TEST_F(IngestServiceTest, UnknownEnumerationNumbersAreStoredAsTheyCame) {
  StartServer();
  auto agent = Connect("mx1");
  v1::SessionBatch batch = Batch("mx1", 1);
  batch.mutable_sessions(0)->mutable_tls()->set_state(static_cast<v1::TlsState>(77));
  agent->Send(batch);
  ASSERT_TRUE(agent->AwaitAck(1));
  EXPECT_EQ(static_cast<int>(store_.sessions().at(0).tls().state()), 77);
}

TEST_F(IngestServiceTest, KeyThatOnlyANewerServerKnowsIsNotAcknowledged) {
  StartServer();
  auto agent = Connect("mx1");
  agent->Send(Batch("mx1", 1));
  v1::SessionBatch newer = Batch("mx1", 2, 2, 1);
  newer.mutable_sessions(1)->mutable_key()->set_key_version(2);
  agent->Send(newer);
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(agent->acked(), 1);
  EXPECT_THAT(agent->rejected(), IsEmpty());
  EXPECT_THAT(store_.sessions(), SizeIs(1));
  EXPECT_TRUE(agent->retry_delay_ms().has_value());
}

TEST_F(IngestServiceTest, BatchSentAgainIsAcknowledgedAndChangesNothing) {
  StartServer();
  for (int i = 0; i < 3; ++i) {
    auto agent = Connect("mx1");
    agent->Send(Batch("mx1", 1, 10));
    ASSERT_TRUE(agent->AwaitAck(1));
  }
  EXPECT_THAT(store_.sessions(), SizeIs(10));
  EXPECT_EQ(observer_.inserted, 10);
  EXPECT_EQ(observer_.duplicates, 20);
}

TEST_F(IngestServiceTest, BrokenContractEndsTheStreamAfterItsGoodBatches) {
  struct Case {
    std::string message;
    v1::SessionBatch batch;
  };
  v1::SessionBatch without_log = Batch("mx1", 2);
  without_log.clear_log();
  v1::SessionBatch too_many = Batch("mx1", 2);
  while (too_many.sessions_size() <= kBatchSessionsMax) too_many.add_sessions();
  for (const Case& c :
       std::vector<Case>{{"batch.sequence: expected 2, found 1", Batch("mx1", 1)},
                         {"batch.sequence: expected 2, found 3", Batch("mx1", 3)},
                         {"batch.log: expected a value, found none", without_log},
                         {"batch.sessions: expected at most 10000, found 10001", too_many}}) {
    StartServer();
    auto agent = Connect("mx1");
    agent->Send(Batch("mx1", 1));
    agent->Send(c.batch);
    const grpc::Status status = agent->Finish();
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), c.message);
    EXPECT_EQ(agent->acked(), 1);
    StopServer();
  }
}

TEST_F(IngestServiceTest, OversizedMessageEndsOnlyItsStream) {
  StartServer();
  auto agent = Connect("mx1");
  auto other = Connect("mx2");
  v1::SessionBatch batch = Batch("mx1", 1);
  batch.mutable_sessions(0)->set_service(std::string(kMessageBytesMax, 'x'));
  agent->Send(batch);
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(agent->acked(), 0);
  other->Send(Batch("mx2", 1));
  EXPECT_TRUE(other->AwaitAck(1));
}

TEST_F(IngestServiceTest, FailedCommitAcknowledgesNothingAndTheNextStreamRecovers) {
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

TEST_F(IngestServiceTest, WhatIsQueuedBehindAFailedBatchIsNotAcknowledged) {
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

TEST_F(IngestServiceTest, OneHostsBatchThatTheStoreCannotTakeDoesNotStopTheOthers) {
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

TEST_F(IngestServiceTest, StreamIsRefusedForNowWhenTheStoreCannotBeRead) {
  StartServer();
  store_.FailReads(absl::UnavailableError("busy"));
  auto agent = Connect();
  agent->Hello("mx1");
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(agent->retry_delay_ms().has_value());
}

TEST_F(IngestServiceTest, StreamCancelledInMidBatchIsHarmless) {
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

TEST_F(IngestServiceTest, HalfCloseAcknowledgesEverythingAndStoresTheStatus) {
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

TEST_F(IngestServiceTest, LifeSignsAreCoalescedPerHost) {
  StartServer();
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
  EXPECT_LE(touches.size(), touches_before + 2);
  EXPECT_EQ(touches.back().back().mta, "Postfix 3.49");
  EXPECT_THAT(touches.back().back().logs, SizeIs(1));
}

TEST_F(IngestServiceTest, StatusOutOfBoundsEndsTheStream) {
  StartServer();
  auto agent = Connect("mx1");
  agent->SendStatus(std::string(65, 'P'));
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestServiceTest, ConnectedHostsAreThoseWithAnOpenStream) {
  StartServer();
  EXPECT_FALSE(service_->IsConnected("mx1"));
  auto first = Connect("mx1");
  auto second = Connect("mx1");
  EXPECT_TRUE(service_->IsConnected("mx1"));
  EXPECT_FALSE(service_->IsConnected("mx2"));
  EXPECT_EQ(observer_.streams_of_host_max, 2);
  first->HalfClose();
  EXPECT_TRUE(first->Finish().ok());
  EXPECT_TRUE(Eventually([&] { return service_->stream_count() == 1; }));
  EXPECT_TRUE(service_->IsConnected("mx1"));
  second.reset();
  EXPECT_TRUE(Eventually([&] { return !service_->IsConnected("mx1"); }));
}

TEST_F(IngestServiceTest, TwoStreamsOfAHostAreHarmless) {
  StartServer();
  auto first = Connect("mx1");
  auto second = Connect("mx1");
  first->Send(Batch("mx1", 1, 5));
  second->Send(Batch("mx1", 1, 5));
  EXPECT_TRUE(first->AwaitAck(1));
  EXPECT_TRUE(second->AwaitAck(1));
  EXPECT_THAT(store_.sessions(), SizeIs(5));
}

TEST_F(IngestServiceTest, StreamsBeyondTheBoundAreSentAway) {
  StartServer({.streams_max = 1});
  auto first = Connect("mx1");
  auto second = Connect();
  second->Hello("mx2");
  EXPECT_EQ(second->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(second->retry_delay_ms().has_value());
  first->Send(Batch("mx1", 1));
  EXPECT_TRUE(first->AwaitAck(1));
}

TEST_F(IngestServiceTest, StreamEndsAtItsAgeWithEverythingAcknowledged) {
  StartServer({.stream_age_max = absl::Milliseconds(50)});
  auto agent = Connect("mx1");
  store_.Pause();
  agent->Send(Batch("mx1", 1));
  store_.AwaitPausedCommit();
  std::thread resume([&] { store_.Resume(); });
  const grpc::Status status = agent->Finish();
  resume.join();
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(agent->acked(), 1);
  EXPECT_EQ(agent->retry_delay_ms(), 0);
}

TEST_F(IngestServiceTest, DrainAcknowledgesWhatWasSentAndRefusesNewStreams) {
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

TEST_F(IngestServiceTest, DrainDoesNotWaitForeverForTheStore) {
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

TEST_F(IngestServiceTest, FullStreamStopsReadingAndGoesOn) {
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

TEST_F(IngestServiceTest, FullQueueStopsAllStreamsAndGoesOn) {
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

TEST_F(IngestServiceTest, AgentThatDoesNotReadStopsOnlyItself) {
  StartServer();
  auto slow = Connect("slow");
  auto other = Connect("mx1");
  constexpr int kBatches = 30;
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
TEST_F(IngestServiceTest, StreamsThatComeAndGoAtRandomLoseNothing) {
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

}  // namespace
}  // namespace mxtally
