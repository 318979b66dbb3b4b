// What the lines of one log mean: a LineReader where they are one host's, a
// HostsReader where they are many hosts'.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_LOG_READER_H_
#define MXTALLY_AGENT_PIPELINE_LOG_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "mxtally/agent/v1/checkpoint.pb.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

class LogReader {
 public:
  virtual ~LogReader() = default;

  // Continues from a checkpoint; no line may have been read.
  virtual void Restore(const agent::v1::LogCheckpoint& checkpoint) = 0;
  // Saves all but the cut: the part of the checkpoint that decides later keys and
  // records.  Not masked: what is open here may be sent with another mask.
  virtual void Save(agent::v1::LogCheckpoint& checkpoint) const = 0;

  // `bytes` with the line end.
  virtual void ReadLine(std::string_view line, int64_t bytes) = 0;
  virtual void ReadOversizedLine(int64_t bytes) = 0;

  // The lines that follow are of another file, or of a later part of the same.
  // `reference_time` decides their year when no stamp was read before.
  virtual void BeginFile(absl::Time reference_time, bool at_start) = 0;

  virtual void ReadGap(v1::GapReason reason, int64_t bytes_min) = 0;

  // What was read since the last call goes into a batch.
  virtual void EndBatch() {}

  // Time of the log: the last stamp, unless that is a stray one; nullopt before any.
  virtual std::optional<absl::Time> last_time() const = 0;
  // "Postfix 3.7.11" once the log told of the agent's host, at most 64 bytes.
  virtual const std::string& mta() const = 0;
  // Adds what the reader knows.
  virtual void AddStatus(v1::LogStatus& status) const = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_LOG_READER_H_
