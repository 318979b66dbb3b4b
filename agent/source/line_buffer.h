// Cuts what is read from a file into lines.
//
// Memory stays within a chunk plus the longest permitted line.  The bytes
// before the current place are kept, as many as a cut's hash needs, so that a
// cut describes what was read and not what the file holds by now.

#ifndef MXTALLY_AGENT_SOURCE_LINE_BUFFER_H_
#define MXTALLY_AGENT_SOURCE_LINE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace mxtally {

// One thread only.
class LineBuffer {
 public:
  struct Line {
    std::string_view text;  // Valid until Space() or Reset().  Empty when oversized.
    int64_t bytes = 0;      // In the file, line end included.
    bool oversized = false;
  };

  LineBuffer(int64_t line_bytes_max, int64_t chunk_bytes);

  // Goes on at `offset` of a file; `tail` is what is before it there, at least
  // min(offset, kTailBytesMax) bytes.
  void Reset(int64_t offset, std::string_view tail);

  // Room for the bytes at `read_offset()`; Added() tells how many were put there.
  absl::Span<char> Space();
  void Added(int64_t bytes);

  // Takes the next whole line.  False when more bytes are needed.
  // NUL bytes before a line, which a crash or a writer that does not append
  // leaves, belong to the line but not to its text.
  bool Next(Line& line);

  // Takes the bytes after the last line end for a line.
  void EndLine();

  // Moves the bytes after the last line end to `to`, which is at its start, has
  // no bytes and the same bounds; what is left are whole lines.  For readers
  // that do not ask for offsets.
  void MoveRest(LineBuffer& to);

  // After the last line taken.
  int64_t offset() const { return offset_; }
  // After the last byte added.
  int64_t read_offset() const { return offset_ + dropped_ + static_cast<int64_t>(end_ - begin_); }
  bool has_partial_line() const { return read_offset() > offset_; }

  // What is before offset().
  std::string_view tail() const;
  // What is behind it.
  std::string_view rest() const { return {bytes_.get() + begin_, end_ - begin_}; }

 private:
  void BoundLine();
  void Drop(size_t bytes);
  void SkipNuls();

  const size_t line_bytes_max_;
  const size_t chunk_bytes_;
  const size_t capacity_;
  const std::unique_ptr<char[]> bytes_;

  // bytes_[begin_, end_) are not taken yet; no line end in [begin_, scanned_).
  // The bytes before begin_ are the file's, at least kTailBytesMax of them.
  size_t begin_ = 0;
  size_t scanned_ = 0;
  size_t end_ = 0;

  int64_t offset_ = 0;
  int64_t dropped_ = 0;       // Bytes of the current line that are no longer kept ...
  std::string dropped_tail_;  // ... and then, what was before it.
  bool oversized_ = false;
  bool end_line_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_LINE_BUFFER_H_
