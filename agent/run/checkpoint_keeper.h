// The acknowledged state of every log, in memory and on disk.
//
// What is in memory is as good as what is on disk: both were acknowledged.  So
// after a broken stream the agent goes on from memory, after a crash from disk,
// by the same code.  One thread only.

#ifndef MXTALLY_AGENT_RUN_CHECKPOINT_KEEPER_H_
#define MXTALLY_AGENT_RUN_CHECKPOINT_KEEPER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/checkpoint/checkpoint_file.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

struct CheckpointKeeperOptions {
  std::string host;

  // Shortest time between two writes.  Larger values save fsyncs and cost a
  // longer re-read after a crash; nothing is lost or counted twice either way.
  absl::Duration interval_min = absl::Seconds(1);

  // Called before each write: a failpoint for tests.
  std::function<void()> before_store = [] {};
};

class CheckpointKeeper {
 public:
  // `file` must outlive the keeper.
  CheckpointKeeper(CheckpointKeeperOptions options, CheckpointFile& file);

  // Reads what is on disk.  The state of another host is of no database: under a
  // new name everything is new to the server.
  //   DATA_LOSS   the newest checkpoint is damaged; an older one, or none, is used instead
  absl::Status Load();

  // After Load(): the other host that the state was of; empty: none.
  const std::string& former_host() const { return former_host_; }

  // Remembers where the first reading of a log begins, unless it is known.
  void Meet(agent::v1::LogCheckpoint met);

  // Newest acknowledged state of a log, with the database that acknowledged it;
  // nullopt when there is none.
  std::optional<agent::v1::LogCheckpoint> Find(const std::string& log) const;

  // Takes the state up to which everything is acknowledged.  It is written
  // when the next write is due.
  void Acknowledge(agent::v1::LogCheckpoint checkpoint, const std::string& database_id);

  // When the next write, or another attempt, is due; InfiniteFuture: nothing is new.
  absl::Time due() const;
  // Writes what is new, if anything is.
  absl::Status Store(absl::Time now);

 private:
  const CheckpointKeeperOptions options_;
  CheckpointFile& file_;
  agent::v1::Checkpoint checkpoint_;
  std::string former_host_;
  bool dirty_ = false;
  absl::Time last_attempt_ = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_RUN_CHECKPOINT_KEEPER_H_
