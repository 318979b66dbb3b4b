#include "agent/checkpoint/files.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace mxtally {

absl::Status ErrnoStatus(const std::string& what) {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": ", std::generic_category().message(error)));
  }
  return absl::ErrnoToStatus(error, what);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(absl::StrCat("open ", path));
  std::string bytes;
  std::array<char, 64 * 1024> chunk;
  while (true) {
    const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n == 0) return bytes;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(absl::StrCat("read ", path));
    bytes.append(chunk.data(), n);
  }
}

absl::Status WriteFile(const std::string& path, std::string_view bytes, Durability durability) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!fd.valid()) return ErrnoStatus(absl::StrCat("create ", path));
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(absl::StrCat("write ", path));
    bytes.remove_prefix(n);
  }
  if (durability == Durability::kSynced && ::fsync(fd.get()) != 0) {
    return ErrnoStatus(absl::StrCat("sync ", path));
  }
  return absl::OkStatus();
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(absl::StrCat("rename ", from));
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& dir) {
  const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return ErrnoStatus(absl::StrCat("sync ", dir));
  return absl::OkStatus();
}

}  // namespace mxtally
