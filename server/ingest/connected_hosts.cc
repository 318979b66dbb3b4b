#include "server/ingest/connected_hosts.h"

#include <algorithm>
#include <cassert>

namespace mxtally {

using ingest::MutexLock;

int ConnectedHosts::Add(const std::string& host, absl::Time certificate_expires) {
  MutexLock lock(mutex_);
  Host& known = hosts_[host];
  known.certificate_expires = certificate_expires;
  return ++known.streams;
}

void ConnectedHosts::Remove(const std::string& host) {
  MutexLock lock(mutex_);
  const auto it = hosts_.find(host);
  assert(it != hosts_.end());
  if (--it->second.streams == 0) hosts_.erase(it);
}

bool ConnectedHosts::Contains(const std::string& host) const {
  MutexLock lock(mutex_);
  return hosts_.contains(host);
}

std::optional<absl::Time> ConnectedHosts::CertificateExpires(const std::string& host) const {
  MutexLock lock(mutex_);
  const auto it = hosts_.find(host);
  if (it == hosts_.end() || it->second.certificate_expires == absl::InfiniteFuture()) {
    return std::nullopt;
  }
  return it->second.certificate_expires;
}

absl::Time ConnectedHosts::FirstCertificateExpires() const {
  absl::Time first = absl::InfiniteFuture();
  MutexLock lock(mutex_);
  for (const auto& [name, host] : hosts_) first = std::min(first, host.certificate_expires);
  return first;
}

}  // namespace mxtally
