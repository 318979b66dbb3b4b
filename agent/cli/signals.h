// SIGTERM, SIGINT and SIGHUP as a call on a thread of their own, where anything
// may be done, unlike in a signal handler.

#ifndef MXTALLY_AGENT_CLI_SIGNALS_H_
#define MXTALLY_AGENT_CLI_SIGNALS_H_

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

namespace mxtally {

class Signals {
 public:
  // Blocks the signals for this thread and those it starts from now on.
  Signals();
  ~Signals() { Stop(); }

  // Calls `on_signal` with the number of each signal.
  void Start(std::function<void(int)> on_signal);
  // No call is made after this.
  void Stop();

 private:
  sigset_t signals_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_SIGNALS_H_
