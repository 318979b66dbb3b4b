// Where the agent resumes after a restart: the cuts up to which everything is
// committed on the server, and what decides later keys and records.
// One file, replaced atomically; the copy before it is kept.
//
// Format: magic "mxtally1", length and CRC-32C of the body, then the body, an
// mxtally.agent.v1.Checkpoint.  One thread only.

#ifndef MXTALLY_AGENT_CHECKPOINT_CHECKPOINT_FILE_H_
#define MXTALLY_AGENT_CHECKPOINT_CHECKPOINT_FILE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

struct CheckpointOptions {
  std::string dir;  // Created if missing.  Belongs to one process at a time.
};

class CheckpointFile {
 public:
  // Opens `dir` and takes its lock.
  //   FAILED_PRECONDITION  another process has this directory open
  //   PERMISSION_DENIED    not writable
  static absl::StatusOr<std::unique_ptr<CheckpointFile>> Open(CheckpointOptions options);

  virtual ~CheckpointFile() = default;

  // Returns the newest readable checkpoint, or nullopt on a first start.
  //   DATA_LOSS            the newest is damaged; the one before it is returned next
  virtual absl::StatusOr<std::optional<agent::v1::Checkpoint>> Load() = 0;

  // Replaces the checkpoint.  Durable when this returns OK.
  //   RESOURCE_EXHAUSTED   no space; the old checkpoint is intact
  virtual absl::Status Store(const agent::v1::Checkpoint& checkpoint) = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CHECKPOINT_CHECKPOINT_FILE_H_
