#include "storage/sqlite/audit.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/sqlite/schema.h"
#include "storage/sqlite/verify.h"

namespace mxtally::sqlite {
namespace {

// Lines of PRAGMA integrity_check.  The first few tell what is to be known.
constexpr int kDefectsMax = 20;

// `columns` of each row of `table` name a row of `other`.
struct Reference {
  const char* table;
  const char* columns;
  const char* other;
  const char* other_columns;
};

constexpr Reference kReferences[] = {
    {"log", "host_id", "host", "host_id"},
    {"coverage", "host_id, log_id", "log", "host_id, log_id"},
    {"gap", "host_id, log_id", "log", "host_id, log_id"},
    {"log_hour", "host_id, log_id", "log", "host_id, log_id"},
    {"log_day", "host_id, log_id", "log", "host_id, log_id"},
    {"host_hour", "host_id", "host", "host_id"},
    {"host_day", "host_id", "host", "host_id"},
    {"label_set", "narrow_id", "label_set", "label_set_id"},
    {"session", "host_id", "host", "host_id"},
    {"session", "label_set_id", "label_set", "label_set_id"},
    {"rollup_host_hour", "host_id", "host", "host_id"},
    {"rollup_host_hour", "label_set_id", "label_set", "label_set_id"},
    {"rollup_host_day", "host_id", "host", "host_id"},
    {"rollup_host_day", "label_set_id", "label_set", "label_set_id"},
    {"rollup_host_day_narrow", "host_id", "host", "host_id"},
    {"rollup_host_day_narrow", "label_set_id", "label_set", "label_set_id"},
    {"rollup_host_week_narrow", "host_id", "host", "host_id"},
    {"rollup_host_week_narrow", "label_set_id", "label_set", "label_set_id"},
    {"rollup_fleet_hour", "label_set_id", "label_set", "label_set_id"},
    {"rollup_fleet_hour_narrow", "label_set_id", "label_set", "label_set_id"},
    {"rollup_fleet_day", "label_set_id", "label_set", "label_set_id"},
    {"exception_week", "host_id", "host", "host_id"},
};

class Audit {
 public:
  explicit Audit(Connection& db) : db_(db) {}

  absl::StatusOr<std::vector<std::string>> Run() {
    // All of it looks at one state.
    Transaction transaction(db_, Transaction::kRead);
    Structure();
    One("SELECT count(*) FROM database_identity HAVING count(*) <> 1",
        "database_identity: expected 1 row, found ");
    for (const Reference& reference : kReferences) References(reference);
    One("SELECT count(*) FROM log l WHERE l.collector_host_id IS NOT NULL AND NOT EXISTS (SELECT 1 "
        "FROM log own WHERE own.host_id = l.collector_host_id AND own.log_id = "
        "l.collector_log_id) HAVING count(*) > 0",
        "log: rows that name a collector's log which is not there: ");
    One("SELECT count(*) FROM coverage WHERE end_ns < start_ns HAVING count(*) > 0",
        "coverage: intervals that end before they start: ");
    One("SELECT count(*) FROM (SELECT start_ns, lag(end_ns) OVER (PARTITION BY host_id, log_id "
        "ORDER BY start_ns) AS end_before FROM coverage) WHERE start_ns <= end_before "
        "HAVING count(*) > 0",
        "coverage: intervals that overlap the one before: ");
    One("SELECT count(*) FROM session WHERE messages < tls_messages OR tls_messages < 0 "
        "HAVING count(*) > 0",
        "session: more messages over TLS than messages, or less than none: ");
    if (db_.ok()) Note(mxtally::sqlite::VerifyRollups(db_));
    if (!db_.ok()) Note(db_.TakeStatus());
    if (!failure_.ok()) return failure_;
    return std::move(findings_);
  }

 private:
  // Damage is a finding, anything else a failure of the audit.
  void Note(const absl::Status& status) {
    if (status.ok()) return;
    if (absl::IsDataLoss(status)) {
      findings_.emplace_back(status.message());
    } else {
      failure_ = status;
    }
  }

  void Structure() {
    Statement check(db_, absl::StrCat("PRAGMA integrity_check(", kDefectsMax, ")"));
    for (check.Query(); check.Step();) {
      const std::string line(check.Text(0));
      if (line != "ok") {
        findings_.push_back(absl::StrCat("structure: ", absl::StrReplaceAll(line, {{"\n", "; "}})));
      }
    }
  }

  void References(const Reference& r) {
    Statement orphans(db_, absl::StrCat("SELECT ", r.columns, ", count(*) OVER () FROM (SELECT ",
                                        r.columns, " FROM ", r.table, " EXCEPT SELECT ",
                                        r.other_columns, " FROM ", r.other, ") LIMIT 1"));
    const bool pair = std::string_view(r.columns).find(',') != std::string_view::npos;
    orphans.Query();
    if (!orphans.Step()) return;
    findings_.push_back(absl::StrCat(r.table, ": (", r.columns, ") names rows that ", r.other,
                                     " does not have: ", orphans.Int(pair ? 2 : 1),
                                     ", the first is (", orphans.Int(0),
                                     pair ? absl::StrCat(", ", orphans.Int(1)) : "", ")"));
    orphans.Reset();
  }

  // A finding if the query has a row.
  void One(const char* sql, const char* text) {
    Statement statement(db_, sql);
    statement.Query();
    if (!statement.Step()) return;
    findings_.push_back(absl::StrCat(text, statement.Int(0)));
    statement.Reset();
  }

  Connection& db_;
  std::vector<std::string> findings_;
  absl::Status failure_;
};

int64_t FileBytes(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Connection::Mode mode) {
  absl::StatusOr<std::unique_ptr<Connection>> db = Connection::Open(path, mode);
  if (!db.ok()) return db;
  sqlite3_busy_timeout((*db)->handle(), 1000);
  // Never a checkpoint from here; see sqlite_store.h.
  (*db)->Exec("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON; PRAGMA cache_size = -65536;");
  if (absl::Status s = CheckVersion(**db); !s.ok()) return s;
  Statement version(**db, "PRAGMA user_version");
  version.Query();
  if (version.Step() && version.Int(0) < SchemaVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat("made by an older release: its schema has version ", version.Int(0),
                     ", this release needs ", SchemaVersion(), "; a server brings it there"));
  }
  if (!(*db)->ok()) return (*db)->TakeStatus();
  return db;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> OpenForOneLook(const std::string& path) {
  const auto with_path = [&path](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  };
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": expected a file"));
  }
  absl::StatusOr<std::unique_ptr<Connection>> db = Open(path, Connection::kReadOnly);
  // Looking at a WAL needs a file beside it.  Where none can be made nobody
  // writes either; then what is in the database alone is the whole, if there
  // is no WAL.
  if (absl::IsFailedPrecondition(db.status()) && FileBytes(path + "-wal") == 0) {
    absl::StatusOr<std::unique_ptr<Connection>> immutable = Open(path, Connection::kImmutable);
    if (immutable.ok()) return immutable;
  }
  if (!db.ok()) return with_path(db.status());
  return db;
}

absl::StatusOr<std::vector<std::string>> AuditSqlite(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Connection>> db = OpenForOneLook(path);
  if (absl::IsDataLoss(db.status())) return std::vector{std::string(db.status().message())};
  if (!db.ok()) return db.status();
  absl::StatusOr<std::vector<std::string>> findings = Audit(**db).Run();
  if (!findings.ok()) {
    return absl::Status(findings.status().code(),
                        absl::StrCat(path, ": ", findings.status().message()));
  }
  return findings;
}

}  // namespace mxtally::sqlite
