#include "agent/source/compressed_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

constexpr size_t kCompressedBytes = 64 * 1024;

struct Compression {
  std::string_view name;
  std::string_view magic;
  // ARCHIVE_FILTER_...; none: it is not read.
  std::optional<int> filter = std::nullopt;
};

constexpr Compression kCompressions[] = {
    {"gzip", "\x1f\x8b", ARCHIVE_FILTER_GZIP},
    {"xz", std::string_view("\xfd\x37zXZ\0", 6), ARCHIVE_FILTER_XZ},
    {"bzip2", "BZh", ARCHIVE_FILTER_BZIP2},
    {"zstd", "\x28\xb5\x2f\xfd", ARCHIVE_FILTER_ZSTD},
    {"lz4", "\x04\x22\x4d\x18"},
    {"compress", "\x1f\x9d"},
};

const Compression* Find(std::string_view head) {
  const auto* const found =
      std::find_if(std::begin(kCompressions), std::end(kCompressions),
                   [head](const Compression& c) { return head.starts_with(c.magic); });
  return found == std::end(kCompressions) ? nullptr : found;
}

uint8_t ByteAt(std::string_view bytes, size_t at) {
  return at < bytes.size() ? static_cast<uint8_t>(bytes[at]) : 0;
}

// Takes an xz "multibyte integer" off the front.
uint64_t TakeVarint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 63 && !bytes.empty(); shift += 7) {
    const uint8_t byte = ByteAt(bytes, 0);
    bytes.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
  }
  return value;
}

// The dictionary of the first block.  The .xz file format 1.1.0, sections 2.1.1
// and 3.1 and 5.3.1: after the stream header of 12 bytes the block header has a
// size, flags, two optional sizes, and for each filter id, size of properties,
// and properties; LZMA2's are the size of the dictionary.
int64_t XzWindowBytes(std::string_view head) {
  constexpr size_t kStreamHeaderBytes = 12;
  constexpr uint64_t kLzma2 = 0x21;
  if (head.size() < kStreamHeaderBytes + 2) return 0;
  std::string_view block = head.substr(kStreamHeaderBytes);
  if (ByteAt(block, 0) == 0) return 0;  // No block: an empty file.
  const uint8_t flags = ByteAt(block, 1);
  block.remove_prefix(2);
  if ((flags & 0x40) != 0) TakeVarint(block);
  if ((flags & 0x80) != 0) TakeVarint(block);
  for (int filters = (flags & 3) + 1; filters > 0 && !block.empty(); --filters) {
    const uint64_t id = TakeVarint(block);
    const uint64_t properties = TakeVarint(block);
    if (id == kLzma2) {
      const uint8_t bits = ByteAt(block, 0) & 0x3f;
      return static_cast<int64_t>(2 | (bits & 1)) << (bits / 2 + 11);
    }
    block.remove_prefix(std::min<size_t>(properties, block.size()));
  }
  return 0;
}

// The window of the first frame; RFC 8878 section 3.1.1.1.  A frame of a single
// segment is its own window, and its size is told instead.
int64_t ZstdWindowBytes(std::string_view head) {
  constexpr size_t kMagicBytes = 4;
  constexpr int kDictionaryIdBytes[] = {0, 1, 2, 4};
  const uint8_t descriptor = ByteAt(head, kMagicBytes);
  const bool single_segment = (descriptor & 0x20) != 0;
  if (!single_segment) {
    const uint8_t window = ByteAt(head, kMagicBytes + 1);
    const int64_t base = int64_t{1} << (10 + (window >> 3));
    return base + base / 8 * (window & 7);
  }
  const int size_bytes = 1 << (descriptor >> 6);
  uint64_t size = 0;
  for (int i = 0; i < size_bytes; ++i) {
    size |= static_cast<uint64_t>(
                ByteAt(head, kMagicBytes + 1 + kDictionaryIdBytes[descriptor & 3] + i))
            << (8 * i);
  }
  return static_cast<int64_t>(std::min<uint64_t>(size, INT64_MAX));
}

int64_t WindowBytes(int filter, std::string_view head) {
  switch (filter) {
    case ARCHIVE_FILTER_XZ:
      return XzWindowBytes(head);
    case ARCHIVE_FILTER_ZSTD:
      return ZstdWindowBytes(head);
    default:
      return 0;  // At most 4 MB by format.
  }
}

}  // namespace

std::string_view CompressionOf(std::string_view head) {
  const Compression* const found = Find(head);
  return found == nullptr ? "" : found->name;
}

bool IsReadCompression(std::string_view compression) {
  return std::any_of(
      std::begin(kCompressions), std::end(kCompressions),
      [compression](const Compression& c) { return c.filter && c.name == compression; });
}

bool MayBeCompressed(std::string_view head) {
  return std::any_of(std::begin(kCompressions), std::end(kCompressions),
                     [head](const Compression& c) {
                       const size_t bytes = std::min(head.size(), c.magic.size());
                       return head.substr(0, bytes) == c.magic.substr(0, bytes);
                     });
}

