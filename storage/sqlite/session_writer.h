// Inserts sessions, or replaces those of lower rank, and moves the rollups by
// the difference.
//
// A key that is there already:
//   higher rank                  replaces
//   same rank, other facts       key conflict; the first is kept, the session
//                                is marked, once
//   same facts, or lower rank    duplicate; also same facts but for what the
//                                host tells of its peers (storage/peer_detail.h)
// A record with `lines_used` 0 has no certain rank: its key's ordinal may be
// too low, so it never replaces.  With other facts than the session of its key
// it is one of the stamp and tag under another ordinal, or else not stored at
// all: a key conflict.

#ifndef MXTALLY_STORAGE_SQLITE_SESSION_WRITER_H_
#define MXTALLY_STORAGE_SQLITE_SESSION_WRITER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mxtally/v1/session.pb.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/identities.h"
#include "storage/sqlite/rollup_writer.h"
#include "storage/store.h"

namespace mxtally::sqlite {

class SessionWriter {
 public:
  // The first three must outlive it.
  SessionWriter(Connection& db, LabelSetTable& label_sets, RollupWriter& rollups,
                const StoreOptions& options);

  // `serialized`: the record as it came, or empty.
  void Put(int64_t host_id, const v1::SessionRecord& record, std::string_view serialized,
           BatchOutcome& outcome);

 private:
  // A record, as its row shows it.
  struct Row {
    int64_t host_id = 0;
    const v1::SessionRecord* record = nullptr;
    int64_t stamp_ns = 0;
    int64_t hour = 0;
    uint64_t rank = 0;
    int64_t facts_hash = 0;
    std::optional<int64_t> end_ns;
    std::string_view detail;
    Measures measures;
  };
  // What the rollups hold of a session.
  struct Counted {
    LabelSetIds labels;
    bool folded = false;
    Measures measures;
  };
  struct Stored {
    uint64_t rank = 0;
    int64_t facts_hash = 0;
    bool key_conflict = false;
    Counted counted;
  };

  Row RowOf(int64_t host_id, const v1::SessionRecord& record, std::string_view serialized);
  // Takes the labels, or folded ones when there are too many others.
  Counted Choose(const Row& row);
  void Count(const Row& row, const Counted& counted, BatchOutcome& outcome);
  void TakeBack(const Row& row, const Stored& stored);
  void PutExisting(const Row& row, BatchOutcome& outcome);
  // Whether the session of this key, or with `any_ordinal` one of its stamp and
  // tag, has these facts, with more or less of the peer told.
  bool IsStored(const Row& row, bool any_ordinal);
  std::optional<Stored> Find(const Row& row);
  void Replace(const Row& row, const Stored& stored, BatchOutcome& outcome);

  Connection& db_;
  LabelSetTable& label_sets_;
  RollupWriter& rollups_;
  const int labels_per_hour_max_;
  const int label_sets_max_;
  std::string serialized_;  // Reused.

  Statement insert_{
      db_,
      "INSERT INTO session (host_id, stamp_ns, tag, ordinal, key_version, rank, label_set_id, "
      "folded, messages, tls_messages, key_conflict, facts_hash, end_ns, peer_address, peer_name, "
      "detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13, ?14, ?15) "
      "ON CONFLICT DO NOTHING"};
  Statement select_{
      db_,
      "SELECT s.rank, s.facts_hash, s.key_conflict, s.label_set_id, l.narrow_id, s.folded, "
      "s.messages, s.tls_messages FROM session s JOIN label_set l USING (label_set_id) "
      "WHERE host_id = ?1 AND stamp_ns = ?2 AND tag = ?3 AND ordinal = ?4 AND key_version = ?5"};
  Statement update_{
      db_,
      "UPDATE session SET rank = ?6, label_set_id = ?7, folded = ?8, messages = ?9, "
      "tls_messages = ?10, key_conflict = 0, facts_hash = ?11, end_ns = ?12, peer_address = ?13, "
      "peer_name = ?14, detail = ?15 "
      "WHERE host_id = ?1 AND stamp_ns = ?2 AND tag = ?3 AND ordinal = ?4 AND key_version = ?5"};
  Statement select_facts_{
      db_,
      "SELECT ordinal, facts_hash, detail FROM session WHERE host_id = ?1 AND stamp_ns = ?2 AND "
      "tag = ?3 AND key_version = ?4"};
  Statement mark_conflict_{
      db_,
      "UPDATE session SET key_conflict = 1 "
      "WHERE host_id = ?1 AND stamp_ns = ?2 AND tag = ?3 AND ordinal = ?4 AND key_version = ?5"};
};

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_SESSION_WRITER_H_
