#include "agent/scan/progress.h"

#include <algorithm>
#include <utility>

namespace mxtally {
namespace {

constexpr int64_t kMegabyte = 1'000'000;

}  // namespace

Progress::Progress(bool enabled, int64_t total_bytes, std::function<absl::Time()> now,
                   std::ostream& out)
    : enabled_(enabled), total_bytes_(total_bytes), now_(std::move(now)), out_(out) {
  if (enabled_) next_ = now_() + absl::Seconds(1);
}

Progress::~Progress() {
  // Erases to the end of the line, as every terminal of the last decades does.
  if (shown_) out_ << "\r\033[K" << std::flush;
}

void Progress::Add(int64_t bytes) {
  bytes_ += bytes;
  if (!enabled_) return;
  const absl::Time now = now_();
  if (now < next_) return;
  next_ = now + absl::Milliseconds(250);
  shown_ = true;
  out_ << "\rscan: " << bytes_ / kMegabyte;
  if (total_bytes_ > 0) {
    out_ << " of " << total_bytes_ / kMegabyte << " MB, "
         << std::min<int64_t>(100, bytes_ * 100 / total_bytes_) << " %" << std::flush;
  } else {
    out_ << " MB" << std::flush;
  }
}

}  // namespace mxtally
