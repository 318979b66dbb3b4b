#include "proto/options/values.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

using testing::HasSubstr;

TEST(ValuesTest, DurationsHaveUnits) {
  struct Case {
    const char* text;
    absl::Duration duration;
  };
  for (const Case& c : {Case{"0", absl::ZeroDuration()}, Case{"500ms", absl::Milliseconds(500)},
                        Case{"30s", absl::Seconds(30)}, Case{"15m", absl::Minutes(15)},
                        Case{"12h", absl::Hours(12)}, Case{"400d", absl::Hours(9600)}}) {
    const absl::StatusOr<absl::Duration> read = ParseDurationValue(c.text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, c.duration) << c.text;
    EXPECT_EQ(DurationText(c.duration), c.text);
  }
}

TEST(ValuesTest, WrongDurationsAreRefused) {
  for (const char* text : {"", "30", "-1s", "1.5h", "s", "1w", "36526d", "9223372036854775807d",
                           "99999999999999999999s"}) {
    const absl::StatusOr<absl::Duration> read = ParseDurationValue(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("expected a duration")) << text;
  }
}

TEST(ValuesTest, BytesMayHaveUnits) {
  struct Case {
    const char* text;
    int64_t bytes;
  };
  for (const Case& c : {Case{"0", 0}, Case{"1000", 1000}, Case{"64KiB", 65536},
                        Case{"8MiB", 8 << 20}, Case{"3GiB", int64_t{3} << 30}}) {
    const absl::StatusOr<int64_t> read = ParseBytesValue(c.text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, c.bytes) << c.text;
    EXPECT_EQ(BytesText(c.bytes), c.text);
  }
}

TEST(ValuesTest, WrongBytesAreRefused) {
  for (const char* text : {"", "-1", "1KB", "KiB", "1.5MiB", "9223372036854775807KiB"}) {
    EXPECT_FALSE(ParseBytesValue(text).ok()) << text;
  }
}

TEST(ValuesTest, NothingIsCalledNothing) {
  EXPECT_EQ(WrongValue("a path", "").message(), "expected a path, found nothing");
  EXPECT_EQ(WrongValue("a path", "x").message(), "expected a path, found \"x\"");
}

}  // namespace
}  // namespace mxtally
