// The files of one log, in the order in which they were written.

#ifndef MXTALLY_AGENT_SOURCE_LOG_SET_H_
#define MXTALLY_AGENT_SOURCE_LOG_SET_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/source/log_file.h"
#include "agent/source/rotation_name.h"

namespace mxtally {

struct LogEntry {
  std::string path;
  FileStat stat;
  RotationSuffix suffix;
  bool live = false;
};

// What is at `path` now; nullopt when nothing is.
std::optional<FileStat> StatPath(const std::string& path);

// The regular files of the log `path`: the live file, its rotated siblings in
// the same folder, compressed ones too, and those of `older_paths` that exist.
// Where `path` is a link to a file with a date in its name (mail.log ->
// mail-20261102.log), also those that differ from it in the date only.
// Oldest first, the live file last; a file with several names is listed once.
//
// Rotation by renaming keeps a file's modification time and copying files
// makes ascending ones, so that it tells the order under every naming scheme.
std::vector<LogEntry> ListLog(const std::string& path, const std::vector<std::string>& older_paths);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_LOG_SET_H_
