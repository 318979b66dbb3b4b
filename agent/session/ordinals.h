// Counts the sessions that one process began within one stamp.
//
// A clock that is set back by less than the memory goes on counting, so that
// the sessions of both passes stay apart.  One that jumps back further is
// taken for an older log, or this log once more: what lies ahead is forgotten,
// so that reading again counts again from 0.
//
// All this depends on the pairs of tag and stamp alone, not on how they are
// stored: a restored memory goes on exactly like the saved one.

#ifndef MXTALLY_AGENT_SESSION_ORDINALS_H_
#define MXTALLY_AGENT_SESSION_ORDINALS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/time/time.h"
#include "agent/session/name_hash.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

// One thread only.
class Ordinals {
 public:
  // Pairs older than `memory` are forgotten; beyond `pairs_max` the oldest are.
  Ordinals(absl::Duration memory, int pairs_max) : memory_(memory), pairs_max_(pairs_max) {}
  Ordinals(const Ordinals&) = delete;
  Ordinals& operator=(const Ordinals&) = delete;

  // Returns how often this was called for `tag` and `stamp` before.  Adds to
  // `forgotten` the pairs that left before their time.
  uint32_t Next(std::string_view tag, absl::Time stamp, int64_t& forgotten);

  void Save(google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved) const;
  void Restore(const google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved);

 private:
  // Number of pairs by tag.
  using Tags = absl::node_hash_map<std::string, int, NameHash, NameEqual>;
  // A pair's tag is the address of its node in `tags_`.  The order among equal
  // stamps decides nothing.
  using Pairs = absl::btree_map<std::pair<absl::Time, Tags::value_type*>, uint32_t>;

  Tags::value_type& FindOrAddTag(std::string_view tag);
  // Returns the number of pairs.
  int64_t ForgetStamp(Pairs::iterator any_of_it);
  void ForgetFarFrom(absl::Time stamp);

  const absl::Duration memory_;
  const int pairs_max_;
  Tags tags_;
  Pairs pairs_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_ORDINALS_H_
