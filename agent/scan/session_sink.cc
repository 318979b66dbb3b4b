#include "agent/scan/session_sink.h"

#include <cstddef>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/time/time.h"
#include "agent/session/proto_time.h"
#include "google/protobuf/util/json_util.h"

namespace mxtally {
namespace {

// Keys of so many sessions are remembered, so that none is counted twice;
// beyond it, sessions are counted without looking.
constexpr size_t kKeysMax = size_t{1} << 25;

// What absl::Hash sees of a key.
struct KeyFields {
  const v1::SessionKey& key;

  template <typename H>
  friend H AbslHashValue(H state, const KeyFields& fields) {
    const v1::SessionKey& key = fields.key;
    return H::combine(std::move(state), key.host(), key.tag(), key.stamp().seconds(),
                      key.stamp().nanos(), key.ordinal());
  }
};

}  // namespace

void SessionSink::OnSession(const v1::SessionRecord& record) {
  const absl::Time stamp = GetTimestamp(record.key().stamp());
  if (stamp < settings_.since || stamp >= settings_.until) return;
  if (!IsNew(record.key())) {
    ++lines_.duplicate_sessions;
    return;
  }
  DirectionTally& tally = record.direction() == v1::DIRECTION_OUTBOUND ? outbound_ : inbound_;
  tally.AddPeerClass(record.peer_class());
  if (settings_.peer_class && record.peer_class() != *settings_.peer_class) return;
  tally.Add(record);
  if (sessions_out_ != nullptr) Print(record);
}

bool SessionSink::IsNew(const v1::SessionKey& key) {
  if (keys_.size() >= kKeysMax) return true;
  return keys_.insert(absl::Hash<KeyFields>{}(KeyFields{key})).second;
}

void SessionSink::Print(const v1::SessionRecord& record) {
  json_.clear();
  // Fails for messages of unknown types only.
  if (google::protobuf::util::MessageToJsonString(record, &json_).ok()) {
    *sessions_out_ << json_ << '\n';
  }
}

}  // namespace mxtally
