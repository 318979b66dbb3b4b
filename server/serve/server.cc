#include "server/serve/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.pb.h"
#include "proto/timestamps/timestamps.h"
#include "server/auth/authority.h"
#include "server/auth/credential_watch.h"
#include "server/auth/grpc_log.h"
#include "server/auth/server_credentials.h"
#include "server/completeness/findings.h"
#include "server/fleet/fleet_service.h"
#include "server/http/http_server.h"
#include "server/ingest/ingest_service.h"
#include "server/listener/listener.h"
#include "server/metrics/server_metrics.h"
#include "server/serve/expected_hosts.h"
#include "server/stats/stats_service.h"
#include "storage/open.h"

namespace mxtally {
namespace {

// Keepalive, one pair with the agent: it pings every 30 seconds, with or without
// a stream; the server permits a ping every 10.  The server pings an agent that
// has been silent for a minute, so that one which lost its network is noticed.
constexpr absl::Duration kPingIntervalMin = absl::Seconds(10);
constexpr absl::Duration kSilenceMax = absl::Seconds(60);
constexpr absl::Duration kPingWaitMax = absl::Seconds(20);

// Shares of ServerOptions::connection_age_max.  A stream ends between 0.72 and
// 0.8 of it (IngestOptions::stream_age_max is shortened by up to a tenth); gRPC
// asks clients to leave a connection between 0.81 and 0.99, within a tenth of
// what it is told, and cuts it off after the grace, whatever they do.
constexpr double kStreamAge = 0.8;
constexpr double kConnectionAge = 0.9;
constexpr double kConnectionGrace = 0.01;

// Time for TLS and HTTP/2 to begin.  Long enough for all agents of a large fleet
// that come back at once.
constexpr absl::Duration kHandshakeMax = absl::Seconds(60);

// Of one connection; an agent has one, a dashboard some.
constexpr int kCallsOfConnectionMax = 100;

// Several times what agents are told, see IngestOptions::batch_bytes_max.
constexpr int kMessageBytesMax = 4 << 20;

// For the buffers of all connections.  Beyond, gRPC drops connections.
constexpr size_t kConnectionBytesMax = size_t{2} << 30;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

absl::Status CheckListen(absl::string_view option, const ListenAddress& address, bool plaintext) {
  if (plaintext || address.IsLoopback()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " ", address.ToString(),
                   ": other machines could connect, and nothing would be encrypted; "
                   "listen on 127.0.0.1, or add --plaintext if the network is trusted"));
}

absl::Status CheckTls(const ServerOptions& options) {
  const int files = static_cast<int>(!options.tls.certificate.empty()) +
                    static_cast<int>(!options.tls.key.empty()) +
                    static_cast<int>(!options.tls.authorities.empty());
  if (files != 0 && files != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected --tls-cert, --tls-key and --tls-client-ca together, found ", files,
                     " of the three"));
  }
  if (files == 0 && !options.access_list.empty()) {
    return absl::InvalidArgumentError(
        "--access names readers and operators, who need TLS: expected --tls-cert, --tls-key and "
        "--tls-client-ca too, found none");
  }
  return absl::OkStatus();
}

void Configure(grpc::ServerBuilder& builder, absl::Duration connection_age_max) {
  // Process-wide, so once.
  static const bool plugins = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // Links the descriptor in, for reflection.
    return grpc::health::v1::HealthCheckRequest::descriptor() != nullptr;
  }();
  (void)plugins;
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.SetResourceQuota(grpc::ResourceQuota().Resize(kConnectionBytesMax));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kCallsOfConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeMax));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             Milliseconds(connection_age_max * kConnectionAge));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             Milliseconds(connection_age_max * kConnectionGrace));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(kPingIntervalMin));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kSilenceMax));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kPingWaitMax));
}

constexpr char kStreamSessions[] = "/mxtally.v1.IngestService/StreamSessions";

