#include "agent/parser/tls_names.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace mxtally {
namespace {

std::string Iana(std::string_view name) {
  const CipherSuite* suite = FindCipherSuite(name);
  return suite == nullptr ? "" : std::string(suite->iana);
}

int CodePoint(std::string_view name) {
  const CipherSuite* suite = FindCipherSuite(name);
  return suite == nullptr ? -1 : suite->code_point;
}

struct Row {
  int code_point;
  std::string iana;
  std::string openssl;
};

const Row kRows[] = {
#define SUITE(code_point, iana, openssl) {code_point, iana, openssl},
#define ALIAS(code_point, name)
#include "agent/parser/cipher_suites.inc"
#undef SUITE
#undef ALIAS
};

TEST(CipherSuiteTest, FindsEverySuiteByBothNames) {
  for (const Row& row : kRows) {
    EXPECT_EQ(CodePoint(row.openssl), row.code_point) << row.openssl;
    EXPECT_EQ(CodePoint(row.iana), row.code_point) << row.iana;
    EXPECT_EQ(Iana(row.openssl), row.iana);
  }
}

TEST(CipherSuiteTest, TableHasEachCodePointAndEachNameOnce) {
  std::set<int> code_points;
  std::map<std::string, int> names;
  for (const Row& row : kRows) {
    EXPECT_TRUE(code_points.insert(row.code_point).second) << row.iana;
    EXPECT_TRUE(names.emplace(row.iana, row.code_point).second) << row.iana;
    if (row.openssl != row.iana) {
      EXPECT_TRUE(names.emplace(row.openssl, row.code_point).second) << row.openssl;
    }
  }
  const std::pair<int, std::string> aliases[] = {
#define SUITE(code_point, iana, openssl)
#define ALIAS(code_point, name) {code_point, name},
#include "agent/parser/cipher_suites.inc"
#undef SUITE
#undef ALIAS
  };
  for (const auto& [code_point, name] : aliases) {
    EXPECT_TRUE(code_points.count(code_point)) << name;
    EXPECT_TRUE(names.emplace(name, code_point).second) << name;
    EXPECT_EQ(CodePoint(name), code_point) << name;
  }
}

TEST(CipherSuiteTest, NamesOfOneSuiteMeetInOneRegisteredName) {
  EXPECT_EQ(Iana("AES256-SHA"), "TLS_RSA_WITH_AES_256_CBC_SHA");
  EXPECT_EQ(CodePoint("AES256-SHA"), 0x0035);
  EXPECT_EQ(Iana("ECDHE-RSA-AES128-GCM-SHA256"), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
  EXPECT_EQ(CodePoint("ECDHE-RSA-AES128-GCM-SHA256"), 0xC02F);
  EXPECT_EQ(Iana("EDH-RSA-DES-CBC3-SHA"), Iana("DHE-RSA-DES-CBC3-SHA"));
  EXPECT_EQ(Iana("AEAD-AES256-GCM-SHA384"), "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(Iana("TLS_AES_256_GCM_SHA384"), "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(Iana("ECDHE-ARIA128-GCM-SHA256"), "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256");
  EXPECT_EQ(Iana("AECDH-AES256-SHA"), "TLS_ECDH_anon_WITH_AES_256_CBC_SHA");
  EXPECT_EQ(Iana("EXP-EDH-RSA-DES-CBC-SHA"), "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA");
  EXPECT_EQ(Iana("RC4-MD5"), "TLS_RSA_WITH_RC4_128_MD5");
}

TEST(CipherSuiteTest, UnknownNameIsNotGuessed) {
  EXPECT_EQ(FindCipherSuite(""), nullptr);
  EXPECT_EQ(FindCipherSuite("(NONE)"), nullptr);
  EXPECT_EQ(FindCipherSuite("AES256-SHA512"), nullptr);
  EXPECT_EQ(FindCipherSuite("aes256-sha"), nullptr);
  EXPECT_EQ(FindCipherSuite("AES256-SHA "), nullptr);
}

// tests/testdata/tls_names.txt: names as IANA, OpenSSL 0.9.8 to 3.0, LibreSSL and GnuTLS have
// them.
TEST(TlsNamesTest, EveryNameIsFound) {
  std::ifstream file("tests/testdata/tls_names.txt");
  int names = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string kind, key;
    words >> kind >> key;
    const std::string canonical = key == "-" ? "" : key;
    for (std::string name; words >> name; ++names) {
      if (kind == "suite") {
        EXPECT_EQ(CodePoint(name), std::stoi(key, nullptr, 16)) << line;
      } else if (kind == "gnutls") {
        const CipherSuite* suite = FindCipherSuite(name, "TLSv1.2");
        EXPECT_EQ(suite == nullptr ? -1 : suite->code_point, std::stoi(key, nullptr, 16)) << line;
      } else if (kind == "protocol") {
        EXPECT_EQ(CanonicalProtocol(name), canonical) << line;
      } else {
        EXPECT_EQ(kind, "group");
        EXPECT_EQ(CanonicalGroup(name, ""), canonical) << line;
        EXPECT_EQ(CanonicalGroup("ECDHE", name), canonical) << line;
      }
    }
  }
  EXPECT_GT(names, 500);
}

TEST(ProtocolTest, SpellingsOfOneVersionAreOne) {
  const std::pair<const char*, const char*> kTable[] = {
      {"SSLv2", "SSLv2"},
      {"SSLv3", "SSLv3"},
      {"SSL3.0", "SSLv3"},
      {"SSL3", "SSLv3"},
      {"TLSv1", "TLSv1"},
      {"TLSv1.0", "TLSv1"},
      {"TLS1.0", "TLSv1"},
      {"TLS1.0-PKIX", "TLSv1"},
      {"TLS-1.0", "TLSv1"},
      {"TLSv1.1", "TLSv1.1"},
      {"TLS1.1", "TLSv1.1"},
      {"TLS-1.1", "TLSv1.1"},
      {"TLSv1.2", "TLSv1.2"},
      {"TLS1.2", "TLSv1.2"},
      {"TLS-1.2", "TLSv1.2"},
      {"TLS1.2-PKIX", "TLSv1.2"},
      {"TLSv1.3", "TLSv1.3"},
      {"TLS1.3", "TLSv1.3"},
      {"unknown", ""},
      {"UNKNOWN", ""},
      {"", ""},
      {"TLSv1/SSLv3", ""},
      {"TLSv1.4", "TLSv1.4"},
  };
  for (const auto& [logged, canonical] : kTable) {
    EXPECT_EQ(CanonicalProtocol(logged), canonical) << logged;
  }
}

TEST(GroupTest, SpellingsOfOneGroupAreOne) {
  const struct {
    const char* kex;
    const char* parameter;
    const char* canonical;
  } kTable[] = {
      {"X25519", "", "x25519"},
      {"x25519", "", "x25519"},
      {"X448", "", "x448"},
      {"ECDHE", "P-256", "secp256r1"},
      {"ECDHE", "prime256v1", "secp256r1"},
      {"secp256r1", "", "secp256r1"},
      {"SECP384R1", "", "secp384r1"},
      {"ECDHE", "P-521", "secp521r1"},
      {"brainpoolP256r1tls13", "", "brainpoolP256r1tls13"},
      {"FFDHE2048", "", "ffdhe2048"},
      {"DHE", "2048 bits", "DHE (2048 bits)"},
      {"x25519mlkem768", "", "X25519MLKEM768"},
      {"X25519MLKEM768", "", "X25519MLKEM768"},
      {"SecP256r1MLKEM768", "", "SecP256r1MLKEM768"},
      {"x25519_kyber768", "", "x25519_kyber768"},
      {"ECDHE", "newcurve", "ECDHE (newcurve)"},
      {"", "", ""},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(CanonicalGroup(row.kex, row.parameter), row.canonical) << row.kex << row.parameter;
  }
}

}  // namespace
}  // namespace mxtally
