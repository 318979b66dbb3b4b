#include "agent/source/log_follower.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/source/follower_fixture.h"

namespace mxtally {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Events = FollowerFixture::Events;

class LogFollowerTest : public FollowerFixture {};

// ---- Lines

TEST_F(LogFollowerTest, ReadsTheLiveFileFromItsBeginning) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b"));
  EXPECT_EQ(Offset(), 4);
}

TEST_F(LogFollowerTest, ReadsWhatIsAppended) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log", "b\nc\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c"));
}

TEST_F(LogFollowerTest, PartialLastLineWaitsForItsNewline) {
  folder_.Append("mail.log", "a\nhal");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  EXPECT_EQ(Offset(), 2);
  folder_.Append("mail.log", "f\n");
  EXPECT_THAT(ReadAll(), ElementsAre("half"));
}

TEST_F(LogFollowerTest, PartialLastLineWaitsOverARestart) {
  folder_.Append("mail.log", "a\nhal");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  Reopen();
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log", "f\n");
  EXPECT_THAT(ReadAll(), ElementsAre("half"));
}

TEST_F(LogFollowerTest, OnlyNewlineEndsALine) {
  folder_.Append("mail.log", std::string("a\rb\r\n\n\0x\ty\xff\n", 12));
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a\rb\r", "", "x\ty\xff"));
}

