#include "agent/session/peer_class.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

constexpr int kAddressBits = 128;
constexpr int kMappedBits = 96;  // Of ::ffff:0:0/96, which holds IPv4.

// Reads "192.0.2.1": the form that nearly all addresses have, several times
// faster than inet_pton(), which takes terminated strings.
bool ParseDottedQuad(std::string_view text, uint8_t bytes[4]) {
  size_t at = 0;
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && (at == text.size() || text[at++] != '.')) return false;
    const size_t start = at;
    int value = 0;
    while (at < text.size() && absl::ascii_isdigit(text[at]) && at - start < 3) {
      value = value * 10 + (text[at++] - '0');
    }
    // No leading zeros: some read those as octal.
    if (at == start || value > 255 || (at - start > 1 && text[start] == '0')) return false;
    bytes[i] = static_cast<uint8_t>(value);
  }
  return at == text.size();
}

// Reads an address into 16 bytes, IPv4 as IPv4-mapped IPv6.
bool ParseAddress(std::string_view text, uint8_t bytes[16], bool* is_ipv4) {
  static constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  *is_ipv4 = ParseDottedQuad(text, bytes + 12);
  if (*is_ipv4) {
    std::memcpy(bytes, kMappedPrefix, sizeof(kMappedPrefix));
    return true;
  }
  char terminated[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof(terminated)) return false;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  return inet_pton(AF_INET6, terminated, bytes) == 1;
}

void ClearBitsAfter(int prefix_length, uint8_t bytes[16]) {
  for (int bit = prefix_length; bit < kAddressBits; ++bit) {
    bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  }
}

bool HasPrefix(const uint8_t address[16], const uint8_t network[16], int prefix_length) {
  const int whole = prefix_length / 8;
  if (std::memcmp(address, network, whole) != 0) return false;
  const int rest = prefix_length % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (address[whole] & mask) == (network[whole] & mask);
}

bool IsLoopback(const uint8_t address[16]) {
  static constexpr uint8_t kLoopback4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  static constexpr uint8_t kLoopback6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return HasPrefix(address, kLoopback4, kMappedBits + 8) ||
         HasPrefix(address, kLoopback6, kAddressBits);
}

// A look at the text, before it is parsed.
bool MayBeLoopback(std::string_view address) {
  return address.starts_with("127.") || address.find(':') != std::string_view::npos;
}

std::optional<int> ParsePrefixLength(std::string_view digits) {
  int length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || length < 0) {
    return std::nullopt;
  }
  return length;
}

// Whether `text` reads as a host name and not as a misspelt address.
bool IsDomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  size_t label_start = 0;
  bool any_letter = false;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '.') {
      if (i == label_start || i - label_start > 63) return false;
      label_start = i + 1;
      continue;
    }
    if (!absl::ascii_isalnum(text[i]) && text[i] != '-' && text[i] != '_') return false;
    any_letter |= absl::ascii_isalpha(text[i]);
  }
  return any_letter;
}

bool EndsWithIgnoreCase(std::string_view text, std::string_view lower_suffix) {
  if (text.size() < lower_suffix.size()) return false;
  text.remove_prefix(text.size() - lower_suffix.size());
  return std::equal(text.begin(), text.end(), lower_suffix.begin(),
                    [](char a, char b) { return absl::ascii_tolower(a) == b; });
}

// `domain` is lower case; a leading dot leaves out the domain itself.
bool NameIsIn(std::string_view name, std::string_view domain) {
  if (!EndsWithIgnoreCase(name, domain)) return false;
  const size_t rest = name.size() - domain.size();
  if (domain.front() == '.') return rest > 0;
  return rest == 0 || name[rest - 1] == '.';
}

// FNV-1a, which is the same in every build.
uint64_t HashEntries(const std::vector<std::string>& entries) {
  if (entries.empty()) return 0;
  uint64_t hash = 0xcbf29ce484222325;
  auto add = [&hash](uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const std::string& entry : entries) {
    for (char c : entry) add(static_cast<uint8_t>(c));
    add('\n');
  }
  return hash;
}

}  // namespace

absl::StatusOr<PeerClassifier> PeerClassifier::Create(const std::vector<std::string>& excluded) {
  PeerClassifier classifier;
  // One spelling per meaning, so that equal lists hash alike.
  std::vector<std::string> normalized;
  for (const std::string& entry : excluded) {
    const std::string_view text = entry;
    const size_t slash = text.find('/');
    Network network;
    bool is_ipv4 = false;
    if (ParseAddress(text.substr(0, slash), network.bytes, &is_ipv4)) {
      network.prefix_length = kAddressBits;
      if (slash != std::string_view::npos) {
        const std::optional<int> length = ParsePrefixLength(text.substr(slash + 1));
        const int bits_before = is_ipv4 ? kMappedBits : 0;
        if (!length.has_value() || *length > kAddressBits - bits_before) {
          return absl::InvalidArgumentError(
              absl::StrCat("expected an address, a network or a domain, found \"", entry, "\""));
        }
        network.prefix_length = bits_before + *length;
      }
      ClearBitsAfter(network.prefix_length, network.bytes);
      char spelling[INET6_ADDRSTRLEN];
      inet_ntop(AF_INET6, network.bytes, spelling, sizeof(spelling));
      normalized.push_back(absl::StrCat(spelling, "/", network.prefix_length));
      classifier.networks_.push_back(network);
      continue;
    }
    std::string domain = absl::AsciiStrToLower(entry);
    if (domain.ends_with('.')) domain.pop_back();
    if (!IsDomain(std::string_view(domain).substr(domain.starts_with('.') ? 1 : 0))) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected an address, a network or a domain, found \"", entry, "\""));
    }
    normalized.push_back(domain);
    classifier.domains_.push_back(std::move(domain));
  }
  std::sort(normalized.begin(), normalized.end());
  normalized.erase(std::unique(normalized.begin(), normalized.end()), normalized.end());
  classifier.list_hash_ = HashEntries(normalized);
  return classifier;
}

v1::PeerClass PeerClassifier::Classify(std::string_view address, std::string_view name) const {
  if (!name.empty()) {
    for (const std::string& domain : domains_) {
      if (NameIsIn(name, domain)) return v1::PEER_CLASS_EXCLUDED;
    }
  }
  if (networks_.empty() && !MayBeLoopback(address)) return v1::PEER_CLASS_EXTERNAL;
  uint8_t bytes[16];
  bool is_ipv4 = false;
  if (!ParseAddress(address, bytes, &is_ipv4)) return v1::PEER_CLASS_EXTERNAL;
  for (const Network& network : networks_) {
    if (HasPrefix(bytes, network.bytes, network.prefix_length)) return v1::PEER_CLASS_EXCLUDED;
  }
  return IsLoopback(bytes) ? v1::PEER_CLASS_LOOPBACK : v1::PEER_CLASS_EXTERNAL;
}

}  // namespace mxtally
