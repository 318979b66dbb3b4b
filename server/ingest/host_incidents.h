// What of a host's agents an operator should look at, and nothing else would
// show later: kept in memory for a while.  Thread-safe.

#ifndef MXTALLY_SERVER_INGEST_HOST_INCIDENTS_H_
#define MXTALLY_SERVER_INGEST_HOST_INCIDENTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"

namespace mxtally {

enum class HostIncident {
  kTwoAgents,    // An agent is at work although a newer one of the host is connected.
  kOtherSource,  // An agent, or a collector, reads another kind of source than the host's.
};

class HostIncidents {
 public:
  // An incident is forgotten when it was not seen again for so long; longer than
  // agents that are refused stay away.
  static constexpr absl::Duration kKept = absl::Minutes(10);

  // Of more hosts than `hosts_max` nothing is kept.
  explicit HostIncidents(std::function<absl::Time()> now = absl::Now, size_t hosts_max = 10'000)
      : now_(std::move(now)), hosts_max_(hosts_max) {}

  struct Seen {
    int64_t count = 0;  // Without a break of kKept.
    absl::Time last;
    std::string detail = {};  // Of the last one.
  };

  void Note(HostIncident incident, const std::string& host, const std::string& detail);

  // nullopt: not within kKept.
  std::optional<Seen> Find(HostIncident incident, const std::string& host) const;

 private:
  using Key = std::pair<HostIncident, std::string>;

  const std::function<absl::Time()> now_;
  const size_t hosts_max_;

  mutable Mutex mutex_;
  absl::flat_hash_map<Key, Seen> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_HOST_INCIDENTS_H_
