// Batches on their way: numbered, counted in bytes, forgotten when they are
// acknowledged.  Their sessions are not kept: a stream that breaks is followed
// by reading the log again from the last acknowledged place.  One thread only.

#ifndef MXTALLY_AGENT_UPLINK_IN_FLIGHT_H_
#define MXTALLY_AGENT_UPLINK_IN_FLIGHT_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

// What is to be done once a batch is committed.
struct SentBatch {
  std::string log;
  int64_t bytes = 0;
  std::optional<agent::v1::LogCheckpoint> checkpoint;
  std::optional<absl::Time> caught_up;
};

class InFlight {
 public:
  // `bytes_max` of unacknowledged batches; a batch alone may be larger.
  explicit InFlight(int64_t bytes_max) : bytes_max_(bytes_max) {}

  bool HasRoom(int64_t bytes) const { return batches_.empty() || bytes_ + bytes <= bytes_max_; }

  // Sequence of the next batch.
  int64_t next_sequence() const { return last_sequence_ + 1; }
  void Add(SentBatch batch);

  // Returns the batches up to `sequence`, in the order sent.
  //   INVALID_ARGUMENT   that sequence was not sent yet
  absl::StatusOr<std::vector<SentBatch>> Acknowledge(int64_t sequence);

  bool empty() const { return batches_.empty(); }
  // Whether everything of this log is acknowledged.
  bool empty(const std::string& log) const;

  // A new stream: nothing is under way and sequences begin anew.
  void Clear();

 private:
  const int64_t bytes_max_;
  int64_t bytes_ = 0;
  int64_t last_sequence_ = 0;
  std::deque<SentBatch> batches_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_UPLINK_IN_FLIGHT_H_
