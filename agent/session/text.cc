#include "agent/session/text.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/ascii.h"

namespace mxtally {
namespace {

constexpr size_t kHostBytesMax = 255;

// Length of the UTF-8 character at the start of `text`, which is not empty;
// 0 when there is none: overlong forms, surrogates and cut sequences too.
size_t Utf8Length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (!continues(1)) return 0;
  if (first < 0xe0) return 2;
  if (!continues(2)) return 0;
  if (first < 0xf0) {
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (first > 0xf4 || !continues(3)) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return 4;
}

// U+0080 to U+009F: control characters in UTF-8, some terminals obey them.
bool IsC1Control(std::string_view character) {
  return character.size() == 2 && static_cast<uint8_t>(character[0]) == 0xc2 &&
         static_cast<uint8_t>(character[1]) < 0xa0;
}

bool IsPlain(char c) { return c >= ' ' && c < 0x7f && c != '@'; }

// Whether every byte is at least `low`, at most '~' and not `barred`.  Eight at
// a time: nearly all texts are.
template <uint8_t low, uint8_t barred>
inline bool IsAscii(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighs = kOnes << 7;
  // Each term has the high bit of a byte set if the byte, below 0x80, is odd in that way.
  // What carries from byte to byte can only add to what is odd already.
  const auto odd = [](uint64_t word) {
    uint64_t found = word | (word - kOnes * low) | ((word ^ (kOnes * 0x7f)) - kOnes);
    if (barred != 0x7f) found |= (word ^ (kOnes * barred)) - kOnes;
    return found & kHighs;
  };
  const char* p = text.data();
  size_t left = text.size();
  uint64_t word = 0;
  for (; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
    std::memcpy(&word, p, sizeof(word));
    if (odd(word) != 0) return false;
  }
  if (left == 0) return true;  // A view of nothing may point nowhere.
  word = kOnes * 'x';
  std::memcpy(&word, p, left);
  return odd(word) == 0;
}

}  // namespace

void SetText(std::string_view text, size_t bytes_max, std::string& out) {
  // What could be stored as it is, is stored again: most lines repeat the peer.
  if (out == text) return;
  if (text.size() <= bytes_max && IsPlainText(text)) {
    out.assign(text);
    return;
  }
  out.clear();
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    const bool keep = length == 1 ? IsPlain(text[0]) : length > 1 && !IsC1Control(character);
    const std::string_view shown = keep ? character : "?";
    if (out.size() + shown.size() > bytes_max) return;
    out.append(shown);
    text.remove_prefix(character.size());
  }
}

void SetLowerText(std::string_view text, size_t bytes_max, std::string& out) {
  if (out == text) return;
  SetText(text, bytes_max, out);
  for (char& c : out) c = absl::ascii_tolower(c);
}

bool IsPlainText(std::string_view text) { return IsAscii<' ', '@'>(text); }

bool IsGraphic(std::string_view text) { return IsAscii<'!', 0x7f>(text); }

void AppendKeyHost(std::string_view host, std::string& out) {
  for (char c : host.substr(0, kHostBytesMax)) {
    const bool allowed = absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
    out.push_back(allowed ? absl::ascii_tolower(c) : '_');
  }
}

void AppendKeyTag(std::string_view tag, std::string& out) {
  if (tag.size() > kKeyTagBytesMax) tag.remove_prefix(tag.size() - kKeyTagBytesMax);
  if (IsGraphic(tag)) {
    out.append(tag);
    return;
  }
  // RFC 5424 has "postfix/smtpd 123" for what others write as "postfix/smtpd[123]".
  const bool has_process = tag.find(' ') != std::string_view::npos;
  if (has_process && tag.size() == kKeyTagBytesMax) tag.remove_prefix(1);
  for (char c : tag) {
    out.push_back(c == ' ' ? '[' : c > ' ' && c < 0x7f ? c : '?');
  }
  if (has_process) out.push_back(']');
}

}  // namespace mxtally
