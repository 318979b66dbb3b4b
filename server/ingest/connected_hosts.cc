#include "server/ingest/connected_hosts.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace mxtally {

ConnectedHosts::Added ConnectedHosts::Add(const std::string& host, Stream stream) {
  MutexLock lock(mutex_);
  Host& known = hosts_[host];
  known.newest = std::move(stream);
  known.newest_number = ++last_number_;
  return {.number = known.newest_number, .streams = ++known.streams};
}

std::optional<std::string> ConnectedHosts::NewerAgent(const std::string& host, int64_t number,
                                                      absl::Time time) const {
  MutexLock lock(mutex_);
  const auto known = hosts_.find(host);
  if (known == hosts_.end() || known->second.newest_number == number) return std::nullopt;
  const Stream& newest = known->second.newest;
  if (newest.opened == absl::InfinitePast() || time <= newest.opened) return std::nullopt;
  return newest.address;
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
  if (it == hosts_.end() || it->second.newest.certificate_expires == absl::InfiniteFuture()) {
    return std::nullopt;
  }
  return it->second.newest.certificate_expires;
}

absl::Time ConnectedHosts::FirstCertificateExpires() const {
  absl::Time first = absl::InfiniteFuture();
  MutexLock lock(mutex_);
  for (const auto& [name, host] : hosts_) first = std::min(first, host.newest.certificate_expires);
  return first;
}

}  // namespace mxtally
