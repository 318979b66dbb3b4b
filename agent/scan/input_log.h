// Which files to read, and in which order.  They may be compressed.

#ifndef MXTALLY_AGENT_SCAN_INPUT_LOG_H_
#define MXTALLY_AGENT_SCAN_INPUT_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/source/journal_reader.h"

namespace mxtally {

struct InputFile {
  std::string path;  // "-" is standard input.
  // The systemd journal, of which `path` is the name.
  std::optional<JournalOptions> journal = std::nullopt;
  // As stored, compressed or not; nullopt when it can be read once only, as a pipe.
  std::optional<int64_t> size = std::nullopt;
  // Decides the year of the first stamp.
  absl::Time reference_time = absl::InfiniteFuture();
  // N of a name that ends in `.N`: the higher, the older.
  int64_t rotation = 0;
  // First stamp; nullopt when none was found near the beginning, or when the
  // file can be read once only.
  std::optional<absl::Time> first_time = std::nullopt;
  // The line of that stamp, and some that follow.
  std::string first_lines = {};
};

// Files that are rotations of one log, oldest first.
struct InputLog {
  std::vector<InputFile> files;
};

struct InputLogOptions {
  // A log beside those of files.
  std::optional<JournalOptions> journal = std::nullopt;
  absl::TimeZone time_zone = absl::UTCTimeZone();
  // Replaces each file's own.
  std::optional<absl::Time> reference_time = std::nullopt;
  // Of standard input and pipes.
  absl::Time now = absl::InfiniteFuture();
};

// Groups `paths` into logs by folder and name without rotation suffix, in the
// order in which the logs were first named.  A file named twice is read once.
// Files that cannot be read are left out; `errors` tells why, with their path.
std::vector<InputLog> FindInputLogs(const std::vector<std::string>& paths,
                                    const InputLogOptions& options,
                                    std::vector<std::string>& errors);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_INPUT_LOG_H_
