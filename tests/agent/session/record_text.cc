#include "tests/agent/session/record_text.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

std::string TimeText(const google::protobuf::Timestamp& stamp) {
  return absl::FormatTime("%H:%M:%E*S", GetTimestamp(stamp), absl::UTCTimeZone());
}

// "TLS_STATE_FAILED" without "TLS_STATE_".
std::string Short(const std::string& name, std::string_view prefix) {
  return name.substr(prefix.size());
}

void AddField(std::string_view name, const std::string& value, std::string& text) {
  if (!value.empty()) text.append(" ").append(name).append("=").append(value);
}

void AddField(std::string_view name, int64_t value, std::string& text) {
  if (value != 0) AddField(name, absl::StrCat(value), text);
}

void AddTls(const v1::TlsFacts& tls, std::string& text) {
  text.append(" ").append(TlsStateText(tls));
  AddField("protocol", tls.protocol(), text);
  AddField("cipher", tls.cipher(), text);
  AddField("iana", tls.cipher_iana(), text);
  AddField("code_point", tls.cipher_code_point(), text);
  if (tls.bits_used() != 0) {
    AddField("bits", absl::StrCat(tls.bits_used(), "/", tls.bits_algorithm()), text);
  }
  AddField("kex", tls.kex_group(), text);
  AddField("signature", tls.signature(), text);
  AddField("signature_key", tls.signature_key(), text);
  AddField("digest", tls.signature_digest(), text);
  AddField("client_signature", tls.client_signature(), text);
  AddField("client_signature_key", tls.client_signature_key(), text);
  AddField("client_digest", tls.client_signature_digest(), text);
  if (tls.trust() != 0)
    AddField("trust", Short(v1::TlsTrust_Name(tls.trust()), "TLS_TRUST_"), text);
  if (tls.handshake() != 0) {
    text.append(" ").append(Short(v1::TlsHandshake_Name(tls.handshake()), "TLS_HANDSHAKE_"));
  }
  AddField("sni", tls.sni(), text);
  if (tls.failure() != 0) {
    AddField("failure", Short(v1::TlsFailure_Name(tls.failure()), "TLS_FAILURE_"), text);
  }
  if (tls.has_alert()) text.append(absl::StrCat(" alert=", tls.alert()));
  AddField("failure_reason", tls.failure_reason(), text);
}

}  // namespace

std::string KeyText(const v1::SessionKey& key) {
  return absl::StrCat(key.host(), " ", TimeText(key.stamp()), " ", key.tag(), "#", key.ordinal());
}

std::string TlsStateText(const v1::TlsFacts& tls) {
  return absl::StrCat(Short(v1::TlsState_Name(tls.state()), "TLS_STATE_"), "/",
                      Short(v1::TlsEvidence_Name(tls.evidence()), "TLS_EVIDENCE_"));
}

std::string RecordText(const v1::SessionRecord& record) {
  std::string text = KeyText(record.key());
  text.append(absl::StrCat(" lines=", record.rank().lines_used(), " ", record.service()));
  if (record.peer_class() != v1::PEER_CLASS_EXTERNAL) {
    text.append(" ").append(Short(v1::PeerClass_Name(record.peer_class()), "PEER_CLASS_"));
  }
  AddTls(record.tls(), text);
  const v1::Peer& peer = record.peer();
  text.append(absl::StrCat(" ", peer.name(), "[", peer.address(), "]"));
  if (peer.port() != 0) text.append(absl::StrCat(":", peer.port()));
  AddField("helo", peer.helo(), text);
  if (record.has_end_time()) AddField("end", TimeText(record.end_time()), text);
  text.append(" ").append(Short(v1::EndReason_Name(record.end_reason()), "END_REASON_"));
  AddField("after", record.end_place(), text);
  AddField("messages", record.messages(), text);
  AddField("rejects", record.rejects(), text);
  AddField("auth", record.auth_accepted(), text);
  AddField("auth_failed", record.auth_failed(), text);
  AddField("mechanism", record.auth_mechanism(), text);
  for (const std::string& id : record.queue_ids()) AddField("id", id, text);
  AddField("original_id", record.original_queue_id(), text);
  AddField("limits", record.limit_warnings(), text);
  return text;
}

}  // namespace mxtally
