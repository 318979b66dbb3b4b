#include "storage/peer_detail.h"

#include <string>

namespace mxtally {
namespace {

// Name of the key that masked this record; values are "EPOCH:HEX".
std::string EpochOf(const v1::SessionRecord& record) {
  for (const std::string* value : {&record.peer().address(), &record.peer().name(),
                                   &record.peer().helo(), &record.tls().sni()}) {
    if (!value->empty()) return value->substr(0, value->find(':'));
  }
  return "";
}

bool MaskedAlike(const v1::SessionRecord& a, const v1::SessionRecord& b) {
  if (a.peer_detail() != b.peer_detail()) return false;
  return a.peer_detail() != v1::PEER_DETAIL_HMAC || EpochOf(a) == EpochOf(b);
}

// All but key, rank and the fields that session.proto marks "(peer)".
std::string OtherFacts(v1::SessionRecord record) {
  record.clear_key();
  record.clear_rank();
  record.clear_peer();
  record.clear_peer_detail();
  record.clear_end_place();
  record.clear_auth_mechanism();
  record.clear_original_queue_id();
  if (record.has_tls()) {
    record.mutable_tls()->clear_sni();
    record.mutable_tls()->clear_failure_reason();
  }
  return record.SerializeAsString();
}

}  // namespace

bool DifferInPeerDetailOnly(const v1::SessionRecord& a, const v1::SessionRecord& b) {
  return !MaskedAlike(a, b) && OtherFacts(a) == OtherFacts(b);
}

}  // namespace mxtally
