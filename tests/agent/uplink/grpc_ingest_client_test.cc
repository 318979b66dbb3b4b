// The stream over real gRPC, with a server in this process.

#include "agent/uplink/grpc_ingest_client.h"

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mxtally/v1/ingest.grpc.pb.h"

namespace mxtally {
namespace {

using ServerStream =
    grpc::ServerReaderWriter<v1::StreamSessionsResponse, v1::StreamSessionsRequest>;

// Runs one function for each stream.
class ScriptedService : public v1::IngestService::Service {
 public:
  std::function<grpc::Status(grpc::ServerContext&, ServerStream&)> script;

 private:
  grpc::Status StreamSessions(grpc::ServerContext* context, ServerStream* stream) override {
    return script(*context, *stream);
  }
};

class GrpcIngestClientTest : public testing::Test {
 protected:
  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    Connect();
  }
  void Connect() {
    client_ =
        CreateGrpcIngestClient({.server = absl::StrCat("127.0.0.1:", port_), .user_agent = "test"});
    stream_ = client_->Open(mailbox_);
  }
  StreamEvent NextEvent() {
    while (true) {
      if (std::optional<StreamEvent> event = mailbox_.Take()) return *std::move(event);
      mailbox_.Wait(absl::InfiniteDuration());
    }
  }
  static std::string Batch(int64_t sequence, size_t bytes = 0) {
    v1::StreamSessionsRequest request;
    request.mutable_batch()->set_sequence(sequence);
    request.mutable_batch()->set_log(std::string(bytes, 'x'));
    return request.SerializeAsString();
  }

  ScriptedService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  Mailbox mailbox_;
  std::unique_ptr<IngestClient> client_;
  std::unique_ptr<IngestStream> stream_;
};

TEST_F(GrpcIngestClientTest, MessagesTravelBothWays) {
  service_.script = [](grpc::ServerContext&, ServerStream& stream) {
    v1::StreamSessionsRequest request;
    v1::StreamSessionsResponse response;
    while (stream.Read(&request)) {
      response.set_acked_sequence(request.batch().sequence());
      stream.Write(response);
    }
    return grpc::Status::OK;
  };
  StartServer();
  for (int64_t sequence : {1, 2, 3}) {
    stream_->Write(Batch(sequence, 300'000));
    stream_->Read();
    bool written = false;
    bool read = false;
    while (!written || !read) {
      const StreamEvent event = NextEvent();
      if (event.type == StreamEvent::Type::kWritten) written = true;
      if (event.type != StreamEvent::Type::kMessage) continue;
      EXPECT_EQ(event.message.acked_sequence(), sequence);
      read = true;
    }
  }
  stream_->Read();
  stream_->WritesDone();
  EXPECT_EQ(NextEvent().type, StreamEvent::Type::kEnded);
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(GrpcIngestClientTest, ServersStatusComesWithItsMessage) {
  service_.script = [](grpc::ServerContext&, ServerStream&) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "no room");
  };
  StartServer();
  stream_->Read();
  EXPECT_EQ(NextEvent().type, StreamEvent::Type::kEnded);
  EXPECT_EQ(stream_->Finish(), absl::ResourceExhaustedError("no room"));
}

TEST_F(GrpcIngestClientTest, ServerThatIsNotThereEndsTheStream) {
  service_.script = [](grpc::ServerContext&, ServerStream&) { return grpc::Status::OK; };
  StartServer();
  stream_.reset();
  server_->Shutdown();
  Connect();
  stream_->Write(Batch(1));
  stream_->Read();
  int events = 0;
  while (NextEvent().type != StreamEvent::Type::kEnded) ++events;
  EXPECT_LE(events, 1);  // The write was given up, before or after.
  EXPECT_TRUE(absl::IsUnavailable(stream_->Finish()));
}

TEST_F(GrpcIngestClientTest, DestroyedStreamIsCancelledAndSilent) {
  service_.script = [](grpc::ServerContext& context, ServerStream& stream) {
    v1::StreamSessionsRequest request;
    while (stream.Read(&request)) {
    }
    EXPECT_TRUE(context.IsCancelled());
    return grpc::Status::OK;
  };
  StartServer();
  stream_->Write(Batch(1));
  stream_->Read();
  EXPECT_EQ(NextEvent().type, StreamEvent::Type::kWritten);
  stream_.reset();
  mailbox_.Clear();
  server_->Shutdown();  // Waits for the script.
  EXPECT_FALSE(mailbox_.Take().has_value());
}

TEST_F(GrpcIngestClientTest, StreamThatWasNeverUsedCanBeDestroyed) {
  service_.script = [](grpc::ServerContext&, ServerStream&) { return grpc::Status::OK; };
  StartServer();
  stream_.reset();
  EXPECT_FALSE(mailbox_.Take().has_value());
}

}  // namespace
}  // namespace mxtally
