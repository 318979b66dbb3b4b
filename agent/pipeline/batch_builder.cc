#include "agent/pipeline/batch_builder.h"

#include <algorithm>
#include <utility>

#include "agent/pipeline/timestamps.h"

namespace mxtally {
namespace {

// The contract's bound is 10,000.
constexpr int kSessionsMax = 8'000;
// A sparse log has few lines in an hour; without a bound the counts alone
// would outgrow a batch.
constexpr size_t kHoursMax = 500;
constexpr size_t kGapsMax = 100;
// Room for what is not sessions: two cuts, a name, hours and gaps at their bounds.
constexpr int64_t kOverheadBytes = 64 * 1024;

// Tag and length in front of an embedded message of less than 2 MiB.
constexpr int64_t kFieldBytes = 4;

int64_t HourOf(absl::Time time) { return ToTimestamp(time).seconds() / 3600; }

}  // namespace

BatchBuilder::BatchBuilder(std::string log, int64_t bytes_max)
    : log_(std::move(log)), bytes_max_(std::max(bytes_max - kOverheadBytes, kOverheadBytes)) {}

void BatchBuilder::SetTime(absl::Time time) {
  const int64_t hour = HourOf(time);
  if (hour != hour_) {
    if (hour_ == kNoHour) RenameUndatedHour(hour);
    hour_ = hour;
    counts_ = nullptr;
  }
  if (!gaps_.empty()) CloseGaps(time);
}

v1::LineCounts& BatchBuilder::counts() {
  if (counts_ == nullptr) counts_ = &hours_[hour_];
  return *counts_;
}

void BatchBuilder::AddSession(const v1::SessionRecord& record) {
  const int64_t bytes = static_cast<int64_t>(record.ByteSizeLong()) + kFieldBytes;
  if (portions_.empty() || portions_.back().sessions_size() >= kSessionsMax ||
      last_portion_bytes_ + bytes > bytes_max_) {
    portions_.emplace_back();
    last_portion_bytes_ = 0;
  }
  *portions_.back().add_sessions() = record;
  last_portion_bytes_ += bytes;
}

void BatchBuilder::AddGap(v1::GapReason reason, std::optional<absl::Time> start,
                          int64_t bytes_min) {
  v1::Gap& gap = gaps_.emplace_back();
  gap.set_reason(reason);
  gap.set_bytes_min(bytes_min);
  if (start) *gap.mutable_start_time() = ToTimestamp(*start);
}

bool BatchBuilder::full() const {
  return portions_.size() > 1 || last_portion_bytes_ >= bytes_max_ - bytes_max_ / 16 ||
         (!portions_.empty() && portions_.back().sessions_size() >= kSessionsMax) ||
         hours_.size() >= kHoursMax || gaps_.size() >= kGapsMax;
}

std::vector<v1::SessionBatch> BatchBuilder::Finish(const std::optional<v1::Cut>& start,
                                                   const v1::Cut& end, absl::Time now) {
  RenameUndatedHour(HourOf(now));
  CloseGaps(now);

  std::vector<v1::SessionBatch> batches = std::exchange(portions_, {});
  if (batches.empty()) batches.emplace_back();
  for (v1::SessionBatch& batch : batches) {
    batch.set_log(log_);
    *batch.mutable_start() = end;
    *batch.mutable_end() = end;
  }
  v1::SessionBatch& first = batches.front();
  first.clear_start();
  if (start) *first.mutable_start() = *start;
  for (auto& [hour, lines] : hours_) {
    v1::HourCounts& counts = *first.add_counts();
    counts.mutable_hour()->set_seconds(hour * 3600);
    *counts.mutable_lines() = std::move(lines);
  }
  for (v1::Gap& gap : gaps_) *first.add_gaps() = std::move(gap);

  last_portion_bytes_ = 0;
  hours_.clear();
  counts_ = nullptr;
  gaps_.clear();
  return batches;
}

void BatchBuilder::RenameUndatedHour(int64_t hour) {
  auto node = hours_.extract(kNoHour);
  if (node.empty()) return;
  node.key() = hour;
  hours_.insert(std::move(node));
}

void BatchBuilder::CloseGaps(absl::Time end) {
  for (v1::Gap& gap : gaps_) {
    if (gap.has_end_time()) continue;
    if (!gap.has_start_time()) *gap.mutable_start_time() = ToTimestamp(end);
    // A clock may have stepped back; an interval never ends before it begins.
    *gap.mutable_end_time() = ToTimestamp(std::max(end, FromTimestamp(gap.start_time())));
  }
}

}  // namespace mxtally
