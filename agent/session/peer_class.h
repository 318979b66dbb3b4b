// Which peers count in shares.

#ifndef MXTALLY_AGENT_SESSION_PEER_CLASS_H_
#define MXTALLY_AGENT_SESSION_PEER_CLASS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// The operator's list of peers to set apart, and the loopback networks.
// Const methods from any thread.
class PeerClassifier {
 public:
  // Reads a list of CIDR networks ("192.0.2.0/24", "2001:db8::/32"), addresses,
  // and domains ("monitor.example.com": the name and all below it; a leading
  // dot: only those below).
  //   INVALID_ARGUMENT   names the entry that is none of these
  static absl::StatusOr<PeerClassifier> Create(const std::vector<std::string>& excluded);

  PeerClassifier() = default;

  // `address` in text form, `name` verified reverse name or empty.
  v1::PeerClass Classify(std::string_view address, std::string_view name) const;

  // Independent of the order of the list; 0 when it is empty.
  uint64_t list_hash() const { return list_hash_; }

 private:
  struct Network {
    uint8_t bytes[16];  // IPv4 as IPv4-mapped.
    int prefix_length;
  };
  std::vector<Network> networks_;
  std::vector<std::string> domains_;
  uint64_t list_hash_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_PEER_CLASS_H_
