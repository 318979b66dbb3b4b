#include "agent/source/line_buffer.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void Add(LineBuffer& buffer, std::string_view bytes) {
  absl::Span<char> space = buffer.Space();
  ASSERT_LE(bytes.size(), space.size());
  std::copy(bytes.begin(), bytes.end(), space.begin());
  buffer.Added(static_cast<int64_t>(bytes.size()));
}

std::vector<std::string> Lines(LineBuffer& buffer) {
  std::vector<std::string> lines;
  LineBuffer::Line line;
  while (buffer.Next(line)) {
    lines.push_back(line.oversized ? absl::StrCat("<", line.bytes, ">") : std::string(line.text));
  }
  return lines;
}

TEST(LineBufferTest, LinesMayArriveInAnyPieces) {
  const std::string text = "one\n\ntwo three\nfour\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    LineBuffer buffer(100, 64);
    buffer.Reset(0, "");
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size(); at += piece) {
      Add(buffer, std::string_view(text).substr(at, piece));
      for (std::string& line : Lines(buffer)) lines.push_back(std::move(line));
    }
    EXPECT_THAT(lines, ElementsAre("one", "", "two three", "four")) << piece;
    EXPECT_EQ(buffer.offset(), 20);
  }
}

// As a reader does that hands whole lines to others.
TEST(LineBufferTest, RestOfALineMovesToAnotherBuffer) {
  const std::string text =
      "one\n" + std::string(3, '\0') + "two three\n\n" + std::string(500, 'x') + "\nfour\nend";
  for (size_t piece = 1; piece <= 64; ++piece) {
    LineBuffer buffer(100, 64);
    LineBuffer rest(100, 64);
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size(); at += piece) {
      buffer.Reset(0, "");
      rest.MoveRest(buffer);
      rest.Reset(0, "");
      Add(buffer, std::string_view(text).substr(at, piece));
      buffer.MoveRest(rest);
      for (std::string& line : Lines(buffer)) lines.push_back(std::move(line));
      EXPECT_FALSE(buffer.has_partial_line());
    }
    rest.EndLine();
    for (std::string& line : Lines(rest)) lines.push_back(std::move(line));
    EXPECT_THAT(lines, ElementsAre("one", "two three", "", "<501>", "four", "end")) << piece;
  }
}

TEST(LineBufferTest, OffsetStaysBeforeAPartialLine) {
  LineBuffer buffer(100, 64);
  buffer.Reset(1000, std::string(256, 't'));
  Add(buffer, "ab\ncd");
  EXPECT_THAT(Lines(buffer), ElementsAre("ab"));
  EXPECT_EQ(buffer.offset(), 1003);
  EXPECT_EQ(buffer.read_offset(), 1005);
  EXPECT_TRUE(buffer.has_partial_line());
}

TEST(LineBufferTest, PartialLineCanBeTakenForALine) {
  LineBuffer buffer(100, 64);
  buffer.Reset(0, "");
  Add(buffer, "ab\ncd");
  EXPECT_THAT(Lines(buffer), ElementsAre("ab"));
  buffer.EndLine();
  EXPECT_THAT(Lines(buffer), ElementsAre("cd"));
  EXPECT_EQ(buffer.offset(), 5);
}

TEST(LineBufferTest, OversizedPartialLineCanBeTakenForALine) {
  LineBuffer buffer(3, 64);
  buffer.Reset(0, "");
  Add(buffer, "abcdef");
  EXPECT_THAT(Lines(buffer), IsEmpty());
  buffer.EndLine();
  EXPECT_THAT(Lines(buffer), ElementsAre("<6>"));
}

TEST(LineBufferTest, TailIsWhatIsBeforeTheOffset) {
  LineBuffer buffer(8, 16);
  std::string file;
  buffer.Reset(0, "");
  for (int i = 0; i < 200; ++i) {
    // Some lines are too long, some begin with NULs.
    const std::string piece = i % 7 == 0   ? std::string(16, 'x')
                              : i % 5 == 0 ? std::string(3, '\0') + absl::StrCat(i, "\n")
                                           : absl::StrCat(i, "\n");
    Add(buffer, piece);
    file += piece;
    Lines(buffer);
    const size_t end = buffer.offset();
    const size_t size = std::min<size_t>(end, 256);
    ASSERT_EQ(buffer.tail(), file.substr(end - size, size)) << i;
    ASSERT_EQ(buffer.read_offset(), static_cast<int64_t>(file.size()));
  }
}

TEST(LineBufferTest, MemoryStaysBoundedOverAnEndlessLine) {
  LineBuffer buffer(8, 16);
  buffer.Reset(0, "");
  for (int i = 0; i < 1000; ++i) {
    Add(buffer, std::string(16, 'x'));
    EXPECT_THAT(Lines(buffer), IsEmpty());
  }
  EXPECT_EQ(buffer.offset(), 0);
  Add(buffer, "\nb\n");
  EXPECT_THAT(Lines(buffer), ElementsAre("<16001>", "b"));
}

}  // namespace
}  // namespace mxtally