TEST_F(LogFollowerTest, OversizedLineIsSkippedAndCounted) {
  options_.line_bytes_max = 5;
  options_.chunk_bytes = 4;
  folder_.Append("mail.log", "12345\n123456\nshort\n" + std::string(1000, 'x') + "\nend\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("12345", "<oversized 7>", "short", "<oversized 1001>", "end"));
}

TEST_F(LogFollowerTest, OversizedLineMayArriveInPieces) {
  options_.line_bytes_max = 5;
  options_.chunk_bytes = 4;
  Open();
  for (int i = 0; i < 10; ++i) {
    folder_.Append("mail.log", "123");
    EXPECT_THAT(ReadAll(), IsEmpty());
    EXPECT_EQ(Offset(), 0);
  }
  Reopen();
  folder_.Append("mail.log", "45\nend\n");
  EXPECT_THAT(ReadAll(), ElementsAre("<oversized 33>", "end"));
}

TEST_F(LogFollowerTest, HoleBeforeALineIsNotPartOfIt) {
  options_.line_bytes_max = 100;
  options_.chunk_bytes = 64;
  folder_.Append("mail.log", "a\n" + std::string(5000, '\0') + "b\nc\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(Offset(), 5006);
}

TEST_F(LogFollowerTest, SinkStopsTheReadingAfterAnyLine) {
  folder_.Append("mail.log", "a\nb\nc\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  EXPECT_EQ(Offset(), 2);
  EXPECT_THAT(ReadLines(1), ElementsAre("b"));
  Reopen();
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(LogFollowerTest, ByteLimitStopsTheReading) {
  folder_.Append("mail.log", "aaaa\nbbbb\ncccc\n");
  Open();
  RecordingSink sink;
  EXPECT_EQ(*follower_->Read(7, sink), ReadResult::kMore);
  EXPECT_THAT(sink.events, ElementsAre("aaaa", "bbbb"));
  EXPECT_THAT(ReadAll(), ElementsAre("cccc"));
}

TEST_F(LogFollowerTest, ByteLimitHoldsWithoutAnyNewline) {
  options_.chunk_bytes = 16;
  folder_.Append("mail.log", std::string(10000, 'x'));
  Open();
  RecordingSink sink;
  EXPECT_EQ(*follower_->Read(100, sink), ReadResult::kMore);
}

TEST_F(LogFollowerTest, SinkIsToldTheFileAndItsDates) {
  folder_.Append("mail.log-20261101", "a\n");
  folder_.Append("mail.log", "b\n");
  Open({.from_oldest = true});
  RecordingSink sink;
  sink.with_files = true;
  sink.lines_wanted = 1;
  ASSERT_TRUE(follower_->Read(kAll, sink).ok());
  EXPECT_THAT(sink.events, ElementsAre("<file mail.log-20261101>", "a"));
  EXPECT_EQ(sink.last_name_date, absl::FromCivil(absl::CivilDay(2026, 11, 1), absl::UTCTimeZone()));
  EXPECT_THAT(ReadAll(/*with_files=*/true), ElementsAre("<file mail.log>", "b"));
}

// ---- Where to begin

TEST_F(LogFollowerTest, MissingFileAppearsLater) {
  Open();
  EXPECT_THAT(ReadAll(), IsEmpty());
  EXPECT_EQ(follower_->Position(), std::nullopt);
  folder_.Append("mail.log", "a\n");
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
}

TEST_F(LogFollowerTest, MissingFolderAppearsLater) {
  options_.path = folder_.Path("later/mail.log");
  Open();
  EXPECT_THAT(ReadAll(), IsEmpty());
  std::filesystem::create_directory(folder_.Path("later"));
  folder_.Append("later/mail.log", "a\n");
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
}

TEST_F(LogFollowerTest, WithoutCutOlderFilesAreLeftAlone) {
  folder_.Append("mail.log.1", "old\n");
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Rename("mail.log.1", "mail.log.2");
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

TEST_F(LogFollowerTest, NamedOlderFilesAreReadFirstOldestFirst) {
  folder_.Append("mail.log.3", "not named\n");
  folder_.Append("mail.log.2", "a\n");
  folder_.Append("mail.log.1", "b\n");
  folder_.Append("mail.log", "c\n");
  options_.older_paths = {folder_.Path("mail.log.1"), folder_.Path("mail.log.2")};
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b", "c"));
}

TEST_F(LogFollowerTest, FromOldestReadsEveryFileOfTheLog) {
  folder_.Append("mail.log.2", "a\n");
  folder_.Append("mail.log.1", "b\n");
  folder_.Append("mail.log.1.swp", "another file\n");
  folder_.Append("mail.log", "c\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(true), ElementsAre("<file mail.log.2>", "a", "<file mail.log.1>", "b",
                                         "<file mail.log>", "c"));
}

TEST_F(LogFollowerTest, EqualTimesAreOrderedByNumberThenName) {
  for (const char* name : {"mail.log.2", "mail.log.10", "mail.log.1", "mail.log"}) {
    folder_.Append(name, std::string(name) + "\n");
  }
  const auto same = std::filesystem::last_write_time(folder_.Path("mail.log"));
  for (const char* name : {"mail.log.2", "mail.log.10", "mail.log.1"}) {
    std::filesystem::last_write_time(folder_.Path(name), same);
  }
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("mail.log.10", "mail.log.2", "mail.log.1", "mail.log"));
}

TEST_F(LogFollowerTest, PathThatIsNoRegularFileIsRefused) {
  std::filesystem::create_directory(folder_.Path("mail.log"));
  absl::Status status = LogFollower::Open(options_, {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(options_.path));

  options_.path = folder_.Path("fifo");
  ASSERT_EQ(mkfifo(options_.path.c_str(), 0600), 0);
  status = LogFollower::Open(options_, {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_F(LogFollowerTest, UnreadableLiveFileIsAnErrorThatPasses) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "b\n");
  ASSERT_EQ(chmod(options_.path.c_str(), 0), 0);
  absl::Status status;
  {
    const WithoutRoot somebody;
    RecordingSink sink;
    status = follower_->Read(kAll, sink).status();
  }
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(options_.path));
  ASSERT_EQ(chmod(options_.path.c_str(), 0600), 0);
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

TEST_F(LogFollowerTest, UnreadableRotatedFileIsAGap) {
  folder_.Append("mail.log.1", "secret\n");
  folder_.Append("mail.log", "a\n");
  ASSERT_EQ(chmod(folder_.Path("mail.log.1").c_str(), 0), 0);
  const WithoutRoot somebody;
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 7>", "a"));
}

TEST_F(LogFollowerTest, UnreadableFileFromBeforeTheCutIsNoGap) {
  folder_.Append("mail.log.bak", "secret\n");
  folder_.Append("mail.log", "a\n");
  ASSERT_EQ(chmod(folder_.Path("mail.log.bak").c_str(), 0), 0);
  {
    const WithoutRoot somebody;
    Open();
    EXPECT_THAT(ReadAll(), ElementsAre("a"));
    Reopen();
  }
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "b\n");
  const WithoutRoot somebody;
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

TEST_F(LogFollowerTest, AnyNumberOfRotatedFilesIsLeftAlone) {
  for (int i = 1100; i > 0; --i) {
    folder_.Append(absl::StrCat("mail.log.", i, ".old"), absl::StrCat("plain ", i, "\n"));
    folder_.Append(absl::StrCat("mail.log.", i), absl::StrCat("archive ", i, "\n"));
    folder_.Compress(absl::StrCat("mail.log.", i));
  }
  folder_.Append("mail.log", "live\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("live"));
  folder_.Rename("mail.log", "mail.log.0");
  folder_.Append("mail.log", "new\n");
  EXPECT_THAT(ReadAll(), ElementsAre("new"));
}

TEST_F(LogFollowerTest, AnyNumberOfRotatedFilesIsRead) {
  Events lines;
  for (int i = 600; i > 0; --i) {
    lines.push_back(absl::StrCat("line ", i));
    folder_.Append(absl::StrCat("mail.log.", i), lines.back() + "\n");
  }
  lines.emplace_back("live");
  folder_.Append("mail.log", "live\n");
  Open({.from_oldest = true});
  EXPECT_EQ(ReadAll(), lines);
  EXPECT_EQ(follower_->BytesBehind(), 0);
}

TEST_F(LogFollowerTest, WhatIsKnownOfRemovedFilesIsForgottenWithoutHarm) {
  folder_.Append("mail.log", "first\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("first"));
  for (int i = 0; i < 1100; ++i) {
    folder_.Rename("mail.log", absl::StrCat("mail.log.", i % 2));
    folder_.Append("mail.log", absl::StrCat("line ", i, "\n"));
    ASSERT_THAT(ReadAll(), ElementsAre(absl::StrCat("line ", i)));
  }
}

TEST_F(LogFollowerTest, MoreRotatedFilesThanMayBeOpenAreRead) {
  Events expected;
  for (int i = 200; i > 0; --i) {
    expected.push_back(std::to_string(i));
    folder_.Append("mail.log." + expected.back(), expected.back() + "\n");
  }
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old_limit), 0);
  rlimit small = old_limit;
  small.rlim_cur = 50;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
  Open({.from_oldest = true});
  const Events events = ReadAll();
  Reopen();
  const Events later = ReadAll();
  setrlimit(RLIMIT_NOFILE, &old_limit);
  EXPECT_EQ(events, expected);
  EXPECT_THAT(later, IsEmpty());
}

// ---- Rotation by renaming

TEST_F(LogFollowerTest, RenamedFileIsReadToItsEndBeforeTheNewOne) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\n");
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log.1", "c\n");
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(true), ElementsAre("b", "c", "<file mail.log>", "d"));
}

TEST_F(LogFollowerTest, RenamedFileIsFollowedUntilTheNewOneHoldsSomething) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Rename("mail.log", "mail.log.1");
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log", "");
  folder_.Append("mail.log.1", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(LogFollowerTest, LateLinesOfTheRenamedFileAreRead) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
  folder_.Append("mail.log.1", "late\n");
  EXPECT_THAT(ReadAll(), ElementsAre("late"));
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("d"));
}

TEST_F(LogFollowerTest, UnfinishedLastLineOfAFinishedFileIsALine) {
  folder_.Append("mail.log", "a\nhalf");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Rename("mail.log", "mail.log.1");
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("half", "b"));
}

TEST_F(LogFollowerTest, SeveralRotationsDuringAPauseAreReadInOrder) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "b\n");
  folder_.Rename("mail.log.1", "mail.log.2");
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "c\n");
  folder_.Rename("mail.log.2", "mail.log.3");
  folder_.Rename("mail.log.1", "mail.log.2");
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c", "d"));
}

