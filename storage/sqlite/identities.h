// Numbers that stand for hosts and label sets in the tables.
//
// They are remembered beyond a transaction; Forget() after one that was rolled
// back.  Used by the writing connection only.

#ifndef MXTALLY_STORAGE_SQLITE_IDENTITIES_H_
#define MXTALLY_STORAGE_SQLITE_IDENTITIES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "storage/rollup.h"
#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {

class HostIds {
 public:
  explicit HostIds(Connection& db) : db_(db) {}

  // The host of that name, registered and expected at `now` if it is new.
  int64_t Intern(const std::string& name, absl::Time now);
  void Forget() { ids_.clear(); }

 private:
  Connection& db_;
  Statement select_{db_, "SELECT host_id FROM host WHERE name = ?1"};
  Statement insert_{db_,
                    "INSERT INTO host (name, registered_ns, last_seen_ns) VALUES (?1, ?2, ?2)"};
  Statement expect_{db_, "INSERT INTO expectation (host_id, start_ns) VALUES (?1, ?2)"};
  absl::flat_hash_map<std::string, int64_t> ids_;
};

struct LabelSetIds {
  int64_t full = 0;
  int64_t narrow = 0;  // Of the same set with the narrow labels alone.
};

class LabelSetTable {
 public:
  explicit LabelSetTable(Connection& db) : db_(db) {}

  // nullopt: never counted.
  std::optional<LabelSetIds> Find(const Labels& labels);
  // Adds it if it is new.
  LabelSetIds Intern(const Labels& labels);
  // Sets in the table.
  int64_t size();
  void Forget();

 private:
  // Adds it; `narrow` is 0 for a set that is narrow itself.
  int64_t Insert(const Labels& labels, int64_t narrow);

  Connection& db_;
  Statement select_{
      db_,
      "SELECT label_set_id, narrow_id FROM label_set WHERE direction = ?1 AND service = ?2 AND "
      "peer_class = ?3 AND tls_state = ?4 AND evidence = ?5 AND protocol = ?6 AND cipher = ?7 AND "
      "cipher_iana = ?8 AND cipher_code_point = ?9 AND kex_group = ?10 AND signature = ?11 AND "
      "trust = ?12 AND handshake = ?13"};
  Statement insert_{
      db_,
      "INSERT INTO label_set (direction, service, peer_class, tls_state, evidence, protocol, "
      "cipher, cipher_iana, cipher_code_point, kex_group, signature, trust, handshake, narrow_id) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"};
  Statement set_own_narrow_{
      db_, "UPDATE label_set SET narrow_id = label_set_id WHERE label_set_id = ?1"};
  Statement count_{db_, "SELECT count(*) FROM label_set"};
  absl::flat_hash_map<Labels, LabelSetIds> ids_;
  std::optional<int64_t> size_;
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_IDENTITIES_H_
