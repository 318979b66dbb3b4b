#include "storage/sqlite/connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace mxtally::sqlite {

namespace {

// A few thousand steps are well under a millisecond.
constexpr int kStepsBetweenGuards = 4000;

absl::StatusCode CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Mode mode) {
  // Each connection is used by one thread at a time, so SQLite need not lock.
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= mode == kReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  std::string name = path;
  if (mode == kImmutable) {
    flags |= SQLITE_OPEN_URI;
    name =
        absl::StrCat("file:", absl::StrReplaceAll(path, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}}),
                     "?immutable=1");
  }
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (code != SQLITE_OK) connection->Fail(code);
  if (!connection->ok()) {
    const absl::Status status = connection->TakeStatus();
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  }
  return connection;
}

Connection::~Connection() { sqlite3_close_v2(handle_); }

absl::Status Connection::TakeStatus() { return std::exchange(status_, absl::OkStatus()); }

void Connection::Fail(const absl::Status& status) {
  if (status_.ok()) status_ = status;
}

void Connection::Fail(int code) {
  if (!status_.ok()) return;
  if ((code & 0xff) == SQLITE_INTERRUPT && !guard_status_.ok()) {
    status_ = guard_status_;
    return;
  }
  std::string message = sqlite3_errstr(code);
  if (handle_ != nullptr && sqlite3_extended_errcode(handle_) == code) {
    message = sqlite3_errmsg(handle_);
    if (const int error = sqlite3_system_errno(handle_); error != 0) {
      absl::StrAppend(&message, " (errno ", error, ")");
    }
  }
  status_ = absl::Status(CodeOf(code), message);
}

void Connection::Exec(const char* sql) {
  if (!ok()) return;
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) Fail(code);
}

void Connection::SetGuard(const QueryGuard* guard) {
  guard_ = guard != nullptr && *guard ? guard : nullptr;
  guard_status_ = absl::OkStatus();
  sqlite3_progress_handler(handle_, guard_ ? kStepsBetweenGuards : 0,
                           guard_ ? &OnProgress : nullptr, this);
}

void Connection::CheckGuard() {
  if (guard_ != nullptr && ok()) Fail((*guard_)());
}

int Connection::OnProgress(void* self) {
  auto* connection = static_cast<Connection*>(self);
  connection->guard_status_ = (*connection->guard_)();
  return connection->guard_status_.ok() ? 0 : 1;
}

bool Statement::Prepare() {
  if (!db_.ok()) return false;
  if (handle_ != nullptr) {
    sqlite3_reset(handle_);
    return true;
  }
  Check(sqlite3_prepare_v3(db_.handle(), sql_.data(), static_cast<int>(sql_.size()),
                           SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
  return db_.ok();
}

bool Statement::Step() {
  if (!db_.ok() || handle_ == nullptr) return false;
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) db_.Fail(code);
  sqlite3_reset(handle_);
  return false;
}

void Statement::Reset() {
  if (handle_ != nullptr) sqlite3_reset(handle_);
}

std::string_view Statement::Text(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  const int size = sqlite3_column_bytes(handle_, column);
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<size_t>(size));
}

void Statement::BindOne(int index, std::optional<int64_t> value, sqlite3_destructor_type) {
  Check(value ? sqlite3_bind_int64(handle_, index, *value) : sqlite3_bind_null(handle_, index));
}

void Statement::BindOne(int index, std::string_view text, sqlite3_destructor_type lifetime) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  Check(sqlite3_bind_text64(handle_, index, data, text.size(), lifetime, SQLITE_UTF8));
}

void Statement::BindOne(int index, Blob blob, sqlite3_destructor_type lifetime) {
  const char* data = blob.bytes.data() == nullptr ? "" : blob.bytes.data();
  Check(sqlite3_bind_blob64(handle_, index, data, blob.bytes.size(), lifetime));
}

void Statement::BindOne(int index, const std::optional<Blob>& blob,
                        sqlite3_destructor_type lifetime) {
  if (blob) {
    BindOne(index, *blob, lifetime);
  } else {
    Check(sqlite3_bind_null(handle_, index));
  }
}

Transaction::Transaction(Connection& db, Kind kind) : db_(db) {
  db_.Exec(kind == kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  if (open_) RollBack();
}

absl::Status Transaction::Commit() {
  open_ = false;
  db_.Exec("COMMIT");
  if (db_.ok()) return absl::OkStatus();
  RollBack();
  return db_.TakeStatus();
}

void Transaction::RollBack() {
  open_ = false;
  // SQLite has rolled back by itself after some errors.
  if (sqlite3_get_autocommit(db_.handle()) != 0) return;
  sqlite3_exec(db_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace mxtally::sqlite
