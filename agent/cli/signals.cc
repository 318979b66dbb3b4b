#include "agent/cli/signals.h"

#include <pthread.h>

#include <utility>

namespace mxtally {
Signals::Signals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void Signals::Start(std::function<void(int)> on_signal) {
  thread_ = std::thread([this, on_signal = std::move(on_signal)] {
    int signal = 0;
    while (sigwait(&signals_, &signal) == 0 && !stopped_) on_signal(signal);
  });
}

void Signals::Stop() {
  if (!thread_.joinable()) return;
  stopped_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);  // Ends its sigwait().
  thread_.join();
}

}  // namespace mxtally
