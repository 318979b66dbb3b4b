// The sessions that a scan has counted, so that a second copy of the same lines
// counts none of them again.

#ifndef MXTALLY_AGENT_SCAN_SEEN_KEYS_H_
#define MXTALLY_AGENT_SCAN_SEEN_KEYS_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "agent/scan/hash_list.h"
#include "agent/session/session.h"

namespace mxtally {

// Within one log that goes forwards in time no key comes twice, as long as the
// assembler forgets no ordinal.  So keys are only written down until somebody says
// otherwise; from then on they are looked up.
// One thread only.
class SeenKeys {
 public:
  // Keys of so many sessions are remembered; those beyond are new.
  static constexpr size_t kKeysMax = size_t{1} << 25;
  // Of those that are only written down, so many are in memory.
  static constexpr size_t kInMemoryMax = size_t{1} << 17;

  // The keys that follow are of another log, or of the same once more.
  void BeginLog() {
    if (list_.size() > 0 || !open_.empty()) looks_up_ = true;
  }
  // Keys may come again, those of sessions that are open now too: the log's time went
  // back.
  void LookUp() { looks_up_ = true; }

  // Returns whether `key` is new.
  bool Insert(const Session::Key& key);

  // The key of a session whose end was not read, which another copy may hold.
  void AddOpen(const Session::Key& key);
  // How many of these were inserted by no copy.
  int64_t CountOpen();

 private:
  void FillSet();

  // Hashes of 64 bits: of ten million sessions, two meet in one scan of 400,000.
  HashList list_{kInMemoryMax};
  absl::flat_hash_set<uint64_t> set_;
  absl::flat_hash_set<uint64_t> open_;
  bool looks_up_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_SEEN_KEYS_H_
