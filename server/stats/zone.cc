#include "server/stats/zone.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"
#include "server/grpc_status/quoted.h"

namespace mxtally {
namespace {

constexpr char kZoneFolder[] = "/usr/share/zoneinfo";
constexpr char kExpected[] =
    "expected \"UTC\", an offset such as \"+01:00\", or a name such as \"Europe/Amsterdam\"";

// Offsets in use are from -12 to +14 hours.
constexpr int kOffsetHoursMax = 14;

absl::Status WholeHoursOnly(absl::string_view zone, absl::string_view offset) {
  return absl::InvalidArgumentError(absl::StrCat(
      "time_zone ", Quoted(zone), " is ", offset,
      " from UTC: counts are kept by UTC hour, so only offsets of whole hours can be used"));
}

absl::StatusOr<absl::TimeZone> FixedZone(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name.substr(1), absl::MaxSplits(':', 1));
  int hours = 0;
  int minutes = 0;
  const auto is_number = [](const std::string& text, int* value) {
    return !text.empty() && text.size() <= 2 &&
           std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
           absl::SimpleAtoi(text, value);
  };
  if (!is_number(parts[0], &hours) || (parts.size() == 2 && !is_number(parts[1], &minutes)) ||
      hours > kOffsetHoursMax || minutes > 59) {
    return absl::InvalidArgumentError(
        absl::StrCat("time_zone ", Quoted(name), " is no offset; ", kExpected));
  }
  if (minutes != 0) return WholeHoursOnly(name, name);
  return absl::FixedTimeZone((name[0] == '-' ? -hours : hours) * 3600);
}

// Whether `name` can be looked up without harm: the library opens the file of
// that name, and keeps every name that it was ever asked for.
bool IsZoneFile(const std::string& name) {
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty()) return false;
    for (const char c : part) {
      if (!absl::ascii_isalnum(c) && c != '_' && c != '-' && c != '+') return false;
    }
  }
  std::error_code error;
  return std::filesystem::is_regular_file(absl::StrCat(kZoneFolder, "/", name), error);
}

// Instant of a change of offset.
absl::Time InstantOf(const absl::TimeZone::CivilTransition& change, const absl::TimeZone& zone) {
  const absl::TimeZone::TimeInfo after = zone.At(change.to);
  return after.kind == absl::TimeZone::TimeInfo::REPEATED ? after.trans : after.pre;
}

absl::Time FloorHour(absl::Time time) {
  return absl::UnixEpoch() + absl::Floor(time - absl::UnixEpoch(), absl::Hours(1));
}

}  // namespace

absl::StatusOr<absl::TimeZone> FindZone(const std::string& name) {
  if (name.empty() || absl::EqualsIgnoreCase(name, "UTC") || absl::EqualsIgnoreCase(name, "Z")) {
    return absl::UTCTimeZone();
  }
  if (name[0] == '+' || name[0] == '-') return FixedZone(name);
  absl::TimeZone zone;
  if (name.size() > 64 || !IsZoneFile(name) || !absl::LoadTimeZone(name, &zone)) {
    return absl::InvalidArgumentError(
        absl::StrCat("time_zone ", Quoted(name), " is not known to this server; ", kExpected));
  }
  return zone;
}

absl::StatusOr<std::vector<ZonePiece>> SplitByOffset(const Interval& window,
                                                     const absl::TimeZone& zone) {
  std::vector<ZonePiece> pieces;
  absl::Time start = window.start;
  // No log is older than 1970, but zones have odd offsets then.
  absl::Time from = std::max(window.start, absl::UnixEpoch());
  while (start < window.end) {
    const absl::TimeZone::CivilInfo local = zone.At(from);
    if (local.offset % 3600 != 0) {
      return WholeHoursOnly(zone.name(), absl::FormatTime("%Ez", from, zone));
    }
    absl::Time end = window.end;
    absl::TimeZone::CivilTransition change;
    absl::Time next = from;
    while (zone.NextTransition(next, &change)) {
      next = InstantOf(change, zone);
      if (zone.At(next).offset == local.offset) continue;  // Another name only.
      end = std::min(end, FloorHour(next));
      break;
    }
    const absl::Duration offset = absl::Seconds(local.offset);
    if (end > start) pieces.push_back({{start, end}, offset});
    start = std::max(start, end);
    from = std::max(next, start);
  }
  return pieces;
}

absl::Time BucketStart(absl::Time start, absl::Duration offset, const absl::TimeZone& zone) {
  return absl::FromCivil(absl::ToCivilSecond(start + offset, absl::UTCTimeZone()), zone);
}

}  // namespace mxtally
