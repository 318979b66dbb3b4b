// How rotated logs are named.

#ifndef MXTALLY_AGENT_SOURCE_ROTATION_NAME_H_
#define MXTALLY_AGENT_SOURCE_ROTATION_NAME_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace mxtally {

// What follows the live file's name in a rotated file's name: `.1`, `.2.gz`,
// `-20261101`, `.20261101-040201`, `-2026-11-01.xz`, `.old`, `.1.bak`.
struct RotationSuffix {
  // Of `.N`: the higher, the older.
  std::optional<int64_t> number;
  // The date that the name tells, midnight UTC.
  std::optional<absl::Time> date;
  bool compressed = false;
};

// nullopt: `suffix` is no rotation suffix, the file is another log's.
std::optional<RotationSuffix> ParseRotationSuffix(std::string_view suffix);

// Length of the live file's name in the file name `name`; all of it when
// `name` is not that of a rotated file.  `10.0.0.1` and `mx.10.0.0.1` are logs
// of hosts and not rotated files of `10.0.0` and `mx.10.0.0`.
size_t LiveNameLength(std::string_view name);

// For logs that are not renamed but begun under a name of the day:
// `mail-20261101.log.gz` and `mail-20261102.log` differ in the date only.  The
// date and compression of `name` when it differs from `other` in nothing else.
std::optional<RotationSuffix> DifferInDateOnly(std::string_view other, std::string_view name);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_ROTATION_NAME_H_
