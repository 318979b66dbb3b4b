#include "agent/checkpoint/checkpoint_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "agent/checkpoint/crc32c.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

agent::v1::Checkpoint At(int64_t offset) {
  agent::v1::Checkpoint checkpoint;
  checkpoint.set_host("mx1");
  agent::v1::LogCheckpoint& log = *checkpoint.add_logs();
  log.set_log("/var/log/mail.log");
  log.mutable_cut()->set_offset(offset);
  return checkpoint;
}

class CheckpointFileTest : public ::testing::Test {
 protected:
  CheckpointFileTest() { Reopen(); }

  void Reopen() {
    file_.reset();
    absl::StatusOr<std::unique_ptr<CheckpointFile>> opened =
        CheckpointFile::Open({.dir = folder_.path()});
    ASSERT_TRUE(opened.ok()) << opened.status();
    file_ = *std::move(opened);
  }

  absl::Status Store(const agent::v1::Checkpoint& checkpoint) { return file_->Store(checkpoint); }

  // Offset of the checkpoint that Load() returns; the status when it fails.
  std::string Load() { return Describe(file_->Load()); }

  static std::string Describe(const absl::StatusOr<std::optional<agent::v1::Checkpoint>>& loaded) {
    if (!loaded.ok()) return std::string(absl::StatusCodeToString(loaded.status().code()));
    if (!loaded->has_value()) return "none";
    return std::to_string((*loaded)->logs(0).cut().offset());
  }

  std::string Newest() const { return folder_ / "checkpoint"; }
  std::string Previous() const { return folder_ / "checkpoint.previous"; }
  static void ShortenBy(const std::string& path, int64_t bytes) {
    fs::resize_file(path, fs::file_size(path) - bytes);
  }
  static void FlipLastByte(const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    const char last = static_cast<char>(file.get());
    file.seekp(-1, std::ios::end);
    file.put(static_cast<char>(last ^ 1));
  }

  const TemporaryFolder folder_;
  std::unique_ptr<CheckpointFile> file_;
};

TEST(Crc32cTest, AgreesWithRfc3720) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aa);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST_F(CheckpointFileTest, FirstStartHasNone) { EXPECT_EQ(Load(), "none"); }

TEST_F(CheckpointFileTest, DirectoryIsCreatedWithItsParents) {
  file_.reset();
  fs::remove_all(folder_.path());
  auto opened = CheckpointFile::Open({.dir = folder_ / "a/b"});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(fs::is_directory(folder_ / "a/b"));
}

TEST_F(CheckpointFileTest, TheLastOneStoredIsLoaded) {
  ASSERT_TRUE(Store(At(100)).ok());
  ASSERT_TRUE(Store(At(200)).ok());
  EXPECT_EQ(Load(), "200");
  Reopen();
  EXPECT_EQ(Load(), "200");
}

TEST_F(CheckpointFileTest, EmptyCheckpointIsNotNone) {
  ASSERT_TRUE(Store(agent::v1::Checkpoint()).ok());
  auto loaded = file_->Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->has_value());
}

TEST_F(CheckpointFileTest, TruncatedNewestFallsBackToTheOneBefore) {
  ASSERT_TRUE(Store(At(100)).ok());
  ASSERT_TRUE(Store(At(200)).ok());
  ShortenBy(Newest(), 1);
  Reopen();
  EXPECT_EQ(Load(), "DATA_LOSS");
  EXPECT_EQ(Load(), "100");
  EXPECT_EQ(Load(), "100");
}

TEST_F(CheckpointFileTest, FlippedBitIsDamage) {
  ASSERT_TRUE(Store(At(100)).ok());
  FlipLastByte(Newest());
  Reopen();
  EXPECT_EQ(Load(), "DATA_LOSS");
  EXPECT_EQ(Load(), "none");
}

TEST_F(CheckpointFileTest, ForeignFileIsDamage) {
  std::ofstream(Newest()) << "something else that is long enough";
  EXPECT_EQ(Load(), "DATA_LOSS");
  std::ofstream(Newest()) << "";
  Reopen();
  EXPECT_EQ(Load(), "DATA_LOSS");
}

