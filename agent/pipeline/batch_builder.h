// Collects what is read between two cuts of one log: sessions, line counts by
// hour of log time, gaps.
//
// One line can end every open session at once (a restart of the MTA), far more
// than a batch may hold.  What does not fit travels in batches of their own
// that begin and end at the cut of the first one: sessions are known by their
// keys, so only the counts must be in exactly one batch.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_BATCH_BUILDER_H_
#define MXTALLY_AGENT_PIPELINE_BATCH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/pipeline/pipeline_batch.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

class BatchBuilder {
 public:
  // `bytes_max` bounds the serialized size of each batch.
  BatchBuilder(std::string log, int64_t bytes_max);

  // Log time moves on: the counts that follow belong to its hour.  Counts from
  // before the first call belong to the first hour that becomes known.
  void SetTime(absl::Time time);

  // Counts of the current hour, to add to.  Valid until the next call of
  // another method.
  v1::LineCounts& counts();

  void AddSession(const v1::SessionRecord& record);

  // Log after `start` is gone.  It ends at the time of the next SetTime().
  void AddGap(v1::GapReason reason, std::optional<absl::Time> start, int64_t bytes_min);

  // Whether there is nothing to send.
  bool empty() const { return hours_.empty() && portions_.empty() && gaps_.empty(); }

  // Whether the batch should end after this line.
  bool full() const;

  // Returns the batches between two cuts, at least one, and begins anew.
  // `now` dates what no line could date: counts without any hour, and the end
  // of a gap without a line after it.
  std::vector<PipelineBatch> Finish(const std::optional<v1::Cut>& start, const v1::Cut& end,
                                    absl::Time now);

 private:
  static constexpr int64_t kNoHour = std::numeric_limits<int64_t>::min();

  void RenameUndatedHour(int64_t hour);
  void CloseGaps(absl::Time end);

  const std::string log_;
  const size_t bytes_max_;  // Of the sessions of a batch.

  // Sessions, serialized, in portions that fit a batch each.
  std::vector<std::string> portions_;
  int last_portion_sessions_ = 0;

  // Key: hours since 1970.  Nodes stay where they are: `counts_` points into one.
  std::map<int64_t, v1::LineCounts> hours_;
  // Null when the current hour has no counts yet.
  v1::LineCounts* counts_ = nullptr;
  // Lives on from batch to batch: a line without a stamp follows one that had one.
  int64_t hour_ = kNoHour;
  absl::Time hour_start_ = absl::InfiniteFuture();
  absl::Time hour_end_ = absl::InfinitePast();

  std::vector<v1::Gap> gaps_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_BATCH_BUILDER_H_
