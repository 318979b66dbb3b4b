#include "server/stats/time_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mxtally {
namespace {

using testing::HasSubstr;

// A Monday.
constexpr char kNow[] = "2026-11-02T10:20:30Z";

absl::Time At(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error)) << error;
  return time;
}

// The window, or the error's message.
std::string Parse(const std::string& text, const absl::TimeZone& zone = absl::UTCTimeZone(),
                  const std::string& now = kNow) {
  const absl::StatusOr<Interval> window = ParseWindow(text, zone, At(now));
  if (window.ok()) return FormatWindow(*window);
  EXPECT_EQ(window.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(window.status().message());
}

struct Case {
  const char* text;
  const char* window;
};

TEST(TimeWindowTest, ReadsDurationsBackFromNow) {
  for (const Case& c : {
           Case{"", "2026-11-01T10:00:00Z/2026-11-02T11:00:00Z"},
           Case{"24h", "2026-11-01T10:00:00Z/2026-11-02T11:00:00Z"},
           Case{" 24h\n", "2026-11-01T10:00:00Z/2026-11-02T11:00:00Z"},
           Case{"1h", "2026-11-02T09:00:00Z/2026-11-02T11:00:00Z"},
           Case{"90m", "2026-11-02T08:00:00Z/2026-11-02T11:00:00Z"},
           Case{"1m", "2026-11-02T10:00:00Z/2026-11-02T11:00:00Z"},
           Case{"7d", "2026-10-26T10:00:00Z/2026-11-02T11:00:00Z"},
           Case{"2w", "2026-10-19T10:00:00Z/2026-11-02T11:00:00Z"},
           Case{"36525d", "1926-11-02T10:00:00Z/2026-11-02T11:00:00Z"},
       }) {
    EXPECT_EQ(Parse(c.text), c.window) << c.text;
  }
}

TEST(TimeWindowTest, WholeHoursAreNotWidened) {
  EXPECT_EQ(Parse("2h", absl::UTCTimeZone(), "2026-11-02T10:00:00Z"),
            "2026-11-02T08:00:00Z/2026-11-02T10:00:00Z");
}

TEST(TimeWindowTest, ReadsIntervals) {
  for (const Case& c : {
           Case{"2026-10-01T00:00Z/2026-10-08T00:00Z", "2026-10-01T00:00:00Z/2026-10-08T00:00:00Z"},
           Case{"2026-10-01T00:00:00Z/2026-10-08T00:00:00z",
                "2026-10-01T00:00:00Z/2026-10-08T00:00:00Z"},
           Case{"2026-10-01/2026-10-08", "2026-10-01T00:00:00Z/2026-10-08T00:00:00Z"},
           Case{"2026-10-01T04:05/2026-10-01T06:07:08",
                "2026-10-01T04:00:00Z/2026-10-01T07:00:00Z"},
           Case{"2026-10-01T00:00+01:00/2026-10-01T02:00+0100",
                "2026-09-30T23:00:00Z/2026-10-01T01:00:00Z"},
           Case{"2026-10-01T00:00+05:30/2026-10-01T02:00-05:30",
                "2026-09-30T18:00:00Z/2026-10-01T08:00:00Z"},
           Case{"2026-10-01T00:00:00.999999+00:00/2026-10-01T02:00:00.000001Z",
                "2026-10-01T00:00:00Z/2026-10-01T03:00:00Z"},
           // Within an hour.
           Case{"2026-10-01T04:10Z/2026-10-01T04:20Z", "2026-10-01T04:00:00Z/2026-10-01T05:00:00Z"},
           // Still open.
           Case{"2026-11-02/2026-11-03", "2026-11-02T00:00:00Z/2026-11-03T00:00:00Z"},
           Case{"1970-01-01/2027-01-01", "1970-01-01T00:00:00Z/2027-01-01T00:00:00Z"},
       }) {
    EXPECT_EQ(Parse(c.text), c.window) << c.text;
  }
}

TEST(TimeWindowTest, TimesWithoutOffsetAreLocal) {
  const absl::TimeZone zone = absl::FixedTimeZone(2 * 3600);
  EXPECT_EQ(Parse("2026-10-01/2026-10-02", zone), "2026-09-30T22:00:00Z/2026-10-01T22:00:00Z");
  EXPECT_EQ(Parse("2026-10-01T06:00/2026-10-01T07:00Z", zone),
            "2026-10-01T04:00:00Z/2026-10-01T07:00:00Z");
}

TEST(TimeWindowTest, SaysWhatIsWrong) {
  for (const Case& c : {
           Case{"7 days", "window \"7 days\" is not understood: expected a duration such as"},
           Case{"P7D", "is not understood"},
           Case{"7D", "is not understood"},
           Case{"h", "is not understood"},
           Case{"-1h", "is not understood"},
           Case{"1.5h", "is not understood"},
           Case{"24", "is not understood"},
           Case{"2026-11-01", "is not understood"},
           Case{"0h", "is empty"},
           Case{"36526d", "is longer than 100 years"},
           Case{"99999999999999999999999h", "is longer than 100 years"},
           Case{"1826-01-01/2026-01-02", "is longer than 100 years"},
           Case{"2026-01-01/9999-12-31", "is longer than 100 years"},
           Case{"2026-10-08/2026-10-01", "ends before it begins: write the earlier time first"},
           Case{"2026-10-01/2026-10-01", "is empty, because its end is excluded"},
           Case{"2026-11-03/2026-11-04",
                "begins in the future: it is 2026-11-02T10:20:30Z on the server"},
           Case{"2026-13-01/2026-11-04", "has the time \"2026-13-01\": expected one such as"},
           Case{"2026-02-30/2026-11-04", "has the time \"2026-02-30\""},
           Case{"2026-10-01T25:00Z/2026-11-04", "has the time \"2026-10-01T25:00Z\""},
           Case{"infinite-past/infinite-future", "has the time \"infinite-past\""},
           Case{"-2026-01-01/2026-11-04", "has the time \"-2026-01-01\""},
           Case{"2026-01-01/", "has the time \"\""},
           Case{"/2026-01-01", "has the time \"\""},
           Case{"2026-01-01/2026-01-02/2026-01-03", "has the time \"2026-01-02/2026-01-03\""},
           Case{"/", "has the time \"\""},
           Case{"\x1b[2J\n", "window \"\\033[2J\" is not understood"},
       }) {
    EXPECT_THAT(Parse(c.text), HasSubstr(c.window)) << c.text;
  }
}

TEST(TimeWindowTest, LongTextIsCutInMessages) {
  EXPECT_LT(Parse(std::string(100'000, 'x')).size(), 300u);
}

}  // namespace
}  // namespace mxtally