TEST_F(CheckpointFileTest, BothDamagedLeavesNone) {
  ASSERT_TRUE(Store(At(100)).ok());
  ASSERT_TRUE(Store(At(200)).ok());
  ShortenBy(Newest(), 1);
  ShortenBy(Previous(), 1);
  Reopen();
  EXPECT_EQ(Load(), "DATA_LOSS");
  EXPECT_EQ(Load(), "DATA_LOSS");
  EXPECT_EQ(Load(), "none");
}

TEST_F(CheckpointFileTest, DamagedFileDoesNotReplaceAGoodOne) {
  ASSERT_TRUE(Store(At(100)).ok());
  ASSERT_TRUE(Store(At(200)).ok());
  ShortenBy(Newest(), 1);
  Reopen();
  EXPECT_EQ(Load(), "DATA_LOSS");
  ASSERT_TRUE(Store(At(300)).ok());
  ShortenBy(Newest(), 1);
  Reopen();
  EXPECT_EQ(Load(), "DATA_LOSS");
  EXPECT_EQ(Load(), "100");
}

TEST_F(CheckpointFileTest, CrashBetweenTheRenamesLeavesTheOneBefore) {
  ASSERT_TRUE(Store(At(100)).ok());
  fs::rename(Newest(), Previous());
  Reopen();
  EXPECT_EQ(Load(), "100");
  ASSERT_TRUE(Store(At(200)).ok());
  EXPECT_EQ(Load(), "200");
}

TEST_F(CheckpointFileTest, LeftOverOfAnInterruptedWriteIsIgnored) {
  ASSERT_TRUE(Store(At(100)).ok());
  std::ofstream(Newest() + ".new") << "half";
  Reopen();
  EXPECT_EQ(Load(), "100");
  ASSERT_TRUE(Store(At(200)).ok());
  EXPECT_EQ(Load(), "200");
}

TEST_F(CheckpointFileTest, NoSpaceKeepsTheOldOne) {
  ASSERT_TRUE(Store(At(100)).ok());
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit small = old_limit;
  small.rlim_cur = 10;
  auto* old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = Store(At(200));
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);

  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(Load(), "100");
  EXPECT_FALSE(fs::exists(Newest() + ".new"));
  ASSERT_TRUE(Store(At(300)).ok());
  EXPECT_EQ(Load(), "300");
}

TEST_F(CheckpointFileTest, DirectoryBelongsToOneAgentAtATime) {
  const absl::Status second = CheckpointFile::Open({.dir = folder_.path()}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  file_.reset();
  EXPECT_TRUE(CheckpointFile::Open({.dir = folder_.path()}).ok());
}

TEST_F(CheckpointFileTest, DirectoryThatIsAFileIsRefused) {
  std::ofstream(folder_ / "file") << "x";
  const absl::Status status = CheckpointFile::Open({.dir = folder_ / "file"}).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ / "file"));
}

TEST_F(CheckpointFileTest, OthersCanReadWhileTheAgentRuns) {
  EXPECT_EQ(Describe(ReadCheckpoint(folder_.path())), "none");
  ASSERT_TRUE(Store(At(100)).ok());
  ASSERT_TRUE(Store(At(200)).ok());
  EXPECT_EQ(Describe(ReadCheckpoint(folder_.path())), "200");
  ShortenBy(Newest(), 1);
  EXPECT_EQ(Describe(ReadCheckpoint(folder_.path())), "100");
  fs::remove(Previous());
  EXPECT_EQ(Describe(ReadCheckpoint(folder_.path())), "DATA_LOSS");
}

TEST_F(CheckpointFileTest, NobodyElseMayReadTheFiles) {
  ASSERT_TRUE(Store(At(100)).ok());
  struct stat st;
  ASSERT_EQ(stat(Newest().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0077, 0u);
}

}  // namespace
}  // namespace mxtally
