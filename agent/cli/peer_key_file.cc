#include "agent/cli/peer_key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace mxtally {
namespace {

constexpr size_t kFileBytesMax = 64 * 1024;
constexpr size_t kEpochBytesMax = 16;
constexpr size_t kKeyDigits = 64;

// What was found, unless it is so long that it may be a key in the wrong place.
std::string Found(absl::string_view word) {
  if (word.size() > kEpochBytesMax) return absl::StrCat(word.size(), " characters");
  return absl::StrCat("\"", absl::CHexEscape(word), "\"");
}

bool IsEpoch(absl::string_view word) {
  return word.size() <= kEpochBytesMax && absl::c_all_of(word, [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

// Adds the key of one line.  Returns what is wrong with it, or nothing.
std::string AddKey(absl::string_view line, std::vector<PeerKey>& keys) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  if (words.size() != 3) {
    return absl::StrCat("expected EPOCH START KEY, found ", words.size(), " words");
  }
  PeerKey key;
  key.epoch = std::string(words[0]);
  if (!IsEpoch(words[0])) {
    return absl::StrCat("epoch: expected at most ", kEpochBytesMax, " of [a-z0-9-], found ",
                        Found(words[0]));
  }
  if (!absl::ParseTime("%Y-%m-%d", words[1], absl::UTCTimeZone(), &key.start, nullptr)) {
    return absl::StrCat("start: expected a day like 2026-10-01, found ", Found(words[1]));
  }
  if (words[2].size() != kKeyDigits || !absl::c_all_of(words[2], absl::ascii_isxdigit)) {
    return absl::StrCat("key: expected ", kKeyDigits, " hexadecimal digits, found ",
                        words[2].size(), " characters");
  }
  key.secret = absl::HexStringToBytes(words[2]);
  for (const PeerKey& other : keys) {
    if (other.epoch == key.epoch) {
      return absl::StrCat("epoch: expected a name of its own, found ", Found(words[0]), " again");
    }
    if (other.secret == key.secret) {
      return absl::StrCat("key: expected one of its own, found that of epoch ", other.epoch);
    }
  }
  if (!keys.empty() && key.start <= keys.back().start) {
    return absl::StrCat("start: expected a day after that of epoch ", keys.back().epoch, ", found ",
                        Found(words[1]));
  }
  keys.push_back(std::move(key));
  return "";
}

absl::Status CheckOwnership(const std::string& path, const struct stat& file) {
  if (!S_ISREG(file.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": expected a file of keys"));
  }
  if ((file.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: expected mode 0640 or stricter, found %04o", path, file.st_mode & 07777));
  }
  if (file.st_uid != 0 && file.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": expected root or user ", ::geteuid(),
                                                      " as its owner, found user ", file.st_uid));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(const std::string& path, int fd) {
  struct stat file;
  if (::fstat(fd, &file) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("look at ", path));
  if (absl::Status s = CheckOwnership(path, file); !s.ok()) return s;
  std::string text(kFileBytesMax + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, absl::StrCat("read ", path));
    if (n == 0) break;
    size += n;
  }
  if (size > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected at most ", kFileBytesMax, " bytes"));
  }
  text.resize(size);
  return text;
}

}  // namespace

absl::StatusOr<std::vector<PeerKey>> ParsePeerKeys(const std::string& path,
                                                   const std::string& text) {
  std::vector<PeerKey> keys;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const absl::string_view stripped = absl::StripAsciiWhitespace(line);
    if (stripped.empty() || stripped.front() == '#') continue;
    if (const std::string wrong = AddKey(stripped, keys); !wrong.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", wrong));
    }
  }
  if (keys.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected lines of EPOCH START KEY, found none"));
  }
  return keys;
}

absl::StatusOr<std::vector<PeerKey>> ReadPeerKeyFile(const std::string& path) {
  // A FIFO would wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", path));
  const absl::StatusOr<std::string> text = ReadAll(path, fd);
  ::close(fd);
  if (!text.ok()) return text.status();
  return ParsePeerKeys(path, *text);
}

absl::Status CheckReplacement(const std::vector<PeerKey>& before,
                              const std::vector<PeerKey>& after) {
  for (const PeerKey& key : before) {
    for (const PeerKey& other : after) {
      if (key.epoch != other.epoch || key.secret == other.secret) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("peer keys: expected the key of epoch ", key.epoch,
                       " as it was, found another; give a new key a new name"));
    }
  }
  return absl::OkStatus();
}

}  // namespace mxtally
