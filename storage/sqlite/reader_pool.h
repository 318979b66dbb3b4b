// Read-only connections for queries.  They are bounded in number and time, and
// never checkpoint the WAL.
//
// Thread-safe.

#ifndef MXTALLY_STORAGE_SQLITE_READER_POOL_H_
#define MXTALLY_STORAGE_SQLITE_READER_POOL_H_

#include <condition_variable>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/mutex/mutex.h"
#include "storage/sqlite/connection.h"
#include "storage/store.h"

namespace mxtally::sqlite {

class ReaderPool;

// A connection on loan, in a read transaction: all its statements see one state
// of the database.  `guard` stops them.
class Reader {
 public:
  Reader(ReaderPool& pool, std::unique_ptr<Connection> connection, const QueryGuard& guard);
  ~Reader();
  Reader(Reader&&) = default;
  Reader& operator=(Reader&&) = delete;

  Connection& db() { return *connection_; }

 private:
  ReaderPool* pool_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Transaction> transaction_;
};

class ReaderPool {
 public:
  // Opens at most `readers_max` connections to `path`, when they are needed.
  ReaderPool(std::string path, int readers_max);

  // Lends a connection and waits for one when all are lent.  `guard` must
  // outlive the reader; it also ends the wait.
  absl::StatusOr<Reader> Borrow(const QueryGuard& guard);

  int lent() const;

 private:
  friend class Reader;
  // Takes a place among the lent; false when there was none for a while.
  bool WaitForPlace();
  absl::StatusOr<std::unique_ptr<Connection>> IdleOrNew();
  void Return(std::unique_ptr<Connection> connection);
  absl::StatusOr<std::unique_ptr<Connection>> Open() const;

  const std::string path_;
  const int readers_max_;

  mutable Mutex mutex_;
  std::condition_variable_any returned_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
  int lent_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_READER_POOL_H_
