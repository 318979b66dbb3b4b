#include "agent/uplink/grpc_ingest_client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <semaphore>
#include <utility>

#include "mxtally/v1/ingest.pb.h"

namespace mxtally {
namespace {

// Acknowledgements are small; the longest name up to 10,000 rejected sessions.
constexpr int kMessageBytesMax = 4 * 1024 * 1024;

// Requests come serialized.
using Stub = grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::StreamSessionsResponse>;
constexpr char kMethod[] = "/mxtally.v1.IngestService/StreamSessions";

// Takes `bytes` over without copying them.
grpc::ByteBuffer ToByteBuffer(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* s) { delete static_cast<std::string*>(s); }, owned);
  return grpc::ByteBuffer(&slice, 1);
}

// Operations are started from outside gRPC's reactions, hence the hold: it
// keeps the call alive until Finish() or the destructor.
class GrpcIngestStream
    : public IngestStream,
      private grpc::ClientBidiReactor<grpc::ByteBuffer, v1::StreamSessionsResponse> {
 public:
  GrpcIngestStream(std::shared_ptr<grpc::Channel> channel, Mailbox& mailbox)
      : stub_(std::move(channel)), mailbox_(mailbox) {
    stub_.PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(), this);
    AddHold();
    StartCall();
  }

  ~GrpcIngestStream() override {
    if (finished_) return;
    context_.TryCancel();
    Finish().IgnoreError();
  }

  void Write(std::string request) override {
    request_ = ToByteBuffer(std::move(request));
    StartWrite(&request_);
  }

  void Read() override { StartRead(&response_); }

  void WritesDone() override { StartWritesDone(); }

  absl::Status Finish() override {
    finished_ = true;
    RemoveHold();
    done_.acquire();
    return absl::Status(static_cast<absl::StatusCode>(status_.error_code()),
                        status_.error_message());
  }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      mailbox_.Post({StreamEvent::Type::kMessage, std::move(response_)});
    } else {
      mailbox_.Post({StreamEvent::Type::kEnded, {}});
    }
  }

  void OnWriteDone(bool ok) override {
    (void)ok;  // A write that failed is followed by a read that fails.
    request_.Clear();
    mailbox_.Post({StreamEvent::Type::kWritten, {}});
  }

  void OnDone(const grpc::Status& status) override {
    status_ = status;
    done_.release();
  }

  Stub stub_;
  Mailbox& mailbox_;
  grpc::ClientContext context_;

  grpc::ByteBuffer request_;
  v1::StreamSessionsResponse response_;
  grpc::Status status_;
  bool finished_ = false;
  std::binary_semaphore done_{0};
};

class GrpcIngestClient : public IngestClient {
 public:
  explicit GrpcIngestClient(GrpcIngestClientOptions options) : options_(std::move(options)) {}

  // A channel of its own for each stream: gRPC's channels have a backoff of
  // their own, which would hold up the agent's.
  std::unique_ptr<IngestStream> Open(Mailbox& mailbox) override {
    grpc::ChannelArguments arguments;
    arguments.SetUserAgentPrefix(options_.user_agent);
    arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                     static_cast<int>(absl::ToInt64Milliseconds(options_.keepalive_interval)));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                     static_cast<int>(absl::ToInt64Milliseconds(options_.keepalive_timeout)));
    // Pings do not stop because the log is quiet.
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // The operator named the server; the environment does not change the way to it.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    return std::make_unique<GrpcIngestStream>(
        grpc::CreateCustomChannel("dns:///" + options_.server, options_.credentials(), arguments),
        mailbox);
  }

 private:
  const GrpcIngestClientOptions options_;
};

}  // namespace

std::unique_ptr<IngestClient> CreateGrpcIngestClient(GrpcIngestClientOptions options) {
  return std::make_unique<GrpcIngestClient>(std::move(options));
}

}  // namespace mxtally
