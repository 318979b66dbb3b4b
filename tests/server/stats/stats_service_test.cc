// The service over real gRPC calls, in this process.

#include "server/stats/stats_service.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/support/fake_store.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::Not;

class StatsServiceTest : public testing::Test {
 protected:
  ~StatsServiceTest() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(const QueryPoolOptions& pool = {}) {
    options_.pool = pool;
    service_ = std::make_unique<StatsService>(store_, options_);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::StatsService::NewStub(server_->InProcessChannel({}));
  }

  grpc::Status Call(grpc::ClientContext& context, const v1::GetTlsStatsRequest& request = {}) {
    return stub_->GetTlsStats(&context, request, &response_);
  }
  grpc::Status Call(const v1::GetTlsStatsRequest& request = {}) {
    grpc::ClientContext context;
    return Call(context, request);
  }

  // Each query runs until its guard stops it.
  void RunForever() {
    store_.query_stats = [this](const StatsQuery&,
                                const QueryGuard& guard) -> absl::StatusOr<StatsResult> {
      ++running_;
      absl::Status status;
      while ((status = guard()).ok()) std::this_thread::yield();
      --running_;
      return status;
    };
  }
  void WaitUntilRunning(int count) const {
    while (running_ != count) std::this_thread::yield();
  }

  FakeStore store_;
  std::atomic<int> running_ = 0;
  StatsServiceOptions options_{.now = [] { return absl::FromUnixSeconds(1'793'613'600); }};
  std::unique_ptr<StatsService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::StatsService::Stub> stub_;
  v1::GetTlsStatsResponse response_;
};

TEST_F(StatsServiceTest, EmptyRequestIsAnswered) {
  Serve();
  const grpc::Status status = Call();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response_.effective_window(), HasSubstr("2026-11-"));
}

TEST_F(StatsServiceTest, ZeroAndFalseArePrintedAsJson) {
  Serve();
  ASSERT_TRUE(Call().ok());
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(response_, &json).ok());
  for (const char* part :
       {R"("sessions":"0")", R"("tlsSessions":"0")", R"("plaintextSessions":"0")",
        R"("failedHandshakes":"0")", R"("unknownSessions":"0")", R"("messages":"0")",
        R"("tlsMessages":"0")", R"("unknownMessages":"0")", R"("rowsOmitted":"0")",
        R"("complete":false)", R"("hostsExpected":"0")", R"("hostsReporting":"0")",
        R"("cutSessions":"0")", R"("unrecognizedLines":"0")"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
  EXPECT_THAT(json, Not(HasSubstr("Share")));
}

TEST_F(StatsServiceTest, WrongNameIsAnInvalidArgumentThatListsTheRightOnes) {
  Serve();
  v1::GetTlsStatsRequest request;
  request.add_group_by("hots");
  const grpc::Status status = Call(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("\"hots\": expected any of host, service"));
}

TEST_F(StatsServiceTest, CancelledCallStopsItsQuery) {
  RunForever();
  Serve();
  grpc::ClientContext context;
  grpc::Status status;
  std::thread client([&] { status = Call(context); });
  WaitUntilRunning(1);
  context.TryCancel();
  client.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  WaitUntilRunning(0);
}

TEST_F(StatsServiceTest, PassedDeadlineStopsItsQuery) {
  RunForever();
  Serve();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(Call(context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  WaitUntilRunning(0);
}

TEST_F(StatsServiceTest, QueryThatTakesTooLongIsStopped) {
  RunForever();
  Serve({.query_time_max = absl::Milliseconds(20)});
  const grpc::Status status = Call();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(status.error_message(), HasSubstr("longer than 20ms: ask for a shorter window"));
  EXPECT_EQ(running_, 0);
}

TEST_F(StatsServiceTest, CallBeyondTheQueueIsRefusedAsBusy) {
  RunForever();
  Serve({.workers = 1, .waiting_max = 1});
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::thread> clients;
  std::atomic<int> busy = 0;
  // One runs, one waits, one is refused, in whichever order they come.
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    clients.emplace_back([&, context = contexts.back().get()] {
      v1::GetTlsStatsResponse response;
      const grpc::Status status = stub_->GetTlsStats(context, {}, &response);
      if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
        EXPECT_THAT(status.error_message(), HasSubstr("server busy"));
        ++busy;
      }
    });
    if (i == 0) WaitUntilRunning(1);
  }
  while (busy == 0) std::this_thread::yield();
  for (const auto& context : contexts) context->TryCancel();
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(busy, 1);
}

TEST_F(StatsServiceTest, ShutdownStopsRunningQueries) {
  RunForever();
  Serve();
  std::thread client([&] { Call(); });
  WaitUntilRunning(1);
  server_->Shutdown(std::chrono::system_clock::now());
  client.join();
  WaitUntilRunning(0);
}

}  // namespace
}  // namespace mxtally
