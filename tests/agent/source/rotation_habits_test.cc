// How logs are rotated, a test for each habit: what is read, in which order,
// and what is said to be missing.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/source/follower_fixture.h"

namespace mxtally {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RotationHabitsTest : public FollowerFixture {
 protected:
  // Ends the follower; StartAgain() goes on where it stood.
  void Stop() {
    cut_ = follower_->Position();
    follower_.reset();
  }
  void StartAgain() { Open({.cut = cut_}); }

  // logrotate's "create": mail.log.1 becomes mail.log.2, and so on.
  void Rotate(int files) {
    for (int i = files; i > 0; --i) {
      for (const char* ending : {"", ".gz", ".xz", ".bz2", ".zst"}) {
        const std::string name = "mail.log." + std::to_string(i) + ending;
        if (std::filesystem::exists(folder_.Path(name))) {
          folder_.Rename(name, "mail.log." + std::to_string(i + 1) + ending);
        }
      }
    }
    folder_.Rename("mail.log", "mail.log.1");
  }

  std::optional<v1::Cut> cut_;
};

// ---- Names that come and go

TEST_F(RotationHabitsTest, DeleteAndCreate) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\nhalf");
  folder_.Remove("mail.log");
  folder_.Append("mail.log", "c\n");
  // Files between the two may have been deleted too, and nobody can tell.
  EXPECT_THAT(ReadAll(), ElementsAre("b", "half", "<gap FILE_GONE 0>", "c"));
}

TEST_F(RotationHabitsTest, DeleteAndCreateWhileStopped) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Stop();
  folder_.Remove("mail.log");
  folder_.Append("mail.log", "c\n");
  StartAgain();
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>", "c"));
}

TEST_F(RotationHabitsTest, LateCreation) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log.1", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  Reopen();
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(RotationHabitsTest, SymlinkSwitch) {
  folder_.Append("mail-20261101.log", "a\n");
  folder_.Link("mail-20261101.log", "mail.log");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail-20261101.log", "b\n");
  folder_.Append("mail-20261102.log", "c\n");
  folder_.Link("mail-20261102.log", "mail.log");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c"));
  folder_.Append("mail-20261101.log", "late\n");
  EXPECT_THAT(ReadAll(), ElementsAre("late"));
}

TEST_F(RotationHabitsTest, SymlinkSwitchesWhileStopped) {
  folder_.Append("archive-20261031.log", "another log\n");
  folder_.Append("mail-20261031.log", "from before\n");
  folder_.Append("mail-20261101.log", "a\nb\n");
  folder_.Link("mail-20261101.log", "mail.log");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  Stop();
  folder_.Append("mail-20261102.log", "c\n");
  folder_.Compress("mail-20261102.log", "zstd");
  folder_.Append("mail-20261103.log", "d\n");
  folder_.Link("mail-20261103.log", "mail.log");
  StartAgain();
  EXPECT_THAT(ReadAll(true),
              ElementsAre("<file mail-20261101.log>", "b", "<file mail-20261102.log.zst>", "c",
                          "<file mail.log>", "d"));
}

// ---- Writers that do not let go at once

TEST_F(RotationHabitsTest, LateLinesInTheRenamedFile) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
  folder_.Append("mail.log.1", "late\n");
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("d", "late"));
  folder_.Append("mail.log.1", "later\n");
  folder_.Remove("mail.log.1");
  EXPECT_THAT(ReadAll(), ElementsAre("later"));
  Rotate(0);
  folder_.Append("mail.log", "e\n");
  EXPECT_THAT(ReadAll(), ElementsAre("e"));
}

TEST_F(RotationHabitsTest, LateLinesInTheRenamedFileThatWasCompressedMeanwhile) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  Stop();
  folder_.Append("mail.log.1", "late\n");
  folder_.Compress("mail.log.1");
  StartAgain();
  // Nothing before the file that is being read is looked at again.
  EXPECT_THAT(ReadAll(), IsEmpty());
  Rotate(1);
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(RotationHabitsTest, RenameInMidLine) {
  folder_.Append("mail.log", "a\nhal");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log.1", "f\n");
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("half", "b"));
}

