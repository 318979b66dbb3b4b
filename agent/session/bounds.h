// The bounds of session.proto, in bytes.

#ifndef MXTALLY_AGENT_SESSION_BOUNDS_H_
#define MXTALLY_AGENT_SESSION_BOUNDS_H_

#include <cstddef>

#include "agent/session/session.h"

namespace mxtally {

inline constexpr size_t kServiceMax = 64;
inline constexpr size_t kNameMax = 255;
inline constexpr size_t kAddressMax = 64;
inline constexpr size_t kPlaceMax = 32;
inline constexpr size_t kMechanismMax = 32;
inline constexpr size_t kCommandMax = Session::CommandCount::kBytesMax;
inline constexpr size_t kQueueIdMax = 32;
inline constexpr size_t kFailureReasonMax = 128;

// Of those beyond, a record has no more than their number.
inline constexpr size_t kCommandsMax = 32;
inline constexpr size_t kQueueIdsInRecordMax = 8;

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_BOUNDS_H_
