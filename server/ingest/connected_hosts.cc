#include "server/ingest/connected_hosts.h"

#include <cassert>

namespace mxtally {

using ingest::MutexLock;

int ConnectedHosts::Add(const std::string& host) {
  MutexLock lock(mutex_);
  return ++streams_[host];
}

void ConnectedHosts::Remove(const std::string& host) {
  MutexLock lock(mutex_);
  const auto it = streams_.find(host);
  assert(it != streams_.end());
  if (--it->second == 0) streams_.erase(it);
}

bool ConnectedHosts::Contains(const std::string& host) const {
  MutexLock lock(mutex_);
  return streams_.contains(host);
}

}  // namespace mxtally
