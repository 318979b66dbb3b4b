// What collectors say and hear: streams of many hosts.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/ingest/service_fixture.h"

namespace mxtally {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class CollectorTest : public IngestServiceTest {
 protected:
  // A server that takes mx1 and mx2 of whoever calls itself loghost.
  void StartCollectingServer(int64_t hosts_max = 1000) {
    IngestOptions options;
    options.quotas.hosts_max = hosts_max;
    options.identify = [this](const grpc::CallbackServerContext&) -> absl::StatusOr<StreamOwner> {
      StreamOwner owner;
      owner.check_collector = [this]() -> absl::StatusOr<CollectedHosts> {
        if (!is_collector_) return absl::PermissionDeniedError("no collector");
        return CollectedHosts{.patterns = {"mx1", "mx2"},
                              .check = [](const std::string& host) -> absl::Status {
                                if (host == "mx1" || host == "mx2") return absl::OkStatus();
                                return absl::PermissionDeniedError(absl::StrCat("not ", host));
                              }};
      };
      return owner;
    };
    StartServer(std::move(options));
  }

  static v1::AgentHello Hello() {
    v1::AgentHello hello;
    hello.set_host("loghost");
    hello.set_hosts_from_log(true);
    return hello;
  }

  std::unique_ptr<Agent> ConnectCollector() {
    auto agent = Connect();
    agent->Hello(Hello());
    welcome_ = agent->Read().welcome();
    return agent;
  }

  static void AddPart(v1::SessionBatch& batch, const std::string& host) {
    v1::HostPart& part = *batch.add_host_parts();
    part.set_host(host);
    part.mutable_start_time()->set_seconds(kStamp);
    part.mutable_end_time()->set_seconds(kStamp + 1);
  }

  // Sessions of several hosts, one of each, with their parts.
  static v1::SessionBatch BatchOf(const std::vector<std::string>& hosts, int64_t sequence) {
    v1::SessionBatch batch = Batch("loghost", sequence, 0);
    for (const std::string& host : hosts) {
      *batch.add_sessions() = Record(host, static_cast<int>(sequence));
      if (host != "loghost") AddPart(batch, host);
    }
    return batch;
  }

  std::vector<std::string> StoredHosts() const {
    std::vector<std::string> hosts;
    for (const v1::SessionRecord& record : store_.sessions()) hosts.push_back(record.key().host());
    return hosts;
  }

  bool is_collector_ = true;
  v1::ServerWelcome welcome_;
};

TEST_F(CollectorTest, WelcomeSaysForWhichHostsAndHowMany) {
  StartCollectingServer(7);
  ConnectCollector();
  EXPECT_THAT(welcome_.collecting().hosts(), ElementsAre("mx1", "mx2"));
  EXPECT_EQ(welcome_.collecting().hosts_max(), 7);
}

TEST_F(CollectorTest, AnAgentThatDoesNotAskHearsNothingOfIt) {
  StartCollectingServer();
  EXPECT_FALSE(Connect()->Open("mx1").has_collecting());
}

TEST_F(CollectorTest, WhoeverIsNoCollectorIsRefusedAtTheHello) {
  is_collector_ = false;
  StartCollectingServer();
  auto agent = Connect();
  agent->Hello(Hello());
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.error_message(), "no collector");
}

TEST_F(CollectorTest, SessionsAreStoredUnderTheHostsOfTheirKeys) {
  StartCollectingServer();
  auto agent = ConnectCollector();
  agent->Send(BatchOf({"loghost", "mx1", "mx2"}, 1));
  ASSERT_TRUE(agent->AwaitAck(1));
  EXPECT_THAT(agent->rejected(), IsEmpty());
  EXPECT_THAT(StoredHosts(), UnorderedElementsAre("loghost", "mx1", "mx2"));
}

