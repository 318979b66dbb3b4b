#include "agent/uplink/in_flight.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally {

void InFlight::Add(SentBatch batch) {
  ++last_sequence_;
  bytes_ += batch.bytes;
  batches_.push_back(std::move(batch));
}

absl::StatusOr<std::vector<SentBatch>> InFlight::Acknowledge(int64_t sequence) {
  if (sequence > last_sequence_) {
    return absl::InvalidArgumentError(
        absl::StrCat("acknowledged batch ", sequence, ", expected at most ", last_sequence_));
  }
  const int64_t remaining = last_sequence_ - sequence;
  std::vector<SentBatch> acknowledged;
  while (static_cast<int64_t>(batches_.size()) > remaining) {
    bytes_ -= batches_.front().bytes;
    acknowledged.push_back(std::move(batches_.front()));
    batches_.pop_front();
  }
  return acknowledged;
}

bool InFlight::empty(const std::string& log) const {
  return std::none_of(batches_.begin(), batches_.end(),
                      [&log](const SentBatch& batch) { return batch.log == log; });
}

void InFlight::Clear() {
  bytes_ = 0;
  last_sequence_ = 0;
  batches_.clear();
}

}  // namespace mxtally
