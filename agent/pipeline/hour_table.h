// Counts of lines by hour of log time.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_HOUR_TABLE_H_
#define MXTALLY_AGENT_PIPELINE_HOUR_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>

#include "absl/time/time.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

class HourTable {
 public:
  // `hours` counts those of several tables, and must outlive this one.
  explicit HourTable(size_t& hours) : all_hours_(hours) {}
  HourTable(const HourTable&) = delete;
  HourTable& operator=(const HourTable&) = delete;
  ~HourTable() { all_hours_ -= hours_.size(); }

  // Log time moves on: the counts that follow belong to its hour.  Counts from
  // before the first call belong to the first hour that becomes known.
  void SetTime(absl::Time time);

  // Counts of the current hour, to add to.  Valid until the next call of
  // another method.
  v1::LineCounts& counts();

  bool empty() const { return hours_.empty(); }

  // Moves all counts to `to`.  `now` dates those without any hour.
  void MoveTo(google::protobuf::RepeatedPtrField<v1::HourCounts>& to, absl::Time now);

 private:
  static constexpr int64_t kNoHour = std::numeric_limits<int64_t>::min();

  void RenameUndatedHour(int64_t hour);

  size_t& all_hours_;
  // Key: hours since 1970.  Nodes stay where they are: `counts_` points into one.
  std::map<int64_t, v1::LineCounts> hours_;
  // Null when the current hour has no counts yet.
  v1::LineCounts* counts_ = nullptr;
  // Lives on from batch to batch: a line without a stamp follows one that had one.
  int64_t hour_ = kNoHour;
  absl::Time hour_start_ = absl::InfiniteFuture();
  absl::Time hour_end_ = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_HOUR_TABLE_H_
