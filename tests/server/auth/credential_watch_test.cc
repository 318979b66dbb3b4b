#include "server/auth/credential_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
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

constexpr char kStats[] = "/mxtally.v1.StatsService/GetTlsStats";

class Changes final : public AuthObserver {
 public:
  void OnFilesChanged(const absl::Status& status) override {
    std::lock_guard lock(mutex_);
    all_.emplace_back(status.ok() ? "used" : status.message());
    changed_.notify_all();
  }
  std::vector<std::string> all() {
    std::lock_guard lock(mutex_);
    return all_;
  }
  bool Await(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return all_.size() >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class CredentialWatchTest : public testing::Test {
 protected:
  CredentialWatchTest() {
    Write("ca.pem", ca_.pem());
    Install(ca_.Issue("DNS:one"));
    Write("access", "reader certificate grafana\n");
  }

  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  void Install(const TestCertificate& certificate) const {
    Write("cert.pem", certificate.certificate_pem);
    Write("key.pem", certificate.key_pem);
  }
  absl::Status Start(absl::Duration interval = absl::Hours(1)) {
    absl::StatusOr<std::unique_ptr<CredentialWatch>> watch =
        CredentialWatch::Start({.files = {.certificate = Path("cert.pem"),
                                          .key = Path("key.pem"),
                                          .authorities = Path("ca.pem")},
                                .access_list = Path("access"),
                                .interval = interval},
                               authority_, changes_);
    if (!watch.ok()) return watch.status();
    watch_ = *std::move(watch);
    return absl::OkStatus();
  }
  std::string Name() const { return watch_->current()->certificate.name(); }
  bool IsReader(const std::string& name) {
    const std::string pem = ca_.Issue("DNS:" + name).certificate_pem;
    return authority_.Check({.certificate_pem = pem}, kStats).ok();
  }

  const TemporaryFolder folder_;
  TestAuthority ca_;
  Changes changes_;
  Authority authority_{Authority::Transport::kTls, changes_};
  std::unique_ptr<CredentialWatch> watch_;
};

TEST_F(CredentialWatchTest, ReadsAtTheStart) {
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Name(), "one");
  EXPECT_TRUE(IsReader("grafana"));
  watch_->Reload();
  EXPECT_THAT(changes_.all(), IsEmpty());
}

TEST_F(CredentialWatchTest, WhatCannotBeUsedAtTheStartIsAnError) {
  Write("access", "nobody\n");
  EXPECT_EQ(
      Start().message(),
      absl::StrCat(Path("access"), ":1: expected reader, operator or collector, found \"nobody\""));
  std::filesystem::remove(Path("key.pem"));
  EXPECT_THAT(Start().message(), HasSubstr("/key.pem"));
}

TEST_F(CredentialWatchTest, ReplacedFilesAreUsed) {
  ASSERT_TRUE(Start().ok());
  Install(ca_.Issue("DNS:two"));
  Write("access", "reader certificate other\n");
  watch_->Reload();
  EXPECT_EQ(Name(), "two");
  EXPECT_TRUE(IsReader("other"));
  EXPECT_FALSE(IsReader("grafana"));
  EXPECT_THAT(changes_.all(), ElementsAre("used"));
}

TEST_F(CredentialWatchTest, HalfOfAReplacementIsReportedOnceAndNotUsed) {
  ASSERT_TRUE(Start().ok());
  const TestCertificate two = ca_.Issue("DNS:two");
  Write("cert.pem", two.certificate_pem);  // The key is still the old one.
  watch_->Reload();
  watch_->Reload();
  EXPECT_EQ(Name(), "one");
  Write("key.pem", two.key_pem);
  watch_->Reload();
  EXPECT_EQ(Name(), "two");
  EXPECT_THAT(changes_.all(),
              ElementsAre(absl::StrCat(Path("key.pem"), ": expected the private key of ",
                                       Path("cert.pem"), ", found another one"),
                          "used"));
}

TEST_F(CredentialWatchTest, UnreadableFilesAreReportedAndTheirReturnIsToo) {
  ASSERT_TRUE(Start().ok());
  std::filesystem::rename(Path("cert.pem"), Path("away"));
  watch_->Reload();
  EXPECT_EQ(Name(), "one");
  std::filesystem::rename(Path("away"), Path("cert.pem"));
  watch_->Reload();
  EXPECT_THAT(changes_.all(), ElementsAre(HasSubstr("/cert.pem"), "used"));
}

TEST_F(CredentialWatchTest, AWrongListDoesNotKeepANewCertificateFromBeingUsed) {
  ASSERT_TRUE(Start().ok());
  Install(ca_.Issue("DNS:two"));
  Write("access", "nobody\n");
  watch_->Reload();
  EXPECT_EQ(Name(), "two");
  EXPECT_TRUE(IsReader("grafana"));
  EXPECT_THAT(changes_.all(),
              ElementsAre(HasSubstr("access:1: expected reader, operator or collector")));
}

TEST_F(CredentialWatchTest, LooksByItself) {
  ASSERT_TRUE(Start(absl::Milliseconds(1)).ok());
  // At once, not empty and then written: it may look in between.
  Write("access.new", "reader certificate other\n");
  std::filesystem::rename(Path("access.new"), Path("access"));
  ASSERT_TRUE(changes_.Await(1));
  EXPECT_TRUE(IsReader("other"));
}

}  // namespace
}  // namespace mxtally
