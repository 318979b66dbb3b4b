// Text functions that look at several bytes at a time against loops that look at one.

#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "agent/parser/fields.h"
#include "agent/session/text.h"
#include "tests/fuzz/fuzz.h"

namespace mxtally {
namespace {

// Takes a character of UTF-8 off `text`: its code point, or -1 and one byte.
int32_t TakeCharacter(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  const size_t size = first < 0x80              ? 1
                      : (first >> 5) == 0b110   ? 2
                      : (first >> 4) == 0b1110  ? 3
                      : (first >> 3) == 0b11110 ? 4
                                                : 0;
  int32_t point = size <= 1 ? first : first & (0xff >> (size + 1));
  bool valid = size > 0 && size <= text.size();
  for (size_t i = 1; valid && i < size; ++i) {
    valid = (byte(i) >> 6) == 0b10;
    point = point << 6 | (byte(i) & 0x3f);
  }
  static constexpr int32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  valid = valid && point >= kSmallest[size] && point <= 0x10ffff &&
          !(point >= 0xd800 && point <= 0xdfff);
  text.remove_prefix(valid ? size : 1);
  return valid ? point : -1;
}

std::string SlowText(std::string_view text, size_t bytes_max, bool lower) {
  std::string out;
  while (!text.empty()) {
    const std::string_view rest = text;
    const int32_t point = TakeCharacter(text);
    std::string character(rest.substr(0, rest.size() - text.size()));
    if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point == '@') character = "?";
    if (out.size() + character.size() > bytes_max) break;
    if (lower && character.size() == 1) character[0] = absl::ascii_tolower(character[0]);
    out += character;
  }
  return out;
}

template <typename Predicate>
bool AllOf(std::string_view text, Predicate predicate) {
  for (const char c : text) {
    if (!predicate(c)) return false;
  }
  return true;
}

void FuzzBounds(std::string_view text) {
  std::string host, tag;
  AppendKeyHost(text, host);
  Require(host.size() <= 255 && AllOf(host,
                                      [](char c) {
                                        return absl::ascii_islower(c) || absl::ascii_isdigit(c) ||
                                               c == '.' || c == '_' || c == '-';
                                      }),
          "a key's host is a host name");
  AppendKeyTag(text, tag);
  Require(tag.size() <= kKeyTagBytesMax && IsGraphic(tag), "a key's tag is visible ASCII");
}

void FuzzWords(std::string_view text) {
  Require(Is(text, "unknown") == (text == "unknown"), "Is");
  Require(StartsWith(text, "from=<") == text.starts_with("from=<"), "StartsWith, 6 bytes");
  Require(StartsWith(text, "connect from ") == text.starts_with("connect from "),
          "StartsWith, 13 bytes");
  Require(StartsWith(text, "[") == text.starts_with("["), "StartsWith, a byte");
  Require(EndsWith(text, "ed)") == text.ends_with("ed)"), "EndsWith, 3 bytes");
  Require(EndsWith(text, " (queue active)") == text.ends_with(" (queue active)"),
          "EndsWith, 15 bytes");
}

void Fuzz(FuzzedDataProvider& input) {
  const size_t bytes_max = input.ConsumeIntegralInRange<size_t>(0, 40);
  const char stop = input.ConsumeIntegral<char>();
  std::string out, lower_out;
  for (const Line& bytes : LinesOf(input.ConsumeRemainingBytesAsString())) {
    const std::string_view text = View(bytes);
    SetText(text, bytes_max, out);
    RequireEqual(out, SlowText(text, bytes_max, /*lower=*/false), "SetText");
    SetText(text, bytes_max, out);
    RequireEqual(out, SlowText(text, bytes_max, /*lower=*/false), "SetText, twice");
    SetLowerText(text, bytes_max, lower_out);
    RequireEqual(lower_out, SlowText(text, bytes_max, /*lower=*/true), "SetLowerText");
    Require(
        IsPlainText(text) == AllOf(text, [](char c) { return c >= ' ' && c <= '~' && c != '@'; }),
        "IsPlainText");
    Require(IsGraphic(text) == AllOf(text, [](char c) { return c > ' ' && c <= '~'; }),
            "IsGraphic");
    Require(Find(text, stop) == std::min(text.find(stop), text.size()), "Find");
    FuzzBounds(text);
    FuzzWords(text);
  }
}

}  // namespace
}  // namespace mxtally

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  mxtally::Fuzz(input);
  return 0;
}
