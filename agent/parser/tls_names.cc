#include "agent/parser/tls_names.h"

#include <algorithm>
#include <unordered_map>

namespace mxtally {
namespace {

struct SuiteName {
  std::string_view name;
  uint16_t code_point;
};

constexpr CipherSuite kSuites[] = {
#define SUITE(code_point, iana, openssl) {iana, code_point},
#define ALIAS(code_point, name)
#include "agent/parser/cipher_suites.inc"
#undef SUITE
#undef ALIAS
};

constexpr SuiteName kOtherNames[] = {
#define SUITE(code_point, iana, openssl) {openssl, code_point},
#define ALIAS(code_point, name) {name, code_point},
#include "agent/parser/cipher_suites.inc"
#undef SUITE
#undef ALIAS
};

using SuiteIndex = std::unordered_map<std::string_view, const CipherSuite*>;

SuiteIndex MakeSuiteIndex() {
  std::unordered_map<uint16_t, const CipherSuite*> by_code_point;
  SuiteIndex by_name;
  for (const CipherSuite& suite : kSuites) {
    by_code_point[suite.code_point] = &suite;
    by_name[suite.iana] = &suite;
  }
  for (const SuiteName& other : kOtherNames) {
    by_name[other.name] = by_code_point.at(other.code_point);
  }
  return by_name;
}

struct Spelling {
  std::string_view logged;
  std::string_view canonical;
};

constexpr Spelling kProtocols[] = {
#define PROTOCOL(canonical, logged) {logged, canonical},
#include "agent/parser/tls_protocols.inc"
#undef PROTOCOL
};

struct Group {
  std::string_view name;
  uint16_t code_point;
};

constexpr Group kGroups[] = {
#define GROUP(code_point, name) {name, code_point},
#define ALIAS(code_point, name)
#include "agent/parser/tls_groups.inc"
#undef GROUP
#undef ALIAS
};

constexpr Group kGroupNames[] = {
#define GROUP(code_point, name) {name, code_point},
#define ALIAS(code_point, name) {name, code_point},
#include "agent/parser/tls_groups.inc"
#undef GROUP
#undef ALIAS
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&lower](char x, char y) { return lower(x) == lower(y); });
}

// The registered name of a group, without regard to case; empty if it is not known.
std::string_view FindGroup(std::string_view name) {
  for (const Group& spelling : kGroupNames) {
    if (!EqualsIgnoringCase(spelling.name, name)) continue;
    for (const Group& group : kGroups) {
      if (group.code_point == spelling.code_point) return group.name;
    }
  }
  return {};
}

bool IsBulkCipher(std::string_view part) {
  for (const std::string_view start :
       {"AES_", "CHACHA20_", "CAMELLIA_", "3DES_", "ARCFOUR_", "DES_", "NULL", "ARIA_", "SM4_"}) {
    if (part.substr(0, start.size()) == start) return true;
  }
  return false;
}

void Replace(std::string_view from, std::string_view to, std::string& text) {
  if (const size_t at = text.find(from); at != std::string::npos) {
    text.replace(at, from.size(), to);
  }
}

// "AES_256_GCM" -> "AES_256_GCM_SHA384": what the registry adds where the description has no
// MAC of its own.
std::string WithDigest(std::string_view cipher) {
  std::string text(cipher);
  if (cipher.find("_CCM") != std::string_view::npos) return text;
  text += cipher.find("256_GCM") != std::string_view::npos ? "_SHA384" : "_SHA256";
  return text;
}

