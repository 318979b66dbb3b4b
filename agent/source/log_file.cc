#include "agent/source/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally {

uint64_t ContentHash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

FileStat FromStat(const struct stat& st) {
  return {.device = st.st_dev,
          .inode = st.st_ino,
          .size = st.st_size,
          .links = static_cast<int64_t>(st.st_nlink),
          .modified = absl::TimeFromTimespec(st.st_mtim)};
}

absl::Status LogFile::ErrnoStatus(const char* doing) const {
  return absl::ErrnoToStatus(errno, absl::StrCat(doing, " ", path_));
}

absl::StatusOr<LogFile> LogFile::Open(const std::string& path, KeepUnpacking keep_unpacking) {
  // Without O_NONBLOCK the open() of a FIFO waits for its writer.
  ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", path));
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("stat ", path));
  if (!S_ISREG(st.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  LogFile file(std::move(fd), path, FromStat(st));
  std::array<char, kCompressionHeadBytes> stored;
  absl::StatusOr<int64_t> n = file.ReadStoredAt(0, absl::MakeSpan(stored));
  if (!n.ok()) return n.status();
  if (!CompressionOf({stored.data(), static_cast<size_t>(*n)}).empty()) {
    file.unpacking_ = std::make_unique<Unpacking>();
    file.unpacking_->keep_on = std::move(keep_unpacking);
    if (absl::Status s = file.OpenReader(); !s.ok()) return s;
  }
  // Damage is left to who reads on.
  if (absl::StatusOr<bool> kept = file.KeptItsHead(); !kept.ok() && !file.compressed()) {
    return kept.status();
  }
  return file;
}

absl::StatusOr<int64_t> LogFile::ReadAt(int64_t offset, absl::Span<char> bytes) const {
  return compressed() ? Unpack(offset, bytes) : ReadStoredAt(offset, bytes);
}

absl::StatusOr<int64_t> LogFile::ReadStoredAt(int64_t offset, absl::Span<char> bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(fd_.get(), bytes.data() + done, bytes.size() - done,
                              offset + static_cast<int64_t>(done));
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("read");
    done += n;
  }
  return done;
}

absl::Status LogFile::OpenReader() const {
  std::string stored(kCompressionHeadBytes, '\0');
  absl::StatusOr<int64_t> n = ReadStoredAt(0, absl::MakeSpan(stored));
  if (!n.ok()) return n.status();
  stored.resize(*n);
  if (::lseek(fd_.get(), *n, SEEK_SET) < 0) return ErrnoStatus("seek");
  absl::StatusOr<std::unique_ptr<CompressedReader>> reader =
      CompressedReader::Open(fd_.get(), stored);
  if (!reader.ok()) {
    return absl::Status(reader.status().code(),
                        absl::StrCat(path_, ": ", reader.status().message()));
  }
  unpacking_->reader = *std::move(reader);
  unpacking_->offset = 0;
  unpacking_->status = absl::OkStatus();
  return absl::OkStatus();
}

absl::Status LogFile::Unpacking::CountWork(int64_t bytes) {
  bytes_until_told -= bytes;
  if (bytes_until_told > 0) return absl::OkStatus();
  bytes_until_told = kKeepUnpackingBytes;
  if (keep_on == nullptr || keep_on()) return absl::OkStatus();
  return absl::CancelledError("unpacking was stopped");
}

absl::StatusOr<int64_t> LogFile::Unpack(int64_t offset, absl::Span<char> bytes) const {
  if (offset < unpacking_->offset || unpacking_->reader == nullptr) {
    if (absl::Status s = OpenReader(); !s.ok()) return s;
  }
  std::array<char, size_t{16} * 1024> skipped;
  size_t done = 0;
  while (done < bytes.size()) {
    if (!unpacking_->status.ok()) {
      if (done > 0) break;
      return unpacking_->status;
    }
    const int64_t to_skip = offset - unpacking_->offset;
    absl::StatusOr<int64_t> n = unpacking_->reader->Read(
        to_skip > 0 ? absl::MakeSpan(skipped).subspan(0, to_skip) : bytes.subspan(done));
    if (!n.ok()) {
      unpacking_->status =
          absl::Status(n.status().code(), absl::StrCat(path_, ": ", n.status().message()));
      continue;
    }
    if (*n == 0) break;
    unpacking_->offset += *n;
    if (absl::Status s = unpacking_->CountWork(*n); !s.ok()) return s;
    if (to_skip <= 0) {
      done += *n;
      offset += *n;
    }
  }
  return done;
}

absl::StatusOr<bool> LogFile::EndsAt(int64_t offset) const {
  if (!compressed()) return opened_.size <= offset;
  char byte = 0;
  absl::StatusOr<int64_t> n = ReadAt(offset, absl::MakeSpan(&byte, 1));
  if (!n.ok()) return n.status();
  return *n == 0;
}

absl::StatusOr<FileStat> LogFile::Stat() const {
  struct stat st;
  if (::fstat(fd_.get(), &st) != 0) return ErrnoStatus("stat");
  return FromStat(st);
}

absl::StatusOr<bool> LogFile::KeptItsHead() {
  if (compressed() && !head_.empty()) return true;  // Nobody writes into an archive.
  std::array<char, kHeadBytesMax> bytes;
  absl::StatusOr<int64_t> n = ReadAt(0, absl::MakeSpan(bytes));
  if (!n.ok()) return n.status();
  const std::string_view now(bytes.data(), *n);
  if (!now.starts_with(head_)) return false;
  if (now.size() > head_.size()) head_ = now;
  return true;
}

bool LogFile::Matches(const v1::Cut& cut) const {
  const v1::FileIdentity& identity = cut.file();
  if (identity.head_length() == 0) {
    return identity.device() == opened_.device && identity.inode() == opened_.inode;
  }
  if (identity.head_length() > head_.size() ||
      ContentHash(std::string_view(head_).substr(0, identity.head_length())) !=
          identity.head_hash()) {
    return false;
  }
  absl::StatusOr<std::string> tail = TailAt(cut.offset());
  return tail.ok() && ContentHash(*tail) == cut.tail_hash();
}

v1::Cut LogFile::CutAt(int64_t offset, std::string_view tail) const {
  v1::Cut cut;
  v1::FileIdentity& identity = *cut.mutable_file();
  identity.set_device(opened_.device);
  identity.set_inode(opened_.inode);
  identity.set_head_length(head_.size());
  identity.set_head_hash(ContentHash(head_));
  cut.set_offset(offset);
  const size_t tail_bytes = std::min(offset, kTailBytesMax);
  cut.set_tail_hash(ContentHash(tail.substr(tail.size() - tail_bytes)));
  return cut;
}

absl::StatusOr<std::string> LogFile::TailAt(int64_t offset) const {
  if (offset < 0) return absl::InvalidArgumentError("negative offset");
  std::string tail(std::min(offset, kTailBytesMax), '\0');
  absl::StatusOr<int64_t> n =
      ReadAt(offset - static_cast<int64_t>(tail.size()), absl::MakeSpan(tail));
  if (!n.ok()) return n.status();
  if (*n < static_cast<int64_t>(tail.size())) {
    return absl::OutOfRangeError(absl::StrCat(path_, " ends before ", offset));
  }
  return tail;
}

}  // namespace mxtally
