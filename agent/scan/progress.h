// "scan: 340 of 1200 MB, 28 %" on a terminal, rewritten in place.

#ifndef MXTALLY_AGENT_SCAN_PROGRESS_H_
#define MXTALLY_AGENT_SCAN_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <ostream>

#include "absl/time/time.h"

namespace mxtally {

// Silent for the first second.  One thread only.
class Progress {
 public:
  // `total_bytes` 0: not known.  `out` must outlive the progress.
  Progress(bool enabled, int64_t total_bytes, std::function<absl::Time()> now, std::ostream& out);
  // Clears the line.
  ~Progress();

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Add(int64_t bytes);

 private:
  const bool enabled_;
  const int64_t total_bytes_;
  const std::function<absl::Time()> now_;
  std::ostream& out_;
  int64_t bytes_ = 0;
  absl::Time next_;
  bool shown_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_PROGRESS_H_
