// What agents say and hear: the contract of ingest.proto.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/server/ingest/service_fixture.h"

namespace mxtally {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

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
  constexpr std::chrono::milliseconds kWait(200);
  StartServer({.hello_wait_max = absl::FromChrono(kWait)});
  const auto start = std::chrono::steady_clock::now();
  auto agent = Connect();
  agent->Hello("mx1");
  const bool welcome = agent->Read().has_welcome();
  EXPECT_TRUE(welcome || std::chrono::steady_clock::now() - start >= kWait);
  // This one began later: when its time is over, so is the first one's.
  EXPECT_EQ(Connect()->Finish().error_code(), StatusCode::UNAVAILABLE);
  if (!welcome) return;
  agent->Send(Batch("mx1", 1));
  EXPECT_TRUE(agent->AwaitAck(1));
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
  EXPECT_THAT(store_.rejected(), ElementsAre(AllOf(Field(&RejectedCount::hour, hour),
                                                   Field(&RejectedCount::sessions, 2),
                                                   Field(&RejectedCount::host, "mx1"))));
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

TEST_F(IngestServiceTest, StreamIsRefusedForNowWhenTheStoreCannotBeRead) {
  StartServer();
  store_.FailReads(absl::UnavailableError("busy"));
  auto agent = Connect();
  agent->Hello("mx1");
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(agent->retry_delay_ms().has_value());
}

TEST_F(IngestServiceTest, StatusOutOfBoundsEndsTheStream) {
  StartServer();
  auto agent = Connect("mx1");
  agent->SendStatus(std::string(65, 'P'));
  EXPECT_EQ(agent->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestServiceTest, ConnectedHostsAreThoseWithAnOpenStream) {
  StartServer();
  EXPECT_FALSE(service_->connected().Contains("mx1"));
  auto first = Connect("mx1");
  auto second = Connect("mx1");
  EXPECT_TRUE(service_->connected().Contains("mx1"));
  EXPECT_FALSE(service_->connected().Contains("mx2"));
  EXPECT_EQ(observer_.streams_of_host_max, 2);
  first->HalfClose();
  EXPECT_TRUE(first->Finish().ok());
  EXPECT_TRUE(Eventually([&] { return service_->stream_count() == 1; }));
  EXPECT_TRUE(service_->connected().Contains("mx1"));
  second.reset();
  EXPECT_TRUE(Eventually([&] { return !service_->connected().Contains("mx1"); }));
}

class TwoAgentsTest : public IngestServiceTest {
 protected:
  std::unique_ptr<Agent> ConnectAt(int64_t seconds) {
    v1::AgentHello hello;
    hello.set_host("mx1");
    hello.mutable_wall_time()->set_seconds(seconds);
    auto agent = Connect();
    agent->Hello(hello);
    EXPECT_TRUE(agent->Read().has_welcome());
    return agent;
  }
  // Returns when the server has it.
  static void LifeSign(Agent& agent, int64_t seconds, int64_t sequence) {
    v1::AgentStatus status;
    status.mutable_wall_time()->set_seconds(seconds);
    agent.SendStatus(status);
    agent.Send(Batch("mx1", sequence));
    EXPECT_TRUE(agent.AwaitAck(sequence));
  }
};

TEST_F(TwoAgentsTest, AnAgentAtWorkBesideANewerOneIsReportedWithBothAddresses) {
  StartServer();
  auto first = ConnectAt(1000);
  LifeSign(*first, 1015, 1);
  auto second = ConnectAt(1020);
  LifeSign(*second, 1035, 1);
  EXPECT_EQ(observer_.two_agents, 0);
  LifeSign(*first, 1030, 2);
  EXPECT_EQ(observer_.two_agents, 1);
  LifeSign(*first, 1045, 3);
  EXPECT_EQ(observer_.two_agents, 2);
  const auto seen = service_->incidents().Find(HostIncident::kTwoAgents, "mx1");
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->count, 2);
  EXPECT_THAT(seen->detail, testing::MatchesRegex("ipv4:.*:[0-9]+ and ipv4:.*:[0-9]+"));
}

TEST_F(TwoAgentsTest, OneThatOpensItsNextStreamIsNone) {
  StartServer();
  auto first = ConnectAt(1000);
  auto second = ConnectAt(1020);
  // It was on its way when the connection broke.
  LifeSign(*first, 1015, 1);
  LifeSign(*second, 1035, 1);
  EXPECT_EQ(observer_.two_agents, 0);
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

}  // namespace
}  // namespace mxtally
