// Asks for Postfix's settings now and then, on a thread of its own, because the
// agent's thread does not wait.

#ifndef MXTALLY_AGENT_POSTCONF_POSTCONF_WATCH_H_
#define MXTALLY_AGENT_POSTCONF_POSTCONF_WATCH_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/postconf/postconf.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

struct PostconfWatchOptions {
  std::function<absl::StatusOr<v1::MtaConfig>()> ask = [] { return AskPostconf({}); };
  // Settings change seldom; larger values cost longer-lived advice.
  absl::Duration interval = absl::Hours(1);
};

class PostconfWatch {
 public:
  explicit PostconfWatch(PostconfWatchOptions options);
  // Waits for an answer that is under way.
  ~PostconfWatch();

  // The last answer.  nullopt: none yet, or the last question failed.  From any
  // thread.
  std::optional<v1::MtaConfig> config() const;

 private:
  void Run();

  const PostconfWatchOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::optional<v1::MtaConfig> config_;
  std::thread thread_;  // Last, so that it starts when all else is there.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_POSTCONF_POSTCONF_WATCH_H_
