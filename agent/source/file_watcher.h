// Waits until a followed log may have changed: inotify on the folders of the
// logs, and polling where inotify is not to be had.

#ifndef MXTALLY_AGENT_SOURCE_FILE_WATCHER_H_
#define MXTALLY_AGENT_SOURCE_FILE_WATCHER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace mxtally {

// Wait() on one thread only; Wake() from any thread.
class FileWatcher {
 public:
  // Watches the folders of `paths`.  Never fails: what cannot be watched is polled.
  static std::unique_ptr<FileWatcher> Create(const std::vector<std::string>& paths);
  virtual ~FileWatcher() = default;

  // Returns when something changed, when Wake() was called, or after `timeout`.
  // Changes since the last call count.
  virtual void Wait(absl::Duration timeout) = 0;
  virtual void Wake() = 0;

  // False when every call waits its full timeout.
  virtual bool uses_inotify() const = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_FILE_WATCHER_H_
