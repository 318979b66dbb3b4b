#include "proto/service_manager/service_manager.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace mxtally {

ServiceManager::ServiceManager() {
  options_.notify = [](const std::string& message) { sd_notify(0, message.c_str()); };
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0) {
    options_.watchdog = absl::Microseconds(static_cast<int64_t>(microseconds));
  }
}

void ServiceManager::Ready(const std::string& status) {
  status_ = status;
  Notify(absl::StrCat("READY=1\nSTATUS=", absl::StrReplaceAll(status, {{"\n", " "}})));
}

void ServiceManager::Reloading() {
  // systemd of Type=notify-reload wants the time, so that it can tell this
  // message from one about an earlier reload.
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  Notify(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=",
                      int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000));
}

void ServiceManager::Stopping(const std::string& status) {
  status_ = status;
  Notify(absl::StrCat("STOPPING=1\nSTATUS=", absl::StrReplaceAll(status, {{"\n", " "}})));
}

void ServiceManager::SetStatus(const std::string& status) {
  if (status == status_) return;
  status_ = status;
  Notify(absl::StrCat("STATUS=", absl::StrReplaceAll(status, {{"\n", " "}})));
}

void ServiceManager::Feed() {
  if (options_.watchdog == absl::InfiniteDuration()) return;
  const absl::Time now = options_.now();
  // Also when the clock was set back.
  const bool early = now < next_feed_ && next_feed_ <= now + feed_interval() / 2;
  if (early) return;
  next_feed_ = now + feed_interval() / 2;
  Notify("WATCHDOG=1");
}

void ServiceManager::Notify(const std::string& message) { options_.notify(message); }

}  // namespace mxtally
