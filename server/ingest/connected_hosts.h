// Hosts whose streams are open now.  Thread-safe.

#ifndef MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_
#define MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"

namespace mxtally {

class ConnectedHosts {
 public:
  struct Stream {
    absl::Time certificate_expires = absl::InfiniteFuture();  // InfiniteFuture: without one.
    // Agent's clock when it opened it; InfinitePast: not told.
    absl::Time opened = absl::InfinitePast();
    std::string address = {};
  };

  struct Added {
    int64_t number = 0;  // Of this stream.
    int streams = 0;     // Of the host that are open now, this one included.
  };
  // More than one is harmless: an agent that lost its connection opens the next
  // stream before the server has noticed.
  Added Add(const std::string& host, Stream stream);
  void Remove(const std::string& host);

  // An agent that opened the stream `number` of `host` sent a life sign at `time`
  // by its own clock.  One that opened a newer stream does not do so any more:
  // then the newer one is another agent's, whose address is returned.
  std::optional<std::string> NewerAgent(const std::string& host, int64_t number,
                                        absl::Time time) const;

  bool Contains(const std::string& host) const;

  // When the certificate of a connected host expires; nullopt without one.
  std::optional<absl::Time> CertificateExpires(const std::string& host) const;

  // The first of all connected; InfiniteFuture when there is none.
  absl::Time FirstCertificateExpires() const;

 private:
  struct Host {
    int streams = 0;
    int64_t newest_number = 0;
    Stream newest;
  };

  mutable Mutex mutex_;
  int64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, Host> hosts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_
