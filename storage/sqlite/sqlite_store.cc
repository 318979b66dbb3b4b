#include "storage/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/inventory.h"
#include "storage/sqlite/reader_pool.h"
#include "storage/sqlite/schema.h"
#include "storage/sqlite/stats_query.h"
#include "storage/sqlite/verify.h"
#include "storage/sqlite/writer.h"

namespace mxtally {

namespace {

using sqlite::Connection;
using sqlite::Reader;
using sqlite::ReaderPool;
using sqlite::Statement;
using sqlite::Writer;

// Peers' addresses are nobody else's business.  SQLite gives the files beside
// the database its mode.
constexpr mode_t kFileMode = 0640;

// Held while the database is open, so that no second server writes to it.
class FileLock {
 public:
  static absl::StatusOr<FileLock> Take(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
    if (fd < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": ", absl::ErrnoToStatus(errno, "open").message()));
    }
    FileLock lock(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": another server has this database open"));
    }
    return lock;
  }
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock() {
    if (fd_ >= 0) close(fd_);
  }

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

double FileBytes(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? static_cast<double>(info.st_size) : 0;
}

class SqliteStore : public Store {
 public:
  SqliteStore(std::string path, FileLock lock, std::string database_id,
              std::unique_ptr<Connection> db, const StoreOptions& options)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        database_id_(std::move(database_id)),
        stats_rows_max_(options.stats_rows_max),
        writer_(std::move(db), options),
        readers_(path_, options.readers_max) {}

  const std::string& database_id() const override { return database_id_; }

  absl::StatusOr<std::vector<BatchOutcome>> Commit(absl::Span<const HostBatch> batches) override {
    return writer_.Commit(batches);
  }
  absl::Status Touch(absl::Span<const HostSighting> sightings) override {
    return writer_.Touch(sightings);
  }
  absl::Status ExpectHosts(absl::Span<const std::string> hosts) override {
    return writer_.ExpectHosts(hosts);
  }
  absl::StatusOr<absl::Time> RetireHost(const std::string& host, absl::Time time) override {
    return writer_.RetireHost(host, time);
  }
  absl::StatusOr<bool> Maintain(absl::Duration budget) override { return writer_.Maintain(budget); }
  absl::Status ReopenDay(const std::string& host, absl::CivilDay day) override {
    return writer_.ReopenDay(host, day);
  }

  absl::StatusOr<std::vector<v1::StoredCut>> StoredCuts(const std::string& host) const override {
    return Read({}, [&](Connection& db) { return sqlite::StoredCuts(db, host); });
  }
  absl::StatusOr<StatsResult> QueryStats(const StatsQuery& query,
                                         const QueryGuard& guard) const override {
    return Read(guard,
                [&](Connection& db) { return sqlite::QueryStats(db, query, stats_rows_max_); });
  }
  absl::StatusOr<std::optional<absl::Time>> NewestHour(const std::vector<std::string>& hosts,
                                                       const LabelFilter& filter,
                                                       const QueryGuard& guard) const override {
    return Read(guard, [&](Connection& db) { return sqlite::NewestHour(db, hosts, filter); });
  }
  absl::StatusOr<std::vector<HostCoverage>> QueryCoverage(const std::vector<std::string>& hosts,
                                                          absl::Time start, absl::Time end,
                                                          const QueryGuard& guard) const override {
    return Read(guard,
                [&](Connection& db) { return sqlite::QueryCoverage(db, hosts, start, end); });
  }
  absl::StatusOr<std::vector<v1::Host>> ListHosts(const std::vector<std::string>& hosts,
                                                  const QueryGuard& guard) const override {
    return Read(guard, [&](Connection& db) { return sqlite::ListHosts(db, hosts); });
  }
  absl::StatusOr<v1::SourceKind> SourceKindOf(const std::string& host) const override {
    return Read({}, [&](Connection& db) { return sqlite::SourceKindOf(db, host); });
  }
  absl::StatusOr<std::vector<absl::CivilDay>> SealedDays(const std::string& host,
                                                         const QueryGuard& guard) const override {
    return Read(guard, [&](Connection& db) { return sqlite::SealedDays(db, host); });
  }
  KeptSince kept_since() const override { return writer_.kept_since(); }
  absl::Status VerifyRollups(const QueryGuard& guard) const override {
    return Read(guard, [](Connection& db) { return sqlite::VerifyRollups(db); });
  }

  std::vector<std::pair<std::string, double>> Gauges() const override {
    std::vector<std::pair<std::string, double>> gauges = writer_.RetentionGauges();
    gauges.insert(gauges.end(),
                  {{"database_bytes", FileBytes(path_)},
                   {"wal_bytes", FileBytes(absl::StrCat(path_, "-wal"))},
                   {"wal_checkpoints_failed", static_cast<double>(writer_.checkpoints_failed())},
                   {"readers_busy", readers_.lent()}});
    return gauges;
  }

 private:
  // What `query` answers on a reader's connection.
  template <typename Query>
  auto Read(const QueryGuard& guard, const Query& query) const
      -> decltype(query(std::declval<Connection&>())) {
    absl::StatusOr<Reader> reader = readers_.Borrow(guard);
    if (!reader.ok()) return reader.status();
    return query(reader->db());
  }

  const std::string path_;
  const FileLock lock_;
  const std::string database_id_;
  const int stats_rows_max_;
  Writer writer_;
  // Closed before the writer, which then moves the WAL into the database.
  mutable ReaderPool readers_;
};

std::string ReadDatabaseId(Connection& db) {
  Statement select(db, "SELECT database_id FROM database_identity");
  select.Query();
  return select.Step() ? std::string(select.Text(0)) : "";
}

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

void CreatePrivately(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (fd >= 0) close(fd);  // Else opening tells what is wrong.
}

// A file that is no database at all is another program's, not a damaged one.
bool IsForeignFile(const std::string& path) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char head[kMagic.size()];
  const ssize_t size = read(fd, head, sizeof(head));
  close(fd);
  return size > 0 && std::string_view(head, static_cast<size_t>(size)) != kMagic;
}

// Settings of the writing connection.  Those of the file come first.
constexpr char kPragmas[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA cache_size = -65536;"
    "PRAGMA temp_store = MEMORY;";

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                                       const StoreOptions& options) {
  if (IsForeignFile(path)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a mxtally database"));
  }
  absl::StatusOr<FileLock> lock = FileLock::Take(absl::StrCat(path, ".lock"));
  if (!lock.ok()) return lock.status();
  CreatePrivately(path);
  absl::StatusOr<std::unique_ptr<Connection>> opened =
      Connection::Open(path, Connection::kReadWrite);
  if (!opened.ok()) return opened.status();
  Connection& db = **opened;
  sqlite3_busy_timeout(db.handle(), 250);
  // SQLite opens what it may not write read-only, and nothing could be stored.
  if (sqlite3_db_readonly(db.handle(), "main") == 1) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": expected a file that may be written, found a read-only one"));
  }
  if (absl::Status s = sqlite::CheckVersion(db); !s.ok()) return WithPath(path, s);
  db.Exec(kPragmas);
  if (absl::Status s = sqlite::Migrate(db, options.now()); !s.ok()) return WithPath(path, s);
  std::string database_id = ReadDatabaseId(db);
  if (!db.ok()) return WithPath(path, db.TakeStatus());
  return std::make_unique<SqliteStore>(path, *std::move(lock), std::move(database_id),
                                       *std::move(opened), options);
}

}  // namespace mxtally
