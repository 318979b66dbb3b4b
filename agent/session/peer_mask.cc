#include "agent/session/peer_mask.h"

#include <arpa/inet.h>
#include <libpsl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

template <auto Function>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Function(pointer);
  }
};

// ---- Addresses

struct Address {
  int family = AF_UNSPEC;  // AF_UNSPEC: the text is no address.
  uint8_t bytes[16] = {};
};

// IPv4-mapped addresses are IPv4.
Address ParseAddress(const std::string& text) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  Address address;
  if (inet_pton(AF_INET, text.c_str(), address.bytes) == 1) {
    address.family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), address.bytes) == 1) {
    address.family = AF_INET6;
    if (std::memcmp(address.bytes, kMapped, sizeof(kMapped)) == 0) {
      address.family = AF_INET;
      std::memmove(address.bytes, address.bytes + sizeof(kMapped), 4);
    }
  }
  return address;
}

std::string ToText(const Address& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(address.family, address.bytes, text, sizeof(text));
  return text;
}

// Empty for what is no address.
std::string NetworkOf(const std::string& text) {
  Address address = ParseAddress(text);
  if (address.family == AF_UNSPEC) return "";
  int bits = address.family == AF_INET ? 24 : 48;
  // 6to4 has an IPv4 address behind its first 16 bits (RFC 3056).
  if (address.family == AF_INET6 && address.bytes[0] == 0x20 && address.bytes[1] == 0x02) {
    bits = 16 + 24;
  }
  std::fill(address.bytes + bits / 8, std::end(address.bytes), uint8_t{0});
  return absl::StrCat(ToText(address), "/", bits);
}

// "[192.0.2.1]" and "[IPv6:2001:db8::1]" in HELO (RFC 5321, 4.1.3), lower case.
std::string WithoutBrackets(std::string_view text) {
  if (!text.starts_with('[') || !text.ends_with(']')) return std::string(text);
  text = text.substr(1, text.size() - 2);
  if (text.starts_with("ipv6:")) text.remove_prefix(5);
  return std::string(text);
}

// ---- Names

// No top-level domain begins with a digit: that would be an address, or part of one.
bool IsHostName(std::string_view text) {
  const std::string_view top = text.substr(text.rfind('.') + 1);
  return !top.empty() && absl::ascii_isalpha(top.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

// A dot or a colon could be a name's or an address'.
bool IsPlainWords(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || std::string_view(" ()_/-").find(c) != std::string_view::npos;
  });
}

void KeepPlainWords(std::string& text) {
  if (!IsPlainWords(text)) text.clear();
}

// Fields of which the log should hold no peer's words at all.
void LeaveOutOddTexts(v1::SessionRecord& record) {
  KeepPlainWords(*record.mutable_end_place());
  KeepPlainWords(*record.mutable_auth_mechanism());
  if (record.has_tls()) KeepPlainWords(*record.mutable_tls()->mutable_failure_reason());
  record.clear_original_queue_id();
}

void LeaveOutPeer(v1::SessionRecord& record) {
  record.clear_peer();
  if (record.has_tls()) record.mutable_tls()->clear_sni();
  record.set_peer_detail(v1::PEER_DETAIL_NONE);
}

class NoneMask : public PeerMask {
 public:
  void Apply(v1::SessionRecord& record) override {
    LeaveOutPeer(record);
    LeaveOutOddTexts(record);
  }
};

class PrefixMask : public PeerMask {
 public:
  using Suffixes = std::unique_ptr<psl_ctx_t, Freed<psl_free>>;
  explicit PrefixMask(Suffixes suffixes) : suffixes_(std::move(suffixes)) {}

  void Apply(v1::SessionRecord& record) override {
    record.set_peer_detail(v1::PEER_DETAIL_PREFIX);
    if (record.has_peer()) {
      v1::Peer& peer = *record.mutable_peer();
      peer.set_address(NetworkOf(peer.address()));
      peer.set_name(DomainOf(peer.name()));
      peer.set_helo(DomainOrNetworkOf(peer.helo()));
      peer.clear_port();
    }
    if (record.has_tls()) {
      record.mutable_tls()->set_sni(DomainOrNetworkOf(record.tls().sni()));
    }
    LeaveOutOddTexts(record);
  }

 private:
  // Empty for what has none: a public suffix, a single label, no host name.
  //
  // psl_registrable_domain() would go by private suffixes too, and of a host of
  // a cloud, whose name spells its address, leave out nothing.
  std::string DomainOf(std::string name) const {
    absl::AsciiStrToLower(&name);
    if (name.ends_with('.')) name.pop_back();
    if (!IsHostName(name)) return "";
    const char* domain = nullptr;
    for (const char* rest = name.c_str();
         rest != nullptr && psl_is_public_suffix2(suffixes_.get(), rest, PSL_TYPE_ICANN) == 0;) {
      domain = rest;
      rest = std::strchr(rest, '.');
      if (rest != nullptr) ++rest;
    }
    return domain == nullptr ? "" : domain;
  }

