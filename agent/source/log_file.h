// One log file held open, known by what it holds.
//
// A file's name changes with every rotation, its inode when it is copied or
// restored.  What stays is its content: logs only grow at the end.  So a file
// is told by its first bytes, and a place in it by the bytes before it.
//
// A compressed file (compressed_reader.h) is known by what it holds, too: every
// offset is one in its content.  It can only be read forward, so whatever asks
// for a place before the last one reads it from its beginning.

#ifndef MXTALLY_AGENT_SOURCE_LOG_FILE_H_
#define MXTALLY_AGENT_SOURCE_LOG_FILE_H_

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/source/compressed_reader.h"
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
  int64_t size = 0;  // As stored.
  int64_t links = 0;
  absl::Time modified;

  bool SameFile(const FileStat& other) const {
    return device == other.device && inode == other.inode;
  }
};

// Called each time so many bytes more of an archive were unpacked, which may take
// a second: whether to go on.
inline constexpr int64_t kKeepUnpackingBytes = 1024 * 1024;
using KeepUnpacking = std::function<bool()>;

FileStat FromStat(const struct stat& st);

// One thread only.
class LogFile {
 public:
  // Never blocks, whatever `path` is.
  //   NOT_FOUND            no such file
  //   PERMISSION_DENIED    not readable
  //   FAILED_PRECONDITION  a directory, FIFO, device ...; or compressed, and what
  //                        reads that is not installed
  //   UNIMPLEMENTED        compressed in a way that is not read
  static absl::StatusOr<LogFile> Open(const std::string& path,
                                      KeepUnpacking keep_unpacking = nullptr);

  // Reads `bytes.size()` bytes at `offset`, fewer only at the end of the file.
  // Returns how many.
  //   DATA_LOSS  compressed, and `offset` cannot be reached
  //   CANCELLED  `keep_unpacking` said so
  absl::StatusOr<int64_t> ReadAt(int64_t offset, absl::Span<char> bytes) const;

  absl::StatusOr<FileStat> Stat() const;

  // Whether nothing was at `offset` or behind it when the file was opened.
  //   DATA_LOSS  compressed, and `offset` cannot be reached
  absl::StatusOr<bool> EndsAt(int64_t offset) const;

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
  // What the file begins with, at most kHeadBytesMax bytes.
  const std::string& head() const { return head_; }
  bool compressed() const { return unpacking_ != nullptr; }
  // As it was when the file was opened, but for device and inode.
  const FileStat& opened() const { return opened_; }

 private:
  // How far a compressed file was unpacked.
  struct Unpacking {
    std::unique_ptr<CompressedReader> reader;  // Null: it begins anew.
    int64_t offset = 0;                        // Of what it gives next.
    absl::Status status;                       // Why it gives no more.
    KeepUnpacking keep_on = nullptr;
    int64_t bytes_until_told = kKeepUnpackingBytes;

    //   CANCELLED  it is not to go on
    absl::Status CountWork(int64_t bytes);
  };

  LogFile(ScopedFd fd, std::string path, const FileStat& stat)
      : fd_(std::move(fd)), path_(std::move(path)), opened_(stat) {}

  absl::Status ErrnoStatus(const char* doing) const;
  absl::StatusOr<int64_t> ReadStoredAt(int64_t offset, absl::Span<char> bytes) const;
  absl::StatusOr<int64_t> Unpack(int64_t offset, absl::Span<char> bytes) const;
  absl::Status OpenReader() const;

  ScopedFd fd_;
  std::string path_;
  FileStat opened_;
  // Behind a pointer, because reading is const.  Null: not compressed.
  std::unique_ptr<Unpacking> unpacking_;
  std::string head_;  // First bytes of the file, at most kHeadBytesMax.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_LOG_FILE_H_