absl::StatusOr<std::unique_ptr<CompressedReader>> CompressedReader::Open(int fd,
                                                                         std::string_view head) {
  const Compression* const compression = Find(head);
  if (compression == nullptr || !compression->filter) {
    return absl::UnimplementedError(
        absl::StrCat("unsupported compression (", std::string(CompressionOf(head)), ")"));
  }
  if (WindowBytes(*compression->filter, head) > kWindowBytesMax) {
    return absl::UnimplementedError(
        absl::StrCat("needs a window of more than ", kWindowBytesMax >> 20, " MiB to be unpacked"));
  }
  const absl::StatusOr<const LibArchive*> library = LoadLibArchive();
  if (!library.ok()) return library.status();
  std::unique_ptr<CompressedReader> reader(new CompressedReader(**library, fd, head));
  archive* const archive = reader->archive_.get();
  switch (*compression->filter) {
    case ARCHIVE_FILTER_GZIP:
      (*library)->read_support_filter_gzip(archive);
      break;
    case ARCHIVE_FILTER_XZ:
      (*library)->read_support_filter_xz(archive);
      break;
    case ARCHIVE_FILTER_BZIP2:
      (*library)->read_support_filter_bzip2(archive);
      break;
    default:
      (*library)->read_support_filter_zstd(archive);
  }
  (*library)->read_support_format_raw(archive);
  (*library)->read_support_format_empty(archive);
  return reader;
}

CompressedReader::CompressedReader(const LibArchive& library, int fd, std::string_view head)
    : library_(library),
      fd_(fd),
      head_(head),
      compressed_(kCompressedBytes),
      archive_(library.read_new(), Free{&library}) {
  if (archive_ == nullptr) throw std::bad_alloc();
}

CompressedReader::~CompressedReader() = default;

absl::StatusOr<int64_t> CompressedReader::Read(absl::Span<char> space) {
  assert(!space.empty());
  if (!std::exchange(begun_, true)) {
    if (absl::Status status = Begin(); !status.ok()) return status;
  }
  if (ended_) return 0;
  // Not archive_read_data(), which forgets what it has when an error follows.
  while (block_.empty()) {
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result = library_.read_data_block(archive_.get(), &bytes, &size, &offset);
    if (result == ARCHIVE_EOF) {
      if (absl::Status status = CheckEnd(); !status.ok()) return status;
      ended_ = true;
      return 0;
    }
    if (result != ARCHIVE_OK) return Error();
    content_bytes_ += static_cast<int64_t>(size);
    if (content_bytes_ > kExpansionFreeBytes &&
        content_bytes_ / kExpansionMax > compressed_bytes()) {
      return absl::DataLossError(
          absl::StrCat("expands more than ", kExpansionMax, "-fold, as no log does"));
    }
    block_ = {static_cast<const char*>(bytes), size};
  }
  const size_t taken = std::min(space.size(), block_.size());
  std::memcpy(space.data(), block_.data(), taken);
  block_.remove_prefix(taken);
  return static_cast<int64_t>(taken);
}

int64_t CompressedReader::compressed_bytes() const {
  return library_.filter_bytes(archive_.get(), -1);
}

// Damage can look like the end, and libarchive ignores what is after that.
absl::Status CompressedReader::CheckEnd() {
  const void* bytes = nullptr;
  if (compressed_bytes() == given_bytes_ && ReadCompressed(archive_.get(), this, &bytes) == 0) {
    return absl::OkStatus();
  }
  if (read_error_ != 0) return Error();
  return absl::DataLossError(
      absl::StrCat("damaged ", std::string(CompressionOf(head_)), " data (ends before the file)"));
}

ssize_t CompressedReader::ReadCompressed(archive* archive, void* reader, const void** bytes) {
  auto& self = *static_cast<CompressedReader*>(reader);
  if (!std::exchange(self.head_lent_, true) && !self.head_.empty()) {
    *bytes = self.head_.data();
    self.given_bytes_ += static_cast<int64_t>(self.head_.size());
    return static_cast<ssize_t>(self.head_.size());
  }
  *bytes = self.compressed_.data();
  ssize_t size = 0;
  do {
    size = ::read(self.fd_, self.compressed_.data(), self.compressed_.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    self.read_error_ = errno;
    self.library_.set_error(archive, errno, "cannot be read");
  }
  self.input_ended_ = size == 0;
  self.given_bytes_ += std::max<ssize_t>(size, 0);
  return size;
}

absl::Status CompressedReader::Begin() {
  archive* const archive = archive_.get();
  if (library_.read_open(archive, this, nullptr, ReadCompressed, nullptr) != ARCHIVE_OK) {
    return Error();
  }
  archive_entry* entry = nullptr;
  const int result = library_.read_next_header(archive, &entry);
  // Without a whole header, libarchive takes the file for a plain one.
  if (library_.filter_code(archive, 0) == ARCHIVE_FILTER_NONE) {
    return absl::DataLossError(
        absl::StrCat("damaged ", std::string(CompressionOf(head_)), " header"));
  }
  // An empty file has no entry to read.
  if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return Error();
  ended_ = result == ARCHIVE_EOF;
  return absl::OkStatus();
}

absl::Status CompressedReader::Error() const {
  if (read_error_ != 0) {
    return absl::UnavailableError(std::generic_category().message(read_error_));
  }
  // Libarchive has other words for each compression.
  const std::string compression(CompressionOf(head_));
  if (input_ended_) return absl::DataLossError(absl::StrCat("truncated ", compression, " file"));
  const char* const text = library_.error_string(archive_.get());
  return absl::DataLossError(absl::StrCat("damaged ", compression, " data (",
                                          text == nullptr ? "unknown error" : text, ")"));
}

}  // namespace mxtally
