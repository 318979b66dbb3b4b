#include "agent/run/checkpoint_keeper.h"

#include <utility>

namespace mxtally {
namespace {

// A checkpoint grows by one entry for each log that was ever followed.
constexpr int kLogsMax = 1024;

}  // namespace

CheckpointKeeper::CheckpointKeeper(CheckpointKeeperOptions options, CheckpointFile& file)
    : options_(std::move(options)), file_(file) {
  checkpoint_.set_host(options_.host);
}

absl::Status CheckpointKeeper::Load() {
  absl::Status damage;
  absl::StatusOr<std::optional<agent::v1::Checkpoint>> loaded = file_.Load();
  if (absl::IsDataLoss(loaded.status())) {
    damage = loaded.status();
    loaded = file_.Load();
    if (absl::IsDataLoss(loaded.status())) return damage;
  }
  if (!loaded.ok()) return loaded.status();
  if (!loaded->has_value()) return damage;
  checkpoint_ = **std::move(loaded);
  if (checkpoint_.host() != options_.host) {
    // Keys carry the host.
    former_host_ = checkpoint_.host();
    for (agent::v1::LogCheckpoint& log : *checkpoint_.mutable_logs()) log.clear_database_id();
    checkpoint_.set_host(options_.host);
  }
  return damage;
}

std::optional<agent::v1::LogCheckpoint> CheckpointKeeper::Find(const std::string& log) const {
  for (const agent::v1::LogCheckpoint& known : checkpoint_.logs()) {
    if (known.log() == log) return known;
  }
  return std::nullopt;
}

void CheckpointKeeper::Meet(agent::v1::LogCheckpoint met) {
  if (Find(met.log()).has_value() || checkpoint_.logs_size() >= kLogsMax) return;
  dirty_ = true;
  *checkpoint_.add_logs() = std::move(met);
}

void CheckpointKeeper::Acknowledge(agent::v1::LogCheckpoint checkpoint,
                                   const std::string& database_id) {
  dirty_ = true;
  checkpoint.set_database_id(database_id);
  checkpoint_.set_database_id(database_id);
  for (agent::v1::LogCheckpoint& known : *checkpoint_.mutable_logs()) {
    if (known.log() == checkpoint.log()) {
      known = std::move(checkpoint);
      return;
    }
  }
  if (checkpoint_.logs_size() >= kLogsMax) checkpoint_.mutable_logs()->DeleteSubrange(0, 1);
  *checkpoint_.add_logs() = std::move(checkpoint);
}

absl::Time CheckpointKeeper::due() const {
  return dirty_ ? last_attempt_ + options_.interval_min : absl::InfiniteFuture();
}

absl::Status CheckpointKeeper::Store(absl::Time now) {
  if (!dirty_) return absl::OkStatus();
  last_attempt_ = now;
  options_.before_store();
  absl::Status stored = file_.Store(checkpoint_);
  dirty_ = !stored.ok();
  return stored;
}

}  // namespace mxtally
