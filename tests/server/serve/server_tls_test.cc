// The server over TLS: who gets in, who does not, and what they are told.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpc/grpc.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "mxtally/v1/fleet.grpc.pb.h"
#include "mxtally/v1/ingest.grpc.pb.h"
#include "mxtally/v1/stats.grpc.pb.h"
#include "server/serve/server.h"
#include "tests/proto/tls/test_authority.h"
#include "tests/server/ingest/records.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

namespace v1_health = grpc::health::v1;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Of the token "secret".
constexpr char kHash[] = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

std::string Text(const grpc::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code())),
                      ": ", status.error_message());
}

class Incidents {
 public:
  void Tell(const Incident& incident) {
    switch (incident.kind) {
      case IncidentKind::kHandshake:
        return Add("handshake");
      case IncidentKind::kFiles:
        return Add(incident.level == IncidentLevel::kInfo ? "files used" : incident.text);
      case IncidentKind::kDenied:
        return Add(incident.text);
      default:
        return;
    }
  }
  std::vector<std::string> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(all_, {});
  }
  // Handshakes end on gRPC's threads, after their client has heard of it.
  bool AwaitHandshakes() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [this] {
      return std::find(all_.begin(), all_.end(), "handshake") != all_.end();
    });
  }

 private:
  void Add(std::string text) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(text));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class ServerTlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { grpc_init(); }

  ServerTlsTest() {
    Write("ca.pem", ca_.pem());
    Install(ca_.Issue(kServerNames));
    Write("access", absl::StrCat("reader certificate grafana\noperator certificate boss\n",
                                 "reader token dash ", kHash, "\n"));
    options_.listen.port = 0;
    options_.http_listen.port = 0;
    options_.database = absl::StrCat("sqlite:", folder_.path(), "/mxtally.db");
    options_.version = "0.1.0-test";
    options_.tls = {.certificate = Path("server.pem"),
                    .key = Path("server.key"),
                    .authorities = Path("ca.pem")};
    options_.access_list = Path("access");
    options_.reload_interval = absl::Hours(1);  // Tests say when.
  }

  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  void Install(const TestCertificate& certificate) const {
    Write("server.pem", certificate.certificate_pem);
    Write("server.key", certificate.key_pem);
  }
  void Start() {
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options_, tell_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string StartError() {
    return std::string(Server::Start(options_, tell_).status().message());
  }

  // Connections of their own.
  std::shared_ptr<grpc::Channel> Connect(const TestCertificate& certificate) {
    return Connect(grpc::SslCredentials({.pem_root_certs = ca_.pem(),
                                         .pem_private_key = certificate.key_pem,
                                         .pem_cert_chain = certificate.certificate_pem}));
  }
  std::shared_ptr<grpc::Channel> Connect(const std::string& names) {
    return Connect(ca_.Issue(names));
  }
  std::shared_ptr<grpc::Channel> ConnectWithToken(const std::string& token) {
    return Connect(grpc::CompositeChannelCredentials(
        grpc::SslCredentials(
            {.pem_root_certs = ca_.pem(), .pem_private_key = "", .pem_cert_chain = ""}),
        grpc::AccessTokenCredentials(token)));
  }
  std::shared_ptr<grpc::Channel> Connect(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    return grpc::CreateCustomChannel(server_->listen().ToString(), credentials, arguments);
  }

  static std::string ListHosts(const std::shared_ptr<grpc::Channel>& channel,
                               v1::ListHostsResponse* response = nullptr) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListHostsResponse unused;
    return Text(v1::FleetService::NewStub(channel)->ListHosts(
        &context, {}, response == nullptr ? &unused : response));
  }
  static std::string GetTlsStats(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::GetTlsStatsResponse response;
    return Text(v1::StatsService::NewStub(channel)->GetTlsStats(&context, {}, &response));
  }
  // Any unary method, with an empty request.
  static std::string CallAny(const std::shared_ptr<grpc::Channel>& channel,
                             const std::string& path) {
    grpc::ClientContext context;
    SetDeadline(context);
    const grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer response;
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<grpc::Status> result;
    grpc::GenericStub stub(channel);
    stub.UnaryCall(&context, path, grpc::StubOptions(), &request, &response,
                   [&](const grpc::Status& status) {
                     std::lock_guard lock(mutex);
                     result = status;
                     changed.notify_all();
                   });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return result.has_value(); });
    return Text(*result);
  }
  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }
  // As grpc.health.v1 has it, for a caller that nobody knows.
  v1_health::HealthCheckResponse::ServingStatus Health() {
    const auto channel = Connect(grpc::SslCredentials(
        {.pem_root_certs = ca_.pem(), .pem_private_key = "", .pem_cert_chain = ""}));
    grpc::ClientContext context;
    SetDeadline(context);
    v1_health::HealthCheckResponse response;
    grpc::TemplatedGenericStub<v1_health::HealthCheckRequest, v1_health::HealthCheckResponse> stub(
        channel);
    const v1_health::HealthCheckRequest request;
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request,
                   &response, [&](const grpc::Status& status) {
                     EXPECT_TRUE(status.ok()) << status.error_message();
                     std::lock_guard lock(mutex);
                     done = true;
                     changed.notify_all();
                   });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
    return response.status();
  }
  std::string Get(const std::string& path) {
    const httplib::Result result =
        httplib::Client("127.0.0.1", server_->http_listen().port).Get(path);
    return result ? absl::StrCat(result->status, " ", result->body) : "no answer";
  }

  static constexpr char kServerNames[] = "DNS:localhost,IP:127.0.0.1";
  const TemporaryFolder folder_;
  TestAuthority ca_;
  TestAuthority foreign_;
  ServerOptions options_;
  Incidents incidents_;
  const TellIncident tell_ = [this](const Incident& incident) { incidents_.Tell(incident); };
  std::unique_ptr<Server> server_;
};

