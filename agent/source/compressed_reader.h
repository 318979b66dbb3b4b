// Decompresses a file as it is read: .gz, .xz, .bz2 and .zst, of one member or
// several, told by content.
//
// Bounded, whatever the file holds: memory by the decoders' buffers and a window
// of kWindowBytesMax, time by kExpansionMax.  Libarchive does not compare gzip's
// checksums.

#ifndef MXTALLY_AGENT_SOURCE_COMPRESSED_READER_H_
#define MXTALLY_AGENT_SOURCE_COMPRESSED_READER_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

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

// Files that are unpacked with a larger window are refused, and read no further where
// that comes behind their beginning.  `xz -9` uses 64 MiB, `zstd --ultra -22` this
// much; what logrotate starts uses 8 MiB and less.
inline constexpr int64_t kWindowBytesMax = 128 * 1024 * 1024;

// A file whose content exceeds kExpansionFreeBytes and is so many times its size is no
// log: it would take the time of a log of that content.  A log stays below 100, and one
// that repeats a line for ever below 12,000, which is zstd's; gzip cannot exceed 1032.
inline constexpr int64_t kExpansionMax = 20'000;
inline constexpr int64_t kExpansionFreeBytes = 64 * 1024 * 1024;

// One thread only.
class CompressedReader {
 public:
  // `head` was read from `fd` already and is before what `fd` yields; at least
  // kCompressionHeadBytes unless the file is shorter.  `fd`, which may be a pipe,
  // must outlive the reader.
  //   UNIMPLEMENTED        another compression, or none, or too large a window
  //   FAILED_PRECONDITION  libarchive, which reads all but .xz, is not installed
  static absl::StatusOr<std::unique_ptr<CompressedReader>> Open(int fd, std::string_view head);
  ~CompressedReader();

  CompressedReader(const CompressedReader&) = delete;
  CompressedReader& operator=(const CompressedReader&) = delete;

  // Puts decompressed bytes into `space`, which is not empty.  Returns how
  // many; 0 at the end.
  //   DATA_LOSS    damaged or truncated, or expands more than a log does, or needs too large
  //                a window from here on; what came before is good, but up to 128 KiB of good bytes
  //                right before the damage are lost
  //   UNAVAILABLE  `fd` cannot be read
  absl::StatusOr<int64_t> Read(absl::Span<char> space);

  // Compressed bytes used so far, `head` included.
  int64_t compressed_bytes() const;

 private:
  class Decoder;
  class XzDecoder;
  class ArchiveDecoder;

  explicit CompressedReader(std::unique_ptr<Decoder> decoder);

  const std::unique_ptr<Decoder> decoder_;
  int64_t content_bytes_ = 0;
  std::string_view block_;  // The decoder's; not yet taken.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_COMPRESSED_READER_H_
