#include "proto/tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/proto/tls/test_authority.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const absl::Time kMidnight = absl::FromCivil(absl::CivilDay(2026, 11, 2), absl::UTCTimeZone());

class CertificateTest : public testing::Test {
 protected:
  Certificate Issued(const TestCertificateOptions& options) {
    const auto certificate = ParseCertificate(authority_.Issue(options).certificate_pem);
    EXPECT_TRUE(certificate.ok()) << certificate.status();
    return certificate.ok() ? *certificate : Certificate();
  }

  TestAuthority authority_;
};

TEST_F(CertificateTest, NamesAreDnsNamesInLowerCaseAndOthers) {
  const Certificate certificate = Issued(
      {.names =
           "DNS:MX1.Example.net,email:Alice@example.net,IP:192.0.2.1,DNS:mx1,URI:spiffe://a/b"});
  EXPECT_THAT(certificate.dns_names, ElementsAre("mx1.example.net", "mx1"));
  EXPECT_THAT(certificate.other_names, ElementsAre("Alice@example.net", "spiffe://a/b"));
  EXPECT_EQ(certificate.name(), "mx1.example.net");
}

TEST_F(CertificateTest, TheCommonNameIsNoName) {
  const Certificate certificate = Issued({.names = "", .common_name = "mx1"});
  EXPECT_THAT(certificate.dns_names, IsEmpty());
  EXPECT_EQ(certificate.name(), "CN=mx1");
}

TEST_F(CertificateTest, WhatIsNotAsciiMatchesNothing) {
  EXPECT_THAT(Issued({.names = "DNS:mx1\xc3\xa4,DNS:mx2"}).dns_names, ElementsAre("mx2"));
}

TEST_F(CertificateTest, SubjectIsPrintable) {
  EXPECT_EQ(Issued({.common_name = "a\nb\xc3\xa4"}).subject, "CN=a\\0Ab\\C3\\A4");
}

TEST_F(CertificateTest, IsValidFromItsFirstSecondToItsLast) {
  const Certificate certificate =
      Issued({.not_before = kMidnight, .not_after = kMidnight + absl::Hours(1)});
  EXPECT_TRUE(CheckValidity(certificate, kMidnight).ok());
  EXPECT_TRUE(CheckValidity(certificate, kMidnight + absl::Milliseconds(3'600'999)).ok());
  EXPECT_THAT(CheckValidity(certificate, kMidnight - absl::Seconds(1)).message(),
              "is not valid before 2026-11-02T00:00:00Z, and now it is 2026-11-01T23:59:59Z");
  EXPECT_THAT(CheckValidity(certificate, kMidnight + absl::Seconds(3'601)).message(),
              "expired at 2026-11-02T01:00:00Z, and now it is 2026-11-02T01:00:01Z");
}

TEST_F(CertificateTest, AnythingElseIsAnError) {
  for (const std::string text : {"", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n"}) {
    EXPECT_THAT(ParseCertificate(text).status().message(),
                "expected a certificate in PEM format, found none");
  }
}

}  // namespace
}  // namespace mxtally