absl::StatusOr<StreamOwner> OwnerOf(Authority& authority,
                                    const grpc::CallbackServerContext& context) {
  absl::StatusOr<Caller> caller = IdentifyCaller(authority, context, kStreamSessions);
  if (!caller.ok()) return caller.status();
  StreamOwner owner;
  owner.certificate_expires = caller->certificate_expires;
  owner.name = caller->name;
  const auto shared = std::make_shared<const Caller>(*std::move(caller));
  owner.check_host = [&authority, address = context.peer(), shared](const std::string& host) {
    return authority.CheckHost(*shared, kStreamSessions, host, address);
  };
  owner.check_collector = [&authority, address = context.peer(),
                           shared]() -> absl::StatusOr<CollectedHosts> {
    absl::StatusOr<HostPatterns> patterns =
        authority.CheckCollector(*shared, kStreamSessions, address);
    if (!patterns.ok()) return patterns.status();
    return CollectedHosts{.patterns = patterns->ToStrings(),
                          .check = [&authority, address, shared](const std::string& host) {
                            return authority.CheckCollected(*shared, kStreamSessions, host,
                                                            address);
                          }};
  };
  return owner;
}

IngestOptions IngestOptionsOf(const ServerOptions& options, Authority& authority) {
  IngestOptions ingest;
  ingest.identify = [&authority](const grpc::CallbackServerContext& context) {
    return OwnerOf(authority, context);
  };
  ingest.server_version = options.version;
  ingest.keepalive_min = kPingIntervalMin;
  ingest.stream_age_max = options.connection_age_max * kStreamAge;
  ingest.quotas = options.quotas;
  ingest.writer.after_commit = options.after_commit;
  return ingest;
}

// Zero means forever in options.
absl::Duration Kept(absl::Duration option) {
  return option == absl::ZeroDuration() ? absl::InfiniteDuration() : option;
}

// The hosts of the list.  Thread-safe.
class ListedHosts {
 public:
  void Set(const std::vector<std::string>& hosts) {
    auto set = std::make_shared<absl::flat_hash_set<std::string>>(hosts.begin(), hosts.end());
    const std::lock_guard lock(mutex_);
    hosts_ = std::move(set);
  }
  bool Contains(const std::string& host) const {
    const std::lock_guard lock(mutex_);
    return hosts_ != nullptr && hosts_->contains(host);
  }

 private:
  mutable std::mutex mutex_;
  // Shared, so that the lock is short.
  std::shared_ptr<const absl::flat_hash_set<std::string>> hosts_;
};

FleetServiceOptions FleetOptionsOf(IngestService& ingest, const ListedHosts& listed) {
  FleetServiceOptions fleet;
  fleet.listed = [&listed](const std::string& host) { return listed.Contains(host); };
  fleet.connected = [&ingest](const std::string& host) {
    return ingest.connected().Contains(host);
  };
  fleet.certificate_expires = [&ingest](const std::string& host) {
    return ingest.connected().CertificateExpires(host);
  };
  fleet.stream_findings = [&ingest](const std::string& host) {
    std::vector<v1::HostFinding> findings;
    if (const auto seen = ingest.incidents().Find(HostIncident::kTwoAgents, host)) {
      findings.push_back(TwoAgentsFinding(host, seen->detail, seen->count, seen->last));
    }
    if (const auto seen = ingest.incidents().Find(HostIncident::kOtherSource, host)) {
      findings.push_back(OtherSourceFinding(host, seen->detail, seen->count, seen->last));
    }
    return findings;
  };
  fleet.retire = [&ingest](const std::string& host, absl::Time time) {
    absl::StatusOr<absl::Time> retired = absl::UnknownError("not done");
    ingest.Perform([&](Store& store) { retired = store.RetireHost(host, time); });
    return retired;
  };
  return fleet;
}

