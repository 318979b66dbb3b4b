// What only the SQLite backend promises: its file, crashes, and a full disk.

#include "storage/sqlite/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "storage/open.h"
#include "tests/storage/records.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::HasSubstr;

class SqliteStoreTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Store>> Open() const { return OpenSqliteStore(path_, {}); }

  void Reopen() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Runs SQL on the file behind the store's back.
  void Tamper(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(db);
  }

  std::string Bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Commits sessions number [first, first + count) and returns the status.
  static absl::Status Commit(Store& store, int first, int count) {
    v1::SessionBatch batch = FirstBatch(CutAt(first + count, "2026-11-02T10:00:00Z"));
    for (int i = first; i < first + count; ++i) {
      *batch.add_sessions() = Session({.tag = absl::StrCat("postfix/smtpd[", i, "]")});
    }
    const HostBatch host_batch = {.host = "mx1", .batch = &batch};
    return store.Commit({&host_batch, 1}).status();
  }

  static int64_t Sessions(const Store& store) {
    const absl::StatusOr<StatsResult> result = store.QueryStats(Always(), {});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? Total(*result).sessions : -1;
  }

  static double Gauge(const Store& store, const std::string& name) {
    for (const auto& [gauge, value] : store.Gauges()) {
      if (gauge == name) return value;
    }
    ADD_FAILURE() << "no gauge " << name;
    return 0;
  }

  const std::string path_ = NewSqlitePath();
  std::unique_ptr<Store> store_;
};

// --- The file ---

TEST_F(SqliteStoreTest, UrlNamesTheFile) {
  EXPECT_TRUE(OpenStore({.url = absl::StrCat("sqlite:", path_)}).ok());
  EXPECT_TRUE(std::filesystem::exists(path_));
  for (const char* url : {"", "sqlite:", "postgresql://x", "/var/lib/mxtally.db"}) {
    EXPECT_EQ(OpenStore({.url = url}).status().code(), absl::StatusCode::kInvalidArgument) << url;
  }
}

