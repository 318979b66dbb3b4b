// Times as the tables hold them: nanoseconds since 1970.

#ifndef MXTALLY_STORAGE_SQLITE_TIMES_H_
#define MXTALLY_STORAGE_SQLITE_TIMES_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally::sqlite {

// Times beyond the years 1678 to 2262 become the nearest of these.
inline int64_t NanosOf(const google::protobuf::Timestamp& timestamp) {
  return absl::ToUnixNanos(GetTimestamp(timestamp));
}

inline void SetNanos(int64_t nanos, google::protobuf::Timestamp* timestamp) {
  SetTimestamp(absl::FromUnixNanos(nanos), *timestamp);
}

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_TIMES_H_