TEST_F(LogFollowerTest, SeveralRotationsWhileStoppedAreReadInOrder) {
  folder_.Append("mail.log.1", "before\n");
  folder_.Append("mail.log", "a\na2\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  const std::optional<v1::Cut> cut = follower_->Position();
  follower_.reset();
  folder_.Rename("mail.log.1", "mail.log.3");
  folder_.Rename("mail.log", "mail.log.2");
  folder_.Append("mail.log.1", "b\n");
  folder_.Append("mail.log", "c\n");
  Open({.cut = cut});
  EXPECT_THAT(ReadAll(), ElementsAre("a2", "b", "c"));
}

TEST_F(LogFollowerTest, RemovedFileIsReadToItsEndAndWhatFollowedMayBeMissing) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  folder_.Remove("mail.log");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>", "c"));
}

TEST_F(LogFollowerTest, CopyOfWhatWasReadIsNotReadAgain) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Copy("mail.log", "mail.log.bak");
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Copy("mail.log.1", "mail.log.old");
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
  folder_.Rename("mail.log", "mail.log.2");
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("d"));
}

TEST_F(LogFollowerTest, FileThatContinuesACopyOfItIsReadOnFromThere) {
  // A rotation by copying is between copy and truncation, or somebody made a copy.
  folder_.Append("mail.log", "a\nb\n");
  for (const char* copy : {"mail.log.2", "mail.log.1", "mail.log.bak"}) {
    folder_.Copy("mail.log", copy);
    folder_.Append("mail.log", absl::StrCat("after ", copy, "\n"));
  }
  const auto once =
      ElementsAre("a", "b", "after mail.log.2", "after mail.log.1", "after mail.log.bak");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), once);
  options_.older_paths = {folder_.Path("mail.log.2"), folder_.Path("mail.log.1")};
  Open();
  EXPECT_THAT(ReadAll(), once);
  Open({.from_oldest = true});
  EXPECT_THAT(ReadLines(2), ElementsAre("a", "b"));
  Reopen();
  EXPECT_THAT(ReadAll(), ElementsAre("after mail.log.2", "after mail.log.1", "after mail.log.bak"));
}

