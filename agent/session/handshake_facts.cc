#include "agent/session/handshake_facts.h"

#include <array>
#include <cstddef>
#include <string_view>

#include "agent/session/name_hash.h"
#include "agent/session/text.h"

namespace mxtally {
namespace {

// The bounds of session.proto, in bytes.
constexpr size_t kProtocolMax = 16;
constexpr size_t kCipherMax = 80;
constexpr size_t kAlgorithmMax = 64;

v1::TlsTrust TrustOf(std::string_view word) {
  if (word == "Anonymous") return v1::TLS_TRUST_ANONYMOUS;
  if (word == "Untrusted") return v1::TLS_TRUST_UNTRUSTED;
  if (word == "Trusted") return v1::TLS_TRUST_TRUSTED;
  if (word == "Verified") return v1::TLS_TRUST_VERIFIED;
  return v1::TLS_TRUST_UNSPECIFIED;
}

// Only the summary of TLS 1.3 tells.  A resumed session has no signature in
// newer releases of Postfix and one without its digest in older ones; only RSA
// and ECDSA have a digest at all (Ed25519, Ed448 and ML-DSA have none).
v1::TlsHandshake HandshakeOf(const TlsSummary& tls, std::string_view protocol) {
  if (tls.resumed) return v1::TLS_HANDSHAKE_RESUMED;
  if (protocol != "TLSv1.3") return v1::TLS_HANDSHAKE_UNSPECIFIED;
  if (tls.reused) return v1::TLS_HANDSHAKE_REUSED;
  if (tls.server_signature.empty()) {
    return tls.kex.empty() ? v1::TLS_HANDSHAKE_UNSPECIFIED : v1::TLS_HANDSHAKE_RESUMED;
  }
  const bool has_digest_by_nature =
      tls.server_signature.starts_with("RSA") || tls.server_signature.starts_with("ECDSA");
  return tls.server_digest.empty() && has_digest_by_nature ? v1::TLS_HANDSHAKE_RESUMED
                                                           : v1::TLS_HANDSHAKE_NEW;
}

std::shared_ptr<const HandshakeFacts> ReadFacts(const TlsSummary& summary) {
  auto facts = std::make_shared<HandshakeFacts>();
  const std::string_view protocol = CanonicalProtocol(summary.protocol);
  SetText(protocol, kProtocolMax, facts->protocol);
  SetText(summary.cipher, kCipherMax, facts->cipher);
  // As it will be found again from what is stored.
  facts->suite = FindCipherSuite(facts->cipher, facts->protocol);
  facts->bits_used = summary.bits_used;
  facts->bits_algorithm = summary.bits_algorithm;
  SetText(CanonicalGroup(summary.kex, summary.kex_parameter), kAlgorithmMax, facts->kex_group);
  SetText(summary.server_signature, kAlgorithmMax, facts->signature);
  SetText(summary.server_signature_key, kAlgorithmMax, facts->signature_key);
  SetText(summary.server_digest, kAlgorithmMax, facts->signature_digest);
  SetText(summary.client_signature, kAlgorithmMax, facts->client_signature);
  SetText(summary.client_signature_key, kAlgorithmMax, facts->client_signature_key);
  SetText(summary.client_digest, kAlgorithmMax, facts->client_signature_digest);
  facts->trust = TrustOf(summary.trust);
  facts->handshake = HandshakeOf(summary, protocol);
  return facts;
}

// The summary that was read last of those that share an entry.
struct Entry {
  std::string text;
  std::string trust;
  bool reused = false;
  std::shared_ptr<const HandshakeFacts> facts;
};
constexpr size_t kEntries = 256;
// Longer ones are not worth keeping.
constexpr size_t kTextBytesMax = 512;

}  // namespace

std::shared_ptr<const HandshakeFacts> HandshakeFactsOf(const TlsSummary& summary) {
  if (summary.text.empty() || summary.text.size() > kTextBytesMax) return ReadFacts(summary);
  thread_local std::array<Entry, kEntries> entries;
  const size_t hash = MixHash(NameHash()(summary.text), summary.trust.size() * 2 + summary.reused);
  Entry& entry = entries[hash % kEntries];
  if (entry.text != summary.text || entry.trust != summary.trust ||
      entry.reused != summary.reused) {
    entry = {.text = std::string(summary.text),
             .trust = std::string(summary.trust),
             .reused = summary.reused,
             .facts = ReadFacts(summary)};
  }
  return entry.facts;
}

std::shared_ptr<const HandshakeFacts> WithTrust(const HandshakeFacts* facts,
                                                std::string_view word) {
  auto changed = std::make_shared<HandshakeFacts>(facts != nullptr ? *facts : HandshakeFacts());
  changed->trust = TrustOf(word);
  return changed;
}

}  // namespace mxtally
