// The X= field: "PROTOCOL:CIPHER:BITS[:GROUP]", with '*' behind it for a resumed session.
// OpenSSL's cipher names need nothing; GnuTLS's descriptions hold more than the cipher:
// "ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM" is key exchange with group, signature,
// cipher.

#include "agent/parser/exim.h"
#include "agent/parser/fields.h"

namespace mxtally {
namespace {

bool IsDigest(std::string_view word) {
  return StartsWith(word, "SHA") || Is(word, "MD5") || Is(word, "GOST");
}

// "RSA_PSS_RSAE_SHA256", "ECDSA_SECP256R1_SHA256", "EDDSA_ED25519": in the words of the
// other MTAs.
void ReadSignature(std::string_view part, TlsSummary& summary) {
  const size_t last = part.rfind('_');
  const std::string_view end = last == std::string_view::npos ? part : part.substr(last + 1);
  if (IsDigest(end)) {
    summary.server_digest = end;
    if (last != std::string_view::npos) part = part.substr(0, last);
  }
  if (StartsWith(part, "RSA_PSS")) {
    summary.server_signature = "RSA-PSS";
  } else if (StartsWith(part, "ECDSA")) {
    summary.server_signature = "ECDSA";
    if (part.size() > 6) summary.server_signature_key = part.substr(6);
  } else if (StartsWith(part, "EDDSA_") || StartsWith(part, "EdDSA_")) {
    summary.server_signature = part.substr(6);
  } else {
    summary.server_signature = part;
  }
}

bool IsSignature(std::string_view part) {
  if (StartsWith(part, "EDDSA") || StartsWith(part, "EdDSA")) return true;
  return (StartsWith(part, "RSA_") || StartsWith(part, "ECDSA") || StartsWith(part, "DSA")) &&
         (part.find("SHA") != std::string_view::npos || EndsWith(part, "MD5"));
}

// "KX_GROUP__SIGNATURE__CIPHER__MAC", where all but the first and the cipher may be missing.
void ReadDescription(std::string_view description, TlsSummary& summary) {
  const size_t first = description.find("__");
  const std::string_view kex = description.substr(0, first);
  if (const size_t group = kex.find('_'); group != std::string_view::npos) {
    summary.kex = StartsWith(kex, "DHE_CUSTOM") ? kex : kex.substr(group + 1);
  }
  std::string_view rest = description.substr(first + 2);
  const std::string_view second = rest.substr(0, rest.find("__"));
  if (IsSignature(second)) ReadSignature(second, summary);
}

}  // namespace

bool ParseEximTls(std::string_view value, TlsSummary& summary) {
  summary = {};
  summary.text = value;
  if (value.ends_with('*')) {
    summary.resumed = true;
    value.remove_suffix(1);
  }
  summary.protocol = TakeUntil(value, ':');
  if (summary.protocol.empty() || !Consume(value, ":")) return false;
  summary.cipher = TakeUntil(value, ':');
  int bits = 0;
  if (summary.cipher.empty() || !Consume(value, ":") || !TakeNumber(value, bits)) return false;
  const bool is_gnutls =
      summary.cipher.find('_') != std::string_view::npos && !StartsWith(summary.cipher, "TLS_");
  // GnuTLS builds up to 4.77 wrote bytes; no cipher of theirs has fewer than 40 bits.
  constexpr int kBytesMax = 32;
  summary.bits_used = is_gnutls && bits <= kBytesMax ? bits * 8 : bits;
  summary.bits_algorithm = summary.bits_used;
  if (summary.cipher.find("__") != std::string_view::npos) {
    ReadDescription(summary.cipher, summary);
  }
  if (Consume(value, ":")) {
    summary.kex = value;
    return true;
  }
  return value.empty();
}

}  // namespace mxtally
