#include "agent/checkpoint/checkpoint_file.h"

#include <fcntl.h>
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
#include "agent/checkpoint/files.h"

namespace mxtally {
namespace {

using agent::v1::Checkpoint;

constexpr std::string_view kMagic = "mxtally1";
constexpr size_t kHeaderBytes = 8 + 8 + 4;
void AppendLittleEndian(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string Encode(const Checkpoint& checkpoint) {
  // In place: the state of a busy host is some hundred kilobytes.
  std::string file(kHeaderBytes, '\0');
  checkpoint.AppendToString(&file);
  const std::string_view body = std::string_view(file).substr(kHeaderBytes);
  std::string header(kMagic);
  AppendLittleEndian(header, body.size(), 8);
  AppendLittleEndian(header, Crc32c(body), 4);
  return file.replace(0, kHeaderBytes, header);
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

std::string NewestPath(const std::string& dir) { return absl::StrCat(dir, "/checkpoint"); }
std::string PreviousPath(const std::string& dir) {
  return absl::StrCat(dir, "/checkpoint.previous");
}

std::string LockPath(const std::string& dir) { return absl::StrCat(dir, "/lock"); }

// A lock of the open file description: it can be asked for without being taken.
struct flock WholeFile(short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
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
    if (absl::Status s = WriteFile(temporary, Encode(checkpoint), Durability::kSynced); !s.ok()) {
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
  const std::string lock_path = LockPath(options.dir);
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (lock < 0) return ErrnoStatus(absl::StrCat("open ", lock_path));
  auto file = std::make_unique<LockedCheckpointFile>(std::move(options.dir), lock);
  struct flock whole = WholeFile(F_WRLCK);
  if (::fcntl(lock, F_OFD_SETLK, &whole) != 0) {
    if (errno != EAGAIN && errno != EACCES) return ErrnoStatus(absl::StrCat("lock ", lock_path));
    return absl::FailedPreconditionError(absl::StrCat(lock_path, " is held by another agent"));
  }
  return file;
}

absl::StatusOr<bool> IsInUse(const std::string& dir) {
  const std::string lock_path = LockPath(dir);
  const Fd lock(::open(lock_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!lock.valid()) return ErrnoStatus(absl::StrCat("open ", lock_path));
  struct flock held = WholeFile(F_WRLCK);
  if (::fcntl(lock.get(), F_OFD_GETLK, &held) != 0) {
    return ErrnoStatus(absl::StrCat("ask for the lock of ", lock_path));
  }
  return held.l_type != F_UNLCK;
}

absl::StatusOr<std::optional<Checkpoint>> ReadCheckpoint(const std::string& dir) {
  absl::StatusOr<std::optional<Checkpoint>> newest = LoadFrom(NewestPath(dir));
  if (newest.ok() && newest->has_value()) return newest;
  absl::StatusOr<std::optional<Checkpoint>> previous = LoadFrom(PreviousPath(dir));
  if (previous.ok() && !previous->has_value()) return newest;
  return previous;
}

}  // namespace mxtally
