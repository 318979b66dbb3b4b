// Streams over gRPC.

#ifndef MXTALLY_AGENT_UPLINK_GRPC_INGEST_CLIENT_H_
#define MXTALLY_AGENT_UPLINK_GRPC_INGEST_CLIENT_H_

#include <grpcpp/security/credentials.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/uplink/ingest_stream.h"

namespace mxtally {

struct GrpcIngestClientOptions {
  std::string server = {};  // "HOST:PORT".

  // Interval and patience of HTTP/2 pings on an otherwise silent stream; they
  // find a server that vanished without a word.  A server that permits less
  // ends the connection (ServerWelcome.keepalive_ms_min).
  absl::Duration keepalive_interval = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);

  std::string user_agent = {};

  // Called for each stream, on the thread that opens it.
  std::function<std::shared_ptr<grpc::ChannelCredentials>()> credentials =
      grpc::InsecureChannelCredentials;
};

std::unique_ptr<IngestClient> CreateGrpcIngestClient(GrpcIngestClientOptions options);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_UPLINK_GRPC_INGEST_CLIENT_H_
