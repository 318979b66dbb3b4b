// A checkpoint in memory, and a disk that can be full.

#ifndef MXTALLY_TESTS_AGENT_RUN_FAKE_CHECKPOINT_FILE_H_
#define MXTALLY_TESTS_AGENT_RUN_FAKE_CHECKPOINT_FILE_H_

#include <deque>
#include <optional>

#include "agent/checkpoint/checkpoint_file.h"

namespace mxtally {

class FakeCheckpointFile : public CheckpointFile {
 public:
  absl::StatusOr<std::optional<agent::v1::Checkpoint>> Load() override {
    if (!damages.empty()) {
      const absl::Status damage = damages.front();
      damages.pop_front();
      return damage;
    }
    return stored;
  }
  absl::Status Store(const agent::v1::Checkpoint& checkpoint) override {
    ++attempts;
    if (!store_status.ok()) return store_status;
    stored = checkpoint;
    return absl::OkStatus();
  }

  std::optional<agent::v1::Checkpoint> stored;
  int attempts = 0;
  absl::Status store_status;
  std::deque<absl::Status> damages;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_RUN_FAKE_CHECKPOINT_FILE_H_
