// Hosts whose streams are open now.  Thread-safe.

#ifndef MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_
#define MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "server/ingest/mutex.h"

namespace mxtally {

class ConnectedHosts {
 public:
  // Returns how many streams of this host are open now, this one included.
  // `certificate_expires` is that of the newest; InfiniteFuture without one.
  // More than one is harmless: an agent that lost its connection opens the next
  // stream before the server has noticed.
  int Add(const std::string& host, absl::Time certificate_expires);
  void Remove(const std::string& host);

  bool Contains(const std::string& host) const;

  // When the certificate of a connected host expires; nullopt without one.
  std::optional<absl::Time> CertificateExpires(const std::string& host) const;

  // The first of all connected; InfiniteFuture when there is none.
  absl::Time FirstCertificateExpires() const;

 private:
  struct Host {
    int streams = 0;
    absl::Time certificate_expires;
  };

  mutable ingest::Mutex mutex_;
  absl::flat_hash_map<std::string, Host> hosts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_