TEST_F(LogFollowerTest, FileThatContinuesACompressedCopyOfItIsReadOnFromThere) {
  folder_.Append("mail.log", "a\nb\n");
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Compress("mail.log.1");
  folder_.Append("mail.log", "c\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b", "c"));
}

TEST_F(LogFollowerTest, LiveFileIsReadFromItsBeginningAlsoBesideAnUnnamedCopy) {
  folder_.Append("mail.log", "a\n");
  folder_.Copy("mail.log", "mail.log.bak");
  folder_.Append("mail.log", "b\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b"));
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(LogFollowerTest, LineThatACopyEndsInIsOneLine) {
  folder_.Append("mail.log", "a\nhal");
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Append("mail.log", "f\nb\n");
  Open({.from_oldest = true});
  EXPECT_THAT(ReadAll(), ElementsAre("a", "half", "b"));
}

// ---- Rotation by copying

TEST_F(LogFollowerTest, CopytruncateIsFinishedFromTheCopy) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\n");
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  EXPECT_THAT(ReadAll(true), ElementsAre("<file mail.log.1>", "b"));
  folder_.Append("mail.log", "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

TEST_F(LogFollowerTest, TruncationIsSeenWhenTheFileHasGrownPastTheOldPosition) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\n");
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "c1\nc2\nc3\nc4\nc5\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c1", "c2", "c3", "c4", "c5"));
}

