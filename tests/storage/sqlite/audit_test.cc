// `mxtally-server check --database` and `backup`, below the command line.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "storage/open.h"
#include "tests/storage/records.h"
#include "tests/storage/store_fixture.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A database with two hosts' sessions, in a folder of its own.
class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    StoreOptions options;
    options.url = Url();
    store_ = *OpenStore(options);
    for (const std::string host : {"mx1", "mx2"}) Commit(host, 0, 50);
  }
  ~AuditTest() override {
    store_.reset();
    std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all);
  }

  std::string Url() const { return "sqlite:" + path_; }

  // Sessions number [first, first + count), two hours long and in many labels.
  void Commit(const std::string& host, int first, int count) {
    v1::SessionBatch batch =
        Batch(CutAt(first, "2026-11-02T10:00:00Z"), CutAt(first + count, "2026-11-02T11:00:00Z"));
    if (first == 0) batch.clear_start();
    for (int i = first; i < first + count; ++i) {
      *batch.add_sessions() =
          Session({.stamp = i % 2 == 0 ? "2026-11-02T10:00:00Z" : "2026-11-02T11:00:00Z",
                   .tag = absl::StrCat("postfix/smtpd[", i, "]"),
                   .cipher = absl::StrCat("CIPHER-", i % 7)});
    }
    const HostBatch host_batch = {.host = host, .batch = &batch};
    ASSERT_TRUE(store_->Commit({&host_batch, 1}).ok());
  }

  void Close() { store_.reset(); }

  // Runs SQL on the file behind the store's back.
  void Tamper(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(db);
  }

  std::vector<std::string> Findings(const std::string& path) const {
    const absl::StatusOr<std::vector<std::string>> findings = AuditStore("sqlite:" + path);
    EXPECT_TRUE(findings.ok()) << findings.status();
    return findings.ok() ? *findings : std::vector<std::string>{"failed"};
  }
  std::vector<std::string> Findings() const { return Findings(path_); }

  absl::Status BackUp(const std::string& to) const { return BackUpStore(Url(), to, {}); }

  int64_t Sessions(const std::string& path) const {
    const absl::StatusOr<std::unique_ptr<Store>> store = OpenStore({.url = "sqlite:" + path});
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? Total(*(*store)->QueryStats(Always(), {})).sessions : -1;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "mxtally.db";
  const std::string copy_ = folder_ / "copy.db";
  std::unique_ptr<Store> store_;
};

// ---- Audit

TEST_F(AuditTest, WholeDatabaseHasNoFindingsOpenOrClosed) {
  EXPECT_THAT(Findings(), IsEmpty());
  Close();
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(AuditTest, AuditChangesNothing) {
  Close();
  std::ifstream before(path_, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(before), {}};
  Findings();
  std::ifstream after(path_, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(after), {}), bytes);
}

