#include "storage/sqlite/reader_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace mxtally::sqlite {

namespace {

// How often a wait asks its guard.
constexpr std::chrono::milliseconds kGuardInterval(10);

}  // namespace

Reader::Reader(ReaderPool& pool, std::unique_ptr<Connection> connection, const QueryGuard& guard)
    : pool_(&pool), connection_(std::move(connection)) {
  connection_->SetGuard(&guard);
  transaction_ = std::make_unique<Transaction>(*connection_, Transaction::kRead);
}

Reader::~Reader() {
  if (connection_ == nullptr) return;  // Moved from.
  connection_->SetGuard(nullptr);
  transaction_.reset();
  static_cast<void>(connection_->TakeStatus());  // Whoever cared has taken it.
  pool_->Return(std::move(connection_));
}

ReaderPool::ReaderPool(std::string path, int readers_max)
    : path_(std::move(path)), readers_max_(std::max(readers_max, 1)) {}

absl::StatusOr<Reader> ReaderPool::Borrow(const QueryGuard& guard) {
  while (!WaitForPlace()) {
    if (!guard) continue;
    if (absl::Status s = guard(); !s.ok()) return s;
  }
  absl::StatusOr<std::unique_ptr<Connection>> connection = IdleOrNew();
  if (!connection.ok()) {
    Return(nullptr);
    return connection.status();
  }
  return Reader(*this, *std::move(connection), guard);
}

bool ReaderPool::WaitForPlace() {
  MutexLock lock(mutex_);
  if (lent_ >= readers_max_) returned_.wait_for(mutex_, kGuardInterval);
  if (lent_ >= readers_max_) return false;
  ++lent_;
  return true;
}

absl::StatusOr<std::unique_ptr<Connection>> ReaderPool::IdleOrNew() {
  {
    MutexLock lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  return Open();
}

int ReaderPool::lent() const {
  MutexLock lock(mutex_);
  return lent_;
}

void ReaderPool::Return(std::unique_ptr<Connection> connection) {
  {
    MutexLock lock(mutex_);
    --lent_;
    if (connection != nullptr) idle_.push_back(std::move(connection));
  }
  returned_.notify_one();
}

absl::StatusOr<std::unique_ptr<Connection>> ReaderPool::Open() const {
  absl::StatusOr<std::unique_ptr<Connection>> db = Connection::Open(path_, Connection::kReadOnly);
  if (!db.ok()) return db;
  sqlite3_busy_timeout((*db)->handle(), 1000);
  (*db)->Exec("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON; PRAGMA cache_size = -16384;");
  if (!(*db)->ok()) return (*db)->TakeStatus();
  return db;
}

}  // namespace mxtally::sqlite
