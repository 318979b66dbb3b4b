#include "agent/scan/gzip_reader.h"

#include <archive.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "absl/status/status.h"

namespace mxtally {
namespace {

constexpr size_t kCompressedBytes = 64 * 1024;

}  // namespace

void GzipReader::Free::operator()(archive* archive) const { ::archive_read_free(archive); }

GzipReader::GzipReader(int fd, std::string_view head)
    : fd_(fd), head_(head), compressed_(kCompressedBytes), archive_(::archive_read_new()) {
  if (archive_ == nullptr) throw std::bad_alloc();
}

GzipReader::~GzipReader() = default;

absl::StatusOr<int64_t> GzipReader::Read(absl::Span<char> space) {
  assert(!space.empty());
  if (!std::exchange(opened_, true)) {
    if (absl::Status status = Open(); !status.ok()) return status;
  }
  if (ended_) return 0;
  // Not archive_read_data(), which forgets what it has when an error follows.
  while (block_.empty()) {
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result = ::archive_read_data_block(archive_.get(), &bytes, &size, &offset);
    if (result == ARCHIVE_EOF) {
      ended_ = true;
      return 0;
    }
    if (result != ARCHIVE_OK) return Error();
    block_ = {static_cast<const char*>(bytes), size};
  }
  const size_t taken = std::min(space.size(), block_.size());
  std::memcpy(space.data(), block_.data(), taken);
  block_.remove_prefix(taken);
  return static_cast<int64_t>(taken);
}

int64_t GzipReader::compressed_bytes() const { return ::archive_filter_bytes(archive_.get(), -1); }

ssize_t GzipReader::ReadCompressed(archive* archive, void* reader, const void** bytes) {
  auto& self = *static_cast<GzipReader*>(reader);
  if (!std::exchange(self.head_lent_, true) && !self.head_.empty()) {
    *bytes = self.head_.data();
    return static_cast<ssize_t>(self.head_.size());
  }
  *bytes = self.compressed_.data();
  ssize_t size = 0;
  do {
    size = ::read(self.fd_, self.compressed_.data(), self.compressed_.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    self.read_error_ = errno;
    ::archive_set_error(archive, errno, "cannot be read");
  }
  return size;
}

absl::Status GzipReader::Open() {
  archive* const archive = archive_.get();
  ::archive_read_support_filter_gzip(archive);
  ::archive_read_support_format_raw(archive);
  ::archive_read_support_format_empty(archive);
  if (::archive_read_open(archive, this, nullptr, ReadCompressed, nullptr) != ARCHIVE_OK) {
    return Error();
  }
  archive_entry* entry = nullptr;
  const int result = ::archive_read_next_header(archive, &entry);
  // Without a whole gzip header, libarchive takes the file for a plain one.
  if (::archive_filter_code(archive, 0) != ARCHIVE_FILTER_GZIP) {
    return absl::DataLossError("damaged gzip header");
  }
  // An empty file has no entry to read.
  if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return Error();
  ended_ = result == ARCHIVE_EOF;
  return absl::OkStatus();
}

absl::Status GzipReader::Error() const {
  if (read_error_ != 0) {
    return absl::UnavailableError(std::generic_category().message(read_error_));
  }
  const char* const text = ::archive_error_string(archive_.get());
  return absl::DataLossError(text == nullptr ? "damaged gzip data" : text);
}

}  // namespace mxtally
