// Which connections are open, by the peer's address, and whether one more may be.
//
// gRPC owns a connection once it has it and tells nobody when it closes it.  So
// an entry names its socket by descriptor and inode, and entries are looked at
// again where a bound is hit: an entry whose descriptor is closed, or another
// socket's by now, goes.
//
// Thread-safe.

#ifndef MXTALLY_SERVER_LISTENER_CONNECTION_TABLE_H_
#define MXTALLY_SERVER_LISTENER_CONNECTION_TABLE_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"
#include "server/listener/observer.h"

namespace mxtally {

struct ConnectionTableOptions {
  // Open connections of one address at most; 0: any number.
  int of_address_max = 1000;

  // Open connections at most, of all addresses.
  int total_max = 1 << 16;

  // Shortest time between two looks at all entries.  Refusing stays cheap, and
  // a place that got free may be given again so much later.
  absl::Duration look_interval = absl::Milliseconds(100);

  std::function<absl::Time()> now = absl::Now;
};

// What connections are counted by: the address, of IPv6 its /64 network, which is
// what one site has.  An IPv4 address is the same in both families.  Empty: neither.
std::string CountedAddress(const sockaddr_storage& peer);

class ConnectionTable {
 public:
  explicit ConnectionTable(ConnectionTableOptions options) : options_(std::move(options)) {}

  // Takes a new connection in, or says why it must be closed.
  std::optional<ConnectionRefusal> Add(int descriptor, const std::string& address);

  // Connections that are open now.
  size_t CountOpen();

 private:
  struct Connection {
    int descriptor = -1;
    ino_t inode = 0;
  };
  struct Address {
    std::vector<Connection> connections;
    absl::Time looked = absl::InfinitePast();
  };

  static bool IsOpen(const Connection& connection);
  void LookAt(Address& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookAtAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsFull(Address& address, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsFull(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ConnectionTableOptions options_;

  Mutex mutex_;
  absl::flat_hash_map<std::string, Address> addresses_ ABSL_GUARDED_BY(mutex_);
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;  // Of all addresses' `connections`.
  absl::Time looked_at_all_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_LISTENER_CONNECTION_TABLE_H_
