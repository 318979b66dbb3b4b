// Reads a log line from left to right, one field at a time.  A reader takes its
// field off the front of `text` and returns true, or returns false; then the
// line does not fit and `text` is no longer of use.
//
// For agent/parser and agent/session.

#ifndef MXTALLY_AGENT_PARSER_FIELDS_H_
#define MXTALLY_AGENT_PARSER_FIELDS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "agent/parser/event.h"

namespace mxtally {

template <typename Word>
inline Word Load(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// Compares `kSize` bytes in as few words as hold them, the last of which may
// overlap: compilers call memcmp() for more than a few.
template <size_t kSize>
inline bool SameBytes(const char* a, const char* b) {
  if constexpr (kSize >= 2) {
    using Word = std::conditional_t<(kSize >= 8), uint64_t,
                                    std::conditional_t<(kSize >= 4), uint32_t, uint16_t>>;
    constexpr size_t kLast = kSize - sizeof(Word);
    Word difference = Load<Word>(a + kLast) ^ Load<Word>(b + kLast);
    for (size_t i = 0; i < kLast; i += sizeof(Word)) {
      difference |= Load<Word>(a + i) ^ Load<Word>(b + i);
    }
    return difference == 0;
  } else {
    return kSize == 0 || *a == *b;
  }
}

// Whether `text` is `word`.
template <size_t N>
inline bool Is(std::string_view text, const char (&word)[N]) {
  return text.size() == N - 1 && SameBytes<N - 1>(text.data(), word);
}

template <size_t N>
inline bool StartsWith(std::string_view text, const char (&prefix)[N]) {
  return text.size() >= N - 1 && SameBytes<N - 1>(text.data(), prefix);
}

template <size_t N>
inline bool EndsWith(std::string_view text, const char (&suffix)[N]) {
  return text.size() >= N - 1 && SameBytes<N - 1>(text.data() + text.size() - (N - 1), suffix);
}

// Takes `prefix` off; leaves `text` alone when it begins otherwise.
template <size_t N>
inline bool Consume(std::string_view& text, const char (&prefix)[N]) {
  if (!StartsWith(text, prefix)) return false;
  text.remove_prefix(N - 1);
  return true;
}

// Index of the first `byte`, or the size.  Fields are short: eight bytes at a time
// are faster than a call.
inline size_t Find(std::string_view text, char byte) {
  constexpr uint64_t kLow = 0x0101010101010101;
  size_t i = 0;
  if constexpr (std::endian::native == std::endian::little) {
    const uint64_t pattern = kLow * static_cast<uint8_t>(byte);
    for (; i + sizeof(uint64_t) <= text.size(); i += sizeof(uint64_t)) {
      const uint64_t word = Load<uint64_t>(text.data() + i) ^ pattern;
      // The lowest bit that is set marks the first byte that is zero now.
      const uint64_t zeros = (word - kLow) & ~word & (kLow << 7);
      if (zeros != 0) return i + std::countr_zero(zeros) / 8;
    }
  }
  while (i < text.size() && text[i] != byte) ++i;
  return i;
}

// Takes everything before the first `stop`, or all there is.
inline std::string_view TakeUntil(std::string_view& text, char stop) {
  const std::string_view taken(text.data(), Find(text, stop));
  text.remove_prefix(taken.size());
  return taken;
}

// The same with two stops.
inline std::string_view TakeUntil(std::string_view& text, char stop, char other_stop) {
  size_t i = 0;
  while (i < text.size() && text[i] != stop && text[i] != other_stop) ++i;
  const std::string_view taken(text.data(), i);
  text.remove_prefix(i);
  return taken;
}

// A number without sign that fits `int`.
inline bool TakeNumber(std::string_view& text, int& number) {
  constexpr size_t kDigitsMax = 9;
  size_t i = 0;
  int value = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    if (i == kDigitsMax) return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(i);
  number = value;
  return i > 0;
}

// "name[address]", "name[address]:port", "[address]".  Names are host names and
// addresses are numeric, so neither can hold a blank or a bracket.  What does not fit leaves
// `peer` empty.
bool TakeNamedAddress(std::string_view& text, NamedAddress& peer);

// "mx.example", where ": " follows: how Postfix up to 2.4 calls a server in what it logs of TLS.
// What does not fit leaves `server` empty.
bool TakeServerName(std::string_view& text, NamedAddress& server);

// The command after which something happened: "RCPT", "END-OF-MESSAGE".
bool TakePlace(std::string_view& text, std::string_view& place);

// "3F2504E0: ", a short or a long queue id of Postfix, or "NOQUEUE: ", for which
// `queue_id` is empty.  Leaves both alone when `text` begins otherwise.
bool TakeQueueId(std::string_view& text, std::string_view& queue_id);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_FIELDS_H_
