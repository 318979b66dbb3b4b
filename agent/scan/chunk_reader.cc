#include "agent/scan/chunk_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "agent/source/compressed_reader.h"
#include "agent/source/journal_reader.h"
#include "agent/source/scoped_fd.h"

namespace mxtally {
namespace {

absl::Status ReadError(const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat(path, ": ", std::generic_category().message(error)));
}

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// What a file, or what is left of a pipe, holds; decompressed.
class InputBytes {
 public:
  // Both must outlive this.
  InputBytes(const std::string& path, int fd) : path_(path), fd_(fd) {}

  // Puts bytes into `space`, which takes kCompressionHeadBytes.  Returns how
  // many; 0 at the end.
  absl::StatusOr<int64_t> Read(absl::Span<char> space) {
    if (compressed_) return ReadCompressed(space);
    if (stored_bytes_ == 0) return Begin(space);
    const absl::StatusOr<int64_t> bytes = ReadStored(space);
    if (bytes.ok()) stored_bytes_ += *bytes;
    return bytes;
  }

  // Read so far, as stored.
  int64_t stored_bytes() const {
    return compressed_ ? compressed_->compressed_bytes() : stored_bytes_;
  }

 private:
  // The first bytes tell whether the rest is compressed.  A pipe gives as few
  // at a time as its writer likes.
  absl::StatusOr<int64_t> Begin(absl::Span<char> space) {
    size_t size = 0;
    while (size < kCompressionHeadBytes && MayBeCompressed({space.data(), size})) {
      const absl::StatusOr<int64_t> bytes = ReadStored(space.subspan(size));
      if (!bytes.ok()) return bytes;
      if (*bytes == 0) break;
      size += static_cast<size_t>(*bytes);
    }
    const std::string_view head(space.data(), size);
    if (CompressionOf(head).empty()) {
      stored_bytes_ = static_cast<int64_t>(size);
      return stored_bytes_;
    }
    absl::StatusOr<std::unique_ptr<CompressedReader>> opened = CompressedReader::Open(fd_, head);
    if (!opened.ok()) return WithPath(path_, opened.status());
    compressed_ = *std::move(opened);
    return ReadCompressed(space);
  }

  absl::StatusOr<int64_t> ReadStored(absl::Span<char> space) {
    ssize_t bytes = 0;
    do {
      bytes = ::read(fd_, space.data(), space.size());
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0) return ReadError(path_, errno);
    return bytes;
  }

  absl::StatusOr<int64_t> ReadCompressed(absl::Span<char> space) {
    absl::StatusOr<int64_t> bytes = compressed_->Read(space);
    if (bytes.ok()) return bytes;
    return WithPath(path_, bytes.status());
  }

  const std::string& path_;
  const int fd_;
  int64_t stored_bytes_ = 0;
  std::unique_ptr<CompressedReader> compressed_;
};

// The lines of the journal, as if they stood in a file.
class JournalBytes {
 public:
  JournalBytes(std::unique_ptr<JournalReader> reader, std::vector<std::string>& errors)
      : reader_(std::move(reader)), errors_(errors) {}

  absl::StatusOr<int64_t> Read(absl::Span<char> space) {
    size_t size = 0;
    while (size < space.size()) {
      if (rest_.empty()) {
        JournalReader::Line line;
        const absl::StatusOr<bool> found = reader_->Next(line);
        if (absl::IsDataLoss(found.status())) {
          AddError(found.status());
          continue;
        }
        // What is there already comes first.
        if (!found.ok() && size == 0) return found.status();
        if (!found.ok() || !*found) break;
        line_ = absl::StrCat(std::string(line.text), "\n");
        rest_ = line_;
      }
      const size_t taken = std::min(rest_.size(), space.size() - size);
      std::copy_n(rest_.begin(), taken, space.begin() + static_cast<ptrdiff_t>(size));
      rest_.remove_prefix(taken);
      size += taken;
    }
    return static_cast<int64_t>(size);
  }

 private:
  // Once for many damaged entries.
  void AddError(const absl::Status& loss) {
    std::string text(loss.message());
    if (errors_.empty() || errors_.back() != text) errors_.push_back(std::move(text));
  }

