#include "agent/scan/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mxtally {
namespace {

constexpr int64_t kMegabyte = 1'000'000;

// Erases to the end of the line, as every terminal of the last decades does.
constexpr char kEraseRest[] = "\033[K";

// As a stopwatch shows it: "0:42", "12:03", "1:00:00".
std::string FormatSeconds(int64_t seconds) {
  if (seconds < 3600) return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace

std::string FormatProgress(int64_t bytes, std::optional<int64_t> total_bytes,
                           absl::Duration elapsed) {
  const double rate = static_cast<double>(bytes) / absl::ToDoubleSeconds(elapsed);
  const std::string mb_per_s = absl::StrFormat("%.0f MB/s", rate / kMegabyte);
  if (!total_bytes) return absl::StrCat("scan: ", bytes / kMegabyte, " MB, ", mb_per_s);
  // A file may have grown since its size was read.
  const int64_t total = std::max({*total_bytes, bytes, int64_t{1}});
  std::string text = absl::StrCat("scan: ", bytes / kMegabyte, " of ", total / kMegabyte, " MB, ",
                                  bytes * 100 / total, " %, ", mb_per_s);
  if (bytes > 0) {
    const auto seconds = static_cast<int64_t>(static_cast<double>(total - bytes) / rate);
    absl::StrAppend(&text, ", ", FormatSeconds(seconds), " left");
  }
  return text;
}

Progress::Progress(bool enabled, std::optional<int64_t> total_bytes,
                   std::function<absl::Time()> now, std::ostream& out)
    : enabled_(enabled), total_bytes_(total_bytes), now_(std::move(now)), out_(out) {
  if (!enabled_) return;
  begin_ = now_();
  next_ = begin_ + absl::Seconds(1);
}

Progress::~Progress() {
  if (shown_) out_ << '\r' << kEraseRest << std::flush;
}

void Progress::Add(int64_t bytes) {
  bytes_ += bytes;
  if (!enabled_) return;
  const absl::Time now = now_();
  if (now < next_) return;
  next_ = now + absl::Milliseconds(250);
  shown_ = true;
  out_ << '\r' << FormatProgress(bytes_, total_bytes_, now - begin_) << kEraseRest << std::flush;
}

}  // namespace mxtally
