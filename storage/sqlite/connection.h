// A SQLite connection and its statements, with one rule: errors stick.
//
// The first call that fails leaves its error in Connection::status(); from then
// on every call on that connection does nothing and every statement has no
// rows, until TakeStatus().  So a transaction is written as if nothing could
// fail, and asks once, before it commits:
//
//   Transaction transaction(db, Transaction::kWrite);
//   insert.Run(1, "a");
//   for (select.Query(1); select.Step();) Use(select.Text(0));
//   return transaction.Commit();
//
// Errors are mapped to what the caller can do:
//   RESOURCE_EXHAUSTED  disk full, or an I/O error: try again later
//   DATA_LOSS           damaged: stop
//   UNAVAILABLE         locked by another connection
//   the guard's status  the guard stopped it
//
// One thread at a time.

#ifndef MXTALLY_STORAGE_SQLITE_CONNECTION_H_
#define MXTALLY_STORAGE_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/store.h"

namespace mxtally::sqlite {

class Connection {
 public:
  enum Mode {
    kReadWrite,  // Creates the file when missing.
    kReadOnly,
    kImmutable,  // Read-only, and nobody writes to it: needs no file beside it.
  };

  //   FAILED_PRECONDITION  the file cannot be opened
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  // Returns the error and forgets it.
  absl::Status TakeStatus();
  // Takes note of an error, unless there is one.
  void Fail(const absl::Status& status);
  // The same with SQLite's result code and message.
  void Fail(int code);

  // Runs statements that return no rows.
  void Exec(const char* sql);

  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t changes() const { return sqlite3_changes64(handle_); }
  int64_t last_insert_rowid() const { return sqlite3_last_insert_rowid(handle_); }

  // Asks `guard` every few thousand steps of a statement and stops it when the
  // answer is not OK.  nullptr: no more.  Borrowed until then.
  void SetGuard(const QueryGuard* guard);
  // Asks it now.
  void CheckGuard();

  sqlite3* handle() const { return handle_; }

 private:
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  static int OnProgress(void* self);

  sqlite3* const handle_;
  absl::Status status_;
  const QueryGuard* guard_ = nullptr;
  absl::Status guard_status_;
};

// Bound as BLOB.
struct Blob {
  std::string_view bytes;
};

// A prepared statement; prepared when it is first used.
class Statement {
 public:
  // `db` must outlive it.
  Statement(Connection& db, std::string sql) : db_(db), sql_(std::move(sql)) {}
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Runs it to its end with `args` as ?1, ?2 and so on.
  template <typename... Args>
  void Run(const Args&... args) {
    Start(SQLITE_STATIC, args...);
    while (Step()) {
    }
  }

  // Begins to run it with `args`, which are copied.  Rows come with Step().
  template <typename... Args>
  void Query(const Args&... args) {
    Start(SQLITE_TRANSIENT, args...);
  }

  // Goes to the next row; false after the last one.
  bool Step();
  // Leaves the remaining rows.
  void Reset();

  // Values of the row, columns from 0.  Views live until the next Step.
  int64_t Int(int column) const { return sqlite3_column_int64(handle_, column); }
  bool Null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  std::optional<int64_t> OptionalInt(int column) const {
    if (Null(column)) return std::nullopt;
    return Int(column);
  }
  // Also of a BLOB.
  std::string_view Text(int column) const;

 private:
  template <typename... Args>
  void Start([[maybe_unused]] sqlite3_destructor_type lifetime, const Args&... args) {
    if (!Prepare()) return;
    int index = 0;
    (BindOne(++index, args, lifetime), ...);
  }

  // Prepares it, or makes it ready to run again.
  bool Prepare();
  void Check(int code) {
    if (code != SQLITE_OK) db_.Fail(code);
  }
  template <std::integral T>
  void BindOne(int index, T value, sqlite3_destructor_type) {
    Check(sqlite3_bind_int64(handle_, index, static_cast<int64_t>(value)));
  }
  void BindOne(int index, std::optional<int64_t> value, sqlite3_destructor_type lifetime);
  void BindOne(int index, std::string_view text, sqlite3_destructor_type lifetime);
  void BindOne(int index, Blob blob, sqlite3_destructor_type lifetime);
  void BindOne(int index, const std::optional<Blob>& blob, sqlite3_destructor_type lifetime);

  Connection& db_;
  const std::string sql_;
  sqlite3_stmt* handle_ = nullptr;
};

// Begins with construction.  Rolled back at the end of its life unless committed.
class Transaction {
 public:
  enum Kind { kRead, kWrite };
  Transaction(Connection& db, Kind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // Returns the connection's error and rolls back if there is one.
  absl::Status Commit();

 private:
  void RollBack();

  Connection& db_;
  bool open_ = true;
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_CONNECTION_H_
