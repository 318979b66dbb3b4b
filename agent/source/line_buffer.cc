#include "agent/source/line_buffer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "agent/source/log_file.h"

namespace mxtally {

LineBuffer::LineBuffer(int64_t line_bytes_max, int64_t chunk_bytes)
    : line_bytes_max_(line_bytes_max),
      chunk_bytes_(chunk_bytes),
      capacity_(kTailBytesMax + line_bytes_max_ + chunk_bytes_),
      bytes_(new char[capacity_]) {}

void LineBuffer::Reset(int64_t offset, std::string_view tail) {
  tail.remove_prefix(tail.size() - std::min<size_t>(tail.size(), kTailBytesMax));
  std::memcpy(bytes_.get(), tail.data(), tail.size());
  begin_ = scanned_ = end_ = tail.size();
  offset_ = offset;
  dropped_ = 0;
  oversized_ = false;
  end_line_ = false;
}

absl::Span<char> LineBuffer::Space() {
  const size_t kept_from = begin_ - std::min<size_t>(begin_, kTailBytesMax);
  std::memmove(bytes_.get(), bytes_.get() + kept_from, end_ - kept_from);
  begin_ -= kept_from;
  scanned_ -= kept_from;
  end_ -= kept_from;
  return {bytes_.get() + end_, std::min(chunk_bytes_, capacity_ - end_)};
}

void LineBuffer::Added(int64_t bytes) {
  end_ += bytes;
  assert(end_ <= capacity_);
  if (bytes > 0) end_line_ = false;
}

bool LineBuffer::Next(Line& line) {
  if (begin_ < end_ && bytes_[begin_] == '\0') SkipNuls();
  const char* text = bytes_.get() + begin_;
  const void* found = std::memchr(bytes_.get() + scanned_, '\n', end_ - scanned_);
  const bool ends_here = found == nullptr && end_line_ && has_partial_line();
  if (found == nullptr && !ends_here) {
    scanned_ = end_;
    BoundLine();
    return false;
  }
  const size_t size = ends_here ? end_ - begin_ : static_cast<const char*>(found) - text;
  const size_t taken = size + (ends_here ? 0 : 1);
  line.oversized = oversized_ || size > line_bytes_max_;
  line.text = line.oversized ? std::string_view() : std::string_view(text, size);
  line.bytes = dropped_ + static_cast<int64_t>(taken);

  begin_ += taken;
  scanned_ = begin_;
  offset_ += line.bytes;
  dropped_ = 0;
  oversized_ = false;
  end_line_ = false;
  return true;
}

void LineBuffer::EndLine() { end_line_ = true; }

void LineBuffer::MoveRest(LineBuffer& to) {
  const void* found = ::memrchr(bytes_.get() + scanned_, '\n', end_ - scanned_);
  const size_t rest =
      found == nullptr ? begin_ : static_cast<const char*>(found) - bytes_.get() + 1;
  to.Added(static_cast<int64_t>(end_ - rest));
  std::memcpy(to.bytes_.get(), bytes_.get() + rest, end_ - rest);
  end_ = rest;
  scanned_ = std::min(scanned_, end_);
  if (found == nullptr) {
    // The line began in a buffer before this one.
    to.dropped_ = std::exchange(dropped_, 0);
    to.oversized_ = std::exchange(oversized_, false);
  }
  to.SkipNuls();
  to.BoundLine();
}

// Keeps no more of an unfinished line than is permitted.
void LineBuffer::BoundLine() {
  if (oversized_ || end_ - begin_ > line_bytes_max_) {
    oversized_ = true;
    Drop(end_ - begin_);
  }
}

std::string_view LineBuffer::tail() const {
  if (dropped_ > 0) return dropped_tail_;
  const size_t size = std::min<size_t>(begin_, kTailBytesMax);
  return {bytes_.get() + begin_ - size, size};
}

void LineBuffer::Drop(size_t bytes) {
  if (bytes == 0) return;
  if (dropped_ == 0) dropped_tail_ = tail();
  dropped_ += static_cast<int64_t>(bytes);
  begin_ += bytes;
  scanned_ = std::max(scanned_, begin_);
}

void LineBuffer::SkipNuls() {
  if (oversized_ || scanned_ != begin_) return;
  const char* const rest = bytes_.get() + begin_;
  const size_t size = end_ - begin_;
  // A hole of gigabytes is NULs all over.
  const bool all = size > 0 && *rest == '\0' && std::memcmp(rest, rest + 1, size - 1) == 0;
  size_t nuls = all ? size : 0;
  while (begin_ + nuls < end_ && bytes_[begin_ + nuls] == '\0') ++nuls;
  Drop(nuls);
}

}  // namespace mxtally
