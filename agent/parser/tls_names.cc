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

// Sendmail's "TLSv1/SSLv3" stands for any version from SSL 3.0 to TLS 1.2.
constexpr Spelling kProtocols[] = {
    {"TLSv1.3", "TLSv1.3"},   {"TLS1.3", "TLSv1.3"},  {"TLSv1.2", "TLSv1.2"},
    {"TLS1.2", "TLSv1.2"},    {"TLS-1.2", "TLSv1.2"}, {"TLS1.2-PKIX", "TLSv1.2"},
    {"TLSv1.1", "TLSv1.1"},   {"TLS1.1", "TLSv1.1"},  {"TLS-1.1", "TLSv1.1"},
    {"TLSv1", "TLSv1"},       {"TLSv1.0", "TLSv1"},   {"TLS1.0", "TLSv1"},
    {"TLS1.0-PKIX", "TLSv1"}, {"TLS-1.0", "TLSv1"},   {"SSLv3", "SSLv3"},
    {"SSL3.0", "SSLv3"},      {"SSL3", "SSLv3"},      {"SSLv2", "SSLv2"},
    {"TLSv1/SSLv3", ""},      {"unknown", ""},        {"UNKNOWN", ""},
};

// Compared without regard to case.
constexpr Spelling kGroups[] = {
    {"x25519", "x25519"},
    {"x448", "x448"},
    {"P-256", "secp256r1"},
    {"prime256v1", "secp256r1"},
    {"secp256r1", "secp256r1"},
    {"P-384", "secp384r1"},
    {"secp384r1", "secp384r1"},
    {"P-521", "secp521r1"},
    {"secp521r1", "secp521r1"},
    {"brainpoolP256r1", "brainpoolP256r1"},
    {"brainpoolP256r1tls13", "brainpoolP256r1tls13"},
    {"brainpoolP384r1", "brainpoolP384r1"},
    {"brainpoolP384r1tls13", "brainpoolP384r1tls13"},
    {"brainpoolP512r1", "brainpoolP512r1"},
    {"brainpoolP512r1tls13", "brainpoolP512r1tls13"},
    {"ffdhe2048", "ffdhe2048"},
    {"ffdhe3072", "ffdhe3072"},
    {"ffdhe4096", "ffdhe4096"},
    {"ffdhe6144", "ffdhe6144"},
    {"ffdhe8192", "ffdhe8192"},
    {"X25519MLKEM768", "X25519MLKEM768"},
    {"SecP256r1MLKEM768", "SecP256r1MLKEM768"},
    {"SecP384r1MLKEM1024", "SecP384r1MLKEM1024"},
    {"MLKEM512", "MLKEM512"},
    {"MLKEM768", "MLKEM768"},
    {"MLKEM1024", "MLKEM1024"},
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&lower](char x, char y) { return lower(x) == lower(y); });
}

// The registered name of a group, or nullptr.
const Spelling* FindGroup(std::string_view name) {
  for (const Spelling& group : kGroups) {
    if (EqualsIgnoringCase(group.logged, name)) return &group;
  }
  return nullptr;
}

}  // namespace

const CipherSuite* FindCipherSuite(std::string_view name) {
  static const SuiteIndex& index = *new SuiteIndex(MakeSuiteIndex());
  const auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

std::string_view CanonicalProtocol(std::string_view name) {
  for (const Spelling& protocol : kProtocols) {
    if (protocol.logged == name) return protocol.canonical;
  }
  return name;
}

std::string CanonicalGroup(std::string_view kex, std::string_view parameter) {
  if (const Spelling* group = FindGroup(kex)) return std::string(group->canonical);
  if (parameter.empty()) return std::string(kex);
  // "ECDHE (P-256)": the parameter is the group.
  if (const Spelling* group = FindGroup(parameter)) return std::string(group->canonical);
  std::string text(kex);
  text += " (";
  text += parameter;
  text += ')';
  return text;
}

}  // namespace mxtally
