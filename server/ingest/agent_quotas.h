// What one agent may take of the server: streams at a time, hosts of a stream,
// and bytes and sessions per second.  Thread-safe.

#ifndef MXTALLY_SERVER_INGEST_AGENT_QUOTAS_H_
#define MXTALLY_SERVER_INGEST_AGENT_QUOTAS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"

namespace mxtally {

struct AgentQuotaOptions {
  // An agent needs one.  After it lost its connection it opens the next before
  // the server has noticed, hence several.
  int64_t streams_max = 8;

  // Hosts, beside its own, that a collector's stream may send sessions of.
  int64_t hosts_max = 10'000;

  // Averages; 0: unlimited.  Smaller: an agent with a backlog takes longer, and
  // leaves more of the server to the others.
  int64_t bytes_per_second = 0;
  int64_t sessions_per_second = 0;

  // How much may come at once, as a time at the average.  Longer: fewer
  // interruptions of a backlog.
  absl::Duration burst = absl::Seconds(10);

  std::function<absl::Time()> now = absl::Now;
};

enum class Quota { kStreams, kBytes, kSessions, kHosts };
inline constexpr int kQuotaCount = 4;

// "streams", "bytes", "sessions", "hosts".
absl::string_view QuotaName(Quota quota);

class AgentQuotas {
 public:
  explicit AgentQuotas(AgentQuotaOptions options) : options_(std::move(options)) {}

  struct Hit {
    Quota quota = Quota::kStreams;
    // After this long, all is as if nothing had been taken.  Zero: another
    // stream must end first.
    absl::Duration wait;
    // "expected at most ..., found ...".
    std::string message;
  };

  // Counts a stream.  A hit: it is not counted and must be refused.
  std::optional<Hit> AddStream(const std::string& agent);
  void RemoveStream(const std::string& agent);

  // Counts what has come.  A hit: that is the last for now.
  std::optional<Hit> Take(const std::string& agent, int64_t bytes, int64_t sessions);

  // A collector's stream sends sessions of so many hosts beside its own.
  std::optional<Hit> CheckHosts(int64_t hosts) const;

  // Agents remembered: those with streams, those that owe, and some more.
  size_t size();

 private:
  struct Agent {
    int64_t streams = 0;
    // When what was taken is used up at the average.
    absl::Time bytes_until = absl::InfinitePast();
    absl::Time sessions_until = absl::InfinitePast();
  };

  std::optional<Hit> HitOf(const Agent& agent, absl::Time now) const;
  // Forgets agents without streams that owe nothing.
  void Forget(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const AgentQuotaOptions options_;

  Mutex mutex_;
  absl::flat_hash_map<std::string, Agent> agents_ ABSL_GUARDED_BY(mutex_);
  size_t forget_at_ ABSL_GUARDED_BY(mutex_) = 1024;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_AGENT_QUOTAS_H_
