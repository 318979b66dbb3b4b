#include "proto/tls/credential_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/proto/tls/test_authority.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;

class CredentialFilesTest : public testing::Test {
 protected:
  CredentialFilesTest() {
    Write("ca.pem", authority_.pem());
    const TestCertificate mine = authority_.Issue("DNS:mx1");
    Write("mx1.pem", mine.certificate_pem);
    Write("mx1.key", mine.key_pem);
  }

  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  std::string Text(const std::string& name) const { return *ReadSmallFile(Path(name), 1 << 20); }
  absl::StatusOr<Credentials> Read() const {
    return ReadCredentials(
        {.certificate = Path("mx1.pem"), .key = Path("mx1.key"), .authorities = Path("ca.pem")});
  }
  std::string Error() const { return std::string(Read().status().message()); }

  const TemporaryFolder folder_;
  TestAuthority authority_;
};

TEST_F(CredentialFilesTest, ReadsAllThree) {
  const absl::StatusOr<Credentials> credentials = Read();
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->certificate.name(), "mx1");
  EXPECT_EQ(credentials->authorities_pem, authority_.pem());
}

TEST_F(CredentialFilesTest, AuthoritiesAloneWillDo) {
  const absl::StatusOr<Credentials> credentials = ReadCredentials({.authorities = Path("ca.pem")});
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->certificate_pem, "");
}

TEST_F(CredentialFilesTest, TheFirstAuthorityThatExpiresCounts) {
  const absl::Time soon = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now() + absl::Hours(1)));
  Write("ca.pem", authority_.pem() + authority_.Issue({.not_after = soon}).certificate_pem);
  EXPECT_EQ(Read()->authorities_expire, soon);
}

TEST_F(CredentialFilesTest, MissingFileIsNamed) {
  std::filesystem::remove(Path("mx1.key"));
  EXPECT_TRUE(absl::IsNotFound(Read().status()));
  EXPECT_THAT(Error(), HasSubstr("/mx1.key"));
}

TEST_F(CredentialFilesTest, DirectoryIsNamed) {
  std::filesystem::remove(Path("ca.pem"));
  std::filesystem::create_directory(Path("ca.pem"));
  EXPECT_THAT(Error(), HasSubstr("/ca.pem"));
}

TEST_F(CredentialFilesTest, KeyOfAnotherCertificateIsAnError) {
  Write("mx1.key", authority_.Issue("DNS:mx1").key_pem);
  EXPECT_EQ(Error(), absl::StrCat(Path("mx1.key"), ": expected the private key of ",
                                  Path("mx1.pem"), ", found another one"));
}

TEST_F(CredentialFilesTest, EveryHalfWrittenFileIsAnError) {
  for (const char* name : {"mx1.pem", "mx1.key", "ca.pem"}) {
    const std::string whole = Text(name);
    // Without its last line's end a file may well be whole.
    for (size_t size = 0; size + 2 < whole.size(); size += 7) {
      Write(name, whole.substr(0, size));
      EXPECT_THAT(Error(), HasSubstr(Path(name))) << size;
    }
    Write(name, whole);
  }
  EXPECT_TRUE(Read().ok());
}

TEST_F(CredentialFilesTest, HalfAnIntermediateCertificateIsAnError) {
  const std::string second = authority_.pem();
  for (const char* name : {"mx1.pem", "ca.pem"}) {
    const std::string whole = Text(name);
    Write(name, whole + second);
    EXPECT_TRUE(Read().ok()) << Error();
    Write(name, whole + second.substr(0, second.size() / 2));
    EXPECT_THAT(Error(), HasSubstr(Path(name)));
    Write(name, whole);
  }
}

TEST_F(CredentialFilesTest, HugeFileIsAnError) {
  Write("ca.pem", std::string(5 << 20, 'x'));
  EXPECT_THAT(Error(), HasSubstr("/ca.pem: expected at most 4194304 bytes, found more"));
}

TEST_F(CredentialFilesTest, ExpiredOnesAreRead) {
  const TestCertificate old =
      authority_.Issue({.names = "DNS:mx1", .not_after = absl::Now() - absl::Minutes(1)});
  Write("mx1.pem", old.certificate_pem);
  Write("mx1.key", old.key_pem);
  ASSERT_TRUE(Read().ok());
  EXPECT_FALSE(CheckValidity(Read()->certificate, absl::Now()).ok());
}

}  // namespace
}  // namespace mxtally
