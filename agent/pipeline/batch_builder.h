// Collects what is read between two cuts of one log: sessions, line counts by
// hour of log time, gaps; in a log of many hosts the counts of each.
//
// One line can end every open session at once (a restart of the MTA), far more
// than a batch may hold.  What does not fit travels in batches of their own
// that begin and end at the cut of the first one: sessions are known by their
// keys, so only the counts must be in exactly one batch.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_BATCH_BUILDER_H_
#define MXTALLY_AGENT_PIPELINE_BATCH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/pipeline/hour_table.h"
#include "agent/pipeline/pipeline_batch.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

// What is read of one host in a log of many.
struct HostPartBuilder {
  HostPartBuilder(std::string host, size_t& hours) : host(std::move(host)), lines(hours) {}

  const std::string host;
  HourTable lines;
  // Time of the last line before the batch, else of its first, and of its last.
  std::optional<absl::Time> start;
  std::optional<absl::Time> end;
  // For the batch's end; as in v1::HostPart.
  int64_t open_sessions = 0;
  std::optional<absl::Time> oldest_open;
  std::string mta;
};

class BatchBuilder {
 public:
  // `bytes_max` bounds the serialized size of each batch.
  BatchBuilder(std::string log, int64_t bytes_max);

  // Log time moves on: see HourTable.  Ends gaps.
  void SetTime(absl::Time time);

  // Counts of the current hour, as HourTable has them.
  v1::LineCounts& counts() { return lines_.counts(); }
  HourTable& lines() { return lines_; }

  // For one more host, whose lines are not among those of the log itself.
  // It goes into each batch for which lines were counted; the start, and the
  // end where it has none, are then the caller's to set.
  HostPartBuilder& AddHost(const std::string& host);
  // After the next batch it is gone.
  void RemoveHost(HostPartBuilder& host);

  void AddSession(const v1::SessionRecord& record);

  // Log after `start` is gone.  It ends at the time of the next SetTime().
  void AddGap(v1::GapReason reason, std::optional<absl::Time> start, int64_t bytes_min);

  // Whether there is nothing to send.
  bool empty() const { return hours_ == 0 && portions_.empty() && gaps_.empty(); }

  // Whether the batch should end after this line.
  bool full() const;

  // Returns the batches between two cuts, at least one, and begins anew.
  // `now` dates what no line could date: counts without any hour, and the end
  // of a gap without a line after it.
  std::vector<PipelineBatch> Finish(const std::optional<v1::Cut>& start, const v1::Cut& end,
                                    absl::Time now);

 private:
  void CloseGaps(absl::Time end);

  const std::string log_;
  const size_t bytes_max_;  // Of the sessions of a batch.

  // Sessions, serialized, in portions that fit a batch each.
  std::vector<std::string> portions_;
  int last_portion_sessions_ = 0;

  size_t hours_ = 0;  // In all tables.
  HourTable lines_{hours_};
  std::list<HostPartBuilder> hosts_;
  std::list<HostPartBuilder> removed_hosts_;

  std::vector<v1::Gap> gaps_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_BATCH_BUILDER_H_
