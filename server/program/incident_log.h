// Writes incidents to the log.  A line of a kind that may come often comes at most
// once a minute, with the number of those left out.  Thread-safe.

#ifndef MXTALLY_SERVER_PROGRAM_INCIDENT_LOG_H_
#define MXTALLY_SERVER_PROGRAM_INCIDENT_LOG_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "proto/mutex/mutex.h"
#include "server/metrics/incident.h"

namespace mxtally {

class IncidentLog {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  explicit IncidentLog(Clock now = std::chrono::steady_clock::now) : now_(std::move(now)) {}

  void Tell(const Incident& incident);

 private:
  struct Limit {
    std::chrono::steady_clock::time_point next;
    int64_t left_out = 0;
  };

  // How many were left out before this one; nullopt: it is left out too.
  std::optional<int64_t> Take(IncidentKind kind);

  const Clock now_;
  Mutex mutex_;
  std::array<Limit, kIncidentKindCount> limits_ ABSL_GUARDED_BY(mutex_);  // By kind.
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_INCIDENT_LOG_H_
