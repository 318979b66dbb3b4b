// A gRPC client that does nothing: connects, opens one stream as the agent
// does, says so, and waits for the end of its standard input.  What it keeps in
// memory is what gRPC costs any agent.
//
//   bench_grpc_client HOST:PORT

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>

#include "mxtally/v1/ingest.grpc.pb.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_grpc_client HOST:PORT\n");
    return 2;
  }
  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    std::fprintf(stderr, "cannot connect to %s\n", argv[1]);
    return 1;
  }
  const auto stub = mxtally::v1::IngestService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->StreamSessions(&context);
  mxtally::v1::StreamSessionsRequest hello;
  hello.mutable_hello()->set_host("bench-bare-client");
  hello.mutable_hello()->set_agent_version("0.1.0");
  stream->Write(hello);
  mxtally::v1::StreamSessionsResponse welcome;
  stream->Read(&welcome);
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  context.TryCancel();
  return 0;
}
