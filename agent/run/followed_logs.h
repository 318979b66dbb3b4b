// The logs that the agent follows: finds them, opens each for a stream where
// the checkpoint and the server's cut say, and reads them in turn.
// One thread only.

#ifndef MXTALLY_AGENT_RUN_FOLLOWED_LOGS_H_
#define MXTALLY_AGENT_RUN_FOLLOWED_LOGS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/pipeline/log_pipeline.h"
#include "agent/run/checkpoint_keeper.h"
#include "agent/run/delivery_observer.h"
#include "agent/source/log_follower.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

struct FollowedLogsOptions {
  // The logs there are now.
  std::function<absl::StatusOr<std::vector<LogFollowerOptions>>()> find;

  // For every log; `follower` is filled in for each.
  LogPipelineOptions pipeline;
  std::function<decltype(LogPipeline::Open)> open_pipeline = LogPipeline::Open;
};

class FollowedLogs {
 public:
  // `checkpoint` and `observer` must outlive the logs.
  FollowedLogs(FollowedLogsOptions options, CheckpointKeeper& checkpoint,
               DeliveryObserver& observer);

  // Adds logs that are new.  A log once found is followed for good: it may be
  // between two rotations.
  void Find();
  std::vector<std::string> names() const;

  // Opens all logs for a stream that began with `welcome`.
  void Open(const v1::ServerWelcome& welcome);
  void Close();

  // There may be more to read in every log.
  void LookAgain();

  // The next batch of any log; nullopt: nothing more before LookAgain().
  std::optional<PipelineBatch> Next();

  // The end of `log` was reached at `time`, and everything before is acknowledged.
  void OnAcknowledgedEnd(const std::string& log, absl::Time time);

  // Life sign.  `all_acknowledged` tells whether nothing of a log is under way.
  v1::AgentStatus Status(const std::function<bool(const std::string&)>& all_acknowledged);

  // Whether every log was read to its end; else the first trouble.
  //   NOT_FOUND   a log has no file, or there is no log
  absl::Status AllRead() const;

 private:
  struct Log {
    LogFollowerOptions files;
    // Null without a stream, and while the log cannot be opened.
    std::unique_ptr<LogPipeline> pipeline;
    bool pending = false;
    // OnCaughtUp() was called for this stream.
    bool announced = false;
    // Everything up to then is acknowledged.
    std::optional<absl::Time> caught_up;
    absl::Status trouble;
  };

  Log* FindLog(const std::string& name);
  // Has the checkpoint remember a log that it does not know.
  void Meet(const LogFollowerOptions& files);
  absl::Status OpenLog(Log& log);
  absl::StatusOr<std::optional<PipelineBatch>> ReadLog(Log& log);
  void SetTrouble(const std::string& name, absl::Status& trouble, const absl::Status& status);

  const FollowedLogsOptions options_;
  CheckpointKeeper& checkpoint_;
  DeliveryObserver& observer_;

  // Present while there is a stream.
  std::optional<v1::ServerWelcome> welcome_;
  HostBudget budget_;        // Of the stream.
  std::string database_id_;  // Also after it.
  std::vector<Log> logs_;
  size_t next_ = 0;
  std::string mta_;
  absl::Status find_trouble_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_RUN_FOLLOWED_LOGS_H_
