// One log from its files to batches: follower, framer, dialects, assembler.
//
// Cuts: a batch ends where the bytes limit is reached, at the end of the log,
// and exactly at the cut that the server stored, so that the batch after it is
// the first whose counts are new.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_LOG_PIPELINE_H_
#define MXTALLY_AGENT_PIPELINE_LOG_PIPELINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/parser/framer.h"
#include "agent/pipeline/hosts_reader.h"
#include "agent/pipeline/pipeline_batch.h"
#include "agent/session/assembler.h"
#include "agent/session/peer_mask.h"
#include "agent/source/log_follower.h"
#include "mxtally/agent/v1/checkpoint.pb.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

struct LogPipelineOptions {
  LogFollowerOptions follower;
  AssemblerOptions assembler;
  // Hosts are taken from the log; nullopt: it is one host's.
  std::optional<HostsReaderOptions> hosts;
  // What the batches' records go through; null: nothing is masked.  Borrowed.
  PeerMask* mask = nullptr;
  absl::TimeZone time_zone = absl::UTCTimeZone();
  // Anchors years instead of the files' own dates, when set.
  std::optional<absl::Time> reference_time;

  // Serialized size of a batch, kept under the server's limit.
  int64_t batch_bytes_max = 900 * 1024;
  // Log read for one batch at most: a log without sessions still moves its cut.
  int64_t batch_log_bytes_max = 8 * 1024 * 1024;

  // Shortest wall-clock time between two snapshots away from the end of the
  // log.  Larger values save work in a backlog and cost a longer re-read.
  absl::Duration snapshot_interval_min = absl::Seconds(1);
  // The same at the end of the log.  A snapshot that was left out comes later,
  // with an empty batch when nothing new is there.  Zero: each time.
  absl::Duration end_snapshot_interval_min = absl::ZeroDuration();

  // The log is read to its end and no further: SessionBatch.once.
  bool once = false;

  std::function<absl::Time()> now = absl::Now;
};

class LogPipeline {
 public:
  // `checkpoint`: where this agent stood, or nullopt.  `stored`: where the
  // server's counts of this log end, or nullopt.  `same_database`: whether the
  // checkpoint was acknowledged by this database.  One of a reading that took
  // hosts from the log, where this does not, or the other way round, is none.
  //
  //   checkpoint, stored ahead of it or equal   continue at the checkpoint
  //   checkpoint, stored behind or missing      read again all that is on disk
  //   no checkpoint, stored                     read again all that is on disk
  //   neither                                   read what the patterns name
  //   checkpoint of a first meeting, no stored  read what the patterns named then, and what
  //                                             was written since
  static absl::StatusOr<std::unique_ptr<LogPipeline>> Open(
      LogPipelineOptions options, std::optional<agent::v1::LogCheckpoint> checkpoint,
      std::optional<v1::Cut> stored, bool same_database);
  virtual ~LogPipeline() = default;

  // Reads on and returns the next batch; nullopt when nothing new is there.
  // The first batch that reaches the end of the log is returned even when empty,
  // with `caught_up_time` set.
  virtual absl::StatusOr<std::optional<PipelineBatch>> Next() = 0;

  // Life sign of this log.
  virtual v1::LogStatus Status() const = 0;
  // "Postfix 3.7.11" once the log told.
  virtual std::string mta() const = 0;
};

// Where the first reading of a log that is met now will begin.  Stored before
// the server is asked, so that a log which is rotated meanwhile is not taken
// for one that was there before.
//   PERMISSION_DENIED, ... the log cannot be read
absl::StatusOr<agent::v1::LogCheckpoint> MeetLog(const LogFollowerOptions& options, absl::Time now);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_LOG_PIPELINE_H_