TEST_F(AuditTest, EveryKindOfWrongRowIsFound) {
  struct Case {
    const char* sql;
    const char* finding;
  };
  for (const Case& c : {
           Case{"UPDATE rollup_host_hour SET sessions = sessions + 1", "host_hour, host mx1"},
           Case{"UPDATE rollup_host_day SET messages = messages + 1", "host_day, host mx1"},
           Case{"UPDATE rollup_host_day_narrow SET tls_messages = 0", "host_day_narrow, host mx1"},
           Case{"DELETE FROM rollup_host_week_narrow", "host_week_narrow, host mx1"},
           Case{"UPDATE rollup_fleet_hour SET sessions = 0", "fleet_hour, writer 1"},
           Case{"DELETE FROM rollup_fleet_hour_narrow", "fleet_hour_narrow, writer 1"},
           Case{"DELETE FROM rollup_fleet_day", "fleet_day, writer 1"},
           Case{"INSERT INTO exception_week VALUES (1, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)",
                "exception_week: rows that differ from a recount: 1"},
           Case{"DELETE FROM session WHERE tag = 'postfix/smtpd[3]'", "host_hour, host mx1"},
           Case{"UPDATE host_hour SET sessions = sessions + 1", "counters by hour"},
           Case{"DELETE FROM label_set WHERE label_set_id = (SELECT max(label_set_id) FROM "
                "label_set)",
                "session: (label_set_id) names rows that label_set does not have: 1"},
           Case{"DELETE FROM host WHERE name = 'mx2'",
                "session: (host_id) names rows that host does not have: 1, the first is (2)"},
           Case{"DELETE FROM log WHERE host_id = 1",
                "coverage: (host_id, log_id) names rows that log does not have: 1, the first is "
                "(1, 1)"},
           Case{"UPDATE log SET collector_host_id = 4711, collector_log_id = 1",
                "log: rows that name a collector's log which is not there: 2"},
           Case{"UPDATE label_set SET narrow_id = 4711", "label_set: (narrow_id) names rows"},
           Case{"INSERT INTO coverage SELECT host_id, log_id, start_ns - 1, end_ns FROM coverage",
                "coverage: intervals that overlap the one before: 2"},
           Case{"UPDATE coverage SET end_ns = start_ns - 1",
                "coverage: intervals that end before they start: 2"},
           Case{"UPDATE session SET tls_messages = 7 WHERE tag = 'postfix/smtpd[3]'",
                "session: more messages over TLS than messages"},
           Case{"DELETE FROM database_identity", "database_identity: expected 1 row, found 0"},
       }) {
    Close();
    std::filesystem::copy_file(path_, copy_, std::filesystem::copy_options::overwrite_existing);
    Tamper(c.sql);
    EXPECT_THAT(Findings(), testing::Contains(HasSubstr(c.finding))) << c.sql;
    std::filesystem::rename(copy_, path_);
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  }
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(AuditTest, DamagedPagesAreFound) {
  Close();
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  for (int page = 4; page < 24; page += 2) {
    file.seekp(page * 4096 + 1);
    file << std::string(64, '\x5a');
  }
  file.close();
  EXPECT_THAT(Findings(), Not(IsEmpty()));
}

TEST_F(AuditTest, WhatIsNoDatabaseOfThisReleaseIsRefused) {
  EXPECT_TRUE(absl::IsNotFound(AuditStore("sqlite:" + folder_ / "none.db").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(AuditStore("sqlite:" + folder_.path()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AuditStore("mysql:x").status()));
  Close();
  Tamper("PRAGMA user_version = 999");
  EXPECT_THAT(std::string(AuditStore(Url()).status().message()),
              HasSubstr(path_ + ": made by a newer release: its schema has version 999"));
  Tamper("PRAGMA user_version = 0");
  EXPECT_THAT(std::string(AuditStore(Url()).status().message()),
              HasSubstr("made by an older release: its schema has version 0"));
  Tamper("PRAGMA application_id = 1");
  EXPECT_THAT(std::string(AuditStore(Url()).status().message()), HasSubstr("not a mxtally"));
}

TEST_F(AuditTest, DatabaseHeldByAnotherProgramIsUnavailable) {
  Close();
  sqlite3* holder = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &holder), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(holder, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  const absl::Status status = AuditStore(Url()).status();
  sqlite3_close(holder);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("locked"));
}

TEST_F(AuditTest, CopyOnAReadOnlyMediumIsLookedAt) {
  ASSERT_TRUE(BackUp(copy_).ok());
  Close();
  std::filesystem::remove(path_);
  // Root may write everywhere, so look with somebody else's rights.
  namespace fs = std::filesystem;
  fs::permissions(copy_, static_cast<fs::perms>(0444));
  fs::permissions(folder_.path(), static_cast<fs::perms>(0555));
  const bool root = geteuid() == 0;
  ASSERT_TRUE(!root || seteuid(65534) == 0);
  const std::vector<std::string> findings = Findings(copy_);
  ASSERT_TRUE(!root || seteuid(0) == 0);
  EXPECT_THAT(findings, IsEmpty());
}

// ---- Backup

TEST_F(AuditTest, BackupHoldsWhatTheDatabaseHoldsAlsoWhatIsInTheWal) {
  ASSERT_GT(std::filesystem::file_size(path_ + "-wal"), 0U);
  double last = 0;
  ASSERT_TRUE(BackUpStore(Url(), copy_, [&last](double part) {
                EXPECT_GE(part, last);
                last = part;
              }).ok());
  EXPECT_EQ(last, 1);
  EXPECT_THAT(Findings(copy_), IsEmpty());
  EXPECT_EQ(Sessions(copy_), 100);
  struct stat info = {};
  ASSERT_EQ(stat(copy_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640U);
}

TEST_F(AuditTest, BackupIsTheSameDatabaseToAgents) {
  const std::string id = store_->database_id();
  ASSERT_TRUE(BackUp(copy_).ok());
  EXPECT_EQ((*OpenStore({.url = "sqlite:" + copy_}))->database_id(), id);
}

TEST_F(AuditTest, BackupReplacesNothing) {
  std::ofstream(copy_) << "precious";
  const absl::Status status = BackUp(copy_);
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_EQ(std::filesystem::file_size(copy_), 8U);
  std::filesystem::create_symlink("nowhere", folder_ / "link");
  EXPECT_TRUE(absl::IsAlreadyExists(BackUp(folder_ / "link")));
}

TEST_F(AuditTest, BackupThatWasKilledDoesNotStopTheNextOne) {
  std::ofstream(copy_ + ".partial") << std::string(1 << 20, 'x');
  ASSERT_TRUE(BackUp(copy_).ok());
  EXPECT_THAT(Findings(copy_), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(copy_ + ".partial"));
}

TEST_F(AuditTest, BackupThatFailsLeavesNothing) {
  EXPECT_FALSE(BackUp(folder_ / "no/such/folder.db").ok());
  EXPECT_TRUE(absl::IsNotFound(BackUpStore("sqlite:" + folder_ / "none.db", copy_, {})));
  EXPECT_FALSE(std::filesystem::exists(copy_));
  EXPECT_FALSE(std::filesystem::exists(copy_ + ".partial"));
}

TEST_F(AuditTest, SecondBackupToTheSamePlaceIsRefused) {
  std::ofstream(copy_ + ".partial") << "";
  const int running = open((copy_ + ".partial").c_str(), O_RDWR);
  ASSERT_EQ(flock(running, LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(BackUp(copy_)));
  EXPECT_TRUE(std::filesystem::exists(copy_ + ".partial"));
  close(running);
}

TEST_F(AuditTest, BackupsAndAuditsWhileTheServerWritesAreWhole) {
  std::atomic<bool> stop = false;
  std::atomic<int> committed = 50;
  std::thread writer([&] {
    while (!stop) {
      Commit("mx1", committed, 20);
      committed += 20;
    }
  });
  for (int i = 0; i < 5; ++i) {
    const std::string to = absl::StrCat(copy_, i);
    const int before = committed;
    EXPECT_TRUE(BackUp(to).ok());
    EXPECT_THAT(Findings(), IsEmpty());
    EXPECT_THAT(Findings(to), IsEmpty());
    const int64_t sessions = Sessions(to);
    EXPECT_GE(sessions, before + 50);
    // It wrote on all the while.
    while (committed == before) std::this_thread::yield();
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace mxtally
