// One line of log for every shape that each MTA writes, with what it must say.
//
// tests/testdata/shapes/*.txt, of blocks
//
//   # 2.4 since 3.10                        section of the shape, and what it is
//   Nov  2 04:02:01 mx1 postfix/...         lines, each followed by
//   = abnormal-end peer=x[192.0.2.1] ...    its event as event_text.h prints it, or
//                                           "ignored", or "not mine"
//
// A line is understood if it gives just that.  Prints understood / total of each section.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "gtest/gtest.h"
#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

struct Shape {
  std::string where;  // "postfix.txt:12"
  std::string section;
  std::string line;
  std::string event;
};

std::vector<Shape> ReadShapes(const std::filesystem::path& path) {
  std::vector<Shape> shapes;
  std::ifstream file(path);
  std::string section;
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    const std::string where = path.filename().string() + ":" + std::to_string(number);
    if (text.empty()) continue;
    if (text.starts_with("# ")) {
      section = text.substr(2, text.find(' ', 2) - 2);
    } else if (text.starts_with("= ")) {
      EXPECT_TRUE(!shapes.empty() && shapes.back().event.empty()) << where << ": no line for it";
      if (!shapes.empty()) shapes.back().event = text.substr(2);
    } else {
      EXPECT_TRUE(shapes.empty() || !shapes.back().event.empty())
          << shapes.back().where << ": nothing is expected";
      EXPECT_FALSE(section.empty()) << where << ": no section";
      shapes.push_back({.where = where, .section = section, .line = text, .event = {}});
    }
  }
  return shapes;
}

std::vector<Shape> ReadAllShapes() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/testdata/shapes")) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Shape> all;
  for (const auto& path : paths) {
    std::vector<Shape> shapes = ReadShapes(path);
    EXPECT_FALSE(shapes.empty()) << path;
    all.insert(all.end(), shapes.begin(), shapes.end());
  }
  return all;
}

std::string ReadLine(const std::string& text) {
  Framer framer({});
  FramedLine line;
  if (!framer.Split(text, line)) return "no header";
  Event event;
  const LineClass line_class = ParseDialect(line, event);
  return EventText(line_class, event);
}

TEST(ShapesTest, EachLineIsUnderstood) {
  struct Count {
    int understood = 0;
    int total = 0;
  };
  std::map<std::string, Count> sections;
  for (const Shape& shape : ReadAllShapes()) {
    EXPECT_NE(shape.event, "unrecognized") << shape.where << ": not to be expected";
    const std::string event = ReadLine(shape.line);
    EXPECT_EQ(event, shape.event) << shape.where << ": " << shape.line;
    Count& count = sections[shape.section];
    ++count.total;
    if (event == shape.event) ++count.understood;
  }
  Count all;
  for (const auto& [section, count] : sections) {
    std::printf("  section %-4s %3d / %3d\n", section.c_str(), count.understood, count.total);
    all.understood += count.understood;
    all.total += count.total;
  }
  std::printf("  all          %3d / %3d\n", all.understood, all.total);
  EXPECT_GT(all.total, 300);
}

}  // namespace
}  // namespace mxtally
