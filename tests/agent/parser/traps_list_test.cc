// Every trap of tests/testdata/traps.txt has a test that is named after it.

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace mxtally {
namespace {

constexpr int kTraps = 82;

// "Suite.Name" of all tests in C++ sources below `folder`.
std::set<std::string> TestsBelow(const char* folder) {
  std::set<std::string> tests;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".cc") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      // "TEST(Suite, Name) {", also of fixtures and over two lines of a long name.
      if (!line.starts_with("TEST")) continue;
      for (std::string more; line.find(')') == std::string::npos && std::getline(file, more);) {
        line += " " + more.substr(std::min(more.find_first_not_of(' '), more.size()));
      }
      const size_t open = line.find('(');
      const size_t comma = line.find(", ", open);
      if (comma == std::string::npos) continue;
      tests.insert(line.substr(open + 1, comma - open - 1) + "." +
                   line.substr(comma + 2, line.find(')') - comma - 2));
    }
  }
  return tests;
}

bool HasDialect(const std::string& name) {
  return std::filesystem::exists("agent/parser/" + name + ".cc");
}

// The dialect whose trap it is alone; empty for the others.
std::string DialectOf(int trap) {
  static const std::map<int, std::string> kDialects = {
      {25, "exim"},     {26, "exim"}, {27, "sendmail"}, {28, "sendmail"},
      {35, "exim"},     {38, "exim"}, {40, "sendmail"}, {58, "exim"},
      {59, "sendmail"}, {66, "exim"}, {79, "exim"},
  };
  const auto found = kDialects.find(trap);
  return found == kDialects.end() ? "" : found->second;
}

TEST(TrapsTest, EachHasATestNamedAfterIt) {
  const std::set<std::string> tests = TestsBelow("tests");
  std::set<int> found;
  for (const std::string& test : tests) {
    const size_t at = test.find("Trap", test.find('.'));
    if (at != std::string::npos && std::isdigit(static_cast<unsigned char>(test[at + 4])) != 0) {
      found.insert(std::stoi(test.substr(at + 4)));
    }
  }
  std::ifstream file("tests/testdata/traps.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const size_t text = line.find(' ') + 1;
    const size_t bar = line.find(" | ");
    ASSERT_NE(bar, std::string::npos) << line;
    const std::string word = line.substr(text, line.find(' ', text) - text);
    if (word == "exim:" && !HasDialect("exim")) continue;
    EXPECT_TRUE(tests.count(line.substr(bar + 3))) << line << ": there is no such test";
    found.insert(std::stoi(line));
  }
  for (int trap = 1; trap <= kTraps; ++trap) {
    const std::string dialect = DialectOf(trap);
    if (dialect.empty() || HasDialect(dialect)) {
      EXPECT_TRUE(found.count(trap)) << "no test of trap " << trap;
    }
  }
  std::printf("  %zu of %d traps\n", found.size(), kTraps);
}

}  // namespace
}  // namespace mxtally