  std::string DomainOrNetworkOf(const std::string& text) const {
    std::string network = NetworkOf(WithoutBrackets(absl::AsciiStrToLower(text)));
    return network.empty() ? DomainOf(text) : network;
  }

  const Suffixes suffixes_;
};

class HmacMask : public PeerMask {
 public:
  absl::Status AddKey(const PeerKey& key) {
    Epoch epoch = {.prefix = absl::StrCat(key.epoch, ":"), .start = key.start, .mac = nullptr};
    const std::unique_ptr<EVP_MAC, Freed<EVP_MAC_free>> hmac(
        EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
    epoch.mac.reset(EVP_MAC_CTX_new(hmac.get()));
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    if (epoch.mac == nullptr ||
        EVP_MAC_init(epoch.mac.get(), reinterpret_cast<const uint8_t*>(key.secret.data()),
                     key.secret.size(), parameters) != 1) {
      return absl::InternalError("HMAC-SHA256 is not available in the system's OpenSSL");
    }
    epochs_.push_back(std::move(epoch));
    return absl::OkStatus();
  }

  void Apply(v1::SessionRecord& record) override {
    LeaveOutOddTexts(record);
    const absl::Time time = GetTimestamp(record.key().stamp());
    const auto next =
        std::upper_bound(epochs_.begin(), epochs_.end(), time,
                         [](absl::Time time, const Epoch& epoch) { return time < epoch.start; });
    if (next == epochs_.begin()) {
      LeaveOutPeer(record);
      return;
    }
    const Epoch& epoch = *std::prev(next);
    record.set_peer_detail(v1::PEER_DETAIL_HMAC);
    if (record.has_peer()) {
      v1::Peer& peer = *record.mutable_peer();
      // One value for each address, however it was written.
      const Address address = ParseAddress(peer.address());
      if (address.family != AF_UNSPEC) peer.set_address(ToText(address));
      Replace(epoch, *peer.mutable_address());
      Replace(epoch, *peer.mutable_name());
      Replace(epoch, *peer.mutable_helo());
      peer.clear_port();
    }
    if (record.has_tls()) Replace(epoch, *record.mutable_tls()->mutable_sni());
  }

 private:
  struct Epoch {
    std::string prefix;
    absl::Time start;
    // Holds the key.
    std::unique_ptr<EVP_MAC_CTX, Freed<EVP_MAC_CTX_free>> mac;
  };

  static void Replace(const Epoch& epoch, std::string& text) {
    static constexpr size_t kDigestBytes = 32;
    if (text.empty()) return;
    absl::AsciiStrToLower(&text);
    uint8_t digest[kDigestBytes];
    size_t length = 0;
    // Begins anew with the same key.
    const bool done = EVP_MAC_init(epoch.mac.get(), nullptr, 0, nullptr) == 1 &&
                      EVP_MAC_update(epoch.mac.get(), reinterpret_cast<const uint8_t*>(text.data()),
                                     text.size()) == 1 &&
                      EVP_MAC_final(epoch.mac.get(), digest, &length, sizeof(digest)) == 1 &&
                      length == kDigestBytes;
    text.clear();
    if (!done) return;  // Rather nothing than what was to be masked.
    const absl::string_view half(reinterpret_cast<const char*>(digest), kDigestBytes / 2);
    text = absl::StrCat(epoch.prefix, absl::BytesToHexString(half));
  }

  std::vector<Epoch> epochs_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PeerMask>> PeerMask::Create(v1::PeerDetail detail,
                                                           const std::vector<PeerKey>& keys) {
  switch (detail) {
    case v1::PEER_DETAIL_PREFIX: {
      // The distribution's list where it is newer than the library's.
      PrefixMask::Suffixes suffixes(psl_latest(nullptr));
      if (suffixes == nullptr) {
        return absl::InternalError("the public suffix list cannot be loaded");
      }
      return std::make_unique<PrefixMask>(std::move(suffixes));
    }
    case v1::PEER_DETAIL_HMAC: {
      auto mask = std::make_unique<HmacMask>();
      for (const PeerKey& key : keys) {
        if (absl::Status s = mask->AddKey(key); !s.ok()) return s;
      }
      return mask;
    }
    default:
      return std::make_unique<NoneMask>();
  }
}

}  // namespace mxtally
