// absl::Time <-> google.protobuf.Timestamp, exact to the nanosecond; and as people read it.

#ifndef MXTALLY_PROTO_TIMESTAMPS_TIMESTAMPS_H_
#define MXTALLY_PROTO_TIMESTAMPS_TIMESTAMPS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace mxtally {

inline void SetTimestamp(absl::Time time, google::protobuf::Timestamp& out) {
  const int64_t seconds = absl::ToUnixSeconds(time);  // Rounds down, as the proto wants.
  out.set_seconds(seconds);
  out.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

inline absl::Time GetTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

// "2026-11-02T04:02:01Z".
inline std::string UtcText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace mxtally

#endif  // MXTALLY_PROTO_TIMESTAMPS_TIMESTAMPS_H_