TEST_F(RotationHabitsTest, RenameInMidLineWhileStopped) {
  folder_.Append("mail.log", "a\nhal");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Stop();
  Rotate(0);
  folder_.Append("mail.log.1", "f\n");
  folder_.Compress("mail.log.1");
  folder_.Append("mail.log", "b\n");
  StartAgain();
  EXPECT_THAT(ReadAll(), ElementsAre("half", "b"));
}

TEST_F(RotationHabitsTest, RenameInMidLineThatNobodyEnds) {
  folder_.Append("mail.log", "a\nhal");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("hal", "b"));
}

TEST_F(RotationHabitsTest, CopytruncateInMidLine) {
  folder_.Append("mail.log", "a\nhal");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "f\nb\n");
  // What was written between copy and truncation is gone, so the two halves
  // need not be of one line.
  EXPECT_THAT(ReadAll(), ElementsAre("hal", "f", "b"));
}

TEST_F(RotationHabitsTest, CopytruncateInMidLineAndCompressed) {
  folder_.Append("mail.log", "a\nb\nhal");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  Stop();
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  folder_.Compress("mail.log.1");
  folder_.Append("mail.log", "c\n");
  StartAgain();
  EXPECT_THAT(ReadAll(), ElementsAre("b", "hal", "c"));
}

// ---- Permissions

TEST_F(RotationHabitsTest, PermissionDeniedAndLaterGranted) {
  folder_.Append("mail.log", "a\n");
  ASSERT_EQ(chmod(options_.path.c_str(), 0), 0);
  {
    const WithoutRoot somebody;
    const absl::Status status = LogFollower::Open(options_, {}).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(options_.path));
  }
  ASSERT_EQ(chmod(options_.path.c_str(), 0644), 0);
  const WithoutRoot somebody;
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
}

TEST_F(RotationHabitsTest, PermissionDeniedAfterARotationAndLaterGranted) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  folder_.Append("mail.log", "b\n");
  ASSERT_EQ(chmod(options_.path.c_str(), 0), 0);
  {
    const WithoutRoot somebody;
    EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr("PERMISSION_DENIED")));
    EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr("PERMISSION_DENIED")));
  }
  folder_.Append("mail.log", "c\n");
  ASSERT_EQ(chmod(options_.path.c_str(), 0644), 0);
  const WithoutRoot somebody;
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c"));
}

TEST_F(RotationHabitsTest, PermissionDeniedForARotatedFileIsAGapAlsoWhenCompressed) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(0);
  folder_.Append("mail.log", "b\n");
  Rotate(1);
  folder_.Compress("mail.log.1");
  ASSERT_EQ(chmod(folder_.Path("mail.log.1.gz").c_str(), 0), 0);
  folder_.Append("mail.log", "c\n");
  const WithoutRoot somebody;
  const int64_t bytes = std::filesystem::file_size(folder_.Path("mail.log.1.gz"));
  EXPECT_THAT(ReadAll(), ElementsAre(absl::StrCat("<gap FILE_GONE ", bytes, ">"), "c"));
}

// ---- Several rotations while nobody looks

TEST_F(RotationHabitsTest, DoubleRotationDuringAPause) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\n");
  Rotate(0);
  folder_.Append("mail.log", "c\n");
  Rotate(1);
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c", "d"));
}

TEST_F(RotationHabitsTest, DoubleRotationDuringAPauseAllCompressed) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\n");
  Rotate(0);
  folder_.Compress("mail.log.1", "bzip2");
  folder_.Append("mail.log", "c\n");
  Rotate(1);
  folder_.Compress("mail.log.1", "bzip2");
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c", "d"));
}

TEST_F(RotationHabitsTest, DoubleRotationWhileStopped) {
  for (const char* compression : kCompressions) {
    folder_.Append("mail.log", std::string(2000, 'x') + compression + "\na\nb\n");
    Open();
    EXPECT_EQ(ReadLines(2).at(1), "a");
    Stop();
    Rotate(10);
    folder_.Compress("mail.log.1", compression);
    folder_.Append("mail.log", "c\n");
    Rotate(10);
    folder_.Compress("mail.log.1", compression);
    folder_.Append("mail.log", "d\n");
    StartAgain();
    EXPECT_THAT(ReadAll(), ElementsAre("b", "c", "d")) << compression;
    folder_.Remove("mail.log");
  }
}

// ---- Compression

