// What the words of ScanOptions mean.

#ifndef MXTALLY_AGENT_SCAN_SCAN_SETTINGS_H_
#define MXTALLY_AGENT_SCAN_SCAN_SETTINGS_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/scan/scan.h"
#include "agent/session/peer_class.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

struct ScanSettings {
  absl::TimeZone time_zone;
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();
  std::optional<absl::Time> reference_time;
  PeerClassifier peers;
  std::optional<v1::PeerClass> peer_class;  // nullopt: all.
};

//   INVALID_ARGUMENT   names the option, what was expected and what was found
absl::StatusOr<ScanSettings> ParseScanSettings(const ScanOptions& options);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_SCAN_SETTINGS_H_
