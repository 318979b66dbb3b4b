#include "server/stats/zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/stats/time_window.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

absl::Time At(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error)) << error;
  return time;
}

absl::TimeZone Zone(const std::string& name) {
  const absl::StatusOr<absl::TimeZone> zone = FindZone(name);
  EXPECT_TRUE(zone.ok()) << zone.status();
  return zone.ok() ? *zone : absl::UTCTimeZone();
}

std::string ErrorOf(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

// "2026-03-01T00:00:00Z/2026-03-29T01:00:00Z +1h".
std::vector<std::string> Split(const std::string& start, const std::string& end,
                               const std::string& zone) {
  const auto pieces = SplitByOffset({At(start), At(end)}, Zone(zone));
  if (!pieces.ok()) return {ErrorOf(pieces.status())};
  std::vector<std::string> split;
  for (const ZonePiece& piece : *pieces) {
    split.push_back(
        absl::StrCat(FormatWindow(piece.window), " ", absl::FormatDuration(piece.offset)));
  }
  return split;
}

TEST(ZoneTest, FindsUtcOffsetsAndNames) {
  for (const auto& [name, hours] : {std::pair("", 0),
                                    {"UTC", 0},
                                    {"utc", 0},
                                    {"Z", 0},
                                    {"+01:00", 1},
                                    {"-05:00", -5},
                                    {"+1", 1},
                                    {"+14", 14},
                                    {"-00:00", 0},
                                    {"Europe/Amsterdam", 1},
                                    {"America/New_York", -5},
                                    {"Etc/GMT+8", -8}}) {
    EXPECT_EQ(Zone(name).At(At("2026-12-01T00:00:00Z")).offset, hours * 3600) << name;
  }
}

TEST(ZoneTest, RefusesWhatIsNoZone) {
  for (const char* name :
       {"Europe/Amsterdm", "europe/amsterdam", "CEST", "local", "../../../etc/passwd",
        "/etc/localtime", "file:/etc/localtime", "Europe//Amsterdam", "Europe", "zone.tab", "\xff",
        "Europe/Amsterdam\n"}) {
    EXPECT_THAT(ErrorOf(FindZone(name).status()), HasSubstr("is not known to this server")) << name;
  }
  for (const char* name : {"+", "-", "+15:00", "+1:", "+01:60", "+001", "+01:00:00", "+0x"}) {
    EXPECT_THAT(ErrorOf(FindZone(name).status()), HasSubstr("is no offset")) << name;
  }
}

TEST(ZoneTest, RefusesHalfHoursAndSaysWhy) {
  EXPECT_EQ(ErrorOf(FindZone("+05:30").status()),
            "time_zone \"+05:30\" is +05:30 from UTC: counts are kept by UTC hour, so only offsets "
            "of whole hours can be used");
  EXPECT_THAT(Split("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", "Asia/Kolkata"),
              ElementsAre(HasSubstr("time_zone \"Asia/Kolkata\" is +05:30 from UTC")));
}

TEST(ZoneTest, ZoneWithHalfHoursOnlyInSummerIsFineInSummerOnly) {
  // Lord Howe Island: +10:30, and +11 in summer.
  EXPECT_THAT(Split("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "Australia/Lord_Howe"),
              ElementsAre("2026-12-01T00:00:00Z/2026-12-02T00:00:00Z 11h"));
  EXPECT_THAT(Split("2026-12-01T00:00:00Z", "2027-06-02T00:00:00Z", "Australia/Lord_Howe"),
              ElementsAre(HasSubstr("+10:30")));
}

TEST(ZoneTest, SplitsWhereTheOffsetChanges) {
  EXPECT_THAT(Split("2026-03-01T00:00:00Z", "2026-11-01T00:00:00Z", "Europe/Amsterdam"),
              ElementsAre("2026-03-01T00:00:00Z/2026-03-29T01:00:00Z 1h",
                          "2026-03-29T01:00:00Z/2026-10-25T01:00:00Z 2h",
                          "2026-10-25T01:00:00Z/2026-11-01T00:00:00Z 1h"));
}

TEST(ZoneTest, DoesNotSplitWithoutAChange) {
  EXPECT_THAT(Split("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "Europe/Amsterdam"),
              ElementsAre("2026-03-29T01:00:00Z/2026-10-25T01:00:00Z 2h"));
  EXPECT_THAT(Split("2026-03-01T00:00:00Z", "2026-11-01T00:00:00Z", "+02:00"), SizeIs(1));
}

TEST(ZoneTest, HourOfAChangeGoesWithTheOffsetItEndsIn) {
  // One minute past midnight, local.
  EXPECT_THAT(Split("2011-03-31T20:00:00Z", "2011-04-01T03:00:00Z", "Asia/Gaza"),
              ElementsAre("2011-03-31T20:00:00Z/2011-03-31T22:00:00Z 2h",
                          "2011-03-31T22:00:00Z/2011-04-01T03:00:00Z 3h"));
}

TEST(ZoneTest, PiecesOfACenturyAreFewAndJoinWithoutHoles) {
  const Interval century{At("1950-01-01T00:00:00Z"), At("2050-01-01T00:00:00Z")};
  const auto pieces = SplitByOffset(century, Zone("Europe/Amsterdam"));
  ASSERT_TRUE(pieces.ok()) << pieces.status();
  EXPECT_LT(pieces->size(), 200u);
  absl::Time end = century.start;
  for (const ZonePiece& piece : *pieces) {
    EXPECT_EQ(piece.window.start, end);
    end = piece.window.end;
  }
  EXPECT_EQ(end, century.end);
}

TEST(ZoneTest, EmptyWindowHasNoPieces) {
  EXPECT_THAT(Split("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "UTC"), IsEmpty());
}

TEST(ZoneTest, BothHalvesOfADayBeginAtItsMidnight) {
  const absl::TimeZone amsterdam = Zone("Europe/Amsterdam");
  const absl::Time midnight = At("2026-10-25T00:00:00+02:00");
  EXPECT_EQ(BucketStart(At("2026-10-24T22:00:00Z"), absl::Hours(2), amsterdam), midnight);
  EXPECT_EQ(BucketStart(At("2026-10-24T23:00:00Z"), absl::Hours(1), amsterdam), midnight);
}

TEST(ZoneTest, BucketThatBeginsInASkippedHourBeginsAtTheChange) {
  EXPECT_EQ(BucketStart(At("2026-03-29T01:00:00Z"), absl::Hours(1), Zone("Europe/Amsterdam")),
            At("2026-03-29T01:00:00Z"));
  EXPECT_EQ(BucketStart(At("2026-03-29T00:00:00Z"), absl::Hours(2), Zone("Europe/Amsterdam")),
            At("2026-03-29T01:00:00Z"));
}

}  // namespace
}  // namespace mxtally
