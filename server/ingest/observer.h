// What ingest has to tell besides its answers: counters and log lines for main,
// evidence for tests.

#ifndef MXTALLY_SERVER_INGEST_OBSERVER_H_
#define MXTALLY_SERVER_INGEST_OBSERVER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/ingest/agent_quotas.h"
#include "server/ingest/validate.h"
#include "storage/store.h"

namespace mxtally {

// Called from several threads at once, never under a lock.  Must not block.
class IngestObserver {
 public:
  virtual ~IngestObserver() = default;

  // One transaction.  `outcome` is the sum over its batches.
  virtual void OnCommitted(int64_t /*batches*/, int64_t /*bytes*/, const BatchOutcome& /*outcome*/,
                           absl::Duration /*duration*/) {}

  // The store refused batches, or a host's life sign.
  virtual void OnStoreFailed(const absl::Status& /*status*/) {}

  virtual void OnSessionRejected(const std::string& /*host*/, const Rejection& /*rejection*/) {}

  // Sessions of `host` came from the agent of `collector`, and were not taken,
  // because another kind of source is known for it.
  virtual void OnOtherSource(const std::string& /*host*/, const std::string& /*collector*/) {}

  // `streams_of_host` counts this one.
  virtual void OnStreamOpened(const std::string& /*host*/, int /*streams_of_host*/) {}

  // An agent of `host` is at work although a newer one is connected.  Once for
  // each of its life signs.  `addresses`: of both.
  virtual void OnTwoAgents(const std::string& /*host*/, const std::string& /*addresses*/) {}

  // `agent` took more than it may; its stream ends, or is refused.
  virtual void OnQuotaHit(const std::string& /*agent*/, Quota /*quota*/) {}

  // `host` is empty when the stream never told it.
  virtual void OnStreamEnded(const std::string& /*host*/, const absl::Status& /*status*/) {}
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_OBSERVER_H_