// An agent's stream.
class Stream {
 public:
  explicit Stream(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::IngestService::NewStub(channel)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream_ = stub_->StreamSessions(&context_);
  }
  ~Stream() {
    if (finished_) return;
    context_.TryCancel();
    (void)stream_->Finish();
  }

  bool Open(const std::string& host) {
    v1::StreamSessionsRequest request;
    request.mutable_hello()->set_host(host);
    stream_->Write(request);
    v1::StreamSessionsResponse response;
    if (!stream_->Read(&response)) return false;
    retry_delay_ms = response.retry_delay_ms();
    return response.has_welcome();
  }
  // Whether the batch was acknowledged; rejections are collected.
  bool Send(const v1::SessionBatch& batch) {
    v1::StreamSessionsRequest request;
    *request.mutable_batch() = batch;
    stream_->Write(request);
    v1::StreamSessionsResponse response;
    if (!stream_->Read(&response)) return false;
    for (const v1::RejectedSession& one : response.rejected_sessions()) {
      rejected.push_back(one.reason());
    }
    return response.acked_sequence() == batch.sequence();
  }
  std::string Finish() {
    stream_->WritesDone();
    return AwaitEnd();
  }
  // Reads until the server ends the stream.
  std::string AwaitEnd() {
    v1::StreamSessionsResponse response;
    while (stream_->Read(&response)) {
      if (response.has_retry_delay_ms()) retry_delay_ms = response.retry_delay_ms();
    }
    finished_ = true;
    return Text(stream_->Finish());
  }
  std::string Finish(const std::string& host) {
    Open(host);
    return Finish();
  }

  std::vector<std::string> rejected;
  int64_t retry_delay_ms = 0;

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::IngestService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamSessionsRequest, v1::StreamSessionsResponse>>
      stream_;
  bool finished_ = false;
};

TEST_F(ServerTlsTest, AgentsSendAndReadersAsk) {
  Start();
  Stream stream(Connect("DNS:mx1"));
  ASSERT_TRUE(stream.Open("mx1"));
  EXPECT_TRUE(stream.Send(Batch("mx1", 1, 3)));
  EXPECT_EQ(stream.Finish(), "OK: ");
  v1::ListHostsResponse hosts;
  EXPECT_EQ(ListHosts(Connect("DNS:grafana"), &hosts), "OK: ");
  ASSERT_EQ(hosts.hosts_size(), 1);
  EXPECT_EQ(hosts.hosts(0).sessions(), 3);
  EXPECT_EQ(GetTlsStats(ConnectWithToken("secret")), "OK: ");
  EXPECT_EQ(GetTlsStats(Connect("DNS:boss")), "OK: ");
  EXPECT_THAT(incidents_.Take(), ElementsAre());
}

