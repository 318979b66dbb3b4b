// The systemd journal as a log: what becomes a line, what is trusted, and where
// reading goes on.

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/source/journal_reader.h"
#include "agent/source/log_follower.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/source/follower_fixture.h"
#include "tests/agent/source/journal_fixture.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Fields = JournalFolder::Fields;
using Events = std::vector<std::string>;

class JournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(JournalFolder::CanWrite()) << "needs the package systemd-journal-remote";
    options_.path = "journal";
    options_.journal.emplace().directory = journal_.dir();
  }

  void Open(LogStart start = {}) {
    absl::StatusOr<std::unique_ptr<LogFollower>> opened =
        LogFollower::Open(options_, std::move(start));
    ASSERT_TRUE(opened.ok()) << opened.status();
    follower_ = *std::move(opened);
  }
  void Reopen() {
    std::optional<v1::Cut> cut = follower_->Position();
    follower_.reset();
    Open({.cut = std::move(cut)});
  }
  Events ReadAll(RecordingSink sink = {}) {
    while (true) {
      absl::StatusOr<ReadResult> result = follower_->Read(1 << 30, sink);
      if (!result.ok()) sink.events.emplace_back(result.status().ToString());
      if (!result.ok() || *result == ReadResult::kEndOfLog) return sink.events;
    }
  }
  Events ReadLines(int64_t count) {
    RecordingSink sink;
    sink.lines_wanted = count;
    EXPECT_TRUE(follower_->Read(1 << 30, sink).ok());
    return sink.events;
  }
  // The part of each line behind the stamp and host.
  static Events Texts(Events lines) {
    for (std::string& line : lines) {
      if (const size_t host = line.find(" mx1 "); host != std::string::npos)
        line.erase(0, host + 5);
    }
    return lines;
  }
  Events TextsOf(const Fields& entry) {
    const std::string name = absl::StrCat("table", ++tables_, ".journal");
    journal_.Append({entry}, name);
    Open();
    Events texts = Texts(ReadAll());
    follower_.reset();
    journal_.Remove(name);
    return texts;
  }

  JournalFolder journal_;
  LogFollowerOptions options_;
  std::unique_ptr<LogFollower> follower_;
  int tables_ = 0;
};

// ---- Lines

TEST_F(JournalTest, EntryHasTheFormOfALine) {
  journal_.Append({journal_.Entry("connect from a.example[192.0.2.1]")});
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre("2026-11-02T04:02:01.000001+00:00 mx1 "
                                     "postfix/smtpd[1234]: connect from a.example[192.0.2.1]"));
}

TEST_F(JournalTest, SendersStampIsPreferred) {
  journal_.Append({journal_.Entry("x", {{"_SOURCE_REALTIME_TIMESTAMP", "1793592120123456"}})});
  Open();
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr("2026-11-02T04:02:00.123456+00:00 ")));
}

TEST_F(JournalTest, OtherProgramsAreNotRead) {
  const std::vector<std::pair<Fields, bool>> kTable = {
      {{}, true},
      {{{"SYSLOG_FACILITY", "3"}}, true},  // The unit tells.
      {{{"SYSLOG_FACILITY", ""}}, true},
      {{{"_SYSTEMD_UNIT", ""}, {"_UID", "0"}}, true},  // The facility tells.
      {{{"SYSLOG_FACILITY", "3"}, {"_SYSTEMD_UNIT", "cron.service"}, {"_UID", "0"}}, false},
      {{{"SYSLOG_FACILITY", "3"}, {"_SYSTEMD_UNIT", ""}, {"_UID", "0"}}, false},
  };
  for (const auto& [changes, read] : kTable) {
    EXPECT_THAT(TextsOf(journal_.Entry("x", changes)), SizeIs(read ? 1 : 0))
        << testing::PrintToString(changes);
  }
  options_.journal->units = {"mailer.service"};
  EXPECT_THAT(
      TextsOf(journal_.Entry("x", {{"SYSLOG_FACILITY", "3"}, {"_SYSTEMD_UNIT", "mailer.service"}})),
      ElementsAre("postfix/smtpd[1234]: x"));
}

