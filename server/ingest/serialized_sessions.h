// Finds the sessions in a serialized request, so that the store can keep them
// as they came.  Pure.

#ifndef MXTALLY_SERVER_INGEST_SERIALIZED_SESSIONS_H_
#define MXTALLY_SERVER_INGEST_SERIALIZED_SESSIONS_H_

#include <string_view>
#include <vector>

namespace mxtally {

// The sessions of the batch in a serialized StreamSessionsRequest, in order, as
// views into it.  Empty when the request has not exactly one batch, as every
// protobuf library writes it, or is none.
std::vector<std::string_view> SerializedSessions(std::string_view request);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_SERIALIZED_SESSIONS_H_
