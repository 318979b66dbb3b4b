// Times as the tables hold them: nanoseconds since 1970.

#ifndef MXTALLY_STORAGE_SQLITE_TIMES_H_
#define MXTALLY_STORAGE_SQLITE_TIMES_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace mxtally::sqlite {

inline absl::Time TimeOf(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

// Times beyond the years 1678 to 2262 become the nearest of these.
inline int64_t NanosOf(const google::protobuf::Timestamp& timestamp) {
  return absl::ToUnixNanos(TimeOf(timestamp));
}

inline void SetNanos(int64_t nanos, google::protobuf::Timestamp* timestamp) {
  const absl::Time time = absl::FromUnixNanos(nanos);
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp->set_seconds(seconds);
  timestamp->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_TIMES_H_
