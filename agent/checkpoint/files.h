// Small files of the state directory.

#ifndef MXTALLY_AGENT_CHECKPOINT_FILES_H_
#define MXTALLY_AGENT_CHECKPOINT_FILES_H_

#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mxtally {

inline constexpr mode_t kFileMode = 0600;

// Closes it at the end of its life.
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

// The error in errno.
//   RESOURCE_EXHAUSTED  no room, by whatever limit
absl::Status ErrnoStatus(const std::string& what);

//   NOT_FOUND  no such file
absl::StatusOr<std::string> ReadFile(const std::string& path);

enum class Durability { kSynced, kLater };
absl::Status WriteFile(const std::string& path, std::string_view bytes, Durability durability);

absl::Status Rename(const std::string& from, const std::string& to);
absl::Status SyncDirectory(const std::string& dir);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CHECKPOINT_FILES_H_
