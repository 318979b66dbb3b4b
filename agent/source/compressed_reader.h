// Decompresses a file as it is read: .gz, .xz, .bz2 and .zst, of one member or
// several, told by content.
//
// Bounded, whatever the file holds: memory by libarchive's buffers and a window
// of kWindowBytesMax, output by kExpansionMax.  Libarchive does not compare
// gzip's checksums.

#ifndef MXTALLY_AGENT_SOURCE_COMPRESSED_READER_H_
#define MXTALLY_AGENT_SOURCE_COMPRESSED_READER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/source/libarchive.h"

namespace mxtally {

// The compression of a file that begins with `head`: "gzip", "xz", "bzip2",
// "zstd"; or "lz4", "compress", which are not read; empty: none.
std::string_view CompressionOf(std::string_view head);
bool IsReadCompression(std::string_view compression);
// Whether more bytes after `head` may change what CompressionOf() says.
bool MayBeCompressed(std::string_view head);

// Of a file that begins with so many bytes everything is known that decides
// whether it is read.
inline constexpr size_t kCompressionHeadBytes = 64;

// Files that are unpacked with a larger window are refused.  `xz -9` uses 64 MiB,
// `zstd --ultra -22` this much; what logrotate starts uses 8 MiB and less.
inline constexpr int64_t kWindowBytesMax = 128 * 1024 * 1024;

// A file whose content exceeds kExpansionFreeBytes and is so many times its size
// is no log.  (gzip cannot exceed 1032.  Real logs stay below 100.)
inline constexpr int64_t kExpansionMax = 2000;
inline constexpr int64_t kExpansionFreeBytes = 64 * 1024 * 1024;

// One thread only.
class CompressedReader {
 public:
  // `head` was read from `fd` already and is before what `fd` yields; at least
  // kCompressionHeadBytes unless the file is shorter.  `fd`, which may be a pipe,
  // must outlive the reader.
  //   UNIMPLEMENTED        another compression, or none, or too large a window
  //   FAILED_PRECONDITION  libarchive is not installed
  static absl::StatusOr<std::unique_ptr<CompressedReader>> Open(int fd, std::string_view head);
  ~CompressedReader();

  CompressedReader(const CompressedReader&) = delete;
  CompressedReader& operator=(const CompressedReader&) = delete;

  // Puts decompressed bytes into `space`, which is not empty.  Returns how
  // many; 0 at the end.
  //   DATA_LOSS    damaged or truncated, or expands more than a log does; what came
  //                before is good, but up to 128 KiB of good bytes right before the
  //                damage are lost
  //   UNAVAILABLE  `fd` cannot be read
  absl::StatusOr<int64_t> Read(absl::Span<char> space);

  // Compressed bytes used so far, `head` included.
  int64_t compressed_bytes() const;

 private:
  CompressedReader(const LibArchive& library, int fd, std::string_view head);

  static ssize_t ReadCompressed(archive* archive, void* reader, const void** bytes);

  absl::Status Begin();
  absl::Status CheckEnd();
  absl::Status Error() const;

  struct Free {
    const LibArchive* library;
    void operator()(archive* archive) const { library->read_free(archive); }
  };

  const LibArchive& library_;
  const int fd_;
  std::string head_;  // Not yet given to libarchive, or lent to it.
  bool head_lent_ = false;
  std::vector<char> compressed_;  // Lent to libarchive.
  int read_error_ = 0;
  bool input_ended_ = false;
  int64_t given_bytes_ = 0;  // To libarchive.
  bool begun_ = false;
  bool ended_ = false;
  int64_t content_bytes_ = 0;
  std::string_view block_;  // Libarchive's; decompressed and not yet taken.
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_COMPRESSED_READER_H_
