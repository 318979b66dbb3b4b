// SIGTERM and SIGINT as a call on a thread of their own, where anything may be
// done, unlike in a signal handler.

#ifndef MXTALLY_AGENT_CLI_STOP_SIGNALS_H_
#define MXTALLY_AGENT_CLI_STOP_SIGNALS_H_

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

namespace mxtally {

class StopSignals {
 public:
  // Blocks the signals for this thread and those it starts from now on.
  StopSignals();
  ~StopSignals() { Stop(); }

  // Calls `on_stop` for each signal.
  void Start(std::function<void()> on_stop);
  // No call is made after this.
  void Stop();

 private:
  sigset_t signals_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_STOP_SIGNALS_H_