// Members are destroyed from the last to the first: ports before services,
// services before the store.
class ServerImpl final : public Server {
 public:
  // `expected`: what the list of expected hosts holds.
  ServerImpl(const ServerOptions& options, std::unique_ptr<Store> store,
             const std::vector<std::string>& expected, TellIncident tell)
      : options_(options),
        listen_(options.listen),
        http_listen_(options.http_listen),
        store_(std::move(store)),
        metrics_(options.version, std::move(tell)),
        authority_(options.tls.certificate.empty() ? Authority::Transport::kPlaintext
                                                   : Authority::Transport::kTls,
                   metrics_),
        ingest_(*store_, metrics_, IngestOptionsOf(options, authority_)),
        stats_(*store_),
        fleet_(*store_, FleetOptionsOf(ingest_, listed_)) {
    listed_.Set(expected);
  }

  ~ServerImpl() override {
    if (listener_ == nullptr) return;
    {
      std::lock_guard lock(health_mutex_);
      serving_ = false;
      grpc_->GetHealthCheckService()->SetServingStatus(false);
    }
    const absl::Time deadline = absl::Now() + options_.drain_max;
    ingest_.Drain(options_.drain_max);
    listener_->Stop();
    grpc_->Shutdown(absl::ToChronoTime(std::max(deadline, absl::Now())));
  }

