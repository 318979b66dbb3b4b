// An ingest service behind a gRPC server on loopback, and agents that talk to it.

#ifndef MXTALLY_TESTS_SERVER_INGEST_SERVICE_FIXTURE_H_
#define MXTALLY_TESTS_SERVER_INGEST_SERVICE_FIXTURE_H_

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mxtally/v1/ingest.grpc.pb.h"
#include "server/ingest/ingest_service.h"
#include "tests/server/ingest/fake_store.h"
#include "tests/server/ingest/records.h"

namespace mxtally {

inline constexpr int kMessageBytesMax = 4 << 20;

// Waits until `condition` holds, which other threads bring about.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
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
  void OnQuotaHit(const std::string&, Quota) override { ++quota_hits; }
  void OnTwoAgents(const std::string&, const std::string&) override { ++two_agents; }
  void OnOtherSource(const std::string&, const std::string&) override { ++other_sources; }
  void OnStreamEnded(const std::string&, const absl::Status&) override { ++ended; }

  std::atomic<int64_t> committed_batches = 0;
  std::atomic<int64_t> inserted = 0;
  std::atomic<int64_t> duplicates = 0;
  std::atomic<int64_t> store_failures = 0;
  std::atomic<int64_t> rejected = 0;
  std::atomic<int64_t> quota_hits = 0;
  std::atomic<int64_t> two_agents = 0;
  std::atomic<int64_t> other_sources = 0;
  std::atomic<int64_t> ended = 0;
  std::atomic<int> streams_of_host_max = 0;
};

// An agent's end of a stream.  Every wait ends after two minutes.
class Agent {
 public:
  explicit Agent(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::IngestService::NewStub(channel)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
    stream_ = stub_->StreamSessions(&context_);
  }
  ~Agent() {
    if (!finished_) {
      context_.TryCancel();
      (void)stream_->Finish();
    }
  }

  bool Hello(const std::string& host) {
    v1::AgentHello hello;
    hello.set_host(host);
    hello.set_agent_version("0.1.0");
    return Hello(hello);
  }
  bool Hello(const v1::AgentHello& hello) {
    v1::StreamSessionsRequest request;
    *request.mutable_hello() = hello;
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
  bool SendStatus(const v1::AgentStatus& status) {
    v1::StreamSessionsRequest request;
    *request.mutable_status() = status;
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
    // An agent that does not read takes 64 KiB: its window does not grow with the time that
    // a test takes.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    channel_ = grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                         grpc::InsecureChannelCredentials(), arguments);
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

}  // namespace mxtally

#endif  // MXTALLY_TESTS_SERVER_INGEST_SERVICE_FIXTURE_H_
