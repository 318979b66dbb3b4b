#include "server/ingest/text.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"

namespace mxtally {
namespace {

// Length of the printable character at the start of `text`, which is not
// empty; 0 when there is none.  The bounds on the second byte exclude overlong
// forms, surrogates, and numbers beyond U+10FFFF (Unicode 15, table 3-7), and
// after C2 the control characters.
size_t PrintableLength(absl::string_view text) {
  const uint8_t first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return first >= ' ' && first != 0x7f ? 1 : 0;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) return 0;

  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (first == 0xc2 || first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  const uint8_t second = static_cast<uint8_t>(text[1]);
  if (second < low || second > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool IsPrintable(absl::string_view text) {
  // Nearly all of it is ASCII.
  const auto* const other = std::find_if(
      text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c - ' ') >= 0x7f - ' '; });
  text.remove_prefix(static_cast<size_t>(other - text.begin()));
  while (!text.empty()) {
    const size_t length = PrintableLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool IsHostName(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' || c == '-';
  });
}

bool IsServiceName(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

bool IsSyslogTag(absl::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool HasUpperCase(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), absl::ascii_isupper);
}

}  // namespace mxtally
