#include "server/serve/server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mxtally/v1/fleet.grpc.pb.h"
#include "mxtally/v1/ingest.grpc.pb.h"
#include "mxtally/v1/stats.grpc.pb.h"
#include "tests/server/ingest/records.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;

// A server over a database of its own, restarted at will.
class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    options_.listen.port = 0;
    options_.http_listen.port = 0;
    options_.database = absl::StrCat("sqlite:", folder_.path(), "/mxtally.db");
    options_.version = "0.1.0-test";
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<Server>> server =
        Server::Start(options_, [](const Incident&) {});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    // Not by name: the library that gRPC looks names up with leaks ten bytes.
    ListenAddress address = server_->listen();
    if (address.host == "localhost") address.host = "127.0.0.1";
    channel_ = grpc::CreateChannel(address.ToString(), grpc::InsecureChannelCredentials());
  }
  static bool HasIpv6() {
    const int probe = socket(AF_INET6, SOCK_STREAM, 0);
    sockaddr_in6 loopback = {};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr = in6addr_loopback;
    const bool bound =
        bind(probe, reinterpret_cast<const sockaddr*>(&loopback), sizeof(loopback)) == 0;
    close(probe);
    return bound;
  }
  std::string StartError() {
    return std::string(Server::Start(options_, [](const Incident&) {}).status().message());
  }

  // Sends sessions of "mx1" and waits for the acknowledgement.
  void Send(int sessions) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    auto stub = v1::IngestService::NewStub(channel_);
    auto stream = stub->StreamSessions(&context);
    v1::StreamSessionsRequest request;
    request.mutable_hello()->set_host("mx1");
    stream->Write(request);
    v1::StreamSessionsResponse response;
    ASSERT_TRUE(stream->Read(&response));
    *request.mutable_batch() = Batch("mx1", 1, sessions);
    stream->Write(request);
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.acked_sequence(), 1);
    stream->WritesDone();
    while (stream->Read(&response)) {
    }
    EXPECT_TRUE(stream->Finish().ok());
  }
  int64_t SessionsOfMx1() {
    grpc::ClientContext context;
    v1::ListHostsResponse response;
    const grpc::Status status =
        v1::FleetService::NewStub(channel_)->ListHosts(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.hosts_size() == 1 ? response.hosts(0).sessions() : -1;
  }
  std::string Get(const std::string& path) {
    const httplib::Result result =
        httplib::Client("127.0.0.1", server_->http_listen().port).Get(path);
    return result ? absl::StrCat(result->status, " ", result->body) : "no answer";
  }

  const TemporaryFolder folder_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ServerTest, StoresAnswersAndShowsMetrics) {
  Start();
  Send(3);
  EXPECT_EQ(SessionsOfMx1(), 3);
  EXPECT_EQ(Get("/readyz"), "200 ok\n");
  const std::string metrics = Get("/metrics");
  EXPECT_THAT(metrics, HasSubstr("sessions_total{outcome=\"inserted\"} 3"));
  EXPECT_THAT(metrics, HasSubstr("mxtally_server_store_wal_bytes"));
}

TEST_F(ServerTest, KeepsEverythingOverARestart) {
  Start();
  Send(3);
  server_.reset();
  Start();
  EXPECT_EQ(SessionsOfMx1(), 3);
  Send(3);
  EXPECT_EQ(SessionsOfMx1(), 3);
}

TEST_F(ServerTest, AnswersStatistics) {
  Start();
  Send(3);
  grpc::ClientContext context;
  v1::GetTlsStatsResponse response;
  const grpc::Status status =
      v1::StatsService::NewStub(channel_)->GetTlsStats(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ServerTest, OtherMachinesNeedPlaintextSaid) {
  options_.listen.host = "0.0.0.0";
  EXPECT_THAT(StartError(), HasSubstr("--listen 0.0.0.0:0: other machines could connect"));
  options_.listen.host = "127.0.0.1";
  options_.http_listen.host = "0.0.0.0";
  EXPECT_THAT(StartError(), HasSubstr("--http-listen 0.0.0.0:0: "));
  options_.plaintext = true;
  Start();
}

TEST_F(ServerTest, ListensOnNamesAndAddressesOfBothFamilies) {
  std::vector<std::string> hosts = {"localhost", "127.0.0.1"};
  if (HasIpv6()) hosts.emplace_back("::1");
  for (const std::string& host : hosts) {
    options_.listen.host = host;
    server_.reset();
    Start();
    EXPECT_GT(server_->listen().port, 0) << host;
    Send(1);
    EXPECT_EQ(SessionsOfMx1(), 1) << host;
  }
  options_.listen.host = "192.0.2.1";  // Nobody's.
  options_.plaintext = true;
  server_.reset();
  EXPECT_THAT(StartError(), HasSubstr("cannot listen on 192.0.2.1:0: in use, or not an address"));
}

TEST_F(ServerTest, PortInUseIsAnError) {
  Start();
  options_.database += "2";
  options_.listen.port = server_->listen().port;
  EXPECT_THAT(StartError(), HasSubstr("cannot listen on 127.0.0.1:"));
  options_.listen.port = 0;
  options_.http_listen.port = server_->http_listen().port;
  EXPECT_THAT(StartError(), HasSubstr("cannot listen on 127.0.0.1:"));
}

TEST_F(ServerTest, StopsWhileAStreamIsOpen) {
  Start();
  grpc::ClientContext context;
  auto stub = v1::IngestService::NewStub(channel_);
  auto stream = stub->StreamSessions(&context);
  v1::StreamSessionsRequest request;
  request.mutable_hello()->set_host("mx1");
  stream->Write(request);
  v1::StreamSessionsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_.reset();
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, ExpectedHostsAreNamedUntilTheyLeaveTheList) {
  const std::string path = folder_ / "hosts";
  const auto list = [this] {
    grpc::ClientContext context;
    v1::ListHostsResponse response;
    EXPECT_TRUE(v1::FleetService::NewStub(channel_)->ListHosts(&context, {}, &response).ok());
    return response;
  };
  std::ofstream(path) << "mx1\nMX2 # the spare one\n";
  options_.expected_hosts = path;
  Start();
  ASSERT_EQ(list().hosts_size(), 2);
  EXPECT_EQ(list().hosts_expected(), 2);
  EXPECT_EQ(list().hosts_reporting(), 0);
  EXPECT_EQ(list().hosts(1).host(), "mx2");
  EXPECT_EQ(list().hosts(1).findings(0).finding(), "NEVER_REPORTED");

  std::ofstream(path) << "mx1\nmx 2\n";
  server_->Reload();
  EXPECT_EQ(list().hosts_expected(), 2) << "a list that is wrong changes nothing";
  std::ofstream(path) << "mx1\n";
  server_->Reload();
  EXPECT_EQ(list().hosts_expected(), 1);
  EXPECT_EQ(list().hosts(1).state(), v1::HOST_STATE_RETIRED);
}

}  // namespace
}  // namespace mxtally