TEST_F(JournalTest, OnlyAnMtaMaySpeakInItsName) {
  const std::string kGood = "postfix/smtpd[1234]: x";
  const std::string kForged = "untrusted[1234]: ";
  const std::vector<std::pair<Fields, std::string>> kTable = {
      {{}, kGood},
      {{{"_UID", "0"}, {"_SYSTEMD_UNIT", "anything.service"}}, kGood},
      {{{"_UID", "0"}, {"_SYSTEMD_UNIT", ""}}, kGood},
      // `logger -p mail.info -t postfix/smtpd`, of a person, of a web server.
      {{{"_UID", "1000"}, {"_SYSTEMD_UNIT", "session-3.scope"}, {"_COMM", "logger"}}, kForged},
      {{{"_UID", "1000"}, {"_SYSTEMD_UNIT", "user@1000.service"}}, kForged},
      {{{"_UID", "33"}, {"_SYSTEMD_UNIT", "php-fpm.service"}}, kForged},
      // A command in a .forward file.
      {{{"_UID", "1000"}}, kForged},
      {{{"_UID", "65534"}}, kForged},
      {{{"_UID", ""}}, kForged},
      {{{"_UID", "-1"}}, kForged},
      {{{"_UID", "1000"}, {"SYSLOG_IDENTIFIER", "sm-mta"}}, kForged},
      {{{"_UID", "1000"}, {"SYSLOG_IDENTIFIER", "exim4"}}, kForged},
      // Not in the name of an MTA, and no parser listens to it.
      {{{"_UID", "5000"}, {"SYSLOG_IDENTIFIER", "dovecot"}}, "dovecot[1234]: x"},
  };
  for (const auto& [changes, text] : kTable) {
    EXPECT_THAT(TextsOf(journal_.Entry("x", changes)), ElementsAre(text))
        << testing::PrintToString(changes);
  }
}

TEST_F(JournalTest, ForgedEntriesAreCounted) {
  journal_.Append(
      {journal_.Entry("x"), journal_.Entry("x", {{"_UID", "1000"}}),
       journal_.Entry("x", {{"_UID", "1001"}}),
       // Users may run it.
       journal_.Entry("x", {{"_UID", "1000"}, {"SYSLOG_IDENTIFIER", "postfix/postdrop"}})});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(4));
  EXPECT_EQ(follower_->UntrustedLines(), 2);
}

TEST_F(JournalTest, ValueCannotForgeALine) {
  const std::string forged =
      "\n2026-11-02T04:02:01.000001+00:00 mx1 postfix/smtpd[1]: disconnect from x[192.0.2.1]";
  EXPECT_THAT(TextsOf(journal_.Entry("helo=<" + forged + "\r\x1b[2J" + std::string(1, '\0') + ">")),
              ElementsAre("postfix/smtpd[1234]: helo=<?" + forged.substr(1) + "??[2J?>"));
  EXPECT_THAT(TextsOf(journal_.Entry("x", {{"SYSLOG_IDENTIFIER", "a b/c[1]: d\n"}})),
              ElementsAre("a?b/c?1???d?[1234]: x"));
  const Events lines = TextsOf(journal_.Entry("x", {{"_HOSTNAME", "h 1"}}));
  EXPECT_THAT(lines, ElementsAre(HasSubstr(" h?1 postfix/smtpd[1234]: x")));
}

TEST_F(JournalTest, OversizedEntryIsSkippedAndCounted) {
  options_.line_bytes_max = 200;
  journal_.Append({journal_.Entry(std::string(1'000'000, 'x')), journal_.Entry("end")});
  Open();
  const Events events = ReadAll();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_THAT(events[0], HasSubstr("<oversized "));
  EXPECT_THAT(events[1], HasSubstr("end"));
}

TEST_F(JournalTest, WhatJournaldSuppressedOfAnMtaIsTold) {
  const Fields notice = {{"MESSAGE_ID", "a596d6fe7bfa4994828e72309e95d61e"},
                         {"SYSLOG_IDENTIFIER", "systemd-journald"},
                         {"SYSLOG_FACILITY", "3"},
                         {"_SYSTEMD_UNIT", "systemd-journald.service"},
                         {"_TRANSPORT", "driver"},
                         {"_UID", "0"},
                         {"_PID", "300"}};
  const std::string message = "Suppressed 1234 messages from postfix@-.service";
  EXPECT_THAT(TextsOf(journal_.Entry(message, notice)),
              ElementsAre("systemd-journald[300]: " + message));
  EXPECT_THAT(
      TextsOf(journal_.Entry("Suppressed 9 messages from /system.slice/postfix.service", notice)),
      SizeIs(1));
  // Of others, and by others.
  EXPECT_THAT(TextsOf(journal_.Entry("Suppressed 9 messages from ssh.service", notice)), IsEmpty());
  Fields forged = notice;
  forged["_TRANSPORT"] = "journal";
  EXPECT_THAT(TextsOf(journal_.Entry(message, forged)), IsEmpty());
}