  const std::unique_ptr<JournalReader> reader_;
  std::vector<std::string>& errors_;
  std::string line_;
  std::string_view rest_;  // Of `line_`.
};

}  // namespace

class ChunkReader::OpenFile {
 public:
  // `fd` is closed in the end, unless it is standard input.
  OpenFile(const std::string& path, int fd) : opened_(path == "-" ? -1 : fd) {
    bytes_.emplace(path, fd);
  }
  OpenFile(std::unique_ptr<JournalReader> journal, std::vector<std::string>& errors) {
    journal_.emplace(std::move(journal), errors);
  }

  absl::StatusOr<int64_t> Read(absl::Span<char> space) {
    return journal_ ? journal_->Read(space) : bytes_->Read(space);
  }

  // Bytes as stored since the last call; 0 of the journal.
  int64_t TakeProgress() {
    const int64_t bytes = bytes_ ? bytes_->stored_bytes() : 0;
    return bytes - std::exchange(told_bytes_, bytes);
  }

 private:
  const ScopedFd opened_;
  // One of them.
  std::optional<InputBytes> bytes_;
  std::optional<JournalBytes> journal_;
  int64_t told_bytes_ = 0;
};

ChunkReader::ChunkReader(const std::vector<InputLog>& logs, int standard_input, Progress& progress,
                         std::vector<std::string>& errors)
    : logs_(logs),
      standard_input_(standard_input),
      progress_(progress),
      errors_(errors),
      rest_(LogChunk::kLineBytesMax, LogChunk::kBytes) {}

ChunkReader::~ChunkReader() = default;

bool ChunkReader::Next(LogChunk& chunk) {
  LineBuffer& buffer = chunk.buffer;
  while (true) {
    if (file_ == nullptr && !OpenNextFile()) return false;
    buffer.Reset(0, "");
    rest_.MoveRest(buffer);
    const absl::StatusOr<int64_t> bytes = file_->Read(buffer.Space());
    if (!bytes.ok()) errors_.emplace_back(bytes.status().message());
    rest_.Reset(0, "");
    if (bytes.ok() && *bytes > 0) {
      progress_.Add(file_->TakeProgress());
      buffer.Added(*bytes);
      buffer.MoveRest(rest_);
    } else {
      if (bytes.ok()) buffer.EndLine();
      file_.reset();
    }
    if (!buffer.has_partial_line()) continue;
    chunk.begins_log = std::exchange(begins_log_, false);
    chunk.begins_file = std::exchange(begins_file_, nullptr);
    chunk.sought_lines = NextFilesLines();
    return true;
  }
}

std::string_view ChunkReader::NextFilesLines() const {
  const std::vector<InputFile>& files = logs_[log_].files;
  return file_in_log_ < files.size() ? files[file_in_log_].first_lines : std::string_view();
}

bool ChunkReader::OpenNextFile() {
  for (; log_ < logs_.size(); ++log_, file_in_log_ = 0) {
    while (file_in_log_ < logs_[log_].files.size()) {
      if (file_in_log_ == 0) begins_log_ = true;
      const InputFile& file = logs_[log_].files[file_in_log_++];
      if (file.journal) {
        absl::StatusOr<std::unique_ptr<JournalReader>> journal =
            JournalReader::Open(*file.journal, LogChunk::kLineBytesMax);
        if (!journal.ok()) {
          errors_.emplace_back(journal.status().message());
          continue;
        }
        file_ = std::make_unique<OpenFile>(*std::move(journal), errors_);
        begins_file_ = &file;
        return true;
      }
      if (file.path == "-" && standard_input_ < 0) {
        errors_.emplace_back("standard input is closed");
        continue;
      }
      const int fd =
          file.path == "-" ? standard_input_ : ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd < 0) {
        errors_.emplace_back(ReadError(file.path, errno).message());
        continue;
      }
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
      file_ = std::make_unique<OpenFile>(file.path, fd);
      begins_file_ = &file;
      return true;
    }
  }
  return false;
}

}  // namespace mxtally
