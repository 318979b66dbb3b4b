// A store in memory that can be stopped, and that can fail.

#ifndef MXTALLY_TESTS_SERVER_INGEST_FAKE_STORE_H_
#define MXTALLY_TESTS_SERVER_INGEST_FAKE_STORE_H_

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"

namespace mxtally {

// Thread-safe.
class FakeStore final : public Store {
 public:
  // Commits wait until Resume().
  void Pause();
  // Waits until a commit has come and is waiting.
  void AwaitPausedCommit();
  void Resume();

  // The next commit fails, or every commit that holds a batch of `host`.
  void FailNextCommit(absl::Status status);
  void FailCommitsOf(const std::string& host, absl::Status status);
  void FailReads(absl::Status status);

  // Sizes, in batches, of the commits so far.
  std::vector<int> commits() const;
  std::vector<v1::SessionRecord> sessions() const;
  std::vector<std::vector<HostSighting>> touches() const;
  std::vector<RejectedCount> rejected() const;

  // The next calls of Maintain() say that there is more to do.
  void AddMaintenance(int bites);
  // Waits until Maintain() has said that nothing is left.
  void AwaitMaintained();
  int bites() const;

  const std::string& database_id() const override { return database_id_; }
  absl::StatusOr<std::vector<BatchOutcome>> Commit(absl::Span<const HostBatch> batches) override;
  absl::Status Touch(absl::Span<const HostSighting> sightings) override;
  absl::StatusOr<std::vector<v1::StoredCut>> StoredCuts(const std::string& host) const override;

  // Not asked by ingest.
  absl::StatusOr<StatsResult> QueryStats(const StatsQuery&, const QueryGuard&) const override;
  absl::StatusOr<std::optional<absl::Time>> NewestHour(const std::vector<std::string>&,
                                                       const LabelFilter&,
                                                       const QueryGuard&) const override;
  absl::StatusOr<std::vector<HostCoverage>> QueryCoverage(const std::vector<std::string>&,
                                                          absl::Time, absl::Time,
                                                          const QueryGuard&) const override;
  absl::StatusOr<std::vector<v1::Host>> ListHosts(const std::vector<std::string>&,
                                                  const QueryGuard&) const override;
  absl::Status ExpectHosts(absl::Span<const std::string>) override { return absl::OkStatus(); }
  absl::StatusOr<absl::Time> RetireHost(const std::string&, absl::Time time) override {
    return time;
  }
  absl::StatusOr<bool> Maintain(absl::Duration budget) override;
  absl::Status ReopenDay(const std::string&, absl::CivilDay) override { return absl::OkStatus(); }
  absl::StatusOr<v1::SourceKind> SourceKindOf(const std::string& host) const override;
  absl::StatusOr<std::vector<absl::CivilDay>> SealedDays(const std::string&,
                                                         const QueryGuard&) const override {
    return std::vector<absl::CivilDay>();
  }
  KeptSince kept_since() const override { return {}; }
  absl::Status VerifyRollups(const QueryGuard&) const override;
  std::vector<std::pair<std::string, double>> Gauges() const override;

 private:
  BatchOutcome Apply(const HostBatch& batch);

  const std::string database_id_ = "fake-1";

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool paused_ = false;
  bool waiting_ = false;
  absl::Status next_failure_;
  std::map<std::string, absl::Status> failures_;
  absl::Status read_failure_;
  std::vector<int> commits_;
  std::map<std::string, v1::SessionRecord> sessions_;           // By key.
  std::map<std::string, std::map<std::string, v1::Cut>> cuts_;  // By host and log.
  std::vector<std::vector<HostSighting>> touches_;
  std::vector<RejectedCount> rejected_;
  std::map<std::string, v1::SourceKind> source_kinds_;
  int bites_left_ = 0;
  int bites_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_SERVER_INGEST_FAKE_STORE_H_
