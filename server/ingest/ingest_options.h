// Options of the ingest service.

#ifndef MXTALLY_SERVER_INGEST_INGEST_OPTIONS_H_
#define MXTALLY_SERVER_INGEST_INGEST_OPTIONS_H_

#include <grpcpp/server_context.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/ingest/agent_quotas.h"
#include "server/ingest/writer.h"

namespace mxtally {

// The hosts that a collector may send sessions of, beside its own.
struct CollectedHosts {
  // As v1::Collecting has them.
  std::vector<std::string> patterns = {"*"};
  // Whether `host` is one.  A denial is reported.
  std::function<absl::Status(const std::string& host)> check = [](const std::string&) {
    return absl::OkStatus();
  };
};

// Who opened a stream.
struct StreamOwner {
  // Whether sessions of this host may come from there.
  std::function<absl::Status(const std::string& host)> check_host = [](const std::string&) {
    return absl::OkStatus();
  };

  // Whether sessions may come from there of the hosts that logs name.
  std::function<absl::StatusOr<CollectedHosts>()> check_collector = [] { return CollectedHosts(); };

  absl::Time certificate_expires = absl::InfiniteFuture();

  // Whose quotas count; empty: those of the host that the stream is for.
  std::string name = {};
};

struct IngestOptions {
  // Called when a stream begins, on a thread of gRPC.  A status that is not OK
  // ends the stream.
  std::function<absl::StatusOr<StreamOwner>(const grpc::CallbackServerContext&)> identify =
      [](const grpc::CallbackServerContext&) { return StreamOwner(); };

  // Told to agents.
  std::string server_version = {};

  // Largest batch that agents are told to send, in serialized form.  The gRPC
  // server should take messages of several times that, so that an agent which
  // counts otherwise is not refused forever.
  int64_t batch_bytes_max = int64_t{1} << 20;

  // Shortest keepalive interval, told to agents; the gRPC server must permit it.
  absl::Duration keepalive_min = absl::Seconds(10);

  // Streams open at a time.  One costs some 100 KB with its connection.
  int streams_max = 20'000;

  // Bytes of one stream, in serialized form, that may be queued before the
  // stream stops reading.  Larger: fewer pauses of a backlog, more memory.
  int64_t stream_bytes_max = int64_t{4} << 20;

  // Longest life of a stream, shortened by up to a tenth so that streams opened
  // together do not end together.
  absl::Duration stream_age_max = absl::Hours(1);

  // The clock that agents' clocks are compared with.
  std::function<absl::Time()> now = absl::Now;

  // Longest wait for the hello.
  absl::Duration hello_wait_max = absl::Seconds(30);

  // How long an agent is told to stay away, lengthened by up to as much again:
  // when the server cannot take more now, and when the agent sent what this
  // server cannot take at all.
  absl::Duration retry_delay = absl::Seconds(5);
  absl::Duration refusal_delay = absl::Minutes(1);

  AgentQuotaOptions quotas = {};

  WriterOptions writer = {};
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_INGEST_OPTIONS_H_
