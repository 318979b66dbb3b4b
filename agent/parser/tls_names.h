// One name for each cipher suite, protocol and group, whatever library wrote it.
// The suites are in cipher_suites.inc, from the IANA registry and OpenSSL's tables.

#ifndef MXTALLY_AGENT_PARSER_TLS_NAMES_H_
#define MXTALLY_AGENT_PARSER_TLS_NAMES_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace mxtally {

struct CipherSuite {
  std::string_view iana;  // "TLS_RSA_WITH_AES_256_CBC_SHA"
  uint16_t code_point;    // 0x0035
};

// Finds a suite by any of its names; nullptr when the name is not known.
// GnuTLS's descriptions ("ECDHE_X25519__RSA_SHA256__AES_256_GCM") name a suite together
// with the protocol, in its canonical spelling.  Static storage.
const CipherSuite* FindCipherSuite(std::string_view name, std::string_view protocol = {});

// "TLSv1", "TLSv1.2" ... for every known spelling, "" for "unknown"; another
// name as it is.
std::string_view CanonicalProtocol(std::string_view name);

// Registered group name for a key exchange as logged: ("X25519", "") ->
// "x25519", ("ECDHE", "P-256") -> "secp256r1", ("DHE", "2048 bits") ->
// "DHE (2048 bits)".  "" for an empty name.
std::string CanonicalGroup(std::string_view kex, std::string_view parameter);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_TLS_NAMES_H_
