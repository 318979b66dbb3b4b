#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace mxtally {
namespace {

using testing::HasSubstr;

std::unique_ptr<HttpServer> Start(HttpOptions options) {
  absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

httplib::Result Get(const HttpServer& server, const std::string& path) {
  return httplib::Client("127.0.0.1", server.port()).Get(path);
}

TEST(HttpServer, ServesMetricsAsText) {
  HttpOptions options;
  options.metrics = [] { return std::string("a_total 1\n"); };
  const auto server = Start(options);
  const httplib::Result result = Get(*server, "/metrics");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "a_total 1\n");
  EXPECT_THAT(result->get_header_value("Content-Type"), HasSubstr("text/plain; version=0.0.4"));
}

TEST(HttpServer, IsHealthyAndReady) {
  const auto server = Start({});
  EXPECT_EQ(Get(*server, "/healthz")->status, 200);
  EXPECT_EQ(Get(*server, "/readyz")->status, 200);
}

TEST(HttpServer, IsHealthyButNotReadyWhenTheStoreFails) {
  HttpOptions options;
  options.ready = [] { return absl::ResourceExhaustedError("disk full"); };
  const auto server = Start(options);
  EXPECT_EQ(Get(*server, "/healthz")->status, 200);
  const httplib::Result result = Get(*server, "/readyz");
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(result->body, "disk full\n");
}

TEST(HttpServer, KnowsNothingElse) {
  const auto server = Start({});
  EXPECT_EQ(Get(*server, "/")->status, 404);
  EXPECT_EQ(Get(*server, "/metrics/../etc/passwd")->status, 404);
  EXPECT_EQ(httplib::Client("127.0.0.1", server->port()).Post("/metrics")->status, 404);
}

TEST(HttpServer, RefusesALargeBody) {
  const auto server = Start({});
  const httplib::Result result = httplib::Client("127.0.0.1", server->port())
                                     .Post("/metrics", std::string(1 << 20, 'x'), "text/plain");
  // The connection may break while the client still sends.
  EXPECT_TRUE(!result || result->status == 413);
}

TEST(HttpServer, PortInUseIsAnError) {
  const auto server = Start({});
  HttpOptions options;
  options.port = server->port();
  const auto second = HttpServer::Start(options);
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("127.0.0.1:"));
}

TEST(HttpServer, ServesMoreClientsThanThreads) {
  HttpOptions options;
  options.threads = 1;
  options.connections_waiting_max = 1;
  const auto server = Start(options);
  std::vector<std::thread> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] { EXPECT_TRUE(Get(*server, "/healthz")); });
  }
  for (std::thread& client : clients) client.join();
}

TEST(HttpServer, StopsWhileAClientIsConnected) {
  auto server = Start({});
  httplib::Client client("127.0.0.1", server->port());
  client.set_keep_alive(true);
  ASSERT_TRUE(client.Get("/healthz"));
  server.reset();
  EXPECT_FALSE(client.Get("/healthz"));
}

}  // namespace
}  // namespace mxtally
