// The service over real gRPC calls, in this process.

#include "server/fleet/fleet_service.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/server/support/fake_store.h"

namespace mxtally {
namespace {

TEST(FleetServiceTest, ListsHostsWithStateAndConnection) {
  FakeStore store;
  store.hosts.resize(1);
  store.hosts[0].set_host("mx1");
  FleetService service(store, {.now = [] { return absl::FromUnixSeconds(1'793'613'600); },
                               .connected = [](const std::string&) { return false; },
                               .stream_findings =
                                   [](const std::string& host) {
                                     v1::HostFinding finding;
                                     finding.set_finding("TWO_AGENTS of " + host);
                                     return std::vector<v1::HostFinding>{finding};
                                   }});
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = v1::FleetService::NewStub(server->InProcessChannel({}));

  grpc::ClientContext context;
  v1::ListHostsResponse response;
  const grpc::Status status = stub->ListHosts(&context, {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(response, &json).ok());
  EXPECT_THAT(json, testing::HasSubstr(R"("state":"HOST_STATE_SILENT")"));
  EXPECT_THAT(json, testing::HasSubstr(R"("connected":false)"));
  EXPECT_THAT(json, testing::HasSubstr(R"("hostsReporting":"0")"));
  EXPECT_THAT(json, testing::HasSubstr("TWO_AGENTS of mx1"));
  server->Shutdown();
}

class RetireHostTest : public testing::Test {
 protected:
  RetireHostTest() {
    FleetServiceOptions options;
    options.now = [this] { return now_; };
    options.connected = [this](const std::string& host) { return host == connected_; };
    options.listed = [this](const std::string& host) { return host == listed_; };
    options.retire = [this](const std::string& host,
                            absl::Time time) -> absl::StatusOr<absl::Time> {
      if (host != "mx1") return absl::NotFoundError("no host is named " + host);
      retired_ = time;
      return time;
    };
    service_ = std::make_unique<FleetService>(store_, std::move(options));
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::FleetService::NewStub(server_->InProcessChannel({}));
  }
  ~RetireHostTest() override { server_->Shutdown(); }

  grpc::Status Retire(const std::string& host, std::optional<absl::Time> time = std::nullopt) {
    v1::RetireHostRequest request;
    request.set_host(host);
    if (time) request.mutable_retired_time()->set_seconds(absl::ToUnixSeconds(*time));
    grpc::ClientContext context;
    return stub_->RetireHost(&context, request, &response_);
  }

  FakeStore store_;
  const absl::Time now_ = absl::FromUnixSeconds(1'793'613'600);
  std::string connected_;
  std::string listed_;
  std::optional<absl::Time> retired_;
  std::unique_ptr<FleetService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::FleetService::Stub> stub_;
  v1::RetireHostResponse response_;
};

TEST_F(RetireHostTest, HostRetiresNowOrWhenTold) {
  EXPECT_TRUE(Retire("MX1").ok());
  EXPECT_EQ(retired_, now_);
  EXPECT_EQ(response_.retired_time().seconds(), absl::ToUnixSeconds(now_));
  EXPECT_TRUE(Retire("mx1", now_ - absl::Hours(5)).ok());
  EXPECT_EQ(retired_, now_ - absl::Hours(5));
}

TEST_F(RetireHostTest, WhatCannotRetireIsRefused) {
  EXPECT_EQ(Retire("").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Retire("mx9").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Retire("mx1", now_ + absl::Seconds(1)).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  connected_ = "mx1";
  const grpc::Status connected = Retire("mx1");
  EXPECT_EQ(connected.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(connected.error_message(), "the agent of host mx1 is connected: stop it first");
  connected_.clear();
  listed_ = "mx1";
  EXPECT_EQ(Retire("mx1").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(retired_, std::nullopt);
}

}  // namespace
}  // namespace mxtally
