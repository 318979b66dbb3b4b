// Times as the protocol permits them.

#ifndef MXTALLY_AGENT_PIPELINE_TIMESTAMPS_H_
#define MXTALLY_AGENT_PIPELINE_TIMESTAMPS_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {

// Times before 1970 and after 9999, which a damaged or forged stamp may name,
// become the first and the last time that the protocol permits.
inline google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  constexpr int64_t kSecondsMax = 253'402'300'799;
  google::protobuf::Timestamp timestamp;
  SetTimestamp(std::clamp(time, absl::UnixEpoch(), absl::FromUnixSeconds(kSecondsMax)), timestamp);
  return timestamp;
}

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_TIMESTAMPS_H_
