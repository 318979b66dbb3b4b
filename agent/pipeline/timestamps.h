// absl::Time <-> google.protobuf.Timestamp.

#ifndef MXTALLY_AGENT_PIPELINE_TIMESTAMPS_H_
#define MXTALLY_AGENT_PIPELINE_TIMESTAMPS_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace mxtally {

// Times before 1970 and after 9999, which a damaged or forged stamp may name,
// become the first and the last time that the protocol permits.
inline google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  constexpr int64_t kSecondsMax = 253'402'300'799;
  time = std::clamp(time, absl::UnixEpoch(), absl::FromUnixSeconds(kSecondsMax));
  const int64_t seconds = absl::ToUnixSeconds(time);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

inline absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_TIMESTAMPS_H_
