// Which counters a session falls into.  Pure.

#ifndef MXTALLY_STORAGE_ROLLUP_H_
#define MXTALLY_STORAGE_ROLLUP_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// The labels of a rollup besides host and time.
enum class Label {
  kDirection,
  kService,
  kPeerClass,
  kTlsState,
  kEvidence,
  kProtocol,
  kCipher,
  kKexGroup,
  kSignature,
  kTrust,
  kHandshake,
};
inline constexpr int kLabelCount = 11;

using LabelSet = std::bitset<kLabelCount>;

// Values of all labels.  Enumerations as their numbers, also unknown ones.
struct Labels {
  int direction = 0;
  std::string service;
  int peer_class = 0;
  int tls_state = 0;
  int evidence = 0;
  std::string protocol;
  std::string cipher;       // As logged.
  std::string cipher_iana;  // Goes with the cipher.
  uint32_t cipher_code_point = 0;
  std::string kex_group;
  std::string signature;
  int trust = 0;
  int handshake = 0;

  friend bool operator==(const Labels&, const Labels&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Labels& l) {
    return H::combine(std::move(h), l.direction, l.service, l.peer_class, l.tls_state, l.evidence,
                      l.protocol, l.cipher, l.cipher_iana, l.cipher_code_point, l.kex_group,
                      l.signature, l.trust, l.handshake);
  }
};

// Permitted values for each label; an empty list permits all.  Text as stored,
// numbers for enumerations; ciphers match by logged or registered name.
struct LabelFilter {
  std::vector<int> directions = {};
  std::vector<std::string> services = {};
  std::vector<int> peer_classes = {};
  std::vector<int> tls_states = {};
  std::vector<int> evidences = {};
  std::vector<std::string> protocols = {};
  std::vector<std::string> ciphers = {};
  std::vector<std::string> kex_groups = {};
  std::vector<std::string> signatures = {};
  std::vector<int> trusts = {};
  std::vector<int> handshakes = {};

  // Labels that have a restriction.
  LabelSet Used() const;

  bool Matches(const Labels& labels) const;
};

struct Measures {
  int64_t sessions = 0;
  int64_t messages = 0;
  int64_t tls_messages = 0;

  Measures& operator+=(const Measures& other);
  Measures& operator-=(const Measures& other);
  friend bool operator==(const Measures&, const Measures&) = default;
};

// The counters that `record` falls into.
Labels LabelsOf(const v1::SessionRecord& record);
Measures MeasuresOf(const v1::SessionRecord& record);

// The labels of the folded tail: text becomes "other" where there is any,
// unknown numbers become 0, the rest stays.  So there are few of them, whatever
// agents send.
Labels Folded(const Labels& labels);

// The labels of the narrow tier: direction, service, peer class, TLS state.
LabelSet NarrowLabels();

// Only the labels in `kept`; the others are as in Labels{}.
Labels Projected(const Labels& labels, const LabelSet& kept);

// Start of the hour of the key stamp.
absl::Time HourOf(const v1::SessionRecord& record);
absl::Time DayOf(absl::Time hour);

}  // namespace mxtally

#endif  // MXTALLY_STORAGE_ROLLUP_H_
