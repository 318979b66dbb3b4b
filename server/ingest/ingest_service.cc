#include "server/ingest/ingest_service.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace mxtally {
namespace {

constexpr absl::Duration kFailureShown = absl::Seconds(30);

}  // namespace

IngestService::IngestService(Store& store, IngestObserver& observer, IngestOptions options)
    : incidents_(options.now),
      quotas_(options.quotas),
      writer_(store, observer, incidents_, options.writer),
      shared_{std::move(options), store.database_id(), observer, writer_, connected_, quotas_,
              incidents_} {}

IngestService::~IngestService() {
  MutexLock lock(mutex_);
  while (!streams_.empty()) stream_ended_.wait(mutex_);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* IngestService::StreamSessions(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<StreamOwner> owner = shared_.options.identify(*context);
  absl::Status refusal = owner.status();
  const auto stream = std::make_shared<IngestStream>(
      shared_, *context, owner.ok() ? *std::move(owner) : StreamOwner(),
      [this](IngestStream* ended) { Remove(ended); });
  {
    MutexLock lock(mutex_);
    streams_.emplace(stream.get(), stream);
    if (!refusal.ok()) {
      // Told below.
    } else if (draining_) {
      refusal = absl::UnavailableError("the server is stopping");
    } else if (static_cast<int>(streams_.size()) > shared_.options.streams_max) {
      refusal = absl::UnavailableError("the server has too many streams");
    }
  }
  if (!refusal.ok()) {
    stream->Close(refusal, shared_.options.retry_delay);
  } else {
    stream->Start();
  }
  return stream.get();
}

void IngestService::Remove(IngestStream* stream) {
  std::shared_ptr<IngestStream> last;  // Destroyed after the lock is released.
  MutexLock lock(mutex_);
  const auto it = streams_.find(stream);
  last = std::move(it->second);
  streams_.erase(it);
  stream_ended_.notify_all();
}

bool IngestService::Drain(absl::Duration timeout) {
  std::vector<std::shared_ptr<IngestStream>> open;
  {
    MutexLock lock(mutex_);
    draining_ = true;
    for (const auto& [pointer, stream] : streams_) open.push_back(stream);
  }
  for (const std::shared_ptr<IngestStream>& stream : open) {
    stream->Close(absl::UnavailableError("the server is stopping"), std::nullopt);
  }
  open.clear();

  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  MutexLock lock(mutex_);
  while (!streams_.empty()) {
    if (stream_ended_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
      return streams_.empty();
    }
  }
  return true;
}

const ConnectedHosts& IngestService::connected() const { return connected_; }

int64_t IngestService::stream_count() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(streams_.size());
}

int64_t IngestService::queue_bytes() const { return writer_.queue_bytes(); }

absl::Duration IngestService::writer_busy_for() const { return writer_.busy_for(); }

absl::Status IngestService::Ready() const {
  {
    MutexLock lock(mutex_);
    if (draining_) return absl::UnavailableError("the server is stopping");
  }
  const auto [status, time] = writer_.last_write();
  if (!status.ok() && absl::Now() - time < kFailureShown) return status;
  return absl::OkStatus();
}

}  // namespace mxtally
