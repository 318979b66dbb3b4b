// Tells systemd that the program is ready, what it does, and that it is alive;
// see sd_notify(3).  Does nothing where nobody listens: without NOTIFY_SOCKET in
// the environment.
//
// The watchdog is fed by whoever does the work, so that a loop which hangs is
// seen: call Feed() from it, at least once each feed_interval().
// One thread only.

#ifndef MXTALLY_PROTO_SERVICE_MANAGER_SERVICE_MANAGER_H_
#define MXTALLY_PROTO_SERVICE_MANAGER_SERVICE_MANAGER_H_

#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mxtally {

class ServiceManager {
 public:
  struct Options {
    // The variables of sd_notify(3) and sd_watchdog_enabled(3), by default
    // those of the process.
    std::function<void(const std::string& message)> notify;
    absl::Duration watchdog = absl::InfiniteDuration();
    std::function<absl::Time()> now = absl::Now;
  };

  // Of this process.
  ServiceManager();
  // For tests.
  explicit ServiceManager(Options options) : options_(std::move(options)) {}

  void Ready(const std::string& status);
  // Before and after the configuration is read again.
  void Reloading();
  void Reloaded() { Notify("READY=1"); }
  void Stopping(const std::string& status);

  // One line on what it does; sent when it is another one.
  void SetStatus(const std::string& status);

  // How often Feed() is to be called: half the time after which systemd gives
  // up; InfiniteDuration when nobody waits for it.
  absl::Duration feed_interval() const { return options_.watchdog / 2; }

  // Says that the work goes on; sends at most one message each half interval.
  void Feed();

 private:
  void Notify(const std::string& message);

  Options options_;
  std::string status_;
  absl::Time next_feed_ = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_PROTO_SERVICE_MANAGER_SERVICE_MANAGER_H_
