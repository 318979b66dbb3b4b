// Runs queries of unary calls on a few threads of their own, so that gRPC's
// threads never wait for the disk.

#ifndef MXTALLY_SERVER_QUERY_POOL_QUERY_POOL_H_
#define MXTALLY_SERVER_QUERY_POOL_QUERY_POOL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/mutex/mutex.h"
#include "storage/store.h"

namespace mxtally {

struct QueryPoolOptions {
  // Queries that run at a time.  More than the store has readers only wait there.
  int workers = 4;

  // Calls that wait for a worker; one more is refused.
  int waiting_max = 64;

  // Longest time that one query may run, the wait for a worker not counted.
  absl::Duration query_time_max = absl::Seconds(10);
};

// Thread-safe.
class QueryPool {
 public:
  explicit QueryPool(QueryPoolOptions options);

  // Waits for the calls that are running or queued.  gRPC's shutdown cancels
  // them, which stops them at once.
  ~QueryPool();

  // Runs `query` on a worker and finishes the call with its status.  The guard
  // given to it stops it when the client cancels, the call's deadline passes,
  // or `query_time_max` is over.  What `query` refers to must stay until the
  // call is finished; request and response do.
  //   RESOURCE_EXHAUSTED  "server busy": `waiting_max` calls wait already
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context,
                                std::function<absl::Status(const QueryGuard&)> query);

 private:
  using Job = std::function<void()>;

  void Work();
  // False when the queue is full.
  bool Push(Job job);

  const QueryPoolOptions options_;

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> workers_;  // Constant until the destructor.
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_QUERY_POOL_QUERY_POOL_H_
