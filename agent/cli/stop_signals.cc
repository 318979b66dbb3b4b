#include "agent/cli/stop_signals.h"

#include <pthread.h>

#include <utility>

namespace mxtally {

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void StopSignals::Start(std::function<void()> on_stop) {
  thread_ = std::thread([this, on_stop = std::move(on_stop)] {
    int signal = 0;
    while (sigwait(&signals_, &signal) == 0 && !stopped_) on_stop();
  });
}

void StopSignals::Stop() {
  if (!thread_.joinable()) return;
  stopped_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);  // Ends its sigwait().
  thread_.join();
}

}  // namespace mxtally
