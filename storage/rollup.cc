#include "storage/rollup.h"

#include <algorithm>

namespace mxtally {

namespace {

constexpr char kOther[] = "other";

template <typename T>
bool Permits(const std::vector<T>& permitted, const T& value) {
  return permitted.empty() ||
         std::find(permitted.begin(), permitted.end(), value) != permitted.end();
}

void FoldText(std::string& text) {
  if (!text.empty()) text = kOther;
}

// Numbers that this release does not know could be any, so they fold too.
void FoldNumber(int& value, bool (*is_known)(int)) {
  if (!is_known(value)) value = 0;
}

}  // namespace

LabelSet LabelFilter::Used() const {
  LabelSet used;
  const auto set = [&used](Label label, bool restricted) {
    used.set(static_cast<size_t>(label), restricted);
  };
  set(Label::kDirection, !directions.empty());
  set(Label::kService, !services.empty());
  set(Label::kPeerClass, !peer_classes.empty());
  set(Label::kTlsState, !tls_states.empty());
  set(Label::kEvidence, !evidences.empty());
  set(Label::kProtocol, !protocols.empty());
  set(Label::kCipher, !ciphers.empty());
  set(Label::kKexGroup, !kex_groups.empty());
  set(Label::kSignature, !signatures.empty());
  set(Label::kTrust, !trusts.empty());
  set(Label::kHandshake, !handshakes.empty());
  return used;
}

bool LabelFilter::Matches(const Labels& labels) const {
  return Permits(directions, labels.direction) && Permits(services, labels.service) &&
         Permits(peer_classes, labels.peer_class) && Permits(tls_states, labels.tls_state) &&
         Permits(evidences, labels.evidence) && Permits(protocols, labels.protocol) &&
         (Permits(ciphers, labels.cipher) ||
          (!labels.cipher_iana.empty() && Permits(ciphers, labels.cipher_iana))) &&
         Permits(kex_groups, labels.kex_group) && Permits(signatures, labels.signature) &&
         Permits(trusts, labels.trust) && Permits(handshakes, labels.handshake);
}

Measures& Measures::operator+=(const Measures& other) {
  sessions += other.sessions;
  messages += other.messages;
  tls_messages += other.tls_messages;
  return *this;
}

Measures& Measures::operator-=(const Measures& other) {
  sessions -= other.sessions;
  messages -= other.messages;
  tls_messages -= other.tls_messages;
  return *this;
}

Labels LabelsOf(const v1::SessionRecord& record) {
  const v1::TlsFacts& tls = record.tls();
  return {
      .direction = record.direction(),
      .service = record.service(),
      .peer_class = record.peer_class(),
      .tls_state = tls.state(),
      .evidence = tls.evidence(),
      .protocol = tls.protocol(),
      .cipher = tls.cipher(),
      .cipher_iana = tls.cipher_iana(),
      .cipher_code_point = tls.cipher_code_point(),
      .kex_group = tls.kex_group(),
      .signature = tls.signature(),
      .trust = tls.trust(),
      .handshake = tls.handshake(),
  };
}

Measures MeasuresOf(const v1::SessionRecord& record) {
  const int64_t messages = std::max(record.messages(), 0);
  const bool encrypted = record.tls().state() == v1::TLS_STATE_ESTABLISHED;
  return {.sessions = 1, .messages = messages, .tls_messages = encrypted ? messages : 0};
}

Labels Folded(const Labels& labels) {
  Labels folded = labels;
  FoldText(folded.service);
  FoldText(folded.protocol);
  FoldText(folded.cipher);
  folded.cipher_iana.clear();
  folded.cipher_code_point = 0;
  FoldText(folded.kex_group);
  FoldText(folded.signature);
  FoldNumber(folded.direction, v1::Direction_IsValid);
  FoldNumber(folded.peer_class, v1::PeerClass_IsValid);
  FoldNumber(folded.tls_state, v1::TlsState_IsValid);
  FoldNumber(folded.evidence, v1::TlsEvidence_IsValid);
  FoldNumber(folded.trust, v1::TlsTrust_IsValid);
  FoldNumber(folded.handshake, v1::TlsHandshake_IsValid);
  return folded;
}

LabelSet NarrowLabels() {
  LabelSet narrow;
  for (Label label : {Label::kDirection, Label::kService, Label::kPeerClass, Label::kTlsState}) {
    narrow.set(static_cast<size_t>(label));
  }
  return narrow;
}

Labels Projected(const Labels& labels, const LabelSet& kept) {
  const auto keeps = [&kept](Label label) { return kept.test(static_cast<size_t>(label)); };
  Labels projected;
  if (keeps(Label::kDirection)) projected.direction = labels.direction;
  if (keeps(Label::kService)) projected.service = labels.service;
  if (keeps(Label::kPeerClass)) projected.peer_class = labels.peer_class;
  if (keeps(Label::kTlsState)) projected.tls_state = labels.tls_state;
  if (keeps(Label::kEvidence)) projected.evidence = labels.evidence;
  if (keeps(Label::kProtocol)) projected.protocol = labels.protocol;
  if (keeps(Label::kCipher)) {
    projected.cipher = labels.cipher;
    projected.cipher_iana = labels.cipher_iana;
    projected.cipher_code_point = labels.cipher_code_point;
  }
  if (keeps(Label::kKexGroup)) projected.kex_group = labels.kex_group;
  if (keeps(Label::kSignature)) projected.signature = labels.signature;
  if (keeps(Label::kTrust)) projected.trust = labels.trust;
  if (keeps(Label::kHandshake)) projected.handshake = labels.handshake;
  return projected;
}

absl::Time HourOf(const v1::SessionRecord& record) {
  const absl::Time stamp = absl::FromUnixSeconds(record.key().stamp().seconds());
  return absl::UnixEpoch() + absl::Floor(stamp - absl::UnixEpoch(), absl::Hours(1));
}

absl::Time DayOf(absl::Time hour) {
  return absl::UnixEpoch() + absl::Floor(hour - absl::UnixEpoch(), absl::Hours(24));
}

}  // namespace mxtally
