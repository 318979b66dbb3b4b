#include "agent/source/file_watcher.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {
namespace {

// So long that a test that waits for it fails by its own time limit.
constexpr absl::Duration kForever = absl::Hours(1);

class FileWatcherTest : public ::testing::Test {
 protected:
  void Watch(const std::string& name = "mail.log") {
    watcher_ = FileWatcher::Create({folder_.Path(name)});
  }
  // Whether nothing happened.
  bool Quiet() {
    constexpr std::chrono::milliseconds kWait(20);
    const auto start = std::chrono::steady_clock::now();
    watcher_->Wait(absl::FromChrono(kWait));
    return std::chrono::steady_clock::now() - start >= kWait;
  }

  LogFolder folder_;
  std::unique_ptr<FileWatcher> watcher_;
};

TEST_F(FileWatcherTest, AppendingWakes) {
  folder_.Append("mail.log", "a\n");
  Watch();
  EXPECT_TRUE(watcher_->uses_inotify());
  EXPECT_TRUE(Quiet());
  folder_.Append("mail.log", "b\n");
  watcher_->Wait(kForever);
}

TEST_F(FileWatcherTest, ChangesSinceTheLastCallCount) {
  folder_.Append("mail.log", "a\n");
  Watch();
  folder_.Append("mail.log", "b\n");
  watcher_->Wait(kForever);
  EXPECT_TRUE(Quiet());
}

TEST_F(FileWatcherTest, FileThatAppearsWakesAndIsWatched) {
  Watch();
  folder_.Append("mail.log", "");
  watcher_->Wait(kForever);
  EXPECT_TRUE(Quiet());
  folder_.Append("mail.log", "a\n");
  watcher_->Wait(kForever);
}

TEST_F(FileWatcherTest, RotationWakesAndBothFilesAreWatched) {
  folder_.Append("mail.log", "a\n");
  Watch();
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "");
  watcher_->Wait(kForever);
  EXPECT_TRUE(Quiet());
  folder_.Append("mail.log", "b\n");
  watcher_->Wait(kForever);
  EXPECT_TRUE(Quiet());
  folder_.Append("mail.log.1", "late\n");
  watcher_->Wait(kForever);
}

TEST_F(FileWatcherTest, TruncationWakes) {
  folder_.Append("mail.log", "a\n");
  Watch();
  folder_.Truncate("mail.log");
  watcher_->Wait(kForever);
}

TEST_F(FileWatcherTest, OtherFilesDoNotWake) {
  folder_.Append("mail.log", "a\n");
  Watch();
  folder_.Append("syslog", "b\n");
  EXPECT_TRUE(Quiet());
}

TEST_F(FileWatcherTest, WakeReturnsAtOnceAlsoWhenCalledBefore) {
  Watch();
  watcher_->Wake();
  watcher_->Wait(kForever);
  std::thread other([this] { watcher_->Wake(); });
  watcher_->Wait(kForever);
  other.join();
  EXPECT_TRUE(Quiet());
}

TEST_F(FileWatcherTest, MissingFolderIsPolledUntilItAppears) {
  Watch("later/mail.log");
  EXPECT_FALSE(watcher_->uses_inotify());
  EXPECT_TRUE(Quiet());
  std::filesystem::create_directory(folder_.Path("later"));
  watcher_->Wait(absl::ZeroDuration());
  EXPECT_TRUE(watcher_->uses_inotify());
  folder_.Append("later/mail.log", "a\n");
  watcher_->Wait(kForever);
}

}  // namespace
}  // namespace mxtally
