// The bare loop that the server's ingest is compared with: the rows of a
// database that the server filled are inserted into an empty one with the
// same tables and indexes, by prepared statements, durable after each
// transaction.  Only inserting and committing is timed.
//
//   bench_inserts SOURCE TARGET ROWS_PER_TRANSACTION
//
// Prints rows of the table "session", and the seconds that all tables took.

#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace {

using Clock = std::chrono::steady_clock;

void Check(sqlite3* db, bool ok) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", sqlite3_errmsg(db));
  std::_Exit(1);
}

sqlite3* Open(const char* path, int flags) {
  sqlite3* db = nullptr;
  Check(db, sqlite3_open_v2(path, &db, flags, nullptr) == SQLITE_OK);
  return db;
}

void Run(sqlite3* db, const std::string& sql) {
  Check(db, sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
}

sqlite3_stmt* Prepare(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  Check(db, sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK);
  return statement;
}

std::vector<std::string> FirstColumn(sqlite3* db, const std::string& sql) {
  std::vector<std::string> out;
  sqlite3_stmt* statement = Prepare(db, sql);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    out.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)));
  }
  sqlite3_finalize(statement);
  return out;
}

// Rows held in memory, so that reading them is not timed.
class Rows {
 public:
  // False at the end of the table.
  bool ReadFrom(sqlite3_stmt* select, int count) {
    Clear();
    while (!ended_ && count-- > 0) {
      // Another step after the end would begin again.
      ended_ = sqlite3_step(select) != SQLITE_ROW;
      if (ended_) break;
      for (int i = 0; i < sqlite3_column_count(select); ++i) {
        values_.push_back(sqlite3_value_dup(sqlite3_column_value(select, i)));
      }
      ++rows_;
    }
    return rows_ > 0;
  }
  void InsertInto(sqlite3* db, sqlite3_stmt* insert) const {
    const size_t columns = rows_ == 0 ? 0 : values_.size() / rows_;
    for (size_t row = 0; row < rows_; ++row) {
      for (size_t i = 0; i < columns; ++i) {
        Bind(insert, static_cast<int>(i) + 1, values_[row * columns + i]);
      }
      Check(db, sqlite3_step(insert) == SQLITE_DONE);
      sqlite3_reset(insert);
    }
  }
  size_t size() const { return rows_; }
  ~Rows() { Clear(); }

 private:
  // Not sqlite3_bind_value(), which copies text.
  static void Bind(sqlite3_stmt* insert, int index, sqlite3_value* value) {
    switch (sqlite3_value_type(value)) {
      case SQLITE_INTEGER:
        sqlite3_bind_int64(insert, index, sqlite3_value_int64(value));
        break;
      case SQLITE_TEXT:
        sqlite3_bind_text(insert, index, reinterpret_cast<const char*>(sqlite3_value_text(value)),
                          sqlite3_value_bytes(value), SQLITE_STATIC);
        break;
      case SQLITE_BLOB: {
        // A null pointer, for no bytes, would bind NULL.
        const void* const bytes = sqlite3_value_blob(value);
        sqlite3_bind_blob(insert, index, bytes == nullptr ? "" : bytes, sqlite3_value_bytes(value),
                          SQLITE_STATIC);
        break;
      }
      default:
        sqlite3_bind_null(insert, index);
    }
  }
  void Clear() {
    for (sqlite3_value* value : values_) sqlite3_value_free(value);
    values_.clear();
    rows_ = 0;
  }
  std::vector<sqlite3_value*> values_;
  size_t rows_ = 0;
  bool ended_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_inserts SOURCE TARGET ROWS_PER_TRANSACTION\n");
    return 2;
  }
  sqlite3* source = Open(argv[1], SQLITE_OPEN_READONLY);
  sqlite3* target = Open(argv[2], SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const int rows_per_transaction = std::atoi(argv[3]);
  // As the server has them.
  Run(target,
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864; "
      "PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4096");
  for (const std::string& sql : FirstColumn(
           source,
           "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")) {
    Run(target, sql);
  }

  Clock::duration spent{};
  size_t sessions = 0;
  for (const std::string& table : FirstColumn(
           source,
           "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%'")) {
    sqlite3_stmt* select = Prepare(source, absl::StrCat("SELECT * FROM ", table));
    std::string marks = "?";
    for (int i = 1; i < sqlite3_column_count(select); ++i) marks += ",?";
    sqlite3_stmt* insert =
        Prepare(target, absl::StrCat("INSERT INTO ", table, " VALUES (", marks, ")"));
    Rows rows;
    while (rows.ReadFrom(select, rows_per_transaction)) {
      const Clock::time_point start = Clock::now();
      Run(target, "BEGIN IMMEDIATE");
      rows.InsertInto(target, insert);
      Run(target, "COMMIT");
      spent += Clock::now() - start;
      if (table == "session") sessions += rows.size();
    }
    sqlite3_finalize(select);
    sqlite3_finalize(insert);
  }
  sqlite3_close(target);
  sqlite3_close(source);
  std::printf("%zu %.6f\n", sessions, std::chrono::duration<double>(spent).count());
  return 0;
}
