// A log's folder is watched for names that come and go, and the file itself
// for bytes: watching the folder for bytes too would wake the agent for every
// line of every other log beside it.

#include "agent/source/file_watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "agent/source/scoped_fd.h"

namespace mxtally {
namespace {

constexpr uint32_t kFolderEvents = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR;
constexpr uint32_t kFileEvents = IN_MODIFY;
constexpr int kUnwatched = -1;

struct WatchedLog {
  std::string path;
  std::string folder;
  std::string name;
  int folder_watch = kUnwatched;
  int file_watch = kUnwatched;
  // The file that had the name before, whose writers may not be done.
  int old_file_watch = kUnwatched;
};

class InotifyFileWatcher final : public FileWatcher {
 public:
  explicit InotifyFileWatcher(const std::vector<std::string>& paths)
      : wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    for (const std::string& path : paths) {
      const std::filesystem::path p(path);
      logs_.push_back({.path = path,
                       .folder = p.has_parent_path() ? p.parent_path().string() : ".",
                       .name = p.filename().string()});
    }
    WatchWhatIsMissing();
  }

  void Wait(absl::Duration timeout) override;

  void Wake() override {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then Wait() returns anyway.
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
  }

  bool uses_inotify() const override {
    return std::any_of(logs_.begin(), logs_.end(), [](const WatchedLog& log) {
      return log.folder_watch != kUnwatched || log.file_watch != kUnwatched;
    });
  }

 private:
  void WatchWhatIsMissing();
  void WatchFile(WatchedLog& log);
  bool DrainInotify();
  bool Handle(int watch, uint32_t mask, std::string_view name);

  const ScopedFd wake_;
  const ScopedFd inotify_;
  std::vector<WatchedLog> logs_;
};

void InotifyFileWatcher::Wait(absl::Duration timeout) {
  WatchWhatIsMissing();
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    std::array<pollfd, 2> fds = {pollfd{wake_.get(), POLLIN, 0}, pollfd{inotify_.get(), POLLIN, 0}};
    const absl::Duration left = std::max(absl::ZeroDuration(), deadline - absl::Now());
    // Rounded up, so that it does not spin through the last millisecond.
    const int64_t left_ms = std::min<int64_t>(
        INT_MAX, absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left_ms));
    if (ready == 0) return;
    if (ready < 0) {
      if (errno == EINTR) continue;
      return;
    }
    bool changed = false;
    if (fds[0].revents != 0) {
      uint64_t count;
      changed = ::read(wake_.get(), &count, sizeof count) > 0;
    }
    if (fds[1].revents != 0) changed = DrainInotify() || changed;
    if (changed) return;
  }
}

void InotifyFileWatcher::WatchWhatIsMissing() {
  if (!inotify_.valid()) return;
  for (WatchedLog& log : logs_) {
    if (log.folder_watch == kUnwatched) {
      log.folder_watch = ::inotify_add_watch(inotify_.get(), log.folder.c_str(), kFolderEvents);
    }
    if (log.file_watch == kUnwatched) WatchFile(log);
  }
}

void InotifyFileWatcher::WatchFile(WatchedLog& log) {
  const int watch = ::inotify_add_watch(inotify_.get(), log.path.c_str(), kFileEvents);
  if (watch == kUnwatched || watch == log.file_watch) return;
  // Of several renamed files only the last may still be written to.
  if (log.old_file_watch != kUnwatched) ::inotify_rm_watch(inotify_.get(), log.old_file_watch);
  log.old_file_watch = std::exchange(log.file_watch, watch);
}

// Takes all events.  Whether any concerns a log.
bool InotifyFileWatcher::DrainInotify() {
  bool changed = false;
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  while (true) {
    const ssize_t n = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (n <= 0) return changed;
    for (ssize_t at = 0; at < n;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      const std::string_view name_view(name, event.len == 0 ? 0 : ::strnlen(name, event.len));
      changed = Handle(event.wd, event.mask, name_view) || changed;
    }
  }
}

bool InotifyFileWatcher::Handle(int watch, uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) return true;
  bool changed = false;
  for (WatchedLog& log : logs_) {
    if ((mask & IN_IGNORED) != 0) {  // Removed, or its file system unmounted.
      for (int* known : {&log.folder_watch, &log.file_watch, &log.old_file_watch}) {
        if (*known == watch) *known = kUnwatched;
      }
    } else if (watch == log.file_watch || watch == log.old_file_watch) {
      changed = true;
    } else if (watch == log.folder_watch && name.starts_with(log.name)) {
      changed = true;
      if (name == log.name && (mask & (IN_CREATE | IN_MOVED_TO)) != 0) WatchFile(log);
    }
  }
  return changed;
}

}  // namespace

std::unique_ptr<FileWatcher> FileWatcher::Create(const std::vector<std::string>& paths) {
  return std::make_unique<InotifyFileWatcher>(paths);
}

}  // namespace mxtally
