#include "proto/options/option_set.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A program with an option of every kind.
struct Values {
  std::string name = "default";
  std::vector<std::string> files;
  bool quick = false;
  int64_t workers = 4;
  int64_t room = 64 << 10;
  absl::Duration pause = absl::Seconds(30);
  std::string level = "info";
  int port = 1;
};

class OptionSetTest : public testing::Test {
 protected:
  // What the file holds, which every run is given.
  void File(const std::string& text) { std::ofstream(path_) << text; }

  // Runs the program; whether all was well.
  bool Run(std::vector<std::string> words = {}, std::vector<std::string> variables = {}) {
    values_ = {};
    OptionSet set("MXTALLY_TEST_PROGRAM_");
    set.Text("name", "NAME", "A text", values_.name);
    set.List("file", "PATH", "A list", values_.files);
    set.Flag("quick", "A flag", values_.quick);
    set.Integer("workers", "An integer", values_.workers, {.min = 1, .max = 64});
    set.Bytes("room", "Bytes", values_.room, {.min = 1024});
    set.Duration("pause", "A duration", values_.pause, {.max = absl::Hours(1)});
    set.Choice("log-level", {"debug", "info"}, "A choice", values_.level);
    set.Value("port", "PORT", "A value", values_.port, &ReadPort, "1");

    CLI::App app;
    set.AddTo(app);
    if (std::filesystem::exists(path_)) words.insert(words.end(), {"--config", path_});
    std::reverse(words.begin(), words.end());
    app.parse(words);
    std::vector<char*> environment;
    environment.reserve(variables.size() + 1);
    for (std::string& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    set.Read(environment.data());
    if (values_.name == "forbidden") set.Reject("name", "a good name", values_.name);
    if (values_.name.empty()) set.Reject("name", "a name", "");
    errors_ = absl::StrReplaceAll(set.errors(), {{path_, "FILE"}});
    exit_status_ = set.exit_status();
    help_ = app.help();
    given_ = set.values();
    return set.ok();
  }

  static absl::StatusOr<int> ReadPort(const std::string& text) {
    if (text != "25" && text != "465") {
      return absl::InvalidArgumentError(absl::StrCat("expected 25 or 465, found ", text));
    }
    return text == "25" ? 25 : 465;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "options.toml";
  Values values_;
  std::string errors_;
  std::string help_;
  OptionValues given_;
  int exit_status_ = 0;
};

TEST_F(OptionSetTest, DefaultsStayWhereNothingIsSaid) {
  ASSERT_TRUE(Run()) << errors_;
  EXPECT_EQ(values_.name, "default");
  EXPECT_EQ(values_.workers, 4);
}

TEST_F(OptionSetTest, EveryKindComesFromTheFile) {
  File(R"(name = "n"
file = ["a,b", "c"]
quick = true
workers = 8
room = "2MiB"
pause = "15m"
log-level = "debug"
port = "25"
)");
  ASSERT_TRUE(Run()) << errors_;
  EXPECT_EQ(values_.name, "n");
  EXPECT_THAT(values_.files, ElementsAre("a,b", "c"));
  EXPECT_TRUE(values_.quick);
  EXPECT_EQ(values_.workers, 8);
  EXPECT_EQ(values_.room, 2 << 20);
  EXPECT_EQ(values_.pause, absl::Minutes(15));
  EXPECT_EQ(values_.level, "debug");
  EXPECT_EQ(values_.port, 25);
}

TEST_F(OptionSetTest, EveryKindComesFromTheEnvironment) {
  const std::string prefix = "MXTALLY_TEST_PROGRAM_";
  ASSERT_TRUE(Run({}, {prefix + "NAME=n=m", prefix + "FILE=a,b", prefix + "QUICK=true",
                       prefix + "WORKERS=8", prefix + "ROOM=4096", prefix + "PAUSE=0",
                       prefix + "LOG_LEVEL=debug", prefix + "PORT=465", "MXTALLY_OTHER=1"}))
      << errors_;
  EXPECT_EQ(values_.name, "n=m");
  EXPECT_THAT(values_.files, ElementsAre("a", "b"));
  EXPECT_TRUE(values_.quick);
  EXPECT_EQ(values_.workers, 8);
  EXPECT_EQ(values_.room, 4096);
  EXPECT_EQ(values_.pause, absl::ZeroDuration());
  EXPECT_EQ(values_.level, "debug");
  EXPECT_EQ(values_.port, 465);
}

TEST_F(OptionSetTest, EveryKindComesFromTheCommandLine) {
  ASSERT_TRUE(Run({"--name", "n", "--file", "a", "--file", "b", "--quick", "--workers", "8",
                   "--room", "1GiB", "--pause", "1h", "--log-level", "debug", "--port", "25"}))
      << errors_;
  EXPECT_EQ(values_.name, "n");
  EXPECT_THAT(values_.files, ElementsAre("a", "b"));
  EXPECT_TRUE(values_.quick);
  EXPECT_EQ(values_.workers, 8);
  EXPECT_EQ(values_.room, 1 << 30);
  EXPECT_EQ(values_.pause, absl::Hours(1));
  EXPECT_EQ(values_.level, "debug");
  EXPECT_EQ(values_.port, 25);
}

TEST_F(OptionSetTest, CommandLineBeatsEnvironmentBeatsFile) {
  File("name = \"file\"\nfile = [\"file\"]\nquick = true\nworkers = 2\n");
  const std::vector<std::string> variables = {"MXTALLY_TEST_PROGRAM_NAME=variable",
                                              "MXTALLY_TEST_PROGRAM_FILE=variable"};
  ASSERT_TRUE(Run({"--name", "line", "--quick=false"}, variables)) << errors_;
  EXPECT_EQ(values_.name, "line");
  EXPECT_THAT(values_.files, ElementsAre("variable"));
  EXPECT_FALSE(values_.quick);
  EXPECT_EQ(values_.workers, 2);
}

TEST_F(OptionSetTest, EmptyVariableIsAsNotSet) {
  ASSERT_TRUE(Run({}, {"MXTALLY_TEST_PROGRAM_NAME=", "MXTALLY_TEST_PROGRAM_UNKNOWN="})) << errors_;
  EXPECT_EQ(values_.name, "default");
}

TEST_F(OptionSetTest, EnvironmentMayNameTheFile) {
  File("name = \"file\"");
  const std::string elsewhere = path_ + ".elsewhere";
  std::filesystem::rename(path_, elsewhere);
  EXPECT_TRUE(Run({}, {"MXTALLY_TEST_PROGRAM_CONFIG=" + elsewhere})) << errors_;
  std::filesystem::remove(elsewhere);
  EXPECT_EQ(values_.name, "file");
}

TEST_F(OptionSetTest, EveryErrorOfTheFileIsToldWithItsLine) {
  File(R"(name = 7
# A comment.
file = ["a", 7]
quick = "yes"
workers = 65
room = true
pause = "2h"
log-level = "loud"
port = "26"
nmae = "x"

[name2]
x = 1
)");
  EXPECT_FALSE(Run());
  EXPECT_EQ(exit_status_, 78);
  EXPECT_EQ(errors_,
            R"(FILE:1: name: expected a string, found the integer 7
FILE:3: file: expected an array of strings, found an array with an element that is no string
FILE:4: quick: expected true or false, without quotes, found the string "yes"
FILE:5: workers: expected an integer from 1 to 64, found "65"
FILE:6: room: expected an integer, or a string with a number and its unit, found the boolean true
FILE:7: pause: expected from 0 to 1h, found "2h"
FILE:8: log-level: expected one of debug, info, found "loud"
FILE:9: port: expected 25 or 465, found 26
FILE:10: nmae: expected one of name, file, quick, workers, room, pause, log-level, port, found an unknown key
FILE:12: name2: expected one of name, file, quick, workers, room, pause, log-level, port, found an unknown key
)");
}

TEST_F(OptionSetTest, TheFileNamesNoOtherFile) {
  File("config = \"x\"");
  EXPECT_FALSE(Run());
  EXPECT_THAT(errors_, HasSubstr("FILE:1: config: expected one of"));
}

TEST_F(OptionSetTest, WhatIsNoTomlIsToldWithItsLineAndNothingElseIs) {
  for (const char* text : {"name = \"\"\nx = = 1\n", "\nname = \"\"\nname = \"b\"\n", "\n\n\xff"}) {
    File(text);
    EXPECT_FALSE(Run());
    EXPECT_EQ(exit_status_, 78);
    EXPECT_THAT(errors_, testing::MatchesRegex("FILE:[23]: [^\n]+\n"));
  }
}

TEST_F(OptionSetTest, FileThatCannotBeReadIsNamed) {
  EXPECT_FALSE(Run({"--config", path_ + ".none"}));
  EXPECT_EQ(exit_status_, 78);
  EXPECT_EQ(errors_, "FILE.none: No such file or directory\n");
  EXPECT_FALSE(Run({"--config", folder_.path()}));
  EXPECT_THAT(errors_, HasSubstr("Is a directory"));
  EXPECT_FALSE(Run({"--config", "/dev/zero"}));
  EXPECT_THAT(errors_, HasSubstr("/dev/zero: expected at most"));
}

TEST_F(OptionSetTest, WrongVariablesAreWrongUsage) {
  EXPECT_FALSE(Run({}, {"MXTALLY_TEST_PROGRAM_QUICK=on", "MXTALLY_TEST_PROGRAM_NMAE=x"}));
  EXPECT_EQ(exit_status_, 2);
  EXPECT_THAT(errors_,
              HasSubstr("MXTALLY_TEST_PROGRAM_QUICK: expected true or false, found \"on\""));
  EXPECT_THAT(errors_,
              HasSubstr("MXTALLY_TEST_PROGRAM_NMAE: expected one of MXTALLY_TEST_PROGRAM_CONFIG"));
}

TEST_F(OptionSetTest, WrongWordsAreWrongUsage) {
  for (const char* option : {"--workers", "--room", "--pause", "--log-level", "--port"}) {
    EXPECT_FALSE(Run({option, "x"}));
    EXPECT_EQ(exit_status_, 2);
    EXPECT_THAT(errors_, HasSubstr(absl::StrCat(option, ": expected "))) << errors_;
  }
}

TEST_F(OptionSetTest, WrongValueThatIsOverriddenIsToldAll) {
  File("workers = 0");
  EXPECT_FALSE(Run({"--workers", "3"}));
  EXPECT_THAT(errors_, HasSubstr("FILE:1: workers: expected an integer from 1 to 64, found \"0\""));
}

TEST_F(OptionSetTest, RejectedValueIsToldWithThePlaceItIsFrom) {
  EXPECT_FALSE(Run({"--name", "forbidden"}));
  EXPECT_EQ(errors_, "--name: expected a good name, found \"forbidden\"\n");
  EXPECT_EQ(exit_status_, 2);
  EXPECT_FALSE(Run({}, {"MXTALLY_TEST_PROGRAM_NAME=forbidden"}));
  EXPECT_EQ(errors_, "MXTALLY_TEST_PROGRAM_NAME: expected a good name, found \"forbidden\"\n");
  File("\nname = \"forbidden\"");
  EXPECT_FALSE(Run());
  EXPECT_EQ(errors_, "FILE:2: name: expected a good name, found \"forbidden\"\n");
  EXPECT_EQ(exit_status_, 78);
}

TEST(ChangedOptionsTest, NamesWhatIsNewGoneOrDifferent) {
  EXPECT_THAT(
      ChangedOptions({{"a", "1"}, {"b", "1"}, {"c", "1"}}, {{"b", "2"}, {"c", "1"}, {"d", "1"}}),
      ElementsAre("a", "b", "d"));
}

TEST(ChangedOptionsTest, ReloadableOnesAreLeftOut) {
  constexpr const char* kReloadable[] = {"a", "d"};
  EXPECT_THAT(
      ChangedOptions({{"a", "1"}, {"b", "1"}}, {{"a", "2"}, {"b", "2"}, {"d", "1"}}, kReloadable),
      ElementsAre("b"));
}

TEST_F(OptionSetTest, ValuesAreThoseOfThePlaceThatDecides) {
  File("name = \"file\"\nfile = [\"a\", \"b\"]\nquick = true\n");
  ASSERT_TRUE(Run({"--name", "line"}, {"MXTALLY_TEST_PROGRAM_WORKERS=7"})) << errors_;
  given_.erase("config");
  EXPECT_EQ(given_,
            (OptionValues{{"name", "line"}, {"file", "a,b"}, {"quick", "true"}, {"workers", "7"}}));
}

TEST_F(OptionSetTest, HelpShowsTypeDefaultAndVariable) {
  ASSERT_TRUE(Run());
  for (const char* text : {"--pause DURATION", "30s", "[MXTALLY_TEST_PROGRAM_LOG_LEVEL]",
                           "--log-level debug|info", "--room BYTES", "64KiB", "--config FILE"}) {
    EXPECT_THAT(help_, HasSubstr(text));
  }
}

}  // namespace
}  // namespace mxtally