TEST_F(RotationHabitsTest, DelaycompressIsNotReadAgain) {
  folder_.Append("mail.log", "a\n");
  Open();
  for (int day = 1; day < 6; ++day) {
    EXPECT_EQ(ReadAll().size(), 1u);
    if (day > 1) folder_.Compress("mail.log.1");
    Rotate(day);
    folder_.Append("mail.log", "day " + std::to_string(day) + "\n");
  }
  EXPECT_THAT(ReadAll(), ElementsAre("day 5"));
}

TEST_F(RotationHabitsTest, DelaycompressIsNotReadAgainWithTimesOfWholeSeconds) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b"));
  Rotate(0);
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
  folder_.Compress("mail.log.1");
  folder_.ToWholeSeconds("mail.log.1.gz");
  Rotate(1);
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("d"));
}

TEST_F(RotationHabitsTest, DelaycompressIsNotReadAgainWithTimesOfTheCompression) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b"));
  Rotate(0);
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
  folder_.Compress("mail.log.1");
  folder_.SetTime("mail.log.1.gz", "mail.log", 60);
  Rotate(1);
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("d"));
}

TEST_F(RotationHabitsTest, CompressedBeforeItWasReadToItsEnd) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  Rotate(0);
  folder_.Compress("mail.log.1");
  folder_.Append("mail.log", "c\n");
  // From the file that is open, and not again from the archive.
  EXPECT_THAT(ReadAll(true), ElementsAre("b", "<file mail.log>", "c"));
}

TEST_F(RotationHabitsTest, ArchiveIsLeftAloneWhileItIsWritten) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  Stop();
  Rotate(0);
  folder_.Append("mail.log", "c\n");
  const std::string archive = Compress("gzip", folder_.Content("mail.log.1"));
  folder_.Append("mail.log.1.gz", archive.substr(0, archive.size() / 2));
  StartAgain();
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c"));
}