TEST_F(SqliteStoreTest, MissingFolderIsRefused) {
  EXPECT_EQ(OpenSqliteStore(path_ + "/no/such/folder.db", {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteStoreTest, DatabaseOfANewerReleaseIsRefusedAndUntouched) {
  Reopen();
  store_.reset();
  Tamper("PRAGMA user_version = 99");
  const std::string before = Bytes();
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("version 99"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("up to 5"));
  EXPECT_EQ(Bytes(), before);
}

TEST_F(SqliteStoreTest, DatabaseOfAnotherProgramIsRefusedAndUntouched) {
  Tamper("CREATE TABLE bookmark (url TEXT)");
  const std::string before = Bytes();
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Bytes(), before);
}

TEST_F(SqliteStoreTest, FileThatIsNoDatabaseIsRefusedAndUntouched) {
  std::ofstream(path_) << "Nov  2 10:00:00 mx1 postfix/smtpd[1]: connect from unknown[192.0.2.1]\n";
  const std::string before = Bytes();
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Bytes(), before);
}

TEST_F(SqliteStoreTest, EmptyFileBecomesADatabase) {
  std::ofstream file(path_);
  Reopen();
  EXPECT_TRUE(Commit(*store_, 0, 1).ok());
}

TEST_F(SqliteStoreTest, DamagedDatabaseIsDataLoss) {
  Reopen();
  ASSERT_TRUE(Commit(*store_, 0, 2000).ok());
  store_.reset();
  {
    // All but the first page, which holds the schema.
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(16384);
    for (auto size = std::filesystem::file_size(path_) - 16384; size > 0; --size) file.put('\x5a');
  }
  const absl::StatusOr<std::unique_ptr<Store>> store = Open();
  const absl::Status status = store.ok() ? (*store)->VerifyRollups({}) : store.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

TEST_F(SqliteStoreTest, SecondServerIsRefused) {
  Reopen();
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another server"));
  store_.reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(SqliteStoreTest, WalIsBoundedAndShown) {
  Reopen();
  // A hundred bytes a session at least: several times the first bound.
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(Commit(*store_, i * 4000, 4000).ok());
  EXPECT_GT(Gauge(*store_, "database_bytes"), 20e6);
  EXPECT_GT(Gauge(*store_, "wal_bytes"), 0);
  EXPECT_LT(Gauge(*store_, "wal_bytes"), 24e6);
  EXPECT_EQ(Gauge(*store_, "wal_checkpoints_failed"), 0);
}

TEST_F(SqliteStoreTest, ClosingMovesTheWalIntoTheDatabase) {
  Reopen();
  ASSERT_TRUE(Commit(*store_, 0, 10).ok());
  Sessions(*store_);
  store_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
}

TEST_F(SqliteStoreTest, FilesArePrivate) {
  Reopen();
  ASSERT_TRUE(Commit(*store_, 0, 10).ok());
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    const auto mode = std::filesystem::status(path_ + suffix).permissions();
    EXPECT_EQ(mode & std::filesystem::perms::others_all, std::filesystem::perms::none) << suffix;
  }
}

// --- Audit ---

TEST_F(SqliteStoreTest, AuditNamesTheFirstDifference) {
  const struct {
    const char* sql;
    const char* words;
  } kTampers[] = {
      {"UPDATE rollup_host_hour SET sessions = sessions + 1", "host_hour, host mx1, "},
      {"UPDATE rollup_host_day SET messages = 0", "host_day, host mx1, "},
      {"DELETE FROM rollup_host_day_narrow", "host_day_narrow, host mx1, "},
      {"UPDATE rollup_host_week_narrow SET sessions = 1", "host_week_narrow, host mx1, 2026-10-29"},
      {"UPDATE rollup_fleet_hour SET tls_messages = 7", "fleet_hour, writer 1, "},
      {"INSERT INTO rollup_fleet_day VALUES (1, 3, 1, 1, 1, 1)", "fleet_day, writer 1, 1970-01-04"},
      {"UPDATE host_hour SET folded = 1", "counters by hour, host mx1, 2026-11-02T10"},
      {"UPDATE host_day SET sessions = 1", "counters by day, host mx1, 2026-11-02"},
      {"DELETE FROM session WHERE tag LIKE '%[3]'", "host_hour, host mx1, 2026-11-02T10"},
  };
  for (const auto& tamper : kTampers) {
    std::filesystem::remove(path_);
    Reopen();
    ASSERT_TRUE(Commit(*store_, 0, 10).ok());
    ASSERT_TRUE(store_->VerifyRollups({}).ok());
    store_.reset();
    Tamper(tamper.sql);
    Reopen();
    const absl::Status status = store_->VerifyRollups({});
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << tamper.sql;
    EXPECT_THAT(std::string(status.message()), HasSubstr(tamper.words)) << tamper.sql;
  }
}

// --- Crashes ---

TEST_F(SqliteStoreTest, KilledServerKeepsWhatItCommitted) {
  Reopen();
  store_.reset();
  int acknowledged[2];
  ASSERT_EQ(pipe(acknowledged), 0);
  const pid_t child = fork();
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<Store>> store = Open();
    for (int i = 0; store.ok() && Commit(**store, i * 50, 50).ok(); ++i) {
      if (write(acknowledged[1], "+", 1) != 1) break;
    }
    _exit(1);
  }
  close(acknowledged[1]);
  char ack;
  int commits = 0;
  while (commits < 20 && read(acknowledged[0], &ack, 1) == 1) ++commits;
  ASSERT_EQ(commits, 20) << "the child failed";
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  while (read(acknowledged[0], &ack, 1) == 1) ++commits;
  close(acknowledged[0]);

  Reopen();
  // One more may be durable and not yet acknowledged; no commit is there in part.
  const int64_t sessions = Sessions(*store_);
  EXPECT_GE(sessions, commits * 50);
  EXPECT_LE(sessions, (commits + 1) * 50);
  EXPECT_EQ(sessions % 50, 0);
  EXPECT_EQ(store_->StoredCuts("mx1")->at(0).cut().offset(), sessions);
  EXPECT_TRUE(store_->VerifyRollups({}).ok());
}

// Files cannot grow while this lives.
class FullDisk {
 public:
  explicit FullDisk(rlim_t file_bytes_max) {
    getrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit full = {.rlim_cur = file_bytes_max, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(SqliteStoreTest, FullDiskChangesNothingAndPasses) {
  Reopen();
  ASSERT_TRUE(Commit(*store_, 0, 100).ok());
  // Less and less full, so that each write of the transaction fails once.
  auto file_bytes_max = static_cast<rlim_t>(Gauge(*store_, "wal_bytes"));
  int failures = 0;
  for (;; ++failures, file_bytes_max += 2048) {
    absl::Status status;
    {
      FullDisk full(file_bytes_max);
      status = Commit(*store_, 100, 150);
    }
    if (status.ok()) break;
    ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    ASSERT_EQ(Sessions(*store_), 100);
    ASSERT_EQ(store_->StoredCuts("mx1")->at(0).cut().offset(), 100);
    ASSERT_TRUE(store_->VerifyRollups({}).ok());
  }
  EXPECT_GT(failures, 5);
  // Nothing of the failed transactions was remembered.
  EXPECT_EQ(Sessions(*store_), 250);
  EXPECT_TRUE(store_->VerifyRollups({}).ok());
  Reopen();
  EXPECT_EQ(Sessions(*store_), 250);
}

TEST_F(SqliteStoreTest, RetentionOnAFullDiskFailsIsCountedAndGoesOn) {
  absl::Time now = At("2026-11-02T12:00:00Z");
  StoreOptions options;
  options.retention.sessions = absl::Hours(24);
  options.now = [&now] { return now; };
  absl::StatusOr<std::unique_ptr<Store>> opened = OpenSqliteStore(path_, options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  store_ = *std::move(opened);
  ASSERT_TRUE(Commit(*store_, 0, 100).ok());
  now += absl::Hours(24 * 10);
  {
    FullDisk full(static_cast<rlim_t>(Gauge(*store_, "wal_bytes")));
    EXPECT_FALSE(store_->Maintain(absl::Seconds(1)).ok());
  }
  EXPECT_EQ(Gauge(*store_, "retention_failures"), 1);
  EXPECT_EQ(Gauge(*store_, "retention_sessions_removed"), 0);
  EXPECT_EQ(Gauge(*store_, "retention_last_run_timestamp_seconds"), 0);
  const absl::StatusOr<bool> more = store_->Maintain(absl::Seconds(1));
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(Gauge(*store_, "retention_failures"), 1);
  EXPECT_EQ(Gauge(*store_, "retention_sessions_removed"), 100);
}

TEST_F(SqliteStoreTest, FullDiskBeforeTheFirstHostLeavesNoneBehind) {
  Reopen();
  {
    FullDisk full(static_cast<rlim_t>(Gauge(*store_, "wal_bytes")) + 4096);
    EXPECT_FALSE(Commit(*store_, 0, 1000).ok());
  }
  EXPECT_EQ(store_->ListHosts({}, {})->size(), 0u);
  ASSERT_TRUE(Commit(*store_, 0, 1000).ok());
  EXPECT_EQ(store_->ListHosts({}, {})->size(), 1u);
  EXPECT_EQ(Sessions(*store_), 1000);
  EXPECT_TRUE(store_->VerifyRollups({}).ok());
}

}  // namespace
}  // namespace mxtally
