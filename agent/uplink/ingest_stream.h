// One stream to the server, as the agent's thread sees it.

#ifndef MXTALLY_AGENT_UPLINK_INGEST_STREAM_H_
#define MXTALLY_AGENT_UPLINK_INGEST_STREAM_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/uplink/mailbox.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

// One thread only.  Its events go to the mailbox it was opened with.
class IngestStream {
 public:
  // Cancels the stream if it has not ended.  No event is posted after this.
  virtual ~IngestStream() = default;

  // Sends a serialized v1::StreamSessionsRequest; kWritten follows.  One at a time.
  virtual void Write(std::string request) = 0;

  // Asks for the next message; kMessage or kEnded follows.  One at a time, so
  // that a server cannot fill the agent's memory.
  virtual void Read() = 0;

  // Nothing more will be written.  Not while a write is under way.
  virtual void WritesDone() = 0;

  // How the stream ended.  Call after kEnded, once, and nothing else after it.
  virtual absl::Status Finish() = 0;
};

// Opens streams.  One thread only.
class IngestClient {
 public:
  virtual ~IngestClient() = default;

  // Never fails: an unreachable server ends the stream at once.  `mailbox` must
  // outlive the stream.
  virtual std::unique_ptr<IngestStream> Open(Mailbox& mailbox) = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_UPLINK_INGEST_STREAM_H_
