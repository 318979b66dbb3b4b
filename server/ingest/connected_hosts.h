// Hosts whose streams are open now.  Thread-safe.

#ifndef MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_
#define MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "server/ingest/mutex.h"

namespace mxtally {

class ConnectedHosts {
 public:
  // Returns how many streams of this host are open now, this one included.
  // More than one is harmless: an agent that lost its connection opens the next
  // stream before the server has noticed.
  int Add(const std::string& host);
  void Remove(const std::string& host);

  bool Contains(const std::string& host) const;

 private:
  mutable ingest::Mutex mutex_;
  absl::flat_hash_map<std::string, int> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_CONNECTED_HOSTS_H_
