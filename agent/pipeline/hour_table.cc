#include "agent/pipeline/hour_table.h"

#include <utility>

#include "agent/pipeline/timestamps.h"

namespace mxtally {
namespace {

int64_t HourOf(absl::Time time) { return ToTimestamp(time).seconds() / 3600; }

}  // namespace

void HourTable::SetTime(absl::Time time) {
  if (time >= hour_start_ && time < hour_end_) return;
  const int64_t hour = HourOf(time);
  if (hour_ == kNoHour) RenameUndatedHour(hour);
  hour_ = hour;
  hour_start_ = absl::FromUnixSeconds(hour * 3600);
  hour_end_ = hour_start_ + absl::Hours(1);
  counts_ = nullptr;
}

v1::LineCounts& HourTable::counts() {
  if (counts_ == nullptr) {
    const auto [hour, added] = hours_.try_emplace(hour_);
    if (added) ++all_hours_;
    counts_ = &hour->second;
  }
  return *counts_;
}

void HourTable::MoveTo(google::protobuf::RepeatedPtrField<v1::HourCounts>& to, absl::Time now) {
  RenameUndatedHour(HourOf(now));
  for (auto& [hour, lines] : hours_) {
    v1::HourCounts& counts = *to.Add();
    counts.mutable_hour()->set_seconds(hour * 3600);
    *counts.mutable_lines() = std::move(lines);
  }
  all_hours_ -= hours_.size();
  hours_.clear();
  counts_ = nullptr;
}

void HourTable::RenameUndatedHour(int64_t hour) {
  auto node = hours_.extract(kNoHour);
  if (node.empty()) return;
  node.key() = hour;
  if (!hours_.insert(std::move(node)).inserted) --all_hours_;
}

}  // namespace mxtally
