// A file descriptor with an owner.

#ifndef MXTALLY_AGENT_SOURCE_SCOPED_FD_H_
#define MXTALLY_AGENT_SOURCE_SCOPED_FD_H_

#include <unistd.h>

#include <utility>

namespace mxtally {

class ScopedFd {
 public:
  ScopedFd() = default;
  explicit ScopedFd(int fd) : fd_(fd) {}
  ScopedFd(ScopedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ScopedFd& operator=(ScopedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~ScopedFd() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_SCOPED_FD_H_
