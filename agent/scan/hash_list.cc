#include "agent/scan/hash_list.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

namespace mxtally {
namespace {

ScopedFd OpenTemporaryFile() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  return ScopedFd(error ? -1 : ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

// Calls `transfer` with each rest of `size` bytes at `offset` until all are done.
template <typename Transfer, typename Byte>
bool TransferAll(Transfer transfer, int fd, Byte* bytes, size_t size, off_t offset) {
  while (size > 0) {
    const ssize_t done = transfer(fd, bytes, size, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes += done;
    offset += done;
    size -= static_cast<size_t>(done);
  }
  return true;
}

off_t OffsetOf(size_t index) { return static_cast<off_t>(index * sizeof(uint64_t)); }

}  // namespace

void HashList::MoveToFile() {
  if (!file_.valid()) file_ = OpenTemporaryFile();
  if (file_.valid() &&
      TransferAll(::pwrite, file_.get(), reinterpret_cast<const char*>(in_memory_.data()),
                  in_memory_.size() * sizeof(uint64_t), OffsetOf(in_file_))) {
    in_file_ += in_memory_.size();
    in_memory_.clear();
  } else {
    in_memory_max_ = std::numeric_limits<size_t>::max();
  }
}

void HashList::Take(const std::function<void(uint64_t)>& take) {
  for (const uint64_t hash : std::exchange(in_memory_, {})) take(hash);
  std::vector<uint64_t> part(8192);
  for (size_t done = 0; done < in_file_; done += part.size()) {
    part.resize(std::min(part.size(), in_file_ - done));
    if (!TransferAll(::pread, file_.get(), reinterpret_cast<char*>(part.data()),
                     part.size() * sizeof(uint64_t), OffsetOf(done))) {
      break;
    }
    for (const uint64_t hash : part) take(hash);
  }
  in_file_ = 0;
  file_ = ScopedFd();
}

}  // namespace mxtally
