#include "server/query_pool/query_pool.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/grpc_status/grpc_status.h"

namespace mxtally {
namespace {

// Says why the query of this call must stop, if it must.  `context` must be
// that of a call that is not finished.
QueryGuard GuardOf(const grpc::CallbackServerContext* context, absl::Duration time_max) {
  const auto time_end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time_max);
  return [context, time_max, time_end]() -> absl::Status {
    if (context->IsCancelled()) {
      // A passed deadline cancels too; say which it was.
      if (std::chrono::system_clock::now() >= context->deadline()) {
        return absl::DeadlineExceededError("the call's deadline has passed");
      }
      return absl::CancelledError("the client cancelled the call");
    }
    if (std::chrono::steady_clock::now() >= time_end) {
      return absl::DeadlineExceededError(
          absl::StrCat("the query took longer than ", absl::FormatDuration(time_max),
                       ": ask for a shorter window or fewer labels"));
    }
    return absl::OkStatus();
  };
}

}  // namespace

QueryPool::QueryPool(QueryPoolOptions options) : options_(options) {
  for (int i = 0; i < options_.workers; ++i) {
    workers_.emplace_back([this] { Work(); });
  }
}

QueryPool::~QueryPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

grpc::ServerUnaryReactor* QueryPool::Run(grpc::CallbackServerContext* context,
                                         std::function<absl::Status(const QueryGuard&)> query) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool accepted =
      Push([context, reactor, time_max = options_.query_time_max, query = std::move(query)] {
        const QueryGuard guard = GuardOf(context, time_max);
        absl::Status status = guard();
        if (status.ok()) status = query(guard);
        reactor->Finish(ToGrpcStatus(status));
      });
  if (!accepted) {
    reactor->Finish(ToGrpcStatus(
        absl::ResourceExhaustedError("server busy: too many queries are waiting, try again")));
  }
  return reactor;
}

bool QueryPool::Push(Job job) {
  {
    MutexLock lock(mutex_);
    if (static_cast<int>(waiting_.size()) >= options_.waiting_max) return false;
    waiting_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void QueryPool::Work() {
  while (true) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) changed_.wait(mutex_);
      if (waiting_.empty()) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    job();
  }
}

}  // namespace mxtally
