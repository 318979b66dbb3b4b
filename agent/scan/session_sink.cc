#include "agent/scan/session_sink.h"

#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"

namespace mxtally {

void SessionSink::OnSession(const Session& session) {
  const absl::Time stamp = session.key.stamp;
  if (stamp < settings_.since || stamp >= settings_.until) return;
  if (!keys_.Insert(session.key)) {
    ++lines_.duplicate_sessions;
    return;
  }
  DirectionTally& tally = session.direction == v1::DIRECTION_OUTBOUND ? outbound_ : inbound_;
  tally.AddPeerClass(session.peer_class);
  if (settings_.peer_class && session.peer_class != *settings_.peer_class) return;
  tally.Add(session);
  if (sessions_out_ != nullptr) Print(session);
}

void SessionSink::OnOpen(const Session& session) {
  const v1::PeerClass peer_class =
      settings_.peers.Classify(session.peer.address, session.peer.name);
  const absl::Time stamp = session.key.stamp;
  if (stamp < settings_.since || stamp >= settings_.until) return;
  if (settings_.peer_class && peer_class != *settings_.peer_class) return;
  keys_.AddOpen(session.key);
}

void SessionSink::Print(const Session& session) {
  ToRecord(session, record_);
  json_.clear();
  // Fails for messages of unknown types only.
  if (google::protobuf::util::MessageToJsonString(record_, &json_).ok()) {
    *sessions_out_ << json_ << '\n';
  }
}

}  // namespace mxtally
