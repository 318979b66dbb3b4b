#include <filesystem>
#include <string>
#include <vector>

#include "agent/source/log_follower.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FindLogsTest : public ::testing::Test {
 protected:
  void Touch(const std::string& name) { folder_.Append(name, "x\n"); }

  // "mail.log < mail.log.1 mail.log.2 mail.log.3.gz" for each log found; names only.
  std::vector<std::string> Find(const std::vector<std::string>& names) {
    std::vector<std::string> patterns;
    patterns.reserve(names.size());
    for (const std::string& name : names) patterns.push_back(folder_.Path(name));
    absl::StatusOr<std::vector<LogFollowerOptions>> logs = FindLogs(patterns);
    if (!logs.ok()) return {std::string(absl::StatusCodeToString(logs.status().code()))};
    std::vector<std::string> out;
    for (const LogFollowerOptions& log : *logs) {
      std::string line = std::filesystem::path(log.path).filename();
      if (!log.older_paths.empty()) line += " <";
      for (const std::string& older : log.older_paths) {
        line += " " + std::filesystem::path(older).filename().string();
      }
      out.push_back(line);
    }
    return out;
  }

  LogFolder folder_;
};

TEST_F(FindLogsTest, PathThatDoesNotExistYetIsKept) {
  EXPECT_THAT(Find({"mail.log"}), ElementsAre("mail.log"));
}

TEST_F(FindLogsTest, GlobThatMatchesNothingFindsNothing) {
  EXPECT_THAT(Find({"*.log"}), IsEmpty());
}

TEST_F(FindLogsTest, RotatedFilesBelongToTheirLog) {
  for (const char* name : {"mail.log", "mail.log.1", "mail.log.2", "mail.log.3.gz", "mail.err"}) {
    Touch(name);
  }
  EXPECT_THAT(Find({"mail.*"}),
              ElementsAre("mail.err", "mail.log < mail.log.1 mail.log.2 mail.log.3.gz"));
}

TEST_F(FindLogsTest, RotatedFileNamesItsLog) {
  Touch("mail.log.1");
  EXPECT_THAT(Find({"mail.log.1"}), ElementsAre("mail.log < mail.log.1"));
}

TEST_F(FindLogsTest, FileThatMatchesTwiceIsOneFile) {
  Touch("mail.log");
  Touch("mail.log.1");
  EXPECT_THAT(Find({"mail.log*", "mail.log", "*.1"}), ElementsAre("mail.log < mail.log.1"));
}

TEST_F(FindLogsTest, FileThatAppearsLaterIsFoundByTheNextCall) {
  Touch("a.log");
  EXPECT_THAT(Find({"*.log"}), ElementsAre("a.log"));
  Touch("b.log");
  EXPECT_THAT(Find({"*.log"}), ElementsAre("a.log", "b.log"));
}

TEST_F(FindLogsTest, DirectoryIsRefusedWhenNamedAndPassedOverInAGlob) {
  std::filesystem::create_directory(folder_.Path("mail"));
  Touch("mail.log");
  EXPECT_THAT(Find({"mail"}), ElementsAre("FAILED_PRECONDITION"));
  EXPECT_THAT(Find({"mail/"}), ElementsAre("FAILED_PRECONDITION"));
  EXPECT_THAT(Find({"mail*"}), ElementsAre("mail.log"));
}

TEST_F(FindLogsTest, EmptyPatternIsMalformed) {
  EXPECT_TRUE(absl::IsInvalidArgument(FindLogs({""}).status()));
}

TEST_F(FindLogsTest, LogsAreNamedByAbsolutePaths) {
  absl::StatusOr<std::vector<LogFollowerOptions>> logs = FindLogs({"./x/../mail.log"});
  ASSERT_TRUE(logs.ok()) << logs.status();
  EXPECT_EQ(logs->at(0).path, std::filesystem::current_path().string() + "/mail.log");
}

}  // namespace
}  // namespace mxtally