// ---- Where to begin, and to go on

TEST_F(JournalTest, AllBootsAreRead) {
  journal_.Append({journal_.Entry("a"), journal_.Entry("b")});
  journal_.Append({journal_.Entry(
      "c", {{"_BOOT_ID", JournalFolder::kSecondBoot}, {"__MONOTONIC_TIMESTAMP", "1"}})});
  Open();
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("postfix/smtpd[1234]: a", "postfix/smtpd[1234]: b",
                                            "postfix/smtpd[1234]: c"));
}

TEST_F(JournalTest, EntriesThatComeLaterAreRead) {
  journal_.Append({journal_.Entry("a")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  EXPECT_THAT(ReadAll(), IsEmpty());
  EXPECT_EQ(follower_->BytesBehind(), 0);
  journal_.Append({journal_.Entry("b")});
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": b")));
  // In a file that was not there.
  journal_.Append({journal_.Entry("c")}, "rotated.journal");
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": c")));
}

TEST_F(JournalTest, CursorIsThePlace) {
  journal_.Append({journal_.Entry("a"), journal_.Entry("b"), journal_.Entry("c")});
  Open();
  EXPECT_EQ(follower_->Position()->cursor(), "");
  EXPECT_THAT(ReadLines(1), ElementsAre(HasSubstr(": a")));
  EXPECT_THAT(follower_->Position()->cursor(), HasSubstr(";b=6c7c6013a8244d6c84abd2d4d4b3e9b0;"));
  EXPECT_GT(follower_->BytesBehind(), 0);
  Reopen();
  EXPECT_THAT(ReadLines(1), ElementsAre(HasSubstr(": b")));
  Reopen();
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": c")));
  Reopen();
  EXPECT_THAT(ReadAll(), IsEmpty());
  journal_.Append({journal_.Entry("d")});
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": d")));
}

TEST_F(JournalTest, PlaceBeforeTheFirstEntryIsOneToo) {
  journal_.Append({journal_.Entry("x", {{"SYSLOG_FACILITY", "3"}, {"_SYSTEMD_UNIT", ""}})});
  Open();
  EXPECT_THAT(ReadAll(), IsEmpty());
  Reopen();
  journal_.Append({journal_.Entry("a")});
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": a")));
}

TEST_F(JournalTest, ToldWhichOfTwoPlacesIsTheLaterOne) {
  journal_.Append({journal_.Entry("a"), journal_.Entry("b"), journal_.Entry("c")});
  Open();
  EXPECT_THAT(ReadLines(2), SizeIs(2));
  const v1::Cut second = *follower_->Position();
  Open();
  EXPECT_THAT(ReadLines(1), SizeIs(1));
  EXPECT_EQ(follower_->OffsetInCurrentFile(second), second.offset());
  EXPECT_LT(follower_->Position()->offset(), second.offset());
  EXPECT_THAT(ReadLines(1), SizeIs(1));
  EXPECT_EQ(follower_->Position()->SerializeAsString(), second.SerializeAsString());
  v1::Cut of_file = second;
  of_file.mutable_file()->set_inode(1);
  EXPECT_EQ(follower_->OffsetInCurrentFile(of_file), std::nullopt);
}

TEST_F(JournalTest, RemovedEntriesAreAGap) {
  journal_.Append({journal_.Entry("a"), journal_.Entry("b")});
  Open();
  EXPECT_THAT(ReadLines(1), SizeIs(1));
  const v1::Cut cut = *follower_->Position();
  follower_.reset();
  journal_.Remove("mail.journal");
  journal_.Append({journal_.Entry("c"), journal_.Entry("d")});
  Open({.cut = cut});
  EXPECT_THAT(Texts(ReadAll()),
              ElementsAre("<gap FILE_GONE 0>", "postfix/smtpd[1234]: c", "postfix/smtpd[1234]: d"));
  Reopen();
  EXPECT_THAT(ReadAll(), IsEmpty());
}

// ---- Files that come and go while the journal is followed

