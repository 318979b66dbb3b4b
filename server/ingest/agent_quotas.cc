#include "server/ingest/agent_quotas.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

// Adds what `count` takes at the average of `per_second`.
void Add(absl::Time& until, absl::Time now, int64_t count, int64_t per_second) {
  if (per_second > 0) until = std::max(until, now) + absl::Seconds(count) / per_second;
}

}  // namespace

absl::string_view QuotaName(Quota quota) {
  switch (quota) {
    case Quota::kStreams:
      return "streams";
    case Quota::kBytes:
      return "bytes";
    case Quota::kSessions:
      return "sessions";
    case Quota::kHosts:
      return "hosts";
  }
  return "?";
}

std::optional<AgentQuotas::Hit> AgentQuotas::HitOf(const Agent& agent, absl::Time now) const {
  const auto rate = [&](Quota quota, int64_t per_second, absl::Time until) {
    return Hit{.quota = quota,
               .wait = until - now,
               .message = absl::StrCat("quota of this agent: expected at most ", per_second, " ",
                                       QuotaName(quota), " per second, found more")};
  };
  if (agent.bytes_until > now + options_.burst) {
    return rate(Quota::kBytes, options_.bytes_per_second, agent.bytes_until);
  }
  if (agent.sessions_until > now + options_.burst) {
    return rate(Quota::kSessions, options_.sessions_per_second, agent.sessions_until);
  }
  return std::nullopt;
}

std::optional<AgentQuotas::Hit> AgentQuotas::AddStream(const std::string& name) {
  const absl::Time now = options_.now();
  MutexLock lock(mutex_);
  if (agents_.size() >= forget_at_) Forget(now);
  Agent& agent = agents_[name];
  if (agent.streams >= options_.streams_max) {
    return Hit{.quota = Quota::kStreams,
               .wait = absl::ZeroDuration(),
               .message = absl::StrCat("quota of this agent: expected at most ",
                                       options_.streams_max, " streams at a time, found more")};
  }
  // One that did not wait as long as it was told.
  if (std::optional<Hit> hit = HitOf(agent, now)) return hit;
  ++agent.streams;
  return std::nullopt;
}

void AgentQuotas::RemoveStream(const std::string& name) {
  MutexLock lock(mutex_);
  Agent& agent = agents_[name];
  assert(agent.streams > 0);
  --agent.streams;
}

std::optional<AgentQuotas::Hit> AgentQuotas::Take(const std::string& name, int64_t bytes,
                                                  int64_t sessions) {
  const absl::Time now = options_.now();
  MutexLock lock(mutex_);
  Agent& agent = agents_[name];
  Add(agent.bytes_until, now, bytes, options_.bytes_per_second);
  Add(agent.sessions_until, now, sessions, options_.sessions_per_second);
  return HitOf(agent, now);
}

std::optional<AgentQuotas::Hit> AgentQuotas::CheckHosts(int64_t hosts) const {
  if (hosts <= options_.hosts_max) return std::nullopt;
  return Hit{.quota = Quota::kHosts,
             .wait = absl::ZeroDuration(),
             .message = absl::StrCat("quota of this agent: expected at most ", options_.hosts_max,
                                     " hosts beside its own, found more")};
}

size_t AgentQuotas::size() {
  MutexLock lock(mutex_);
  return agents_.size();
}

void AgentQuotas::Forget(absl::Time now) {
  absl::erase_if(agents_, [now](const auto& entry) {
    const Agent& agent = entry.second;
    return agent.streams == 0 && agent.bytes_until <= now && agent.sessions_until <= now;
  });
  forget_at_ = std::max<size_t>(1024, 2 * agents_.size());
}

}  // namespace mxtally
