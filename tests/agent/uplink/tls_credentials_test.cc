#include "agent/uplink/tls_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/proto/tls/test_authority.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TlsCredentialsTest : public testing::Test {
 protected:
  TlsCredentialsTest() {
    Write("ca.pem", authority_.pem());
    Install(authority_.Issue("DNS:mx1"));
  }

  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  void Install(const TestCertificate& certificate) const {
    Write("mx1.pem", certificate.certificate_pem);
    Write("mx1.key", certificate.key_pem);
  }
  absl::Status Load() {
    auto loaded = TlsCredentials::Load(
        {.files = {.certificate = Path("mx1.pem"),
                   .key = Path("mx1.key"),
                   .authorities = Path("ca.pem")},
         .on_trouble = [this](const absl::Status& s) { told_.emplace_back(s.message()); },
         .now = [this] { return now_; }});
    if (!loaded.ok()) return loaded.status();
    credentials_ = *std::move(loaded);
    return absl::OkStatus();
  }

  const TemporaryFolder folder_;
  TestAuthority authority_;
  absl::Time now_ = absl::Now();
  std::vector<std::string> told_;
  std::unique_ptr<TlsCredentials> credentials_;
};

TEST_F(TlsCredentialsTest, UnreadableFilesAtTheStartAreAnError) {
  std::filesystem::remove(Path("mx1.key"));
  EXPECT_THAT(Load().message(), HasSubstr("/mx1.key"));
}

TEST_F(TlsCredentialsTest, UnchangedFilesAreTheSameCredentials) {
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ(credentials_->ForNextStream(), credentials_->ForNextStream());
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(TlsCredentialsTest, ReplacedFilesAreForTheNextStream) {
  ASSERT_TRUE(Load().ok());
  const auto first = credentials_->ForNextStream();
  Install(authority_.Issue("DNS:mx1"));
  EXPECT_NE(credentials_->ForNextStream(), first);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(TlsCredentialsTest, HalfReplacedFilesAreToldOnceAndNotUsed) {
  ASSERT_TRUE(Load().ok());
  const auto first = credentials_->ForNextStream();
  const TestCertificate next = authority_.Issue("DNS:mx1");
  Write("mx1.pem", next.certificate_pem);
  EXPECT_EQ(credentials_->ForNextStream(), first);
  EXPECT_EQ(credentials_->ForNextStream(), first);
  Write("mx1.key", next.key_pem);
  EXPECT_NE(credentials_->ForNextStream(), first);
  EXPECT_THAT(
      told_,
      ElementsAre(absl::StrCat(Path("mx1.key"), ": expected the private key of ", Path("mx1.pem"),
                               ", found another one; what was read before stays in use"),
                  ""));
}

TEST_F(TlsCredentialsTest, ExpiredCertificateIsToldOnceAndShownAllTheSame) {
  Install(authority_.Issue({.names = "DNS:mx1", .not_after = now_ + absl::Minutes(1)}));
  ASSERT_TRUE(Load().ok());
  now_ += absl::Hours(1);
  EXPECT_NE(credentials_->ForNextStream(), nullptr);
  now_ += absl::Hours(1);
  credentials_->ForNextStream();
  Install(authority_.Issue("DNS:mx1"));
  credentials_->ForNextStream();
  EXPECT_THAT(told_,
              ElementsAre(HasSubstr("/mx1.pem: the certificate of \"mx1\" expired at "), ""));
}

}  // namespace
}  // namespace mxtally