TEST_F(LogFollowerTest, TruncationWithoutCopyIsAGap) {
  folder_.Append("mail.log", "a\nb\nc\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "d\n");
  const Events events = ReadAll();
  // What was in memory already may be handed on.
  EXPECT_THAT(events, ElementsAre("b", "c", "<gap TRUNCATED 0>", "d"));
}

TEST_F(LogFollowerTest, GapOfATruncationCountsWhatWasSeenAndNotHandedOn) {
  folder_.Append("mail.log", "a\nhalf of a line");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Truncate("mail.log");
  EXPECT_THAT(ReadAll(), ElementsAre("<gap TRUNCATED 14>"));
  Reopen();
  EXPECT_THAT(ReadAll(), IsEmpty());
  folder_.Append("mail.log", "b\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

TEST_F(LogFollowerTest, FileCutShortIsReadAgain) {
  const std::string first(2000, '1');
  const std::string second(2000, '2');
  folder_.Append("mail.log", first + "\n" + second + "\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre(first, second));
  folder_.Truncate("mail.log", 2001);
  EXPECT_THAT(ReadAll(), ElementsAre("<gap TRUNCATED 0>", first));
}

TEST_F(LogFollowerTest, SeveralCopytruncatesDuringAPauseAreReadInOrder) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  folder_.Append("mail.log", "b\n");
  folder_.Copy("mail.log", "mail.log.2");
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "c\n");
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "d\n");
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c", "d"));
}

TEST_F(LogFollowerTest, CopytruncateWhileStoppedIsFinishedFromTheCopy) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  const std::optional<v1::Cut> cut = follower_->Position();
  follower_.reset();
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "c\nd\n");
  Open({.cut = cut});
  EXPECT_THAT(ReadAll(), ElementsAre("b", "c", "d"));
}

TEST_F(LogFollowerTest, WriterThatDoesNotAppendLeavesAHole) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b"));
  folder_.Copy("mail.log", "mail.log.1");
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", std::string(4, '\0') + "c\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c"));
}

// ---- Cuts

TEST_F(LogFollowerTest, CutIsFoundByContentUnderAnotherInode) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  v1::Cut cut = *follower_->Position();
  cut.mutable_file()->set_device(1);
  cut.mutable_file()->set_inode(2);
  follower_.reset();
  Open({.cut = cut});
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

TEST_F(LogFollowerTest, CutStaysGoodWhileTheFileGrows) {
  folder_.Append("mail.log", "a\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a"));
  const v1::Cut cut = *follower_->Position();
  EXPECT_EQ(cut.file().head_length(), 2u);
  folder_.Append("mail.log", std::string(5000, 'x') + "\n");
  EXPECT_EQ(ReadAll().size(), 1u);
  EXPECT_EQ(follower_->Position()->file().head_length(), 1024u);
  follower_.reset();
  Open({.cut = cut});
  EXPECT_EQ(Offset(), 2);
  EXPECT_EQ(ReadAll().size(), 1u);
}

TEST_F(LogFollowerTest, SameInodeWithOtherContentIsNotTheFileOfTheCut) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("a", "b"));
  const v1::Cut cut = *follower_->Position();
  follower_.reset();
  folder_.Truncate("mail.log");
  folder_.Append("mail.log", "c\nd\n");
  Open({.cut = cut});
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>", "c", "d"));
}

TEST_F(LogFollowerTest, LostCutIsAGapAndAllFilesAreRead) {
  folder_.Append("mail.log", "gone\n");
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("gone"));
  const v1::Cut cut = *follower_->Position();
  follower_.reset();
  folder_.Remove("mail.log");
  folder_.Append("mail.log.1", "a\n");
  folder_.Append("mail.log", "b\n");
  Open({.cut = cut});
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>", "a", "b"));
}

TEST_F(LogFollowerTest, CutIsKeptWhileThereIsNoFileAtAll) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  const v1::Cut cut = *follower_->Position();
  follower_.reset();
  folder_.Rename("mail.log", "unmounted");
  Open({.cut = cut});
  EXPECT_THAT(ReadAll(), IsEmpty());
  EXPECT_EQ(follower_->Position()->SerializeAsString(), cut.SerializeAsString());
  folder_.Rename("unmounted", "mail.log");
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
}

