// Values with units, as options have them.  Pure.

#ifndef MXTALLY_PROTO_OPTIONS_VALUES_H_
#define MXTALLY_PROTO_OPTIONS_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace mxtally {

// "30s", "15m", "12h", "400d", "500ms"; "0" needs no unit.
//   INVALID_ARGUMENT  "expected ..., found ..."
absl::StatusOr<absl::Duration> ParseDurationValue(const std::string& text);

// "1048576", "64KiB", "8MiB", "2GiB".
//   INVALID_ARGUMENT  "expected ..., found ..."
absl::StatusOr<int64_t> ParseBytesValue(const std::string& text);

// "expected EXPECTED, found "FOUND"", the form of every complaint about a value.
absl::Status WrongValue(const std::string& expected, const std::string& found);

// The shortest text that the parsers above read as this.
std::string DurationText(absl::Duration duration);
std::string BytesText(int64_t bytes);

}  // namespace mxtally

#endif  // MXTALLY_PROTO_OPTIONS_VALUES_H_