TEST_F(RotationHabitsTest, CompressedFilesFromBeforeAreLeftAlone) {
  folder_.Append("mail.log.1", "old\n");
  folder_.Compress("mail.log.1");
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Rotate(1);
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  Reopen();
  Rotate(2);
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(RotationHabitsTest, NamedArchivesAreReadOldestFirst) {
  folder_.Append("mail.log", "a\n");
  for (int i = 0; i < 4; ++i) {
    Rotate(i);
    folder_.Compress("mail.log.1", kCompressions[i]);
    folder_.Append("mail.log", std::string(1, static_cast<char>('b' + i)) + "\n");
  }
  absl::StatusOr<std::vector<LogFollowerOptions>> logs = FindLogs({folder_.Path("mail.log*")});
  ASSERT_TRUE(logs.ok());
  ASSERT_EQ(logs->size(), 1u);
  options_ = logs->front();
  Open();
  EXPECT_GT(follower_->BytesBehind(), 4 * 20);
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(follower_->BytesBehind(), 0);
}

TEST_F(RotationHabitsTest, FilesOfOneTimeAreAllRead) {
  // As "touch", restoring and container images leave them.
  for (const bool named : {true, false}) {
    std::vector<std::string> lines;
    for (int day = 1; day < 9; ++day) {
      const std::string name = absl::StrCat("mail.log-2026110", day);
      lines.push_back(absl::StrCat("day ", day));
      folder_.Append(name, lines.back() + "\n");
      if (day > 1) folder_.SetTime(name, "mail.log-20261101.gz");
      if (day % 4 > 0) folder_.Compress(name);
      options_.older_paths.push_back(folder_.Path(name + (day % 4 > 0 ? ".gz" : "")));
    }
    if (!named) options_.older_paths.clear();
    lines.emplace_back("live");
    folder_.Append("mail.log", "live\n");
    Open({.from_oldest = !named});
    EXPECT_EQ(ReadAll(), lines);
    EXPECT_EQ(follower_->BytesBehind(), 0);
    Open({.from_oldest = !named});
    EXPECT_THAT(ReadLines(3), ElementsAre("day 1", "day 2", "day 3"));
    Reopen();
    EXPECT_EQ(ReadAll().size(), 6u);
    std::filesystem::remove_all(folder_.dir());
    std::filesystem::create_directories(folder_.dir());
  }
}

TEST_F(RotationHabitsTest, CompressionIsToldByContent) {
  folder_.Append("mail.log.2.gz", "plain after all\n");
  folder_.Append("mail.log.1", Compress("xz", "a\nb\n"));
  folder_.Append("mail.log", "c\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadLines(2), ElementsAre("plain after all", "a"));
  Reopen();
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c"));
}

TEST_F(RotationHabitsTest, ArchiveOfSeveralMembers) {
  folder_.Append("mail.log.1.gz", Compress("gzip", "a\nb") + Compress("gzip", "b\nc\n"));
  folder_.Append("mail.log", "d\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("a", "bb", "c", "d"));
}

TEST_F(RotationHabitsTest, ReadingOnInTheMiddleOfALargeArchive) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "line " + std::to_string(i) + "\n";
  folder_.Append("mail.log.1.xz", Compress("xz", text));
  folder_.Append("mail.log", "end\n");
  Open({.from_oldest = true});
  EXPECT_EQ(ReadLines(50'000).back(), "line 49999");
  Reopen();
  Events events = ReadAll();
  ASSERT_EQ(events.size(), 50'001u);
  EXPECT_EQ(events.front(), "line 50000");
  EXPECT_EQ(events.back(), "end");
}

TEST_F(RotationHabitsTest, TruncatedArchiveIsReadAsFarAsItGoesAndTheRestIsAGap) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  const std::string archive = Compress("gzip", text);
  folder_.Append("mail.log.1.gz", archive.substr(0, archive.size() / 2));
  folder_.Append("mail.log", "end\n");
  Open({.from_oldest = true});
  Events events = ReadAll();
  ASSERT_GT(events.size(), 10'000u);
  EXPECT_EQ(events[events.size() - 2], "<gap FILE_GONE 0>");
  EXPECT_EQ(events.back(), "end");
  for (size_t i = 0; i < events.size() - 2; ++i) {
    ASSERT_EQ(events[i], "line " + std::to_string(i * 7919));  // None is half a line.
  }
  folder_.Append("mail.log", "more\n");
  EXPECT_THAT(ReadAll(), ElementsAre("more"));
  Rotate(1);
  folder_.Append("mail.log", "next\n");
  EXPECT_THAT(ReadAll(), ElementsAre("next"));
}

TEST_F(RotationHabitsTest, ArchiveThatCannotBeReadIsAGap) {
  folder_.Append("mail.log.3.lz4", "\x04\x22\x4d\x18 and so on");
  folder_.Append("mail.log.2.gz", "\x1f\x8b");
  folder_.Append("mail.log.1.gz", Compress("gzip", ""));
  folder_.Append("mail.log", "a\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 14>", "<gap FILE_GONE 2>", "a"));
  Rotate(3);
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

// ---- Order

TEST_F(RotationHabitsTest, DateextIsReadInOrder) {
  folder_.Append("mail.log-20261030", "a\n");
  folder_.Compress("mail.log-20261030");
  folder_.Append("mail.log-20261031", "b\n");
  folder_.Compress("mail.log-20261031", "xz");
  folder_.Append("mail.log-20261101", "c\n");
  folder_.Append("mail.log", "d\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b", "c", "d"));
}

TEST_F(RotationHabitsTest, RestoredFilesAreOrderedByContent) {
  // Copied back by name, so that modification times tell the wrong order.
  for (const bool dated : {false, true}) {
    const std::string oldest = dated ? "mail.log-20261030.gz" : "mail.log.3.gz";
    const std::string middle = dated ? "mail.log-20261031" : "mail.log.2";
    const std::string newest = dated ? "mail.log-20261101.zst" : "mail.log.1.zst";
    folder_.Append(newest, Compress("zstd", "no stamp\n30 c\n"));
    folder_.Append(middle, "20 b\n");
    folder_.Append(oldest, Compress("gzip", "10 a\n"));
    folder_.Append("mail.log", "40 d\n");
    options_.time_of_line = [](std::string_view line, absl::Time) -> std::optional<absl::Time> {
      int64_t seconds = 0;
      if (!absl::SimpleAtoi(std::string(line.substr(0, 2)), &seconds)) return std::nullopt;
      return absl::FromUnixSeconds(seconds);
    };
    Open({.from_oldest = true});
    EXPECT_THAT(ReadAll(), ElementsAre("10 a", "20 b", "no stamp", "30 c", "40 d"));
    for (const std::string& name : {oldest, middle, newest, std::string("mail.log")}) {
      folder_.Remove(name);
    }
  }
}

}  // namespace
}  // namespace mxtally
