#include "tests/storage/store_fixture.h"

#include <deque>

#include "absl/strings/str_cat.h"
#include "storage/open.h"
#include "tests/temporary_folder.h"

namespace mxtally {

std::string NewSqlitePath() {
  static std::deque<TemporaryFolder> folders;
  return folders.emplace_back() / "mxtally.db";
}

std::vector<Backend> Backends() {
  return {{"sqlite", [] { return absl::StrCat("sqlite:", NewSqlitePath()); }}};
}

void StoreTest::SetUp() {
  options_.url = GetParam().new_url();
  options_.now = [this] { return now_; };
  Reopen();
}

void StoreTest::Reopen() {
  store_.reset();
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(options_);
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
}

BatchOutcome StoreTest::Commit(const v1::SessionBatch& batch, const std::string& host) {
  return Commit(HostBatch{.host = host, .batch = &batch});
}

BatchOutcome StoreTest::Commit(const HostBatch& host_batch) {
  absl::StatusOr<std::vector<BatchOutcome>> outcomes = store_->Commit({&host_batch, 1});
  EXPECT_TRUE(outcomes.ok()) << outcomes.status();
  if (!outcomes.ok()) return {};
  EXPECT_EQ(outcomes->size(), 1u);
  return outcomes->at(0);
}

BatchOutcome StoreTest::CommitSessions(std::initializer_list<SessionSpec> sessions,
                                       const std::string& host) {
  offset_ += 1000;
  return Commit(FirstBatch(CutAt(offset_, "2026-11-02T10:00:00Z"), sessions), host);
}

void StoreTest::Touch(const HostSighting& sighting) {
  const absl::Status status = store_->Touch({&sighting, 1});
  EXPECT_TRUE(status.ok()) << status;
}

StatsResult StoreTest::Query(const StatsQuery& query) const {
  absl::StatusOr<StatsResult> result = store_->QueryStats(query, {});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.value_or(StatsResult());
}

HostCoverage StoreTest::Coverage(const std::string& start, const std::string& end,
                                 const std::string& host) const {
  absl::StatusOr<std::vector<HostCoverage>> coverage =
      store_->QueryCoverage({host}, At(start), At(end), {});
  EXPECT_TRUE(coverage.ok()) << coverage.status();
  if (!coverage.ok() || coverage->size() != 1) {
    ADD_FAILURE() << "no coverage of " << host;
    return {};
  }
  return coverage->at(0);
}

v1::Host StoreTest::Host(const std::string& host) const {
  absl::StatusOr<std::vector<v1::Host>> hosts = store_->ListHosts({host}, {});
  EXPECT_TRUE(hosts.ok()) << hosts.status();
  if (!hosts.ok() || hosts->size() != 1) {
    ADD_FAILURE() << "no host " << host;
    return {};
  }
  return hosts->at(0);
}

std::vector<v1::StoredCut> StoreTest::Cuts(const std::string& host) const {
  absl::StatusOr<std::vector<v1::StoredCut>> cuts = store_->StoredCuts(host);
  EXPECT_TRUE(cuts.ok()) << cuts.status();
  return cuts.value_or(std::vector<v1::StoredCut>());
}

Measures StoreTest::Counted() const {
  const absl::Status verified = store_->VerifyRollups({});
  EXPECT_TRUE(verified.ok()) << verified;
  return Total(Query(Always()));
}

}  // namespace mxtally
