#include "server/stats/time_window.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/timestamps/timestamps.h"
#include "server/grpc_status/quoted.h"

namespace mxtally {
namespace {

constexpr char kWindowDefault[] = "24h";
constexpr char kExpected[] =
    "expected a duration such as \"24h\", \"90m\", \"7d\" or \"2w\", or an interval such as "
    "\"2026-11-01T00:00Z/2026-11-08T00:00Z\"";

// Longer than any log, and short enough for arithmetic.
constexpr absl::Duration kLengthMax = absl::Hours(24 * 36525);
constexpr char kLengthMaxName[] = "100 years";

absl::Status Wrong(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("window ", Quoted(text), " ", what));
}

std::optional<absl::Duration> UnitOf(char unit) {
  switch (unit) {
    case 'm':
      return absl::Minutes(1);
    case 'h':
      return absl::Hours(1);
    case 'd':
      return absl::Hours(24);
    case 'w':
      return absl::Hours(24 * 7);
    default:
      return std::nullopt;
  }
}

absl::StatusOr<absl::Duration> ParseDuration(const std::string& text) {
  const std::string digits = text.substr(0, text.size() - 1);
  const std::optional<absl::Duration> unit = UnitOf(text.back());
  if (!unit.has_value() || digits.empty() ||
      !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit)) {
    return Wrong(text, absl::StrCat("is not understood: ", kExpected));
  }
  int64_t count = 0;
  if (!absl::SimpleAtoi(digits, &count) || count > kLengthMax / *unit) {
    return Wrong(text, absl::StrCat("is longer than ", kLengthMaxName));
  }
  if (count == 0) return Wrong(text, absl::StrCat("is empty: ", kExpected));
  return count * *unit;
}

std::optional<absl::Time> ParseTime(const std::string& text, const absl::TimeZone& zone) {
  // The library also takes names, signs and blanks.
  if (text.empty() || !absl::ascii_isdigit(text[0]) || text.find(' ') != std::string::npos) {
    return std::nullopt;
  }
  for (const char* format : {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M%Ez",
                             "%Y-%m-%dT%H:%M:%E*S", "%Y-%m-%dT%H:%M:%E*S%Ez"}) {
    absl::Time time;
    std::string error;
    if (absl::ParseTime(format, text, zone, &time, &error)) return time;
  }
  return std::nullopt;
}

absl::StatusOr<Interval> ParseInterval(const std::string& text, const absl::TimeZone& zone) {
  const std::pair<std::string, std::string> sides = absl::StrSplit(text, absl::MaxSplits('/', 1));
  absl::Time times[2];
  for (int i = 0; i < 2; ++i) {
    const std::string& side = i == 0 ? sides.first : sides.second;
    const std::optional<absl::Time> time = ParseTime(side, zone);
    if (!time.has_value()) {
      return Wrong(text, absl::StrCat("has the time ", Quoted(side),
                                      ": expected one such as \"2026-11-01T00:00Z\", "
                                      "\"2026-11-01T00:00:00+01:00\" or \"2026-11-01\""));
    }
    times[i] = *time;
  }
  const Interval window{times[0], times[1]};
  if (window.start > window.end) {
    return Wrong(text, "ends before it begins: write the earlier time first");
  }
  if (window.empty()) {
    return Wrong(text, "is empty, because its end is excluded: expected a later end");
  }
  return window;
}

Interval WholeHours(const Interval& window) {
  const absl::Time epoch = absl::UnixEpoch();
  return {epoch + absl::Floor(window.start - epoch, absl::Hours(1)),
          epoch + absl::Ceil(window.end - epoch, absl::Hours(1))};
}

}  // namespace

absl::StatusOr<Interval> ParseWindow(const std::string& text, const absl::TimeZone& zone,
                                     absl::Time now) {
  const std::string trimmed(absl::StripAsciiWhitespace(text));
  const std::string window_text = trimmed.empty() ? kWindowDefault : trimmed;
  if (window_text.find('/') == std::string::npos) {
    const absl::StatusOr<absl::Duration> length = ParseDuration(window_text);
    if (!length.ok()) return length.status();
    return WholeHours({now - *length, now});
  }
  const absl::StatusOr<Interval> window = ParseInterval(window_text, zone);
  if (!window.ok()) return window.status();
  if (window->start > now) {
    return Wrong(window_text,
                 absl::StrCat("begins in the future: it is ", UtcText(now), " on the server"));
  }
  if (window->end - window->start > kLengthMax) {
    return Wrong(window_text, absl::StrCat("is longer than ", kLengthMaxName));
  }
  return WholeHours(*window);
}

std::string FormatWindow(const Interval& window) {
  return absl::StrCat(UtcText(window.start), "/", UtcText(window.end));
}

}  // namespace mxtally
