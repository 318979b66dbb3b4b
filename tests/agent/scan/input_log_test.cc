#include "agent/scan/input_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class InputLogTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) { return folder_ / name; }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  // Names of the files, one vector per log.
  std::vector<std::vector<std::string>> Find(const std::vector<std::string>& paths) {
    std::vector<std::vector<std::string>> logs;
    for (const InputLog& log : FindInputLogs(paths, options_, errors_)) {
      std::vector<std::string>& names = logs.emplace_back();
      for (const InputFile& file : log.files) {
        names.push_back(std::filesystem::path(file.path).filename());
      }
    }
    return logs;
  }

  const TemporaryFolder folder_;
  InputLogOptions options_ = {.now = absl::FromUnixSeconds(1'800'000'000)};
  std::vector<std::string> errors_;
};

TEST_F(InputLogTest, RotatedFilesOfOneLogAreReadOldestFirst) {
  const std::vector<std::string> paths = {
      Write("maillog", "2026-11-20T00:00:00Z mx1 a[1]: b\n"),
      Write("maillog-20261115", "no stamp\n2026-11-10T00:00:00Z mx1 a[1]: b\n"),
      Write("maillog.10", "2026-11-01T00:00:00Z mx1 a[1]: b\n"),
      Write("maillog.2", "2026-11-05T00:00:00Z mx1 a[1]: b\n"),
      Write("other.log", "2026-11-01T00:00:00Z mx1 a[1]: b\n"),
  };
  EXPECT_THAT(Find(paths),
              ElementsAre(ElementsAre("maillog.10", "maillog.2", "maillog-20261115", "maillog"),
                          ElementsAre("other.log")));
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(InputLogTest, FilesThatBeginWithinAStampGoByTheirNumbers) {
  const std::string line = "2026-11-20T00:00:00Z mx1 a[1]: b\n";
  EXPECT_THAT(Find({Write("maillog", line), Write("maillog.9", line), Write("maillog.10", line),
                    Write("maillog.1.gz", line)}),
              ElementsAre(ElementsAre("maillog.10", "maillog.9", "maillog.1.gz", "maillog")));
}

TEST_F(InputLogTest, FilesOfOneNameInTwoFoldersAreTwoLogs) {
  std::filesystem::create_directories(folder_ / "a");
  std::filesystem::create_directories(folder_ / "b");
  EXPECT_THAT(Find({Write("a/maillog", ""), Write("b/maillog.1", "")}),
              ElementsAre(ElementsAre("maillog"), ElementsAre("maillog.1")));
}

TEST_F(InputLogTest, FileNamedTwiceIsReadOnce) {
  const std::string path = Write("maillog", "x\n");
  std::filesystem::create_hard_link(path, Path("link"));
  EXPECT_THAT(Find({path, path, Path("./maillog"), Path("link"), "-", "-"}),
              ElementsAre(ElementsAre("maillog"), ElementsAre("-")));
}

TEST_F(InputLogTest, UnreadableFilesAreNamed) {
  EXPECT_THAT(Find({Path("missing"), folder_.path(), Write("maillog", "x\n")}),
              ElementsAre(ElementsAre("maillog")));
  EXPECT_THAT(errors_, ElementsAre(Path("missing") + ": No such file or directory",
                                   folder_.path() + ": Is a directory"));
}

TEST_F(InputLogTest, CompressionsThatAreNotReadAreNamed) {
  const std::vector<std::pair<std::string, std::string>> kTable = {
      {"lz4", "\x04\x22\x4d\x18"},
      {"compress", "\x1f\x9d"},
  };
  for (const auto& [compression, head] : kTable) {
    errors_.clear();
    EXPECT_THAT(Find({Write("maillog.1", head)}), IsEmpty());
    EXPECT_THAT(errors_, ElementsAre(HasSubstr("unsupported compression (" + compression + ")")));
  }
}

TEST_F(InputLogTest, ReferenceIsTheDateInTheNameElseTheTimeOfTheLastChange) {
  const std::string dated = Write("maillog-20131103", "Nov  2 04:02:01 mx1 a[1]: b\n");
  const std::string plain = Write("mail.log", "Nov  2 04:02:01 mx1 a[1]: b\n");
  const timespec times[2] = {{1'400'000'000, 0}, {1'400'000'000, 0}};  // 2014-05-13
  ASSERT_EQ(::utimensat(AT_FDCWD, plain.c_str(), times, 0), 0);
  const std::vector<InputLog> logs = FindInputLogs({dated, plain}, options_, errors_);
  ASSERT_EQ(logs.size(), 2);
  const absl::Time first_line = absl::FromUnixSeconds(1383364921);  // 2013-11-02T04:02:01Z
  EXPECT_EQ(logs[0].files[0].first_time, first_line);
  EXPECT_EQ(logs[1].files[0].first_time, first_line);
}

TEST_F(InputLogTest, PipesAreNotLookedInto) {
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(Find({Path("pipe")}), ElementsAre(ElementsAre("pipe")));
}

}  // namespace
}  // namespace mxtally