TEST_F(JournalTest, RotationIsNoGap) {
  journal_.Append({journal_.Entry("a")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  journal_.Append({journal_.Entry("b")});
  journal_.Rename("mail.journal", "mail@1.journal");
  journal_.Append({journal_.Entry("c")});
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("postfix/smtpd[1234]: b", "postfix/smtpd[1234]: c"));
  EXPECT_THAT(ReadAll(), IsEmpty());
}

TEST_F(JournalTest, FileIsReadToItsEndAlthoughItWasRemoved) {
  journal_.Append({journal_.Entry("a")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  journal_.Append({journal_.Entry("b")});
  journal_.Remove("mail.journal");
  journal_.Append({journal_.Entry("c")});
  // Between the two there may have been a third.
  EXPECT_THAT(Texts(ReadAll()),
              ElementsAre("postfix/smtpd[1234]: b", "<gap FILE_GONE 0>", "postfix/smtpd[1234]: c"));
  EXPECT_THAT(ReadAll(), IsEmpty());
}

TEST_F(JournalTest, FilesThatCameAndWentUnseenAreAGap) {
  journal_.Append({journal_.Entry("a")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  journal_.Remove("mail.journal");
  journal_.Append({journal_.Entry("b")});
  journal_.Remove("mail.journal");
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>"));
  // Told once, not at each rotation.
  journal_.Append({journal_.Entry("of cron", {{"SYSLOG_FACILITY", "9"}, {"_SYSTEMD_UNIT", ""}})},
                  "other.journal");
  EXPECT_THAT(ReadAll(), IsEmpty());
  journal_.Append({journal_.Entry("c")});
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("postfix/smtpd[1234]: c"));
  // And again when it is so again.
  journal_.Remove("mail.journal");
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>"));
}

TEST_F(JournalTest, RemovedFileThatWasReadLongAgoIsNoGap) {
  journal_.Append({journal_.Entry("a")}, "mail@1.journal");
  journal_.Append({journal_.Entry("b")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(2));
  journal_.Remove("mail@1.journal");
  journal_.Append({journal_.Entry("c")});
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("postfix/smtpd[1234]: c"));
}

TEST_F(JournalTest, FolderThatWasRemovedAndMadeAnewIsFollowed) {
  journal_.Append({journal_.Entry("a", {{"_UID", "1000"}})});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  std::filesystem::remove_all(journal_.dir());
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>", HasSubstr("NOT_FOUND")));
  std::filesystem::create_directory(journal_.dir());
  journal_.Append({journal_.Entry("b", {{"_UID", "1000"}})});
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>", HasSubstr("untrusted")));
  journal_.Append({journal_.Entry("c")});
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": c")));
  EXPECT_EQ(follower_->UntrustedLines(), 2);
}

// ---- Files that cannot be read

TEST_F(JournalTest, FileThatCannotBeReadIsAGapToldOnce) {
  journal_.Append({journal_.Entry("a")}, "mail@1.journal");
  journal_.Append({journal_.Entry("b")});
  const std::string whole = journal_.Content("mail@1.journal");
  std::string of_newer_systemd = whole;
  of_newer_systemd[15] = '\x80';  // The highest of the flags that a reader must know.
  const std::vector<std::pair<std::string, bool>> kTable = {
      {whole, true},
      {"", false},
      {whole.substr(0, 100), false},
      {whole.substr(0, whole.size() / 8), false},
      {std::string(300, 'x') + whole.substr(300), false},
      {of_newer_systemd, false},
  };
  for (const auto& [content, readable] : kTable) {
    journal_.Write("mail@1.journal", content, absl::Hours(1));
    Open();
    EXPECT_THAT(Texts(ReadAll()),
                ElementsAre(readable ? "postfix/smtpd[1234]: a" : "<gap FILE_GONE 0>",
                            "postfix/smtpd[1234]: b"))
        << content.size();
    EXPECT_THAT(ReadAll(), IsEmpty());
  }
}

TEST_F(JournalTest, DamageWithinAFileIsAGapToldOnce) {
  std::vector<Fields> entries;
  entries.reserve(1000);
  for (int i = 0; i < 1000; ++i) entries.push_back(journal_.Entry(absl::StrCat("a", i)));
  journal_.Append(entries, "mail@1.journal");
  journal_.Append({journal_.Entry("b")});
  std::string content = journal_.Content("mail@1.journal");
  const size_t header = 300'000;  // With the tables of hashes.
  ASSERT_GT(content.size(), 2 * header);
  content.replace(header, content.size() - header, content.size() - header, '\x55');
  journal_.Write("mail@1.journal", content, absl::Hours(1));
  Open();
  const Events events = ReadAll();
  EXPECT_THAT(events, Contains("<gap FILE_GONE 0>").Times(1));
  EXPECT_THAT(events, Contains(HasSubstr(": b")));
  EXPECT_THAT(ReadAll(), IsEmpty());
}

TEST_F(JournalTest, FileThatMayNotBeReadIsAGap) {
  journal_.Append({journal_.Entry("a")}, "mail@1.journal");
  journal_.Append({journal_.Entry("b")});
  ASSERT_EQ(::chmod(journal_.Path("mail@1.journal").c_str(), 0), 0);
  ASSERT_EQ(::chmod(journal_.Path("mail.journal").c_str(), 0644), 0);
  const WithoutRoot without_root;
  Open();
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("<gap FILE_GONE 0>", "postfix/smtpd[1234]: b"));
}