TEST_F(ServerTlsTest, WhoeverIsNotKnownIsToldWhatIsExpected) {
  Start();
  const std::string neither =
      "UNAUTHENTICATED: expected a client certificate or a bearer token, found neither";
  const auto nobody = Connect(grpc::SslCredentials(
      {.pem_root_certs = ca_.pem(), .pem_private_key = "", .pem_cert_chain = ""}));
  EXPECT_EQ(ListHosts(nobody), neither);
  EXPECT_EQ(Stream(nobody).Finish("mx1"), neither);
  EXPECT_EQ(
      GetTlsStats(ConnectWithToken("wrong")),
      "UNAUTHENTICATED: expected a bearer token of the server's access list, found an unknown "
      "one");
  const std::vector<std::string> incidents = incidents_.Take();
  ASSERT_EQ(incidents.size(), 3);
  EXPECT_THAT(incidents[0],
              StartsWith("denied /mxtally.v1.FleetService/ListHosts to a caller without "
                         "certificate and token (grpc-c++/"));
  EXPECT_THAT(incidents[2], StartsWith("denied /mxtally.v1.StatsService/GetTlsStats to "));
  const std::string metrics = Get("/metrics");
  EXPECT_THAT(metrics, HasSubstr("mxtally_server_auth_denied_total{reason=\"no_identity\"} 2"));
  EXPECT_THAT(metrics, HasSubstr("mxtally_server_auth_denied_total{reason=\"token\"} 1"));
}

TEST_F(ServerTlsTest, CertificatesThatAreForeignOrOutOfTheirTimeDoNotGetThroughTheHandshake) {
  Start();
  const absl::Time now = absl::Now();
  int expected = 0;
  for (const TestCertificate& certificate :
       {foreign_.Issue("DNS:mx1"),
        ca_.Issue({.names = "DNS:mx1", .not_after = now - absl::Minutes(1)}),
        ca_.Issue({.names = "DNS:mx1", .not_before = now + absl::Hours(1)})}) {
    EXPECT_THAT(Stream(Connect(certificate)).Finish("mx1"), StartsWith("UNAVAILABLE: "));
    EXPECT_TRUE(incidents_.AwaitHandshakes());
    incidents_.Take();
    ++expected;
  }
  EXPECT_THAT(Get("/metrics"), Not(HasSubstr("mxtally_server_tls_handshakes_failed_total 0")));
  EXPECT_EQ(expected, 3);
}

