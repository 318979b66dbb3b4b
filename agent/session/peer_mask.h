// What of a peer leaves this host.
//
// The assembler's records hold what the log tells; a mask takes out of them, before
// they are sent, what the operator wants kept here.  It never touches a key or
// a label that statistics are grouped by.

#ifndef MXTALLY_AGENT_SESSION_PEER_MASK_H_
#define MXTALLY_AGENT_SESSION_PEER_MASK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// Names the peers of the sessions that begin at `start` or later, up to the
// start of the next key.
struct PeerKey {
  std::string epoch;  // Goes in front of every value made with this key.
  absl::Time start;
  std::string secret;

  bool operator==(const PeerKey&) const = default;
};

// Sets in records what v1::PeerDetail says of one choice.  One thread only.
class PeerMask {
 public:
  // `detail` is PREFIX, HMAC or NONE.  `keys`, for HMAC, are in the order of their starts.
  //   INTERNAL   a library cannot do what it is needed for
  static absl::StatusOr<std::unique_ptr<PeerMask>> Create(v1::PeerDetail detail,
                                                          const std::vector<PeerKey>& keys);
  virtual ~PeerMask() = default;

  // Masks `record`, which holds what the log tells, and sets its `peer_detail`.
  // With HMAC, a session that began before the first key gets NONE.
  virtual void Apply(v1::SessionRecord& record) = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_PEER_MASK_H_
