// A gRPC client that does nothing: connects over TLS, opens one stream as the
// agent does, says so, and waits for the end of its standard input.  What it
// keeps in memory is what gRPC costs any agent.
//
//   bench_grpc_client HOST:PORT NAME CA CERTIFICATE KEY
//
// NAME is the host that the certificate is for; the others are PEM files.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "mxtally/v1/ingest.grpc.pb.h"

namespace {

std::string Contents(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: bench_grpc_client HOST:PORT NAME CA CERTIFICATE KEY\n");
    return 2;
  }
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = Contents(argv[3]);
  tls.pem_cert_chain = Contents(argv[4]);
  tls.pem_private_key = Contents(argv[5]);
  const auto channel = grpc::CreateChannel(argv[1], grpc::SslCredentials(tls));
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    std::fprintf(stderr, "cannot connect to %s\n", argv[1]);
    return 1;
  }
  const auto stub = mxtally::v1::IngestService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->StreamSessions(&context);
  mxtally::v1::StreamSessionsRequest hello;
  hello.mutable_hello()->set_host(argv[2]);
  hello.mutable_hello()->set_agent_version("0.1.0");
  stream->Write(hello);
  mxtally::v1::StreamSessionsResponse welcome;
  if (!stream->Read(&welcome)) {
    std::fprintf(stderr, "no welcome from %s\n", argv[1]);
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  context.TryCancel();
  return 0;
}
