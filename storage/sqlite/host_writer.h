// The hosts: what their agents told, when they are expected, how far their
// clocks were off.

#ifndef MXTALLY_STORAGE_SQLITE_HOST_WRITER_H_
#define MXTALLY_STORAGE_SQLITE_HOST_WRITER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/identities.h"
#include "storage/store.h"

namespace mxtally::sqlite {

class HostWriter {
 public:
  // Both must outlive it.
  HostWriter(Connection& db, HostIds& hosts) : db_(db), hosts_(hosts) {}

  // A message of any kind came.  A retired host is expected again.
  void Seen(int64_t host_id, std::optional<int64_t> last_session_ns, absl::Time now);

  // Whether a collector may tell of the host; if so nothing else may from now on.
  bool TakeFromCollector(int64_t host_id);

  // What a collector told of the host came.
  void NotePart(int64_t host_id, const v1::HostPart& part, absl::Time now);

  // A hello or a status came.
  void Note(int64_t host_id, const HostSighting& sighting, absl::Time now);

  // As the methods of Store, within a transaction.
  void Expect(absl::Span<const std::string> names, absl::Time now);
  absl::StatusOr<absl::Time> Retire(const std::string& name, absl::Time time);

 private:
  void ExpectAgain(int64_t host_id, int64_t now_ns);
  void EndExpectation(int64_t host_id, int64_t start_ns, int64_t end_ns);
  void NoteSkew(int64_t host_id, int64_t ahead_ns, int64_t now_ns);

  Connection& db_;
  HostIds& hosts_;
  Statement seen_{db_,
                  "UPDATE host SET last_seen_ns = max(last_seen_ns, ?2), "
                  "last_session_ns = max(coalesce(last_session_ns, ?3), coalesce(?3, "
                  "last_session_ns)) WHERE host_id = ?1"};
  Statement told_{db_,
                  "UPDATE host SET agent_version = coalesce(nullif(?2, ''), agent_version), "
                  "mta = coalesce(nullif(?3, ''), mta), "
                  "clock_ahead_ns = coalesce(?4, clock_ahead_ns), "
                  "source_kind = CASE source_kind WHEN 0 THEN ?5 ELSE source_kind END, "
                  "mta_config = coalesce(?6, mta_config) WHERE host_id = ?1"};
  Statement source_kind_{db_, "SELECT source_kind FROM host WHERE host_id = ?1"};
  Statement set_source_kind_{db_, "UPDATE host SET source_kind = ?2 WHERE host_id = ?1"};
  Statement set_mta_{db_, "UPDATE host SET mta = ?2 WHERE host_id = ?1 AND mta <> ?2"};
  Statement unretire_{
      db_, "UPDATE host SET retired_ns = NULL WHERE host_id = ?1 AND retired_ns IS NOT NULL"};
  Statement begin_{db_,
                   "INSERT INTO expectation (host_id, start_ns, end_ns) VALUES (?1, ?2, NULL) "
                   "ON CONFLICT DO UPDATE SET end_ns = NULL"};
  Statement last_expectation_{db_,
                              "SELECT start_ns FROM expectation WHERE host_id = ?1 "
                              "ORDER BY start_ns DESC LIMIT 1"};
  Statement end_{db_, "UPDATE expectation SET end_ns = ?3 WHERE host_id = ?1 AND start_ns = ?2"};
  Statement retire_{db_, "UPDATE host SET retired_ns = ?2, source_kind = 0 WHERE host_id = ?1"};
  Statement never_seen_{
      db_, "SELECT host_id, name FROM host WHERE last_seen_ns = 0 AND retired_ns IS NULL"};
  Statement find_{db_, "SELECT host_id FROM host WHERE name = ?1"};
  Statement never_seen_yet_{db_, "UPDATE host SET last_seen_ns = 0 WHERE host_id = ?1"};
  Statement last_skew_{db_,
                       "SELECT start_ns, end_ns, seen_ns, ahead_ns FROM clock_skew "
                       "WHERE host_id = ?1 ORDER BY start_ns DESC LIMIT 1"};
  Statement remove_skew_{db_, "DELETE FROM clock_skew WHERE host_id = ?1 AND start_ns = ?2"};
  Statement insert_skew_{db_,
                         "INSERT OR REPLACE INTO clock_skew (host_id, start_ns, end_ns, seen_ns, "
                         "ahead_ns) VALUES (?1, ?2, ?3, ?4, ?5)"};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_HOST_WRITER_H_
