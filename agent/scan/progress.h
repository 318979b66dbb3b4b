// "scan: 340 of 1200 MB, 28 %, 85 MB/s, 0:10 left" on a terminal, rewritten in place.

#ifndef MXTALLY_AGENT_SCAN_PROGRESS_H_
#define MXTALLY_AGENT_SCAN_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "absl/time/time.h"

namespace mxtally {

// What is told after `elapsed`; the rate is the mean since then.  Without a total, or before the
// first byte, no time left.
std::string FormatProgress(int64_t bytes, std::optional<int64_t> total_bytes,
                           absl::Duration elapsed);

// Silent for the first second.  One thread only.
class Progress {
 public:
  // `total_bytes` nullopt: not known.  `out` must outlive the progress.
  Progress(bool enabled, std::optional<int64_t> total_bytes, std::function<absl::Time()> now,
           std::ostream& out);
  // Clears the line.
  ~Progress();

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Add(int64_t bytes);

 private:
  const bool enabled_;
  const std::optional<int64_t> total_bytes_;
  const std::function<absl::Time()> now_;
  std::ostream& out_;
  int64_t bytes_ = 0;
  absl::Time begin_;
  absl::Time next_;
  bool shown_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_PROGRESS_H_
