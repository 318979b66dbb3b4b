// Counts the sessions that one process began within one stamp.
//
// The memory is a function of what was counted, not of how it is stored: pairs
// leave it by their stamp's distance from the newest call's, oldest stamp
// first, so a restored memory goes on exactly like the saved one.

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
  // Pairs of tag and stamp further than `memory` before or after the current
  // stamp are forgotten; beyond `pairs_max` the oldest are.
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
