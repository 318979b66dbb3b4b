// The service over real gRPC calls, in this process.

#include "server/fleet/fleet_service.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/server/support/fake_store.h"

namespace mxtally {
namespace {

TEST(FleetServiceTest, ListsHostsWithStateAndConnection) {
  FakeStore store;
  store.hosts.resize(1);
  store.hosts[0].set_host("mx1");
  FleetService service(store, {.now = [] { return absl::FromUnixSeconds(1'793'613'600); },
                               .connected = [](const std::string&) { return false; }});
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
  server->Shutdown();
}

}  // namespace
}  // namespace mxtally
