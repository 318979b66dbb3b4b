#include "agent/source/rotation_name.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/time/civil_time.h"

namespace mxtally {
namespace {

constexpr std::array<std::string_view, 6> kCompressedEndings = {".gz",  ".xz", ".bz2",
                                                                ".zst", ".Z",  ".lz4"};

bool IsOneOf(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool ConsumePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::string_view LeadingDigits(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && absl::ascii_isdigit(text[n])) ++n;
  return text.substr(0, n);
}

// "20261101...", "2026-11-01...", or seconds since 1970 (logrotate's "%s").
std::optional<absl::Time> ParseDate(std::string_view text) {
  std::string digits;
  for (char c : text) {
    if (absl::ascii_isdigit(c)) digits.push_back(c);
  }
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;
  if (digits.size() < 8 || !absl::SimpleAtoi(digits.substr(0, 4), &year) ||
      !absl::SimpleAtoi(digits.substr(4, 2), &month) ||
      !absl::SimpleAtoi(digits.substr(6, 2), &day)) {
    return std::nullopt;
  }
  const absl::CivilDay civil(year, month, day);
  const bool exists = civil.month() == month && civil.day() == day;
  if (year >= 1980 && year < 2200 && exists) return absl::FromCivil(civil, absl::UTCTimeZone());

  int64_t seconds = 0;
  if (digits.size() == 10 && absl::SimpleAtoi(digits, &seconds)) {
    return absl::FromCivil(absl::ToCivilDay(absl::FromUnixSeconds(seconds), absl::UTCTimeZone()),
                           absl::UTCTimeZone());
  }
  return std::nullopt;
}

// Digits with single separators in them, "20261101-040201".
std::string_view LeadingNumberOrDate(std::string_view text) {
  size_t end = LeadingDigits(text).size();
  while (end > 0 && end + 1 < text.size() && IsOneOf(text[end], "-_T:")) {
    const size_t digits = LeadingDigits(text.substr(end + 1)).size();
    if (digits == 0) break;
    end += 1 + digits;
  }
  return text.substr(0, end);
}

// Takes one part, `.1` or `-20261101` or `.old`, off the front of `text`.
bool ConsumePart(std::string_view& text, RotationSuffix& suffix) {
  if (ConsumePrefix(text, ".old") || ConsumePrefix(text, ".bak")) return true;
  if (text.empty() || !IsOneOf(text[0], ".-_")) return false;
  const std::string_view number = LeadingNumberOrDate(text.substr(1));
  const std::optional<absl::Time> date = ParseDate(number);
  // Only a dot makes a file name of small numbers: `mail-2` may be an instance.
  if (number.empty() || (text[0] != '.' && !date.has_value())) return false;
  int64_t value = 0;
  if (date.has_value()) {
    suffix.date = date;
  } else if (!suffix.number.has_value() && absl::SimpleAtoi(std::string(number), &value)) {
    suffix.number = value;
  } else {
    return false;
  }
  text.remove_prefix(1 + number.size());
  return true;
}

bool ConsumeCompressedEnding(std::string_view& name) {
  for (std::string_view ending : kCompressedEndings) {
    if (name.ends_with(ending)) {
      name.remove_suffix(ending.size());
      return true;
    }
  }
  return false;
}

// Takes the first date out of `name`.
std::optional<absl::Time> TakeDate(std::string& name) {
  for (size_t i = 0; i < name.size(); ++i) {
    if (!absl::ascii_isdigit(name[i])) continue;
    const std::string_view number = LeadingNumberOrDate(std::string_view(name).substr(i));
    const std::optional<absl::Time> date = ParseDate(number);
    if (date.has_value()) {
      name.erase(i, number.size());
      return date;
    }
    i += number.size();
  }
  return std::nullopt;
}

bool CanBeLive(std::string_view name) {
  size_t stem = name.size();
  while (stem > 0 && absl::ascii_isdigit(name[stem - 1])) --stem;
  const bool ends_in_number = stem < name.size() && stem > 0 && name[stem - 1] == '.';
  return !ends_in_number && std::any_of(name.begin(), name.end(), absl::ascii_isalpha);
}

}  // namespace

std::optional<RotationSuffix> ParseRotationSuffix(std::string_view suffix) {
  RotationSuffix parsed;
  parsed.compressed = ConsumeCompressedEnding(suffix);
  if (suffix.empty() && !parsed.compressed) return std::nullopt;
  while (!suffix.empty()) {
    if (!ConsumePart(suffix, parsed)) return std::nullopt;
  }
  return parsed;
}

std::optional<RotationSuffix> DifferInDateOnly(std::string_view other, std::string_view name) {
  RotationSuffix parsed;
  parsed.compressed = ConsumeCompressedEnding(name);
  ConsumeCompressedEnding(other);
  std::string name_without(name);
  std::string other_without(other);
  parsed.date = TakeDate(name_without);
  if (!parsed.date || !TakeDate(other_without) || name_without != other_without) {
    return std::nullopt;
  }
  return parsed;
}

size_t LiveNameLength(std::string_view name) {
  for (size_t i = 1; i < name.size(); ++i) {
    if (CanBeLive(name.substr(0, i)) && ParseRotationSuffix(name.substr(i)).has_value()) return i;
  }
  return name.size();
}

}  // namespace mxtally
