#include "tests/server/ingest/fake_store.h"

namespace mxtally {

void FakeStore::Pause() {
  std::lock_guard lock(mutex_);
  paused_ = true;
}

void FakeStore::AwaitPausedCommit() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_; });
}

void FakeStore::Resume() {
  std::lock_guard lock(mutex_);
  paused_ = false;
  changed_.notify_all();
}

void FakeStore::FailNextCommit(absl::Status status) {
  std::lock_guard lock(mutex_);
  next_failure_ = std::move(status);
}

void FakeStore::FailCommitsOf(const std::string& host, absl::Status status) {
  std::lock_guard lock(mutex_);
  failures_[host] = std::move(status);
}

void FakeStore::FailReads(absl::Status status) {
  std::lock_guard lock(mutex_);
  read_failure_ = std::move(status);
}

std::vector<int> FakeStore::commits() const {
  std::lock_guard lock(mutex_);
  return commits_;
}

std::vector<v1::SessionRecord> FakeStore::sessions() const {
  std::lock_guard lock(mutex_);
  std::vector<v1::SessionRecord> sessions;
  for (const auto& [key, record] : sessions_) sessions.push_back(record);
  return sessions;
}

std::vector<std::vector<HostSighting>> FakeStore::touches() const {
  std::lock_guard lock(mutex_);
  return touches_;
}

std::vector<RejectedCount> FakeStore::rejected() const {
  std::lock_guard lock(mutex_);
  return rejected_;
}

absl::StatusOr<std::vector<BatchOutcome>> FakeStore::Commit(absl::Span<const HostBatch> batches) {
  std::unique_lock lock(mutex_);
  if (paused_) {
    waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !paused_; });
    waiting_ = false;
  }
  if (!next_failure_.ok()) return std::exchange(next_failure_, absl::OkStatus());
  for (const HostBatch& batch : batches) {
    const auto failure = failures_.find(batch.host);
    if (failure != failures_.end()) return failure->second;
  }
  commits_.push_back(static_cast<int>(batches.size()));
  std::vector<BatchOutcome> outcomes;
  for (const HostBatch& batch : batches) outcomes.push_back(Apply(batch));
  return outcomes;
}

BatchOutcome FakeStore::Apply(const HostBatch& batch) {
  BatchOutcome outcome;
  for (int i = 0; i < batch.batch->sessions_size(); ++i) {
    v1::SessionRecord record = batch.batch->sessions(i);
    // Both forms say the same, or tests miss what they sent.
    if (!batch.serialized.empty()) record.ParseFromString(std::string(batch.serialized.at(i)));
    const bool inserted = sessions_.emplace(record.key().SerializeAsString(), record).second;
    ++(inserted ? outcome.inserted : outcome.duplicates);
  }
  cuts_[batch.host][batch.batch->log()] = batch.batch->end();
  rejected_.insert(rejected_.end(), batch.rejected.begin(), batch.rejected.end());
  return outcome;
}

absl::Status FakeStore::Touch(absl::Span<const HostSighting> sightings) {
  std::lock_guard lock(mutex_);
  touches_.emplace_back(sightings.begin(), sightings.end());
  for (const HostSighting& sighting : sightings) {
    source_kinds_.emplace(sighting.host, sighting.source_kind);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::StoredCut>> FakeStore::StoredCuts(const std::string& host) const {
  std::lock_guard lock(mutex_);
  if (!read_failure_.ok()) return read_failure_;
  std::vector<v1::StoredCut> cuts;
  const auto known = cuts_.find(host);
  if (known == cuts_.end()) return cuts;
  for (const auto& [log, cut] : known->second) {
    v1::StoredCut& stored = cuts.emplace_back();
    stored.set_log(log);
    *stored.mutable_cut() = cut;
  }
  return cuts;
}

void FakeStore::AddMaintenance(int bites) {
  std::lock_guard lock(mutex_);
  bites_left_ += bites;
}

void FakeStore::AwaitMaintained() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return bites_ > 0 && bites_left_ == 0; });
}

int FakeStore::bites() const {
  std::lock_guard lock(mutex_);
  return bites_;
}

absl::StatusOr<bool> FakeStore::Maintain(absl::Duration) {
  std::lock_guard lock(mutex_);
  ++bites_;
  if (bites_left_ > 0) --bites_left_;
  changed_.notify_all();
  return bites_left_ > 0;
}

absl::StatusOr<v1::SourceKind> FakeStore::SourceKindOf(const std::string& host) const {
  std::lock_guard lock(mutex_);
  if (!read_failure_.ok()) return read_failure_;
  const auto known = source_kinds_.find(host);
  return known == source_kinds_.end() ? v1::SOURCE_KIND_UNSPECIFIED : known->second;
}

absl::StatusOr<StatsResult> FakeStore::QueryStats(const StatsQuery&, const QueryGuard&) const {
  return StatsResult();
}

absl::StatusOr<std::optional<absl::Time>> FakeStore::NewestHour(const std::vector<std::string>&,
                                                                const LabelFilter&,
                                                                const QueryGuard&) const {
  return std::optional<absl::Time>();
}

absl::StatusOr<std::vector<HostCoverage>> FakeStore::QueryCoverage(const std::vector<std::string>&,
                                                                   absl::Time, absl::Time,
                                                                   const QueryGuard&) const {
  return std::vector<HostCoverage>();
}

absl::StatusOr<std::vector<v1::Host>> FakeStore::ListHosts(const std::vector<std::string>&,
                                                           const QueryGuard&) const {
  return std::vector<v1::Host>();
}

absl::Status FakeStore::VerifyRollups(const QueryGuard&) const { return absl::OkStatus(); }

std::vector<std::pair<std::string, double>> FakeStore::Gauges() const { return {}; }

}  // namespace mxtally
