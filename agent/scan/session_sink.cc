#include "agent/scan/session_sink.h"

#include "absl/time/time.h"
#include "agent/session/proto_time.h"
#include "google/protobuf/util/json_util.h"

namespace mxtally {

void SessionSink::OnSession(const v1::SessionRecord& record) {
  const absl::Time stamp = GetTimestamp(record.key().stamp());
  if (stamp < settings_.since || stamp >= settings_.until) return;
  if (!keys_.Insert(record.key())) {
    ++lines_.duplicate_sessions;
    return;
  }
  DirectionTally& tally = record.direction() == v1::DIRECTION_OUTBOUND ? outbound_ : inbound_;
  tally.AddPeerClass(record.peer_class());
  if (settings_.peer_class && record.peer_class() != *settings_.peer_class) return;
  tally.Add(record);
  if (sessions_out_ != nullptr) Print(record);
}

void SessionSink::OnOpen(const v1::SessionRecord& record) {
  const v1::PeerClass peer_class =
      settings_.peers.Classify(record.peer().address(), record.peer().name());
  const absl::Time stamp = GetTimestamp(record.key().stamp());
  if (stamp < settings_.since || stamp >= settings_.until) return;
  if (settings_.peer_class && peer_class != *settings_.peer_class) return;
  inbound_.AddOpen();
}

void SessionSink::Print(const v1::SessionRecord& record) {
  json_.clear();
  // Fails for messages of unknown types only.
  if (google::protobuf::util::MessageToJsonString(record, &json_).ok()) {
    *sessions_out_ << json_ << '\n';
  }
}

}  // namespace mxtally
