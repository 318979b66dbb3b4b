// A store that answers what a test says.  Nothing can be written to it.

#ifndef MXTALLY_TESTS_SERVER_SUPPORT_FAKE_STORE_H_
#define MXTALLY_TESTS_SERVER_SUPPORT_FAKE_STORE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/store.h"

namespace mxtally {

// Thread-safe as far as its functions are.
class FakeStore final : public Store {
 public:
  std::function<absl::StatusOr<StatsResult>(const StatsQuery&, const QueryGuard&)> query_stats =
      [](const StatsQuery&, const QueryGuard&) { return StatsResult(); };
  std::optional<absl::Time> newest_hour;
  std::vector<HostCoverage> coverage;
  std::vector<v1::Host> hosts;
  std::vector<absl::CivilDay> sealed_days;
  KeptSince kept;

  const std::string& database_id() const override { return database_id_; }
  absl::StatusOr<std::vector<BatchOutcome>> Commit(absl::Span<const HostBatch>) override {
    return absl::UnimplementedError("read only");
  }
  absl::Status Touch(absl::Span<const HostSighting>) override {
    return absl::UnimplementedError("read only");
  }
  absl::StatusOr<std::vector<v1::StoredCut>> StoredCuts(const std::string&) const override {
    return std::vector<v1::StoredCut>();
  }
  absl::StatusOr<StatsResult> QueryStats(const StatsQuery& query,
                                         const QueryGuard& guard) const override {
    return query_stats(query, guard);
  }
  absl::StatusOr<std::optional<absl::Time>> NewestHour(const std::vector<std::string>&,
                                                       const LabelFilter&,
                                                       const QueryGuard&) const override {
    return newest_hour;
  }
  absl::StatusOr<std::vector<HostCoverage>> QueryCoverage(const std::vector<std::string>&,
                                                          absl::Time, absl::Time,
                                                          const QueryGuard&) const override {
    return coverage;
  }
  absl::StatusOr<std::vector<v1::Host>> ListHosts(const std::vector<std::string>&,
                                                  const QueryGuard&) const override {
    return hosts;
  }
  absl::Status ExpectHosts(absl::Span<const std::string>) override {
    return absl::UnimplementedError("read only");
  }
  absl::StatusOr<absl::Time> RetireHost(const std::string&, absl::Time) override {
    return absl::UnimplementedError("read only");
  }
  absl::StatusOr<bool> Maintain(absl::Duration) override { return false; }
  absl::Status ReopenDay(const std::string&, absl::CivilDay) override {
    return absl::UnimplementedError("read only");
  }
  absl::StatusOr<v1::SourceKind> SourceKindOf(const std::string&) const override {
    return v1::SOURCE_KIND_UNSPECIFIED;
  }
  absl::StatusOr<std::vector<absl::CivilDay>> SealedDays(const std::string&,
                                                         const QueryGuard&) const override {
    return sealed_days;
  }
  KeptSince kept_since() const override { return kept; }
  absl::Status VerifyRollups(const QueryGuard& guard) const override { return guard(); }
  std::vector<std::pair<std::string, double>> Gauges() const override { return {}; }

 private:
  const std::string database_id_ = "fake";
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_SERVER_SUPPORT_FAKE_STORE_H_
