// The hours in which a log does not show TLS, as intervals: a host that never
// logs TLS is one row, one that always does is none.

#ifndef MXTALLY_STORAGE_SQLITE_TLS_LOGGING_H_
#define MXTALLY_STORAGE_SQLITE_TLS_LOGGING_H_

#include <cstdint>

#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {

// What the lines of an hour say of TLS; the numbers are stored.
enum class TlsShown {
  kAll = 0,
  kNothing = 1,
  kNoCiphers = 2,
  // Beside one of the others.
  kNoOutbound = 3,
};

// Columns of log_hour.
struct TlsLines {
  int64_t tls_lines = 0;
  int64_t counter_lines = 0;
  int64_t ended_sessions = 0;
  int64_t tls_unlogged_sessions = 0;
  int64_t outbound_tls_lines = 0;
  int64_t outbound_unlogged_sessions = 0;
};

class TlsLoggingTable {
 public:
  explicit TlsLoggingTable(Connection& db) : db_(db) {}

  // The lines of an hour have become `after`, from `before`.
  void Change(int64_t host_id, int64_t log_id, int64_t hour, const TlsLines& before,
              const TlsLines& after);

 private:
  void Add(int64_t host_id, int64_t log_id, TlsShown shown, int64_t hour);
  void Remove(int64_t host_id, int64_t log_id, TlsShown shown, int64_t hour);

  Connection& db_;
  // Those that hold an hour or meet it, and none after it.
  Statement select_{db_,
                    "SELECT start_hour, end_hour FROM tls_logging_gap WHERE host_id = ?1 AND "
                    "log_id = ?2 AND shows = ?3 AND start_hour <= ?4 AND end_hour >= ?5 "
                    "ORDER BY start_hour DESC LIMIT 2"};
  Statement remove_{db_,
                    "DELETE FROM tls_logging_gap WHERE host_id = ?1 AND log_id = ?2 AND "
                    "shows = ?3 AND start_hour = ?4"};
  Statement insert_{db_,
                    "INSERT INTO tls_logging_gap (host_id, log_id, shows, start_hour, end_hour) "
                    "VALUES (?1, ?2, ?3, ?4, ?5)"};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_TLS_LOGGING_H_
