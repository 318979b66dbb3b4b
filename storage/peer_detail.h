// Records of one session that were sent with different `--peer-detail`.

#ifndef MXTALLY_STORAGE_PEER_DETAIL_H_
#define MXTALLY_STORAGE_PEER_DETAIL_H_

#include "mxtally/v1/session.pb.h"

namespace mxtally {

// Whether what two records of one key tell of the peer cannot be compared,
// because the host masked it differently, and all the rest of their facts is the
// same: a log that was read again after the operator's choice changed, and no
// conflict.
bool DifferInPeerDetailOnly(const v1::SessionRecord& a, const v1::SessionRecord& b);

}  // namespace mxtally

#endif  // MXTALLY_STORAGE_PEER_DETAIL_H_
