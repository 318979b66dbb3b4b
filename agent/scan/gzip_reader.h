// Decompresses a gzip file, of one member or several, as it is read.
//
// Memory is bounded by libarchive's buffers, whatever the file holds.
// Libarchive does not compare checksums, and ignores bytes after the last member.

#ifndef MXTALLY_AGENT_SCAN_GZIP_READER_H_
#define MXTALLY_AGENT_SCAN_GZIP_READER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

struct archive;

namespace mxtally {

// One thread only.
class GzipReader {
 public:
  // `head` was read from `fd` already and is before what `fd` yields.  `fd`,
  // which may be a pipe, must outlive the reader.
  GzipReader(int fd, std::string_view head);
  ~GzipReader();

  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Puts decompressed bytes into `space`, which is not empty.  Returns how
  // many; 0 at the end.
  //   DATA_LOSS     damaged or truncated; the bytes that came before are good, and
  //                 up to 64 KiB of good bytes right before the damage are lost
  //   UNAVAILABLE   `fd` cannot be read
  absl::StatusOr<int64_t> Read(absl::Span<char> space);

  // Compressed bytes used so far, `head` included.
  int64_t compressed_bytes() const;

 private:
  static ssize_t ReadCompressed(archive* archive, void* reader, const void** bytes);

  absl::Status Open();
  absl::Status Error() const;

  struct Free {
    void operator()(archive* archive) const;
  };

  const int fd_;
  std::string head_;  // Not yet given to libarchive, or lent to it.
  bool head_lent_ = false;
  std::vector<char> compressed_;  // Lent to libarchive.
  int read_error_ = 0;
  bool opened_ = false;
  bool ended_ = false;
  std::string_view block_;  // Libarchive's; decompressed and not yet taken.
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_GZIP_READER_H_