TEST_F(LogFollowerTest, ToldWhetherACutLiesInTheCurrentFile) {
  folder_.Append("mail.log", "a\nb\n");
  Open();
  EXPECT_THAT(ReadLines(1), ElementsAre("a"));
  const v1::Cut cut = *follower_->Position();
  EXPECT_EQ(follower_->OffsetInCurrentFile(cut), 2);
  EXPECT_THAT(ReadAll(), ElementsAre("b"));
  EXPECT_EQ(follower_->OffsetInCurrentFile(cut), 2);
  folder_.Rename("mail.log", "mail.log.1");
  folder_.Append("mail.log", "c\nd\n");
  EXPECT_THAT(ReadAll(), ElementsAre("c", "d"));
  EXPECT_EQ(follower_->OffsetInCurrentFile(cut), std::nullopt);
}

TEST_F(LogFollowerTest, BytesBehindCountsAllFilesThatAreNotRead) {
  folder_.Append("mail.log.2", "not to be read\n");
  folder_.Append("mail.log.1", "aa\nbb\n");
  folder_.Append("mail.log", "cc\ndd\n");
  options_.older_paths = {folder_.Path("mail.log.1")};
  Open();
  EXPECT_EQ(follower_->BytesBehind(), 12);
  EXPECT_THAT(ReadLines(1), ElementsAre("aa"));
  EXPECT_EQ(follower_->BytesBehind(), 9);
  EXPECT_THAT(ReadLines(2), ElementsAre("bb", "cc"));
  EXPECT_EQ(follower_->BytesBehind(), 3);
  folder_.Append("mail.log", "half");
  EXPECT_THAT(ReadAll(), ElementsAre("dd"));
  EXPECT_EQ(follower_->BytesBehind(), 0);
}

// ---- Large archives

class LargeArchiveTest : public FollowerFixture {
 protected:
  static constexpr int kMegabytes = 8;

  // All but the last of its lines were read when it became an archive.
  void SetUp() override {
    const std::string line = std::string(1023, 'x') + "\n";
    for (int i = 0; i < kMegabytes * 1024; ++i) absl::StrAppend(&content_, line);
    folder_.Append("mail.log", content_);
    Open();
    EXPECT_THAT(ReadAll(), SizeIs(kMegabytes * 1024));
    cut_ = *follower_->Position();
    folder_.Append("mail.log", "last\n");
    folder_.Rename("mail.log", "mail.log.1");
    folder_.Compress("mail.log.1");
    folder_.Append("mail.log", "live\n");
    options_.keep_unpacking = [this] { return ++calls_ <= calls_max_; };
  }

  std::string content_;
  v1::Cut cut_;
  int calls_ = 0;
  int calls_max_ = INT32_MAX;
};

TEST_F(LargeArchiveTest, ForEachMegabyteItIsAskedWhetherToGoOn) {
  Open({.cut = cut_});
  // It is unpacked to find the place, and again to read on there.
  EXPECT_GE(calls_, kMegabytes);
  EXPECT_LE(calls_, 2 * kMegabytes);
  EXPECT_THAT(ReadAll(), ElementsAre("last", "live"));
}

TEST_F(LargeArchiveTest, SearchThatIsStoppedFindsNothingAndLosesNothing) {
  for (calls_max_ = 0; calls_max_ < kMegabytes; ++calls_max_) {
    calls_ = 0;
    const absl::Status stopped = LogFollower::Open(options_, {.cut = cut_}).status();
    EXPECT_TRUE(absl::IsCancelled(stopped)) << stopped;
    EXPECT_EQ(calls_, calls_max_ + 1);
  }
}

TEST_F(LargeArchiveTest, ReadingThatIsStoppedEndsAtALineAndTellsOfNoGap) {
  calls_max_ = kMegabytes / 2;
  Open({.from_oldest = true});
  const std::string kStopped = "CANCELLED: unpacking was stopped";
  Events events = ReadAll();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back(), kStopped);
  events.pop_back();
  EXPECT_THAT(events, SizeIs(Offset() / 1024));
  EXPECT_THAT(events, Each(std::string(1023, 'x')));
  EXPECT_THAT(ReadAll(), ElementsAre(kStopped));
  EXPECT_EQ(calls_, calls_max_ + 1);
}

}  // namespace
}  // namespace mxtally
