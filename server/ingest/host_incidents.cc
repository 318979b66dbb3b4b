#include "server/ingest/host_incidents.h"

namespace mxtally {

void HostIncidents::Note(HostIncident incident, const std::string& host,
                         const std::string& detail) {
  const absl::Time now = now_();
  MutexLock lock(mutex_);
  if (seen_.size() >= hosts_max_ && !seen_.contains(Key(incident, host))) {
    absl::erase_if(seen_, [now](const auto& entry) { return now - entry.second.last > kKept; });
    if (seen_.size() >= hosts_max_) return;
  }
  Seen& seen = seen_[Key(incident, host)];
  if (now - seen.last > kKept) seen.count = 0;
  ++seen.count;
  seen.last = now;
  seen.detail = detail;
}

std::optional<HostIncidents::Seen> HostIncidents::Find(HostIncident incident,
                                                       const std::string& host) const {
  const absl::Time now = now_();
  MutexLock lock(mutex_);
  const auto seen = seen_.find(Key(incident, host));
  if (seen == seen_.end() || now - seen->second.last > kKept) return std::nullopt;
  return seen->second;
}

}  // namespace mxtally