TEST_F(CollectorTest, AHostIsKnownForTheWholeStreamOnceItHadAPart) {
  StartCollectingServer();
  auto agent = ConnectCollector();
  agent->Send(BatchOf({"mx1"}, 1));
  v1::SessionBatch more = Batch("loghost", 2, 0);
  *more.add_sessions() = Record("mx1", 7);
  agent->Send(more);
  ASSERT_TRUE(agent->AwaitAck(2));
  EXPECT_THAT(StoredHosts(), ElementsAre("mx1", "mx1"));
}

TEST_F(CollectorTest, ASessionOfAHostWithoutAPartIsRejected) {
  StartCollectingServer();
  auto agent = ConnectCollector();
  v1::SessionBatch batch = Batch("loghost", 1, 1);
  *batch.add_sessions() = Record("mx1");
  *batch.add_sessions() = Record("mx9");
  agent->Send(batch);
  ASSERT_TRUE(agent->AwaitAck(1));
  ASSERT_THAT(agent->rejected(), SizeIs(2));
  EXPECT_EQ(agent->rejected()[0].reason(), R"(key.host: expected "loghost", found "mx1")");
  EXPECT_THAT(StoredHosts(), ElementsAre("loghost"));
}

TEST_F(CollectorTest, APartOfAHostThatItIsNotListedForEndsTheStream) {
  StartCollectingServer();
  auto agent = ConnectCollector();
  agent->Send(BatchOf({"mx1", "mx3"}, 1));
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.error_message(), "not mx3");
  EXPECT_THAT(StoredHosts(), IsEmpty());
}

TEST_F(CollectorTest, APartFromAnOrdinaryAgentEndsTheStream) {
  StartCollectingServer();
  auto agent = Connect("mx1");
  v1::SessionBatch batch = Batch("mx1", 1);
  AddPart(batch, "mx2");
  agent->Send(batch);
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(StoredHosts(), IsEmpty());
}

TEST_F(CollectorTest, MoreHostsThanAgreedAreAQuota) {
  StartCollectingServer(1);
  auto agent = ConnectCollector();
  agent->Send(BatchOf({"mx1"}, 1));
  ASSERT_TRUE(agent->AwaitAck(1));
  agent->Send(BatchOf({"mx1", "mx2"}, 2));
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "quota of this agent: expected at most 1 hosts beside its own, found more");
  EXPECT_EQ(observer_.quota_hits, 1);
  EXPECT_THAT(StoredHosts(), ElementsAre("mx1"));
}

TEST_F(CollectorTest, RejectionsAreCountedAtTheHostsOfTheirKeys) {
  StartCollectingServer();
  auto agent = ConnectCollector();
  v1::SessionBatch batch = BatchOf({"loghost", "mx1", "mx2"}, 1);
  batch.mutable_sessions(0)->clear_service();
  batch.mutable_sessions(2)->clear_service();
  agent->Send(batch);
  ASSERT_TRUE(agent->AwaitAck(1));
  EXPECT_THAT(store_.rejected(),
              UnorderedElementsAre(
                  AllOf(Field(&RejectedCount::host, "loghost"), Field(&RejectedCount::sessions, 1)),
                  AllOf(Field(&RejectedCount::host, "mx2"), Field(&RejectedCount::sessions, 1))));
}

TEST_F(CollectorTest, AnAgentOfACollectedHostIsRefusedWithTheNameOfWhatIsRead) {
  StartCollectingServer();
  HostSighting collected = {.host = "mx1"};
  collected.source_kind = v1::SOURCE_KIND_COLLECTOR;
  ASSERT_TRUE(store_.Touch({collected}).ok());
  auto agent = Connect();
  v1::AgentHello hello;
  hello.set_host("mx1");
  hello.set_source_kind(v1::SOURCE_KIND_FILES);
  agent->Hello(hello);
  const grpc::Status status = agent->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              testing::HasSubstr("host mx1 is read from a central log host, by its collector, and "
                                 "this agent reads log files"));
  EXPECT_EQ(service_->incidents().Find(HostIncident::kOtherSource, "mx1")->count, 1);
}

}  // namespace
}  // namespace mxtally
