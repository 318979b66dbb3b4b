// A batch on its way from the log to the stream.

#ifndef MXTALLY_AGENT_PIPELINE_PIPELINE_BATCH_H_
#define MXTALLY_AGENT_PIPELINE_PIPELINE_BATCH_H_

#include <optional>
#include <string>

#include "mxtally/agent/v1/checkpoint.pb.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

// Sessions are serialized when they are finished, once: as messages they would
// be copied, measured and freed again field by field, which cost more than
// reading the log.
struct PipelineBatch {
  // All but its sessions.  `sequence` is the uplink's.
  v1::SessionBatch batch;

  // Its sessions as they stand in a serialized SessionBatch: appended to the
  // serialized `batch` they complete it.
  std::string sessions;

  // State at the batch's end; what the checkpoint stores once the batch is
  // acknowledged.  Taken now and then, because a snapshot costs as much as many lines,
  // and when the log has come to rest at its end.
  std::optional<agent::v1::LogCheckpoint> checkpoint;

  // The batch as one message.
  v1::SessionBatch Whole() const {
    v1::SessionBatch whole;
    whole.ParseFromString(batch.SerializeAsString() + sessions);
    return whole;
  }
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_PIPELINE_BATCH_H_