// The registered name of a suite as GnuTLS builds of Exim write it, or what is no name.
//   up to 4.92   "ECDHE_RSA_AES_256_GCM_SHA384", "RSA_AES_256_CBC_SHA1"
//   since 4.93   "KX_GROUP__SIGNATURE__CIPHER__MAC", of which group, signature and MAC may
//                be missing
std::string IanaNameOfGnutls(std::string_view name, std::string_view protocol) {
  std::string_view cipher, kex, signature, mac;
  if (name.find("__") == std::string_view::npos) {
    for (size_t at = name.find('_'); at != std::string_view::npos; at = name.find('_', at + 1)) {
      if (!IsBulkCipher(name.substr(at + 1))) continue;
      kex = name.substr(0, at);
      cipher = name.substr(at + 1);
      break;
    }
    if (cipher.empty()) return {};
    if (protocol == "TLSv1.3") return "TLS_" + std::string(cipher);
  } else {
    for (size_t part_number = 0; !name.empty(); ++part_number) {
      const size_t end = std::min(name.find("__"), name.size());
      const std::string_view part = name.substr(0, end);
      name.remove_prefix(std::min(end + 2, name.size()));
      if (part_number == 0) {
        kex = part;
      } else if (!cipher.empty()) {
        mac = part;
      } else if (IsBulkCipher(part)) {
        cipher = part;
      } else {
        signature = part;
      }
    }
    if (cipher.empty()) return {};
    if (protocol == "TLSv1.3") {
      std::string text = "TLS_" + WithDigest(cipher);
      if (cipher == "AES_128_CCM" || cipher == "AES_128_CCM_8") text += "_SHA256";
      return text;
    }
  }
  std::string text(kex);
  if (!signature.empty()) {
    // "ECDHE_X25519" and "RSA_PSS_RSAE_SHA256": without group and digest.
    text = text.substr(0, text.find('_'));
    const std::string_view key = signature.substr(0, 2);
    text += key == "EC" || key == "Ed" || key == "ED" ? "_ECDSA" : key == "DS" ? "_DSS" : "_RSA";
  }
  // Releases 1 and 2 put it first, and did not say of RC4 that it has 128 bits.
  Replace("ANON_DH", "DH_ANON", text);
  Replace("ANON", "anon", text);
  text = "TLS_" + text + "_WITH_" + std::string(cipher);
  if (!mac.empty()) {
    text += '_';
    text += mac;
  } else if (text.find("_SHA") == std::string::npos && text.find("_MD5") == std::string::npos) {
    text = WithDigest(text);
  }
  if (text.size() > 5 && text.substr(text.size() - 5) == "_SHA1") text.pop_back();
  Replace("ARCFOUR_SHA", "ARCFOUR_128_SHA", text);
  Replace("ARCFOUR_MD5", "ARCFOUR_128_MD5", text);
  Replace("ARCFOUR_", "RC4_", text);
  return text;
}

}  // namespace

const CipherSuite* FindCipherSuite(std::string_view name, std::string_view protocol) {
  static const SuiteIndex& index = *new SuiteIndex(MakeSuiteIndex());
  auto found = index.find(name);
  if (found == index.end() && name.find('_') != std::string_view::npos) {
    const std::string iana = IanaNameOfGnutls(name, protocol);
    found = index.find(std::string_view(iana));
  }
  return found == index.end() ? nullptr : found->second;
}

std::string_view CanonicalProtocol(std::string_view name) {
  for (const Spelling& protocol : kProtocols) {
    if (protocol.logged == name) return protocol.canonical;
  }
  return name;
}

std::string CanonicalGroup(std::string_view kex, std::string_view parameter) {
  if (const std::string_view group = FindGroup(kex); !group.empty()) return std::string(group);
  if (constexpr std::string_view kCustom = "DHE_CUSTOM"; kex.substr(0, kCustom.size()) == kCustom) {
    // GnuTLS's word for parameters that are none of the registered groups.
    return "DHE (" + std::string(kex.substr(kCustom.size())) + " bits)";
  }
  if (parameter.empty()) return std::string(kex);
  // "ECDHE (P-256)": the parameter is the group.
  if (const std::string_view group = FindGroup(parameter); !group.empty()) {
    return std::string(group);
  }
  std::string text(kex);
  text += " (";
  text += parameter;
  text += ')';
  return text;
}

}  // namespace mxtally
