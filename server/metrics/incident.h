// What an operator should hear of, in words.

#ifndef MXTALLY_SERVER_METRICS_INCIDENT_H_
#define MXTALLY_SERVER_METRICS_INCIDENT_H_

#include <functional>
#include <string>

namespace mxtally {

enum class IncidentKind {
  kStoreFailed,
  kRejected,
  kOtherSource,
  kTwoAgents,
  kQuota,
  kRefused,
  kDenied,
  kHandshake,
  kGrpc,
  kAddressConnections,
  kDescriptors,
  // Rare by themselves: told each time.
  kFiles,
  // For whoever looks into a fault: told each time, where that is asked for.
  kStream,
};
inline constexpr int kIncidentKindCount = 13;

enum class IncidentLevel { kDebug, kInfo, kWarning, kError };

struct Incident {
  IncidentKind kind = IncidentKind::kStoreFailed;
  IncidentLevel level = IncidentLevel::kWarning;
  std::string text;  // One line.
};

// Called from several threads at once, never under a lock.  Must not block.
using TellIncident = std::function<void(const Incident&)>;

}  // namespace mxtally

#endif  // MXTALLY_SERVER_METRICS_INCIDENT_H_
