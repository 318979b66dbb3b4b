// Takes the streams of the agents; v1.IngestService.
//
// Thread-safe.  The store and the observer must outlive the service, and the
// service the gRPC server that it is registered with.

#ifndef MXTALLY_SERVER_INGEST_INGEST_SERVICE_H_
#define MXTALLY_SERVER_INGEST_INGEST_SERVICE_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "mxtally/v1/ingest.grpc.pb.h"
#include "proto/mutex/mutex.h"
#include "server/ingest/agent_quotas.h"
#include "server/ingest/connected_hosts.h"
#include "server/ingest/host_incidents.h"
#include "server/ingest/ingest_options.h"
#include "server/ingest/ingest_stream.h"
#include "server/ingest/observer.h"
#include "server/ingest/writer.h"
#include "storage/store.h"

namespace mxtally {

class IngestService final
    : public v1::IngestService::WithRawCallbackMethod_StreamSessions<v1::IngestService::Service> {
 public:
  IngestService(Store& store, IngestObserver& observer, IngestOptions options);

  // Waits until gRPC has let go of every stream; its server must be shut down.
  ~IngestService() override;

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamSessions(
      grpc::CallbackServerContext* context) override;

  // Refuses new streams, and ends the open ones when what they have sent is
  // committed and acknowledged.  Returns whether all ended within `timeout`.
  bool Drain(absl::Duration timeout);

  // As Writer::Perform.
  void Perform(const std::function<void(Store&)>& work) { writer_.Perform(work); }

  const ConnectedHosts& connected() const;
  const HostIncidents& incidents() const { return incidents_; }
  int64_t stream_count() const;
  int64_t queue_bytes() const;
  // As Writer::busy_for().
  absl::Duration writer_busy_for() const;

  // Not OK while draining, and for half a minute after a write that failed:
  // not longer, so that a balancer which asks lets an agent try again.
  absl::Status Ready() const;

 private:
  void Remove(IngestStream* stream);

  ConnectedHosts connected_;
  HostIncidents incidents_;
  AgentQuotas quotas_;
  Writer writer_;
  IngestShared shared_;

  mutable Mutex mutex_;
  std::condition_variable_any stream_ended_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  // Shared with the writer, which may hold work of a stream that has ended.
  absl::flat_hash_map<IngestStream*, std::shared_ptr<IngestStream>> streams_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_INGEST_SERVICE_H_