// What a valid certificate of mx1 can do to mx2: nothing.
TEST_F(ServerTlsTest, ARogueAgentCannotWriteReadOrDisturbAnythingOfAnotherHost) {
  Start();
  Stream mx2(Connect("DNS:mx2"));
  ASSERT_TRUE(mx2.Open("mx2"));
  ASSERT_TRUE(mx2.Send(Batch("mx2", 1, 3)));

  const auto rogue = Connect("DNS:mx1");
  Stream hello(rogue);
  EXPECT_EQ(hello.Finish("mx2"),
            "PERMISSION_DENIED: expected sessions of \"mx1\" from certificate \"mx1\", found host "
            "\"mx2\"");
  EXPECT_GE(hello.retry_delay_ms, 60'000);
  const std::vector<std::string> incidents = incidents_.Take();
  ASSERT_EQ(incidents.size(), 1);
  EXPECT_THAT(incidents[0],
              StartsWith("denied /mxtally.v1.IngestService/StreamSessions to certificate "
                         "\"mx1\" at ipv4:127.0.0.1:"));

  // Records of mx2 within its own stream.
  Stream records(rogue);
  ASSERT_TRUE(records.Open("mx1"));
  EXPECT_TRUE(records.Send(Batch("mx2", 1, 2)));
  EXPECT_THAT(records.rejected, testing::SizeIs(2));
  EXPECT_THAT(records.rejected, testing::Each(HasSubstr("mx1")));
  EXPECT_EQ(records.Finish(), "OK: ");

  EXPECT_THAT(ListHosts(rogue), StartsWith("PERMISSION_DENIED: mxtally.v1.FleetService/ListHosts: "
                                           "expected the role reader, found certificate \"mx1\""));
  EXPECT_THAT(GetTlsStats(rogue), StartsWith("PERMISSION_DENIED: "));
  for (const char* path :
       {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/mxtally.v1.FleetService/RetireHost", "/mxtally.v1.AdminService/ErasePeer", "/x/y"}) {
    EXPECT_THAT(CallAny(rogue, path), StartsWith("PERMISSION_DENIED: ")) << path;
  }
  EXPECT_THAT(CallAny(rogue, "/grpc.health.v1.Health/Check"), StartsWith("OK: "));

  // mx2 never noticed.
  EXPECT_TRUE(mx2.Send(Batch("mx2", 2, 1, 3)));
  EXPECT_EQ(mx2.Finish(), "OK: ");
  v1::ListHostsResponse hosts;
  ListHosts(Connect("DNS:grafana"), &hosts);
  ASSERT_EQ(hosts.hosts_size(), 2);
  EXPECT_EQ(hosts.hosts(0).sessions(), 0);
  EXPECT_EQ(hosts.hosts(1).host(), "mx2");
  EXPECT_EQ(hosts.hosts(1).sessions(), 4);
}

TEST_F(ServerTlsTest, ReplacedFilesServeNewConnectionsAndOpenStreamsSurvive) {
  Start();
  Stream old(Connect("DNS:mx1"));
  ASSERT_TRUE(old.Open("mx1"));

  // A new authority for both sides.
  TestAuthority next;
  Install(next.Issue(kServerNames));
  Write("ca.pem", next.pem());
  server_->Reload();
  EXPECT_THAT(incidents_.Take(), ElementsAre("files used"));

  EXPECT_TRUE(old.Send(Batch("mx1", 1, 3)));
  EXPECT_THAT(Stream(Connect("DNS:mx1")).Finish("mx1"), StartsWith("UNAVAILABLE: "));
  const TestCertificate mx1 = next.Issue("DNS:mx1");
  Stream fresh(Connect(grpc::SslCredentials({.pem_root_certs = next.pem(),
                                             .pem_private_key = mx1.key_pem,
                                             .pem_cert_chain = mx1.certificate_pem})));
  EXPECT_TRUE(fresh.Open("mx1"));
  EXPECT_EQ(old.Finish(), "OK: ");
}

TEST_F(ServerTlsTest, HalfReplacedFilesChangeNothing) {
  Start();
  Install({.certificate_pem = "", .key_pem = ""});
  server_->Reload();
  EXPECT_THAT(incidents_.Take(), ElementsAre(absl::StrCat(
                                     Path("server.pem"),
                                     ": expected a certificate in PEM format, found none; what was "
                                     "read before stays in use")));
  EXPECT_EQ(ListHosts(Connect("DNS:grafana")), "OK: ");
  EXPECT_THAT(Get("/metrics"), HasSubstr("mxtally_server_auth_files_unusable 1"));
  Install(ca_.Issue(kServerNames));
  server_->Reload();
  EXPECT_THAT(incidents_.Take(), ElementsAre("files used"));
  EXPECT_THAT(Get("/metrics"), HasSubstr("mxtally_server_auth_files_unusable 0"));
  EXPECT_EQ(ListHosts(Connect("DNS:grafana")), "OK: ");
}

TEST_F(ServerTlsTest, AccessThatIsTakenAwayIsGoneWithTheNextCall) {
  Start();
  const auto grafana = Connect("DNS:grafana");
  EXPECT_EQ(ListHosts(grafana), "OK: ");
  Write("access", "# nobody\n");
  server_->Reload();
  EXPECT_THAT(ListHosts(grafana), HasSubstr("found certificate \"grafana\" with agent"));
}

TEST_F(ServerTlsTest, ExpiryIsAMetricAndFailsReadiness) {
  const absl::Time now = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  const absl::Time expires = now + absl::Hours(30);
  Install(ca_.Issue({.names = kServerNames, .not_after = expires}));
  Start();
  EXPECT_EQ(Get("/readyz"), "200 ok\n");
  EXPECT_THAT(Get("/metrics"),
              HasSubstr("mxtally_server_tls_certificate_expiry_timestamp_seconds " +
                        std::to_string(absl::ToUnixSeconds(expires))));
  Install(ca_.Issue({.names = kServerNames, .not_after = now + absl::Hours(23)}));
  server_->Reload();
  EXPECT_THAT(Get("/readyz"),
              HasSubstr(absl::StrCat("503 ", Path("server.pem"), ": expires within 24h, at ")));
  EXPECT_EQ(Health(), v1_health::HealthCheckResponse::NOT_SERVING);
  Install(ca_.Issue(kServerNames));
  server_->Reload();
  EXPECT_EQ(Get("/readyz"), "200 ok\n");
  EXPECT_EQ(Health(), v1_health::HealthCheckResponse::SERVING);
}

TEST_F(ServerTlsTest, ExpiryOfConnectedAgentsIsAMetricAndShownPerHost) {
  Start();
  const absl::Time now = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  constexpr char kMetric[] = "mxtally_server_tls_agent_certificate_expiry_timestamp_seconds ";
  EXPECT_THAT(Get("/metrics"), Not(HasSubstr(kMetric + std::string("1"))));
  Stream mx1(Connect(ca_.Issue({.names = "DNS:mx1", .not_after = now + absl::Hours(2)})));
  Stream mx2(Connect(ca_.Issue({.names = "DNS:mx2", .not_after = now + absl::Hours(3)})));
  ASSERT_TRUE(mx1.Open("mx1"));
  ASSERT_TRUE(mx2.Open("mx2"));
  ASSERT_TRUE(mx1.Send(Batch("mx1", 1, 1)));
  ASSERT_TRUE(mx2.Send(Batch("mx2", 1, 1)));
  EXPECT_THAT(Get("/metrics"),
              HasSubstr(kMetric + std::to_string(absl::ToUnixSeconds(now + absl::Hours(2)))));
  v1::ListHostsResponse hosts;
  ListHosts(Connect("DNS:grafana"), &hosts);
  ASSERT_EQ(hosts.hosts_size(), 2);
  EXPECT_EQ(hosts.hosts(0).certificate_expiry_time().seconds(),
            absl::ToUnixSeconds(now + absl::Hours(2)));
  EXPECT_EQ(hosts.hosts(1).certificate_expiry_time().seconds(),
            absl::ToUnixSeconds(now + absl::Hours(3)));
}

// Whatever a client does, its connection ends, and the next one is checked anew.
TEST_F(ServerTlsTest, NoConnectionOutlivesItsAge) {
  options_.connection_age_max = absl::Seconds(1);
  // Less than any stream or connection may live then.
  constexpr std::chrono::milliseconds kSafe(700);
  Start();
  auto start = std::chrono::steady_clock::now();
  Stream stream(Connect("DNS:mx1"));
  const bool is_open = stream.Open("mx1");
  ASSERT_TRUE(is_open || std::chrono::steady_clock::now() - start >= kSafe);
  const absl::Time opened = absl::Now();
  // With an age as short as this, a busy machine may cut it off before the server
  // has ended it; that a stream ends OK at its age is IngestFlowTest's.
  EXPECT_THAT(stream.AwaitEnd(), testing::AnyOf("OK: ", StartsWith("UNAVAILABLE: ")));
  EXPECT_LT(absl::Now() - opened, absl::Seconds(30));

  start = std::chrono::steady_clock::now();
  const auto grafana = Connect("DNS:grafana");
  const std::string first = ListHosts(grafana);
  if (std::chrono::steady_clock::now() - start < kSafe) {
    EXPECT_EQ(first, "OK: ");
  }
  Write("ca.pem", foreign_.pem());
  server_->Reload();
  // Until then the connection that is open serves.
  std::string last;
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (absl::Now() < deadline) {
    last = ListHosts(grafana);
    if (last != "OK: ") break;
  }
  EXPECT_THAT(last, StartsWith("UNAVAILABLE: "));
}

TEST_F(ServerTlsTest, ListensOnAnyAddressWithoutPlaintext) {
  options_.listen.host = "0.0.0.0";
  Start();
}

TEST_F(ServerTlsTest, HalfOfTheOptionsIsAnError) {
  options_.tls.key = "";
  EXPECT_EQ(StartError(),
            "expected --tls-cert, --tls-key and --tls-client-ca together, found 2 of the three");
  options_.tls = {};
  EXPECT_THAT(StartError(), StartsWith("--access names readers and operators, who need TLS: "));
}

TEST_F(ServerTlsTest, UnreadableFilesAreAnErrorThatNamesThem) {
  std::filesystem::remove(Path("server.key"));
  EXPECT_THAT(StartError(), HasSubstr(Path("server.key")));
  Install(ca_.Issue(kServerNames));
  Write("access", "reader\n");
  EXPECT_EQ(StartError(),
            absl::StrCat(Path("access"), ":1: expected certificate or token, found \"\""));
}

TEST_F(ServerTlsTest, TokenWithoutEncryptionIsRefused) {
  options_.tls = {};
  options_.access_list = "";
  Start();
  const auto channel = Connect(grpc::InsecureChannelCredentials());
  EXPECT_EQ(ListHosts(channel), "OK: ");
  EXPECT_THAT(CallAny(channel, "/mxtally.v1.AdminService/ErasePeer"),
              StartsWith("PERMISSION_DENIED: mxtally.v1.AdminService/ErasePeer: expected the role "
                         "operator, found a caller without encryption"));
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer secret");
  v1::ListHostsResponse response;
  EXPECT_EQ(Text(v1::FleetService::NewStub(channel)->ListHosts(&context, {}, &response)),
            "UNAUTHENTICATED: expected a bearer token over TLS only, found one without encryption; "
            "others may have read it, so replace it");
}

}  // namespace
}  // namespace mxtally
