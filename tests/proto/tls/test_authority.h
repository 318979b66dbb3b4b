// A certificate authority in memory, and the certificates that tests need.

#ifndef MXTALLY_TESTS_PROTO_TLS_TEST_AUTHORITY_H_
#define MXTALLY_TESTS_PROTO_TLS_TEST_AUTHORITY_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mxtally {

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

struct TestCertificateOptions {
  // As OpenSSL writes subject alternative names: "DNS:mx1,IP:127.0.0.1"; empty: none.
  std::string names = {};
  std::string common_name = "test";
  absl::Time not_before = absl::Now() - absl::Hours(1);
  absl::Time not_after = absl::Now() + absl::Hours(48);
};

class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  const std::string& pem() const { return pem_; }
  TestCertificate Issue(const TestCertificateOptions& options) const;
  TestCertificate Issue(const std::string& names) const {
    return Issue(TestCertificateOptions{.names = names});
  }

 private:
  EVP_PKEY* const key_;
  X509* const certificate_;
  std::string pem_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_PROTO_TLS_TEST_AUTHORITY_H_
