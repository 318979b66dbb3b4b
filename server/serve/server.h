// The server as a whole: store, services, ports, and the order of their end.

#ifndef MXTALLY_SERVER_SERVE_SERVER_H_
#define MXTALLY_SERVER_SERVE_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/ingest/observer.h"
#include "server/serve/listen_address.h"

namespace mxtally {

struct ServerOptions {
  ListenAddress listen = {"127.0.0.1", 4625};
  ListenAddress http_listen = {"127.0.0.1", 4680};

  // "sqlite:PATH".
  std::string database = {};

  // Whether other machines may connect, although nothing is encrypted.
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
  // Opens the store, binds both ports and serves.  `observer` must outlive the server.
  //   INVALID_ARGUMENT  an option cannot be; the message names it and says what to do
  //   UNAVAILABLE       a port is in use
  // and the errors of OpenStore().
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       IngestObserver& observer);

  // Takes nothing new, commits and acknowledges what has come, and stops.
  virtual ~Server() = default;

  // The addresses bound, with the ports that the system picked.
  virtual const ListenAddress& listen() const = 0;
  virtual const ListenAddress& http_listen() const = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_SERVE_SERVER_H_
