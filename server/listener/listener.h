// The port of gRPC.  Accepts connections itself, refuses those beyond a bound,
// and hands the others to gRPC.
//
// gRPC's own listener has no bound, and the packaged release stops accepting for
// good once the process is out of descriptors ("Failed accept4").

#ifndef MXTALLY_SERVER_LISTENER_LISTENER_H_
#define MXTALLY_SERVER_LISTENER_LISTENER_H_

#include <grpcpp/server_builder.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/listener/connection_table.h"
#include "server/listener/observer.h"

namespace mxtally {

struct ListenerOptions {
  std::string host;  // Name or address; all that a name has are listened on.
  int port = 0;      // 0: any free one.

  // Open connections of one address at most, see CountedAddress(); 0: any number.
  int address_connections_max = 1000;

  // Descriptors left to the rest of the process: the store, HTTP.
  int descriptors_reserved = 256;
};

// Raises the process's limit on open descriptors as far as it may.
void RaiseDescriptorLimit();

// Thread-safe.
class Listener {
 public:
  // Binds; nothing is accepted before Start().  `observer` must outlive this.
  //   UNAVAILABLE  in use, or not an address of this machine
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(const ListenerOptions& options,
                                                        ConnectionObserver& observer);

  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Accepts from now on.  Once.
  void Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor);

  // Stops accepting and closes the port.  Connections stay.
  void Stop();

  // The port bound.
  int port() const { return port_; }

  // Connections that are open now.
  int64_t connection_count() { return static_cast<int64_t>(table_.CountOpen()); }

 private:
  Listener(const ListenerOptions& options, ConnectionObserver& observer);

  absl::Status BindAll(const ListenerOptions& options);
  void Accept();
  // Whether there may be more.
  bool AcceptOne(int socket);

  ConnectionObserver& observer_;
  ConnectionTable table_;
  int wake_ = -1;  // An eventfd: the end has come.
  std::vector<int> sockets_;
  int port_ = 0;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::thread thread_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_LISTENER_LISTENER_H_