TEST_F(JournalTest, UnreadableFileFromBeforeThePlaceIsNoGap) {
  journal_.Append({journal_.Entry("a"), journal_.Entry("b")});
  Open();
  EXPECT_THAT(ReadLines(1), SizeIs(1));
  journal_.Write("damaged.journal", "damage", -absl::Seconds(1));
  Reopen();
  EXPECT_THAT(ReadLines(1), ElementsAre(HasSubstr(": b")));
  journal_.Write("damaged.journal", "damage", absl::Seconds(1));
  Reopen();
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>"));
}

TEST_F(JournalTest, FileThatComesAndCannotBeReadIsAGapToldOnce) {
  journal_.Append({journal_.Entry("a")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  journal_.Rename("mail.journal", "mail@1.journal");
  journal_.Write("mail.journal", "damage", absl::Hours(1));
  EXPECT_THAT(ReadAll(), ElementsAre("<gap FILE_GONE 0>"));
  journal_.Append({journal_.Entry("b")}, "other.journal");
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": b")));
}

TEST_F(JournalTest, FileThatJournaldIsMakingIsNoGap) {
  journal_.Append({journal_.Entry("a")});
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(1));
  journal_.Rename("mail.journal", "mail@1.journal");
  journal_.Write("mail.journal", "", absl::Hours(1));
  EXPECT_THAT(ReadAll(), IsEmpty());
  Reopen();
  EXPECT_THAT(ReadAll(), IsEmpty());
  // The writer sets the empty file aside, "mail@....journal~".
  journal_.Append({journal_.Entry("b")});
  EXPECT_THAT(ReadAll(), ElementsAre(HasSubstr(": b")));
  Open();
  EXPECT_THAT(ReadAll(), SizeIs(2));
}

TEST_F(JournalTest, JournalOfWhichNoFileCanBeReadIsAnErrorThatNamesOne) {
  journal_.Write("mail.journal", "damage", absl::Hours(1));
  const absl::Status damaged = LogFollower::Open(options_, {}).status();
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("mail.journal: truncated journal file"));
}

TEST_F(JournalTest, EntryThatMovedToAnotherFileIsTheSame) {
  const Fields a = journal_.Entry("a");
  const Fields b = journal_.Entry("b");
  journal_.Append({a, b});
  Open();
  EXPECT_THAT(ReadLines(1), SizeIs(1));
  const v1::Cut cut = *follower_->Position();
  follower_.reset();
  // As when /var appears: other sequence numbers.
  journal_.Remove("mail.journal");
  journal_.Append({a, b}, "system.journal");
  Open({.cut = cut});
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("postfix/smtpd[1234]: b"));
}

TEST_F(JournalTest, CursorThatIsNoneIsAGap) {
  journal_.Append({journal_.Entry("a")});
  v1::Cut cut;
  cut.set_cursor("nonsense");
  Open({.cut = cut});
  EXPECT_THAT(Texts(ReadAll()), ElementsAre("<gap FILE_GONE 0>", "postfix/smtpd[1234]: a"));
}

TEST_F(JournalTest, MissingJournalIsNamed) {
  const absl::Status empty = LogFollower::Open(options_, {}).status();
  EXPECT_TRUE(absl::IsNotFound(empty)) << empty;
  EXPECT_THAT(std::string(empty.message()), HasSubstr("systemd-journal"));
  options_.journal->directory = journal_.dir() + "/none";
  const absl::Status missing = LogFollower::Open(options_, {}).status();
  EXPECT_TRUE(absl::IsNotFound(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr(journal_.dir() + "/none"));
}

}  // namespace
}  // namespace mxtally
