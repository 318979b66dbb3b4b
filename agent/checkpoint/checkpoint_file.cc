#include "agent/checkpoint/checkpoint_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/checkpoint/crc32c.h"

namespace mxtally {
namespace {

using agent::v1::Checkpoint;

constexpr std::string_view kMagic = "mxtally1";
constexpr size_t kHeaderBytes = 8 + 8 + 4;
constexpr mode_t kFileMode = 0600;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  const int fd_;
};

absl::Status ErrnoStatus(const std::string& what) {
  const int error = errno;
  // Everything that means "no room", by whatever limit.
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": ", std::generic_category().message(error)));
  }
  return absl::ErrnoToStatus(error, what);
}

void AppendLittleEndian(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string Encode(const Checkpoint& checkpoint) {
  const std::string body = checkpoint.SerializeAsString();
  std::string file(kMagic);
  AppendLittleEndian(file, body.size(), 8);
  AppendLittleEndian(file, Crc32c(body), 4);
  return file + body;
}

absl::StatusOr<Checkpoint> Decode(const std::string& path, std::string_view file) {
  const auto damaged = [&path](const char* what) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: ", what));
  };
  if (file.size() < kHeaderBytes) return damaged("too short");
  if (!file.starts_with(kMagic)) return damaged("not a checkpoint");
  const uint64_t length = LittleEndian(file.substr(8, 8));
  const uint64_t crc = LittleEndian(file.substr(16, 4));
  const std::string_view body = file.substr(kHeaderBytes);
  if (body.size() != length) return damaged("wrong length");
  if (Crc32c(body) != crc) return damaged("wrong checksum");
  Checkpoint checkpoint;
  if (!checkpoint.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return damaged("not the expected message");
  }
  return checkpoint;
}

//   NOT_FOUND  no such file
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(absl::StrCat("open ", path));
  std::string bytes;
  std::array<char, 64 * 1024> chunk;
  while (true) {
    const ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n == 0) return bytes;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(absl::StrCat("read ", path));
    bytes.append(chunk.data(), n);
  }
}

absl::Status WriteAndSync(const std::string& path, std::string_view bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!fd.valid()) return ErrnoStatus(absl::StrCat("create ", path));
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(absl::StrCat("write ", path));
    bytes.remove_prefix(n);
  }
  if (::fsync(fd.get()) != 0) return ErrnoStatus(absl::StrCat("sync ", path));
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& dir) {
  const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return ErrnoStatus(absl::StrCat("sync ", dir));
  return absl::OkStatus();
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(absl::StrCat("rename ", from));
  return absl::OkStatus();
}

std::string NewestPath(const std::string& dir) { return absl::StrCat(dir, "/checkpoint"); }
std::string PreviousPath(const std::string& dir) {
  return absl::StrCat(dir, "/checkpoint.previous");
}

// nullopt when there is no such file.
absl::StatusOr<std::optional<Checkpoint>> LoadFrom(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<Checkpoint> checkpoint = Decode(path, *bytes);
  if (!checkpoint.ok()) return checkpoint.status();
  return *std::move(checkpoint);
}

class LockedCheckpointFile final : public CheckpointFile {
 public:
  LockedCheckpointFile(std::string dir, int lock)
      : dir_(std::move(dir)), lock_(lock), candidates_({NewestPath(dir_), PreviousPath(dir_)}) {}

  absl::StatusOr<std::optional<Checkpoint>> Load() override {
    while (candidate_ < candidates_.size()) {
      absl::StatusOr<std::optional<Checkpoint>> loaded = LoadFrom(candidates_[candidate_]);
      if (loaded.ok() && loaded->has_value()) return loaded;
      if (!loaded.ok() && !absl::IsDataLoss(loaded.status())) return loaded;
      // A crash between the two renames of Store() leaves the second file only.
      ++candidate_;
      if (!loaded.ok()) return loaded;
    }
    return std::nullopt;
  }

  absl::Status Store(const Checkpoint& checkpoint) override {
    const std::string temporary = absl::StrCat(NewestPath(dir_), ".new");
    if (absl::Status s = WriteAndSync(temporary, Encode(checkpoint)); !s.ok()) {
      // Gives its blocks back to a full disk.
      ::unlink(temporary.c_str());
      return s;
    }
    // A damaged file does not take the place of a good one.
    if (candidate_ == 0) {
      absl::Status s = Rename(NewestPath(dir_), PreviousPath(dir_));
      if (!s.ok() && !absl::IsNotFound(s)) return s;
    }
    if (absl::Status s = Rename(temporary, NewestPath(dir_)); !s.ok()) return s;
    candidate_ = 0;
    return SyncDirectory(dir_);
  }

 private:
  const std::string dir_;
  const Fd lock_;
  const std::array<std::string, 2> candidates_;
  size_t candidate_ = 0;  // The newest one that is not known to be damaged or missing.
};

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointFile>> CheckpointFile::Open(CheckpointOptions options) {
  std::error_code error;
  std::filesystem::create_directories(options.dir, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("create directory ", options.dir));
  }
  const std::string lock_path = absl::StrCat(options.dir, "/lock");
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (lock < 0) return ErrnoStatus(absl::StrCat("open ", lock_path));
  auto file = std::make_unique<LockedCheckpointFile>(std::move(options.dir), lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(absl::StrCat("lock ", lock_path));
    return absl::FailedPreconditionError(absl::StrCat(lock_path, " is held by another agent"));
  }
  return file;
}

absl::StatusOr<std::optional<Checkpoint>> ReadCheckpoint(const std::string& dir) {
  absl::StatusOr<std::optional<Checkpoint>> newest = LoadFrom(NewestPath(dir));
  if (newest.ok() && newest->has_value()) return newest;
  absl::StatusOr<std::optional<Checkpoint>> previous = LoadFrom(PreviousPath(dir));
  if (previous.ok() && !previous->has_value()) return newest;
  return previous;
}

}  // namespace mxtally
