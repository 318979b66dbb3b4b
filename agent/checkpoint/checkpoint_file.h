// Where the agent resumes after a restart: the cuts up to which everything is
// committed on the server, and what decides later keys and records.
// One file, replaced atomically; the copy before it is kept.
//
// Files in the directory: "checkpoint"; "checkpoint.previous", the copy before
// it; "lock", held by the running agent; "state", see run_state_file.h.  A
// checkpoint file is
//
//   magic    8 bytes  "mxtally1"
//   length   8 bytes  of the body, little endian
//   crc      4 bytes  CRC-32C of the body, little endian
//   body              an mxtally.agent.v1.Checkpoint, serialized
//
// One thread only.

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
  //   DATA_LOSS            it is damaged; the one before it is returned next, and
  //                        nullopt after that
  virtual absl::StatusOr<std::optional<agent::v1::Checkpoint>> Load() = 0;

  // Replaces the checkpoint.  Durable when this returns OK.
  //   RESOURCE_EXHAUSTED   no space; the old checkpoint is intact
  virtual absl::Status Store(const agent::v1::Checkpoint& checkpoint) = 0;
};

// The newest readable checkpoint in `dir`, which an agent may be using;
// nullopt when there is none.
//   DATA_LOSS            there are only damaged ones
absl::StatusOr<std::optional<agent::v1::Checkpoint>> ReadCheckpoint(const std::string& dir);

// Whether an agent has `dir` open now.
//   NOT_FOUND            none ever had
absl::StatusOr<bool> IsInUse(const std::string& dir);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CHECKPOINT_CHECKPOINT_FILE_H_
