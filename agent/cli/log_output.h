// Tells the operator, on standard error, what matters of the delivery: once
// when it changes, and at most once a minute of a kind when it repeats (five
// times for the connection), with the number of those left out.

#ifndef MXTALLY_AGENT_CLI_LOG_OUTPUT_H_
#define MXTALLY_AGENT_CLI_LOG_OUTPUT_H_

#include <spdlog/logger.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/run/delivery_observer.h"

namespace mxtally {

// A logger on standard error.  One thread only.
std::shared_ptr<spdlog::logger> CreateLogger();

class LogOutput : public DeliveryObserver {
 public:
  explicit LogOutput(std::shared_ptr<spdlog::logger> logger,
                     std::function<absl::Time()> now = absl::Now);

  void OnConnected(const v1::ServerWelcome& welcome) override;
  void OnDisconnected(const absl::Status& status, absl::Duration delay) override;
  void OnCaughtUp(const std::string& log) override;
  void OnGap(const std::string& log, const v1::Gap& gap) override;
  void OnRejected(const v1::RejectedSession& rejected) override;
  void OnLogTrouble(const std::string& log, const absl::Status& status) override;
  void OnCheckpointTrouble(const absl::Status& status) override;
  void OnStatus(const v1::AgentStatus& status) override;

 private:
  // Lets `burst` through each minute, and counts the others.
  struct Limit {
    int burst = 1;
    absl::Time minute_end = absl::InfinitePast();
    int let_through = 0;
    int64_t held_back = 0;
  };
  bool Permits(Limit& limit);
  // " (and 7 more)" since the last one that was let through.
  static std::string Others(Limit& limit);

  const std::shared_ptr<spdlog::logger> logger_;
  const std::function<absl::Time()> now_;

  // What was said last, so that an outage of hours is not a line a minute.
  bool was_connected_ = false;
  std::set<std::string> caught_up_;
  std::string last_failure_;
  bool outage_told_ = false;
  // Whose trouble was told: only its end is worth a line.  "": the search.
  std::set<std::string> told_troubles_;
  bool checkpoint_told_ = false;
  // Of logs of many hosts.
  std::set<std::pair<std::string, std::string>> told_foreign_hosts_;
  std::set<std::string> told_beyond_;
  std::set<std::string> told_untrusted_;

  Limit connection_ = {.burst = 5};
  Limit gaps_;
  Limit rejected_;
  Limit trouble_;
  Limit checkpoint_;
  Limit foreign_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_LOG_OUTPUT_H_
