#include "proto/options/values.h"

#include <iterator>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace mxtally {
namespace {

struct DurationUnit {
  const char* name;
  absl::Duration one;
};
// "ms" before "s", which it ends with.
const DurationUnit kDurationUnits[] = {{"ms", absl::Milliseconds(1)},
                                       {"d", absl::Hours(24)},
                                       {"h", absl::Hours(1)},
                                       {"m", absl::Minutes(1)},
                                       {"s", absl::Seconds(1)}};

struct BytesUnit {
  const char* name;
  int64_t one;
};
constexpr BytesUnit kBytesUnits[] = {
    {"GiB", int64_t{1} << 30}, {"MiB", int64_t{1} << 20}, {"KiB", int64_t{1} << 10}, {"", 1}};

// A century, so that sums with times of logs do not overflow.
constexpr absl::Duration kDurationMax = absl::Hours(24 * 36'525);

}  // namespace

absl::Status WrongValue(const std::string& expected, const std::string& found) {
  return absl::InvalidArgumentError(
      found.empty() ? absl::StrCat("expected ", expected, ", found nothing")
                    : absl::StrCat("expected ", expected, ", found \"", found, "\""));
}

absl::StatusOr<absl::Duration> ParseDurationValue(const std::string& text) {
  if (text == "0") return absl::ZeroDuration();
  for (const DurationUnit& unit : kDurationUnits) {
    absl::string_view number = text;
    int64_t count = 0;
    if (!absl::ConsumeSuffix(&number, unit.name)) continue;
    if (!absl::SimpleAtoi(number, &count) || count < 0 || count * unit.one > kDurationMax) break;
    return count * unit.one;
  }
  return WrongValue("a duration with its unit, such as 500ms, 30s, 15m, 12h or 400d", text);
}

absl::StatusOr<int64_t> ParseBytesValue(const std::string& text) {
  for (const BytesUnit& unit : kBytesUnits) {
    absl::string_view number = text;
    int64_t count = 0;
    if (!absl::ConsumeSuffix(&number, unit.name)) continue;
    if (!absl::SimpleAtoi(number, &count) || count < 0 ||
        count > std::numeric_limits<int64_t>::max() / unit.one) {
      break;
    }
    return count * unit.one;
  }
  return WrongValue("a number of bytes, such as 65536, 64KiB, 8MiB or 2GiB", text);
}

std::string DurationText(absl::Duration duration) {
  if (duration == absl::ZeroDuration()) return "0";
  const DurationUnit* best = std::begin(kDurationUnits);
  for (const DurationUnit& unit : kDurationUnits) {
    if (unit.one > best->one && duration % unit.one == absl::ZeroDuration()) best = &unit;
  }
  return absl::StrCat(duration / best->one, best->name);
}

std::string BytesText(int64_t bytes) {
  for (const BytesUnit& unit : kBytesUnits) {
    if (bytes != 0 && bytes % unit.one == 0) return absl::StrCat(bytes / unit.one, unit.name);
  }
  return absl::StrCat(bytes);
}

}  // namespace mxtally
