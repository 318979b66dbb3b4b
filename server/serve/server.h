// The server as a whole: store, services, ports, and the order of their end.

#ifndef MXTALLY_SERVER_SERVE_SERVER_H_
#define MXTALLY_SERVER_SERVE_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/tls/credential_files.h"
#include "server/ingest/agent_quotas.h"
#include "server/listener/listener.h"
#include "server/metrics/incident.h"
#include "server/serve/listen_address.h"

namespace mxtally {

struct ServerOptions {
  ListenAddress listen = {"127.0.0.1", 4625};
  ListenAddress http_listen = {"127.0.0.1", 4680};

  // "sqlite:PATH".
  std::string database = {};

  // With them gRPC speaks TLS only.  All empty: plaintext.
  CredentialFiles tls = {};

  // Who is a reader or an operator, see AccessList; empty: nobody.  Needs TLS.
  std::string access_list = {};

  // Longest time until a change of these files is noticed.
  absl::Duration reload_interval = absl::Seconds(5);

  // /readyz and grpc.health.v1 fail when the own certificate expires within this time.
  absl::Duration certificate_margin = absl::Hours(24);

  // Longest life of a connection, after which a certificate is looked at again.
  // Streams end somewhat earlier, with everything acknowledged.  Shorter: more
  // handshakes.
  absl::Duration connection_age_max = absl::Hours(1);

  // Connections of one address to the port of gRPC, see CountedAddress(); 0: any number.
  int64_t address_connections_max = ListenerOptions().address_connections_max;

  // What one agent may take.
  AgentQuotaOptions quotas = {};

  // How long things are kept.  Zero: forever.  session <= hour <= day.
  absl::Duration session_retention = absl::Hours(24 * 30);
  absl::Duration hour_retention = absl::Hours(24 * 400);
  absl::Duration day_retention = absl::ZeroDuration();

  // File of hosts that are expected, see ReadExpectedHosts(); empty: those that
  // have been heard of.
  std::string expected_hosts = {};

  // Whether other machines may connect to a port where nothing is encrypted.
  bool plaintext = false;

  // Release, told to agents and in metrics.
  std::string version = {};

  // Longest wait at the end for agents to hear what is committed, and for calls
  // that are running.
  absl::Duration drain_max = absl::Seconds(10);

  // For tests: WriterOptions::after_commit.
  std::function<void()> after_commit = {};
};

// Thread-safe.
class Server {
 public:
  // Opens the store, binds both ports and serves.  `tell` hears of incidents.
  //   INVALID_ARGUMENT  an option cannot be; the message names it and says what to do
  //   UNAVAILABLE       a port is in use
  // and the errors of OpenStore().
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       TellIncident tell);

  // Takes nothing new, commits and acknowledges what has come, and stops.
  virtual ~Server() = default;

  // Reads certificates and access list again now, rather than within
  // `reload_interval`, and the list of expected hosts.
  virtual void Reload() = 0;

  // The addresses bound, with the ports that the system picked.
  virtual const ListenAddress& listen() const = 0;
  virtual const ListenAddress& http_listen() const = 0;

  // Streams of agents that are open.
  virtual int64_t stream_count() const = 0;
  // How long the store's writer has been at one piece of work; zero when idle.
  virtual absl::Duration writer_busy_for() const = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_SERVE_SERVER_H_
