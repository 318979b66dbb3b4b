#include "agent/source/rotation_name.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

std::string Describe(std::string_view suffix) {
  const std::optional<RotationSuffix> parsed = ParseRotationSuffix(suffix);
  if (!parsed.has_value()) return "no";
  std::string out = "yes";
  if (parsed->number.has_value()) absl::StrAppend(&out, " number ", *parsed->number);
  if (parsed->date.has_value()) {
    absl::StrAppend(&out, " date ",
                    absl::FormatTime("%Y-%m-%d", *parsed->date, absl::UTCTimeZone()));
  }
  if (parsed->compressed) absl::StrAppend(&out, " compressed");
  return out;
}

TEST(RotationNameTest, SuffixesOfRotatedFiles) {
  const struct {
    const char* suffix;
    const char* expected;
  } rows[] = {
      {".1", "yes number 1"},
      {".10", "yes number 10"},
      {".0", "yes number 0"},
      {".2.gz", "yes number 2 compressed"},
      {".2.xz", "yes number 2 compressed"},
      {".2.bz2", "yes number 2 compressed"},
      {".2.zst", "yes number 2 compressed"},
      {".2.Z", "yes number 2 compressed"},
      {".2.lz4", "yes number 2 compressed"},
      {".gz", "yes compressed"},
      {"-20261101", "yes date 2026-11-01"},
      {".20261101", "yes date 2026-11-01"},
      {"_20261101", "yes date 2026-11-01"},
      {"-20261101.gz", "yes date 2026-11-01 compressed"},
      {"-2026110104", "yes date 2026-11-01"},
      {".20261101-040201", "yes date 2026-11-01"},
      {".20261101-040201.gz", "yes date 2026-11-01 compressed"},
      {"-2026-11-01", "yes date 2026-11-01"},
      {"-20261101T040201", "yes date 2026-11-01"},
      {"-1793505600", "yes date 2026-11-01"},
      {"-20261101.1", "yes number 1 date 2026-11-01"},
      {".old", "yes"},
      {".bak", "yes"},
      {".1.bak", "yes number 1"},
      {"", "no"},
      {".", "no"},
      {".log", "no"},
      {".1x", "no"},
      {".1.swp", "no"},
      {".1~", "no"},
      {"1", "no"},
      {"-2", "no"},
      {"_2", "no"},
      {"-20261301", "no"},
      {".0.0.1", "no"},
      {"-tls", "no"},
      {".gz.1", "no"},
      {".99999999999999999999", "no"},
  };
  for (const auto& row : rows) EXPECT_EQ(Describe(row.suffix), row.expected) << row.suffix;
}

TEST(RotationNameTest, LiveNameIsWhatIsLeft) {
  const struct {
    const char* name;
    const char* live;
  } rows[] = {
      {"mail.log", "mail.log"},
      {"mail.log.1", "mail.log"},
      {"mail.log.2.gz", "mail.log"},
      {"maillog-20261101", "maillog"},
      {"maillog-20261101.gz", "maillog"},
      {"postfix.log.20261101-040201", "postfix.log"},
      {"app2.0.log.1", "app2.0.log"},
      {"mail.old", "mail"},
      {"10.0.0.1", "10.0.0.1"},
      {"192.0.2.1.log", "192.0.2.1.log"},
      {"mx.10.0.0.1", "mx.10.0.0.1"},
      {"mail-2", "mail-2"},
      {".1", ".1"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(std::string(row.name).substr(0, LiveNameLength(row.name)), row.live) << row.name;
  }
}

}  // namespace
}  // namespace mxtally
