// A store of each backend, empty, with a clock.  What a test expects to go well
// is checked here.

#ifndef MXTALLY_TESTS_STORAGE_STORE_FIXTURE_H_
#define MXTALLY_TESTS_STORAGE_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "storage/store.h"
#include "tests/storage/records.h"

namespace mxtally {

// Makes the URL of a database that does not exist yet.
struct Backend {
  std::string name;
  std::string (*new_url)();
};

std::vector<Backend> Backends();
std::string NewSqlitePath();

class StoreTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override;

  void Reopen();

  // One batch in a transaction of its own.
  BatchOutcome Commit(const v1::SessionBatch& batch, const std::string& host = "mx1");
  BatchOutcome Commit(const HostBatch& host_batch);
  // Sessions alone, each call continuing the same log.
  BatchOutcome CommitSessions(std::initializer_list<SessionSpec> sessions,
                              const std::string& host = "mx1");
  void Touch(const HostSighting& sighting);

  StatsResult Query(const StatsQuery& query) const;
  HostCoverage Coverage(const std::string& start, const std::string& end,
                        const std::string& host = "mx1") const;
  v1::Host Host(const std::string& host = "mx1") const;
  std::vector<v1::StoredCut> Cuts(const std::string& host = "mx1") const;
  // Sums up and checks every rollup.
  Measures Counted() const;

  StoreOptions options_;
  absl::Time now_ = At("2026-11-03T00:00:00Z");
  std::unique_ptr<Store> store_;
  int64_t offset_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_STORAGE_STORE_FIXTURE_H_