  absl::Status Listen() {
    if (!options_.tls.certificate.empty()) {
      absl::StatusOr<std::unique_ptr<CredentialWatch>> watch =
          CredentialWatch::Start({.files = options_.tls,
                                  .access_list = options_.access_list,
                                  .interval = options_.reload_interval,
                                  .on_looked = [this] { UpdateHealth(); }},
                                 authority_, metrics_);
      if (!watch.ok()) return watch.status();
      credentials_ = *std::move(watch);
    }
    ListenerOptions port;
    port.host = listen_.host;
    port.port = listen_.port;
    port.address_connections_max = static_cast<int>(options_.address_connections_max);
    absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Bind(port, metrics_);
    if (!listener.ok()) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.listen.ToString(),
                                                 ": ", listener.status().message()));
    }
    grpc::ServerBuilder builder;
    Configure(builder, options_.connection_age_max);
    auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        CreateServerCredentials(authority_, credentials_.get()));
    builder.RegisterService(&ingest_);
    builder.RegisterService(&stats_);
    builder.RegisterService(&fleet_);
    grpc_ = builder.BuildAndStart();
    if (grpc_ == nullptr) return absl::UnavailableError("gRPC does not start");
    listener_ = *std::move(listener);
    listen_.port = listener_->port();
    listener_->Start(std::move(acceptor));
    {
      std::lock_guard lock(health_mutex_);
      serving_ = true;
    }
    UpdateHealth();
    return ListenHttp();
  }

  void Reload() override {
    if (credentials_ != nullptr) credentials_->Reload();
    if (!options_.expected_hosts.empty()) ReloadExpectedHosts();
  }

  const ListenAddress& listen() const override { return listen_; }
  const ListenAddress& http_listen() const override { return http_listen_; }
  int64_t stream_count() const override { return ingest_.stream_count(); }
  absl::Duration writer_busy_for() const override { return ingest_.writer_busy_for(); }

 private:
  void ReloadExpectedHosts() {
    const absl::StatusOr<std::vector<std::string>> hosts =
        ReadExpectedHosts(options_.expected_hosts);
    absl::Status status = hosts.status();
    if (hosts.ok()) {
      ingest_.Perform([&](Store& store) { status = store.ExpectHosts(*hosts); });
    }
    if (status.ok()) listed_.Set(*hosts);
    metrics_.OnFilesChanged(status);
  }

  absl::Status ListenHttp() {
    HttpOptions http;
    http.host = http_listen_.host;
    http.port = http_listen_.port;
    http.metrics = [this] { return Metrics(); };
    http.ready = [this] {
      if (absl::Status status = ingest_.Ready(); !status.ok()) return status;
      if (absl::Status status = CertificateReady(); !status.ok()) return status;
      return store_->StoredCuts("").status();  // Can it be read?
    };
    absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start(std::move(http));
    if (!server.ok()) return server.status();
    http_ = *std::move(server);
    http_listen_.port = http_->port();
    return absl::OkStatus();
  }

  std::string Metrics() {
    LiveFigures live = {.queue_bytes = ingest_.queue_bytes(),
                        .streams = ingest_.stream_count(),
                        .connections = listener_->connection_count(),
                        .store = store_->Gauges()};
    live.first_agent_certificate_expires = ingest_.connected().FirstCertificateExpires();
    if (credentials_ != nullptr) {
      const std::shared_ptr<const Credentials> current = credentials_->current();
      live.certificate_expires = current->certificate.not_after;
      live.authorities_expire = current->authorities_expire;
    }
    return metrics_.Text(live);
  }

  // grpc.health.v1 says what /readyz says of the certificate.
  void UpdateHealth() {
    std::lock_guard lock(health_mutex_);
    if (!serving_) return;
    grpc_->GetHealthCheckService()->SetServingStatus(CertificateReady().ok());
  }

  // Agents connect as long as the certificate is valid; a balancer and whoever
  // watches it hear of its end before that.
  absl::Status CertificateReady() {
    if (credentials_ == nullptr) return absl::OkStatus();
    const Certificate certificate = credentials_->current()->certificate;
    const absl::Time now = absl::Now();
    if (absl::Status valid = CheckValidity(certificate, now); !valid.ok()) {
      return absl::Status(valid.code(),
                          absl::StrCat(options_.tls.certificate, ": ", valid.message()));
    }
    if (certificate.not_after >= now + options_.certificate_margin) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(options_.tls.certificate, ": expires within ",
                     absl::FormatDuration(options_.certificate_margin), ", at ",
                     UtcText(certificate.not_after)));
  }

  const ServerOptions options_;
  ListenAddress listen_;
  ListenAddress http_listen_;

  const std::unique_ptr<Store> store_;
  ServerMetrics metrics_;
  GrpcLog grpc_log_{metrics_};
  Authority authority_;
  std::mutex health_mutex_;  // Guards whether there is a `grpc_` to tell health to.
  bool serving_ = false;
  std::unique_ptr<CredentialWatch> credentials_;  // Null without TLS.
  ListedHosts listed_;
  IngestService ingest_;
  StatsService stats_;
  FleetService fleet_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      TellIncident tell) {
  const bool tls = !options.tls.certificate.empty();
  if (absl::Status status = CheckTls(options); !status.ok()) return status;
  if (absl::Status status = CheckListen("--listen", options.listen, tls || options.plaintext);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckListen("--http-listen", options.http_listen, options.plaintext);
      !status.ok()) {
    return status;
  }
  StoreOptions store_options;
  store_options.url = options.database;
  store_options.retention = {.sessions = Kept(options.session_retention),
                             .hours = Kept(options.hour_retention),
                             .days = Kept(options.day_retention)};
  // One for each query that may run, so that opening a stream (1) and asking
  // whether the server is ready (1) never wait for a query.
  store_options.readers_max =
      StatsServiceOptions().pool.workers + FleetServiceOptions().pool.workers + 2;
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(store_options);
  if (!store.ok()) {
    return absl::Status(store.status().code(), absl::StrCat("--database ", options.database, ": ",
                                                            store.status().message()));
  }

  std::vector<std::string> expected;
  if (!options.expected_hosts.empty()) {
    absl::StatusOr<std::vector<std::string>> hosts = ReadExpectedHosts(options.expected_hosts);
    if (!hosts.ok()) return hosts.status();
    expected = *std::move(hosts);
  }
  if (absl::Status status = (*store)->ExpectHosts(expected); !status.ok()) return status;

  auto server = std::make_unique<ServerImpl>(options, *std::move(store), expected, std::move(tell));
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace mxtally
