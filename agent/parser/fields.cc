#include "agent/parser/fields.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace mxtally {
namespace {

// Sets of characters, one bit each.
enum CharacterSet : uint8_t {
  kHostName = 1,      // What Postfix's valid_hostname() lets pass.
  kAddress = 2,       // IPv4 and IPv6 in text form.
  kPlace = 4,         // Commands, as Postfix writes them.
  kShortQueueId = 8,  // Hexadecimal.
  kLongQueueId = 16,  // Postfix's base 52: no vowels.
};

constexpr std::array<uint8_t, 256> MakeCharacterTable() {
  std::array<uint8_t, 256> table = {};
  const auto add = [&table](std::string_view characters, uint8_t set) {
    for (const char c : characters) table[static_cast<uint8_t>(c)] |= set;
  };
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
  add(kDigits, kHostName | kAddress | kShortQueueId | kLongQueueId);
  add(kUpper, kHostName | kPlace);
  add(kLower, kHostName);
  add("-._", kHostName);
  add("ABCDEFabcdef.:", kAddress);
  add("-", kPlace);
  add("ABCDEF", kShortQueueId);
  add("BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz", kLongQueueId);
  return table;
}

constexpr std::array<uint8_t, 256> kCharacters = MakeCharacterTable();

// Takes the longest run of characters of `set`.
inline std::string_view TakeRun(std::string_view& text, CharacterSet set) {
  size_t i = 0;
  while (i < text.size() && (kCharacters[static_cast<uint8_t>(text[i])] & set) != 0) ++i;
  const std::string_view taken(text.data(), i);
  text.remove_prefix(i);
  return taken;
}

// Long queue ids: seconds (at least 6 digits) and microseconds (4) in base 52,
// "z", and the inode in base 51, which has no "z".
bool IsLongQueueId(std::string_view id) {
  const size_t separator = id.rfind('z');
  return separator != std::string_view::npos && separator >= 10 && separator + 1 < id.size();
}

// A server may be named by its address, "2001:db8::1[2001:db8::1]": then it has no name.
bool TakeNameOfAddress(std::string_view& text) {
  std::string_view rest = text;
  const std::string_view name = TakeRun(rest, kAddress);
  if (!Consume(rest, "[") || !rest.starts_with(name)) return false;
  text = rest;
  return rest.substr(name.size()).starts_with("]");
}

bool ReadNamedAddress(std::string_view& text, NamedAddress& peer) {
  const std::string_view all = text;
  peer.name = TakeRun(text, kHostName);
  if (StartsWith(text, ":")) {
    text = all;
    if (!TakeNameOfAddress(text)) return false;
    peer.name = {};
  } else if (!Consume(text, "[")) {
    return false;
  }
  if (Is(peer.name, "unknown")) peer.name = {};
  if (Consume(text, "unknown]")) {
    peer.address = {};
  } else {
    peer.address = TakeRun(text, kAddress);
    if (peer.address.empty() || !Consume(text, "]")) return false;
  }
  peer.port = 0;
  // A colon may also end the peer: "x[192.0.2.1]: lost connection".
  if (text.size() < 2 || text[0] != ':' || text[1] < '0' || text[1] > '9') return true;
  text.remove_prefix(1);
  return TakeNumber(text, peer.port) && peer.port <= 65535;
}

}  // namespace

bool TakeNamedAddress(std::string_view& text, NamedAddress& peer) {
  if (ReadNamedAddress(text, peer)) return true;
  peer = {};
  return false;
}

bool TakeServerName(std::string_view& text, NamedAddress& server) {
  std::string_view rest = text;
  server = {};
  const std::string_view name = TakeRun(rest, kHostName);
  if (name.empty() || !StartsWith(rest, ": ")) return false;
  server.name = name;
  text = rest;
  return true;
}

bool TakePlace(std::string_view& text, std::string_view& place) {
  place = TakeRun(text, kPlace);
  return !place.empty();
}

bool TakeQueueId(std::string_view& text, std::string_view& queue_id) {
  if (Consume(text, "NOQUEUE: ")) {
    queue_id = {};
    return true;
  }
  std::string_view rest = text;
  std::string_view id = TakeRun(rest, kShortQueueId);
  if (id.size() < 5 || !Consume(rest, ": ")) {
    rest = text;
    id = TakeRun(rest, kLongQueueId);
    if (!IsLongQueueId(id) || !Consume(rest, ": ")) return false;
  }
  queue_id = id;
  text = rest;
  return true;
}

}  // namespace mxtally
