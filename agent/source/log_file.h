// One log file held open, known by what it holds.
//
// A file's name changes with every rotation, its inode when it is copied or
// restored.  What stays is its content: logs only grow at the end.  So a file
// is told by its first bytes, and a place in it by the bytes before it.

#ifndef MXTALLY_AGENT_SOURCE_LOG_FILE_H_
#define MXTALLY_AGENT_SOURCE_LOG_FILE_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/source/scoped_fd.h"
#include "mxtally/v1/cut.pb.h"

namespace mxtally {

// How much of a file's beginning, and of what is before a cut, is hashed.
inline constexpr int64_t kHeadBytesMax = 1024;
inline constexpr int64_t kTailBytesMax = 256;

// FNV-1a with 64 bits.  Stored and sent, so it must never change.
uint64_t ContentHash(std::string_view bytes);

struct FileStat {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t links = 0;
  absl::Time modified;

  bool SameFile(const FileStat& other) const {
    return device == other.device && inode == other.inode;
  }
};

FileStat FromStat(const struct stat& st);

// Const methods from any thread.
class LogFile {
 public:
  // Never blocks, whatever `path` is.
  //   NOT_FOUND            no such file
  //   PERMISSION_DENIED    not readable
  //   FAILED_PRECONDITION  a directory, FIFO, device ...
  static absl::StatusOr<LogFile> Open(const std::string& path);

  // Reads `bytes.size()` bytes at `offset`, fewer only at the end of the file.
  // Returns how many.
  absl::StatusOr<int64_t> ReadAt(int64_t offset, absl::Span<char> bytes) const;

  absl::StatusOr<FileStat> Stat() const;

  // Whether the file still begins as it did when this was asked last.  False
  // after truncation, whatever was written since.  Learns more of the
  // beginning while the file is short.
  absl::StatusOr<bool> KeptItsHead();

  // Whether `cut` is a place in this file or in one that this is a copy of.
  // A cut in an empty file is known by device and inode only.
  bool Matches(const v1::Cut& cut) const;

  // The place at `offset`; `tail` is what is before it, at least
  // min(offset, kTailBytesMax) bytes.
  v1::Cut CutAt(int64_t offset, std::string_view tail) const;

  // What is before `offset`, at most kTailBytesMax bytes.
  absl::StatusOr<std::string> TailAt(int64_t offset) const;

  const std::string& path() const { return path_; }
  // As it was when the file was opened, but for device and inode.
  const FileStat& opened() const { return opened_; }

 private:
  LogFile(ScopedFd fd, std::string path, const FileStat& stat)
      : fd_(std::move(fd)), path_(std::move(path)), opened_(stat) {}

  absl::Status ErrnoStatus(const char* doing) const;

  ScopedFd fd_;
  std::string path_;
  FileStat opened_;
  std::string head_;  // First bytes of the file, at most kHeadBytesMax.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_LOG_FILE_H_
