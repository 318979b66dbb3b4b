#include "agent/source/compressed_reader.h"

#include <lzma.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <iterator>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/source/libarchive.h"

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

// A stream of liblzma, which unlike libarchive bounds what any of an .xz file's streams and blocks
// asks for.
class XzStream {
 public:
  XzStream() {
    // Beside its window a decoder needs less than this.
    constexpr uint64_t kOtherBytesMax = 1024 * 1024;
    if (::lzma_stream_decoder(&stream_, kWindowBytesMax + kOtherBytesMax, LZMA_CONCATENATED) !=
        LZMA_OK) {
      throw std::bad_alloc();
    }
  }
  ~XzStream() { ::lzma_end(&stream_); }
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;

  lzma_stream& get() { return stream_; }
  const lzma_stream& get() const { return stream_; }

  void SetInput(std::string_view bytes) {
    stream_.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

absl::Status WindowError(absl::StatusCode code) {
  return absl::Status(code, absl::StrCat("needs a window of more than ", kWindowBytesMax >> 20,
                                         " MiB to be unpacked"));
}

// Of the first stream or frame.
bool FitsWindow(int filter, std::string_view head) {
  switch (filter) {
    case ARCHIVE_FILTER_XZ: {
      XzStream stream;
      stream.SetInput(head);
      return ::lzma_code(&stream.get(), LZMA_RUN) != LZMA_MEMLIMIT_ERROR;
    }
    case ARCHIVE_FILTER_ZSTD:
      return ZstdWindowBytes(head) <= kWindowBytesMax;
    default:
      return true;  // At most 4 MB by format.
  }
}

// What a decoder reads: `head`, then what `fd` yields.
class StoredBytes {
 public:
  StoredBytes(int fd, std::string_view head)
      : compression_(CompressionOf(head)), fd_(fd), head_(head), bytes_(kCompressedBytes) {}

  // The next ones, valid until the next call; empty at the end, and on an error.
  std::string_view Next() {
    std::string_view next = head_;
    if (std::exchange(head_given_, true) || head_.empty()) {
      ssize_t size = 0;
      do {
        size = ::read(fd_, bytes_.data(), bytes_.size());
      } while (size < 0 && errno == EINTR);
      if (size < 0) error_ = errno;
      ended_ = size == 0;
      next = {bytes_.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
    }
    given_bytes_ += static_cast<int64_t>(next.size());
    return next;
  }

  // Of errno, 0: none.
  int error() const { return error_; }
  bool ended() const { return ended_; }
  int64_t given_bytes() const { return given_bytes_; }
  const std::string& compression() const { return compression_; }

  // Why a decoder stopped, which calls it `damage`.
  absl::Status Error(const std::string& damage) const {
    if (error_ != 0) return absl::UnavailableError(std::generic_category().message(error_));
    if (ended_) return absl::DataLossError(absl::StrCat("truncated ", compression_, " file"));
    return absl::DataLossError(absl::StrCat("damaged ", compression_, " ", damage));
  }

 private:
  const std::string compression_;
  const int fd_;
  const std::string head_;
  bool head_given_ = false;
  std::vector<char> bytes_;
  int error_ = 0;
  bool ended_ = false;
  int64_t given_bytes_ = 0;
};

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

class CompressedReader::Decoder {
 public:
  virtual ~Decoder() = default;
  // Decompressed bytes, valid until the next call; empty at the end.
  virtual absl::StatusOr<std::string_view> Next() = 0;
  // Compressed bytes used so far.
  virtual int64_t used_bytes() const = 0;
};

class CompressedReader::XzDecoder : public CompressedReader::Decoder {
 public:
  XzDecoder(int fd, std::string_view head) : stored_(fd, head) {}

  absl::StatusOr<std::string_view> Next() override {
    lzma_stream& stream = stream_.get();
    stream.next_out = content_.data();
    stream.avail_out = content_.size();
    while (result_ == LZMA_OK && stored_.error() == 0 && stream.avail_out == content_.size()) {
      if (stream.avail_in == 0 && !stored_.ended()) stream_.SetInput(stored_.Next());
      result_ = ::lzma_code(&stream, stored_.ended() ? LZMA_FINISH : LZMA_RUN);
    }
    // An error comes behind the bytes before it.
    const size_t size = content_.size() - stream.avail_out;
    if (size > 0 || result_ == LZMA_STREAM_END) {
      return std::string_view(reinterpret_cast<const char*>(content_.data()), size);
    }
    if (result_ == LZMA_MEMLIMIT_ERROR) return WindowError(absl::StatusCode::kDataLoss);
    if (result_ == LZMA_MEM_ERROR) throw std::bad_alloc();
    if (result_ != LZMA_BUF_ERROR) return absl::DataLossError("damaged xz data");
    return stored_.Error("data");
  }

  int64_t used_bytes() const override {
    return stored_.given_bytes() - static_cast<int64_t>(stream_.get().avail_in);
  }

 private:
  StoredBytes stored_;
  XzStream stream_;
  lzma_ret result_ = LZMA_OK;
  std::array<uint8_t, kCompressedBytes> content_;
};

class CompressedReader::ArchiveDecoder : public CompressedReader::Decoder {
 public:
  ArchiveDecoder(const LibArchive& library, int filter, int fd, std::string_view head)
      : library_(library), stored_(fd, head), archive_(library.read_new(), Free{&library}) {
    archive* const archive = archive_.get();
    if (archive == nullptr) throw std::bad_alloc();
    switch (filter) {
      case ARCHIVE_FILTER_GZIP:
        library.read_support_filter_gzip(archive);
        break;
      case ARCHIVE_FILTER_BZIP2:
        library.read_support_filter_bzip2(archive);
        break;
      default:
        library.read_support_filter_zstd(archive);
    }
    library.read_support_format_raw(archive);
    library.read_support_format_empty(archive);
  }

  // Not archive_read_data(), which forgets what it has when an error follows.
  absl::StatusOr<std::string_view> Next() override {
    if (!std::exchange(begun_, true)) {
      if (absl::Status status = Begin(); !status.ok()) return status;
    }
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    int result = ARCHIVE_OK;
    while (!ended_ && size == 0 && result == ARCHIVE_OK) {
      result = library_.read_data_block(archive_.get(), &bytes, &size, &offset);
      if (result == ARCHIVE_EOF) {
        if (absl::Status status = CheckEnd(); !status.ok()) return status;
        ended_ = true;
      }
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return Error();
    return std::string_view(static_cast<const char*>(bytes), size);
  }

  int64_t used_bytes() const override { return library_.filter_bytes(archive_.get(), -1); }

 private:
  struct Free {
    const LibArchive* library;
    void operator()(archive* archive) const { library->read_free(archive); }
  };

  static ssize_t ReadStored(archive* archive, void* decoder, const void** bytes) {
    auto& self = *static_cast<ArchiveDecoder*>(decoder);
    const std::string_view next = self.stored_.Next();
    *bytes = next.data();
    if (self.stored_.error() == 0) return static_cast<ssize_t>(next.size());
    self.library_.set_error(archive, self.stored_.error(), "cannot be read");
    return -1;
  }

  absl::Status Begin() {
    archive* const archive = archive_.get();
    if (library_.read_open(archive, this, nullptr, ReadStored, nullptr) != ARCHIVE_OK) {
      return Error();
    }
    archive_entry* entry = nullptr;
    const int result = library_.read_next_header(archive, &entry);
    // Without a whole header, libarchive takes the file for a plain one.
    if (library_.filter_code(archive, 0) == ARCHIVE_FILTER_NONE) {
      return absl::DataLossError(absl::StrCat("damaged ", stored_.compression(), " header"));
    }
    // An empty file has no entry to read.
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return Error();
    ended_ = result == ARCHIVE_EOF;
    return absl::OkStatus();
  }

  // Damage can look like the end, and libarchive ignores what is after that.
  absl::Status CheckEnd() {
    if (used_bytes() == stored_.given_bytes() && stored_.Next().empty() && stored_.error() == 0) {
      return absl::OkStatus();
    }
    if (stored_.error() != 0) return Error();
    return absl::DataLossError(
        absl::StrCat("damaged ", stored_.compression(), " data (ends before the file)"));
  }

  // Libarchive has other words for each compression.
  absl::Status Error() const {
    const char* const text = library_.error_string(archive_.get());
    return stored_.Error(absl::StrCat("data (", text == nullptr ? "unknown error" : text, ")"));
  }

  const LibArchive& library_;
  StoredBytes stored_;
  bool begun_ = false;
  bool ended_ = false;
  std::unique_ptr<archive, Free> archive_;
};

absl::StatusOr<std::unique_ptr<CompressedReader>> CompressedReader::Open(int fd,
                                                                         std::string_view head) {
  const Compression* const compression = Find(head);
  if (compression == nullptr || !compression->filter) {
    return absl::UnimplementedError(
        absl::StrCat("unsupported compression (", std::string(CompressionOf(head)), ")"));
  }
  const int filter = *compression->filter;
  if (!FitsWindow(filter, head)) return WindowError(absl::StatusCode::kUnimplemented);
  std::unique_ptr<Decoder> decoder;
  if (filter == ARCHIVE_FILTER_XZ) {
    decoder = std::make_unique<XzDecoder>(fd, head);
  } else {
    const absl::StatusOr<const LibArchive*> library = LoadLibArchive();
    if (!library.ok()) return library.status();
    decoder = std::make_unique<ArchiveDecoder>(**library, filter, fd, head);
  }
  return std::unique_ptr<CompressedReader>(new CompressedReader(std::move(decoder)));
}

CompressedReader::CompressedReader(std::unique_ptr<Decoder> decoder)
    : decoder_(std::move(decoder)) {}

CompressedReader::~CompressedReader() = default;

absl::StatusOr<int64_t> CompressedReader::Read(absl::Span<char> space) {
  assert(!space.empty());
  if (block_.empty()) {
    const absl::StatusOr<std::string_view> block = decoder_->Next();
    if (!block.ok()) return block.status();
    content_bytes_ += static_cast<int64_t>(block->size());
    if (content_bytes_ > kExpansionFreeBytes &&
        content_bytes_ / kExpansionMax > compressed_bytes()) {
      return absl::DataLossError(
          absl::StrCat("expands more than ", kExpansionMax, "-fold, as no log does"));
    }
    block_ = *block;
  }
  const size_t taken = block_.copy(space.data(), space.size());
  block_.remove_prefix(taken);
  return static_cast<int64_t>(taken);
}

int64_t CompressedReader::compressed_bytes() const { return decoder_->used_bytes(); }

}  // namespace mxtally
