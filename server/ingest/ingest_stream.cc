#include "server/ingest/ingest_stream.h"

#include <grpc/support/time.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"
#include "server/grpc_status/grpc_status.h"
#include "server/ingest/serialized_sessions.h"
#include "server/ingest/validate.h"

namespace mxtally {
namespace {

// Rejections go out in pieces that every client takes, and a stream whose
// client does not read them stops reading too.
constexpr size_t kRejectedPerResponse = 1000;
constexpr size_t kRejectedPendingMax = 1000;

constexpr size_t kArenaBlockBytesMax = size_t{64} << 10;

absl::Duration WithJitter(absl::Duration delay) {
  return delay * absl::Uniform(absl::BitGen(), 1.0, 2.0);
}

grpc::ByteBuffer Serialize(const v1::StreamSessionsResponse& response) {
  const grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string_view CopyTo(google::protobuf::Arena& arena, const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  char* const copy = google::protobuf::Arena::CreateArray<char>(&arena, buffer.Length());
  char* end = copy;
  for (const grpc::Slice& slice : slices) {
    std::memcpy(end, slice.begin(), slice.size());
    end += slice.size();
  }
  return {copy, static_cast<size_t>(end - copy)};
}

absl::Time HourOf(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds() - stamp.seconds() % 3600);
}

}  // namespace

IngestStream::IngestStream(IngestShared& shared, const grpc::CallbackServerContext& context,
                           StreamOwner owner, std::function<void(IngestStream*)> on_done)
    : shared_(shared), context_(context), owner_(std::move(owner)), on_done_(std::move(on_done)) {}

void IngestStream::Start() {
  if (!owner_.name.empty()) {
    if (absl::Status status = CountFor(owner_.name); !status.ok()) {
      return Close(status, quota_delay_);
    }
  }
  CloseAfter(hello_alarm_, shared_.options.hello_wait_max, &IngestStream::OnHelloWaitOver);
  Pump();
}

void IngestStream::CloseAfter(grpc::Alarm& alarm, absl::Duration delay,
                              void (IngestStream::*expired)()) {
  const gpr_timespec deadline =
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_nanos(absl::ToInt64Nanoseconds(delay), GPR_TIMESPAN));
  // Weak: a cancelled alarm reports late, when the stream may be gone.
  alarm.Set(deadline, [weak = weak_from_this(), expired](bool on_time) {
    const std::shared_ptr<IngestStream> stream = on_time ? weak.lock() : nullptr;
    if (stream != nullptr) ((*stream).*expired)();
  });
}

void IngestStream::OnHelloWaitOver() {
  {
    MutexLock lock(mutex_);
    if (phase_ == Phase::kHello) EndLocked(absl::UnavailableError("no hello came"));
  }
  Pump();
}

// Not an error: agents go on at once, and say nothing of it.
void IngestStream::OnAgeReached() { Close(absl::OkStatus(), absl::ZeroDuration()); }

absl::Status IngestStream::CountFor(const std::string& agent) {
  if (const std::optional<AgentQuotas::Hit> hit = shared_.quotas.AddStream(agent)) {
    return Report(*hit, agent);
  }
  counted_for_ = agent;
  return absl::OkStatus();
}

absl::Status IngestStream::Charge(int64_t bytes, int64_t sessions) {
  const std::optional<AgentQuotas::Hit> hit = shared_.quotas.Take(counted_for_, bytes, sessions);
  return hit.has_value() ? Report(*hit, counted_for_) : absl::OkStatus();
}

absl::Status IngestStream::Report(const AgentQuotas::Hit& hit, const std::string& agent) {
  quota_delay_ = hit.wait + WithJitter(shared_.options.retry_delay);
  shared_.observer.OnQuotaHit(agent, hit.quota);
  return absl::ResourceExhaustedError(hit.message);
}

void IngestStream::Close(const absl::Status& status, std::optional<absl::Duration> retry_delay) {
  {
    MutexLock lock(mutex_);
    CloseLocked(status, retry_delay);
  }
  Pump();
}

void IngestStream::CloseLocked(const absl::Status& status,
                               std::optional<absl::Duration> retry_delay) {
  if (phase_ >= Phase::kFlushing) return;
  retry_delay_ = retry_delay;
  if (phase_ != Phase::kOpen) return EndLocked(status);  // Nothing is queued.
  end_status_ = status;
  phase_ = Phase::kFlushing;
  shared_.writer.Flush(shared_from_this());
}

void IngestStream::EndLocked(const absl::Status& status) {
  if (phase_ >= Phase::kEnding) return;
  end_status_ = status;
  phase_ = Phase::kEnding;
}

void IngestStream::OnReadDone(bool ok) {
  absl::Status status;
  if (ok) {
    // `reading_` still stands, so nobody else touches `request_`.
    absl::StatusOr<Request> request = Parse();
    status = request.ok() ? Take(*std::move(request)) : request.status();
  }
  {
    MutexLock lock(mutex_);
    reading_ = false;
    if (!status.ok()) {
      CloseLocked(status, quota_delay_.value_or(WithJitter(shared_.options.refusal_delay)));
    } else if (!ok && phase_ == Phase::kHello) {
      EndLocked(absl::InvalidArgumentError("expected hello, found the end of the stream"));
    } else if (!ok) {
      CloseLocked(absl::OkStatus(), std::nullopt);
    }
  }
  Pump();
}

absl::StatusOr<IngestStream::Request> IngestStream::Parse() {
  google::protobuf::ArenaOptions blocks;
  blocks.max_block_size = kArenaBlockBytesMax;
  Request request;
  request.arena = std::make_unique<google::protobuf::Arena>(blocks);
  request.serialized = CopyTo(*request.arena, request_);
  request_.Clear();
  request.message =
      google::protobuf::Arena::CreateMessage<v1::StreamSessionsRequest>(request.arena.get());
  if (!request.message->ParseFromArray(request.serialized.data(),
                                       static_cast<int>(request.serialized.size()))) {
    return absl::InvalidArgumentError("not a StreamSessionsRequest");
  }
  return request;
}

absl::Status IngestStream::Take(Request request) {
  Phase phase;
  {
    MutexLock lock(mutex_);
    phase = phase_;
  }
  if (phase == Phase::kHello) {
    if (!request.message->has_hello()) return absl::InvalidArgumentError("expected hello first");
    return TakeHello(request.message->hello());
  }
  if (phase != Phase::kOpen) return absl::OkStatus();  // Too late; it is sent again.
  switch (request.message->message_case()) {
    case v1::StreamSessionsRequest::kBatch:
      return TakeBatch(std::move(request));
    case v1::StreamSessionsRequest::kStatus:
      return TakeStatus(request.message->status(), request.bytes());
    case v1::StreamSessionsRequest::kHello:
      return absl::InvalidArgumentError("expected hello only once");
    case v1::StreamSessionsRequest::MESSAGE_NOT_SET:
      break;
  }
  // Nothing, or a kind of message that only a newer server knows.
  return absl::FailedPreconditionError("expected a batch or a status");
}

absl::Status IngestStream::TakeHello(const v1::AgentHello& hello) {
  if (absl::Status status = CheckHello(hello); !status.ok()) return status;
  if (absl::Status status = owner_.check_host(hello.host()); !status.ok()) return status;
  if (hello.hosts_from_log()) {
    absl::StatusOr<CollectedHosts> hosts = owner_.check_collector();
    if (!hosts.ok()) return hosts.status();
    collecting_ = *std::move(hosts);
  }
  if (counted_for_.empty()) {
    if (absl::Status status = CountFor(hello.host()); !status.ok()) return status;
  }
  host_ = hello.host();
  agent_version_ = hello.agent_version();
  hello_alarm_.Cancel();
  ConnectedHosts::Stream stream{.certificate_expires = owner_.certificate_expires,
                                .address = context_.peer()};
  if (hello.has_wall_time()) stream.opened = GetTimestamp(hello.wall_time());
  const ConnectedHosts::Added added = shared_.connected.Add(host_, std::move(stream));
  number_ = added.number;
  shared_.observer.OnStreamOpened(host_, added.streams);
  CloseAfter(age_alarm_, shared_.options.stream_age_max * absl::Uniform(absl::BitGen(), 0.9, 1.0),
             &IngestStream::OnAgeReached);

  MutexLock lock(mutex_);
  if (phase_ != Phase::kHello) return absl::OkStatus();
  phase_ = Phase::kOpening;
  HostSighting sighting{.host = host_, .agent_version = agent_version_};
  sighting.clock_ahead = ClockAhead(hello);
  sighting.source_kind = hello.source_kind();
  shared_.writer.Open(shared_from_this(), std::move(sighting));
  return absl::OkStatus();
}

absl::Status IngestStream::TakeBatch(Request request) {
  v1::SessionBatch& batch = *request.message->mutable_batch();
  const int64_t sequence = batch.sequence();
  int64_t sequence_before = 0;
  {
    MutexLock lock(mutex_);
    sequence_before = read_sequence_;
  }
  if (absl::Status status = CheckBatch(batch, sequence_before + 1, host_, collecting_.has_value());
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckKeyVersions(batch); !status.ok()) return status;
  if (absl::Status status = CheckParts(batch); !status.ok()) return status;
  Writer::Batch work{.host = host_,
                     .arena = std::move(request.arena),
                     .batch = &batch,
                     .serialized = SerializedSessions(request.serialized),
                     .rejected = {},
                     .collected = collecting_.has_value(),
                     .bytes = request.bytes()};
  if (work.serialized.size() != static_cast<size_t>(batch.sessions_size())) work.serialized.clear();
  // After a quota is hit, this batch is still committed and acknowledged, so
  // that an agent gets on whatever its quota.
  const absl::Status within_quota = Charge(work.bytes, batch.sessions_size());
  std::vector<v1::RejectedSession> rejected = RemoveRejected(batch, work);

  MutexLock lock(mutex_);
  if (phase_ != Phase::kOpen) return absl::OkStatus();
  read_sequence_ = sequence;
  queued_bytes_ += work.bytes;
  outstanding_.push_back({sequence, work.bytes, std::move(rejected)});
  shared_.writer.Commit(shared_from_this(), std::move(work));
  return within_quota;
}

std::vector<v1::RejectedSession> IngestStream::RemoveRejected(v1::SessionBatch& batch,
                                                              Writer::Batch& work) {
  std::vector<v1::RejectedSession> rejected;
  std::map<std::pair<std::string, absl::Time>, int64_t> counts;
  const auto others = [this](const std::string& host) { return collected_.contains(host); };
  int kept = 0;
  for (int i = 0; i < batch.sessions_size(); ++i) {
    const v1::SessionRecord& record = batch.sessions(i);
    std::optional<Rejection> rejection = CheckRecord(record, host_, others);
    if (!rejection.has_value()) {
      if (!work.serialized.empty()) std::swap(work.serialized[kept], work.serialized[i]);
      batch.mutable_sessions()->SwapElements(kept++, i);
      continue;
    }
    shared_.observer.OnSessionRejected(host_, *rejection);
    const bool has_stamp = record.key().has_stamp() && IsValidTime(record.key().stamp());
    ++counts[{others(record.key().host()) ? record.key().host() : host_,
              HourOf(has_stamp ? record.key().stamp() : batch.end().log_time())}];
    v1::RejectedSession& told = rejected.emplace_back();
    told.set_sequence(batch.sequence());
    told.set_index(i);
    told.set_reason(std::move(rejection->reason));
  }
  batch.mutable_sessions()->DeleteSubrange(kept, batch.sessions_size() - kept);
  if (!work.serialized.empty()) work.serialized.resize(kept);
  for (const auto& [host_and_hour, count] : counts) {
    work.rejected.push_back(
        {.hour = host_and_hour.second, .sessions = count, .host = host_and_hour.first});
  }
  return rejected;
}

absl::Status IngestStream::CheckParts(const v1::SessionBatch& batch) {
  if (!collecting_.has_value()) return absl::OkStatus();
  for (const v1::HostPart& part : batch.host_parts()) {
    if (collected_.contains(part.host())) continue;
    if (absl::Status status = collecting_->check(part.host()); !status.ok()) return status;
    collected_.insert(part.host());
  }
  const std::optional<AgentQuotas::Hit> hit =
      shared_.quotas.CheckHosts(static_cast<int64_t>(collected_.size()));
  return hit.has_value() ? Report(*hit, counted_for_) : absl::OkStatus();
}

absl::Status IngestStream::TakeStatus(const v1::AgentStatus& status, int64_t bytes) {
  if (absl::Status valid = CheckStatus(status); !valid.ok()) return valid;
  HostSighting sighting{.host = host_,
                        .agent_version = agent_version_,
                        .mta = status.mta(),
                        .logs = {status.logs().begin(), status.logs().end()}};
  sighting.clock_ahead = ClockAhead(status);
  if (status.has_mta_config()) sighting.mta_config = status.mta_config();
  NoteNewerAgent(status);
  const absl::Status within_quota = Charge(bytes, 0);
  MutexLock lock(mutex_);
  if (phase_ != Phase::kOpen) return absl::OkStatus();
  queued_bytes_ += bytes;
  shared_.writer.Note(shared_from_this(), std::move(sighting), bytes);
  return within_quota;
}

void IngestStream::NoteNewerAgent(const v1::AgentStatus& status) {
  if (!status.has_wall_time()) return;
  const std::optional<std::string> newer =
      shared_.connected.NewerAgent(host_, number_, GetTimestamp(status.wall_time()));
  if (!newer.has_value()) return;
  const std::string addresses = absl::StrCat(context_.peer(), " and ", *newer);
  shared_.incidents.Note(HostIncident::kTwoAgents, host_, addresses);
  shared_.observer.OnTwoAgents(host_, addresses);
}

void IngestStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) {
      write_broken_ = true;
      EndLocked(absl::CancelledError("the agent is gone"));
    }
  }
  Pump();
}

void IngestStream::OnCancel() {
  {
    MutexLock lock(mutex_);
    write_broken_ = true;
    EndLocked(absl::CancelledError("the agent is gone"));
  }
  Pump();
}

void IngestStream::OnDone() {
  hello_alarm_.Cancel();
  age_alarm_.Cancel();
  if (!host_.empty()) shared_.connected.Remove(host_);
  if (!counted_for_.empty()) shared_.quotas.RemoveStream(counted_for_);
  absl::Status status;
  {
    MutexLock lock(mutex_);
    status = end_status_;
  }
  // An agent that vanishes looks at first like one that has sent everything.
  if (status.ok() && context_.IsCancelled()) status = absl::CancelledError("the agent is gone");
  shared_.observer.OnStreamEnded(host_, status);
  const std::function<void(IngestStream*)> on_done = on_done_;  // Deletes this stream.
  on_done(this);
}

void IngestStream::OnOpened(absl::StatusOr<std::vector<v1::StoredCut>> cuts) {
  {
    MutexLock lock(mutex_);
    if (phase_ != Phase::kOpening) return;
    if (cuts.ok()) {
      welcome_.emplace();
      welcome_->set_database_id(shared_.database_id);
      welcome_->mutable_stored_cuts()->Assign(cuts->begin(), cuts->end());
      welcome_->set_server_version(shared_.options.server_version);
      welcome_->set_batch_bytes_max(shared_.options.batch_bytes_max);
      welcome_->set_keepalive_ms_min(absl::ToInt64Milliseconds(shared_.options.keepalive_min));
      if (collecting_.has_value()) {
        v1::Collecting& collecting = *welcome_->mutable_collecting();
        collecting.mutable_hosts()->Assign(collecting_->patterns.begin(),
                                           collecting_->patterns.end());
        collecting.set_hosts_max(shared_.options.quotas.hosts_max);
      }
      phase_ = Phase::kOpen;
    } else if (absl::IsFailedPrecondition(cuts.status())) {
      retry_delay_ = WithJitter(shared_.options.refusal_delay);
      EndLocked(cuts.status());
      shared_.incidents.Note(HostIncident::kOtherSource, host_, context_.peer());
    } else {
      retry_delay_ = WithJitter(shared_.options.retry_delay);
      EndLocked(absl::UnavailableError("the store cannot be read"));
    }
  }
  Pump();
}

void IngestStream::OnCommitted(int64_t sequence) {
  {
    MutexLock lock(mutex_);
    // After a failure nothing is acknowledged, because a batch before this one
    // may be missing.
    if (phase_ >= Phase::kEnding) return;
    acked_sequence_ = sequence;
    while (!outstanding_.empty() && outstanding_.front().sequence <= sequence) {
      Outstanding& done = outstanding_.front();
      queued_bytes_ -= done.bytes;
      std::move(done.rejected.begin(), done.rejected.end(), std::back_inserter(rejected_));
      outstanding_.pop_front();
    }
  }
  Pump();
}

void IngestStream::OnFailed(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    if (phase_ >= Phase::kEnding) return;
    retry_delay_ = WithJitter(shared_.options.retry_delay);
    EndLocked(status);
  }
  Pump();
}

void IngestStream::OnNoted(int64_t bytes) {
  {
    MutexLock lock(mutex_);
    queued_bytes_ -= bytes;
  }
  Pump();
}

void IngestStream::OnFlushed() {
  {
    MutexLock lock(mutex_);
    EndLocked(end_status_);
  }
  Pump();
}

void IngestStream::OnRoom() {
  {
    MutexLock lock(mutex_);
    waiting_for_room_ = false;
  }
  Pump();
}

void IngestStream::Pump() {
  // Finish() may be followed by OnDone() at once.
  const std::shared_ptr<IngestStream> self = shared_from_this();
  {
    MutexLock lock(mutex_);
    if (pumping_) return;  // That one sees what has changed.
    pumping_ = true;
  }
  while (true) {
    Operation operation;
    absl::Status end_status;
    {
      MutexLock lock(mutex_);
      operation = NextOperation();
      if (operation == Operation::kNone) {
        pumping_ = false;
        return;
      }
      end_status = end_status_;
    }
    switch (operation) {
      case Operation::kNone:
        break;
      case Operation::kRead:
        StartRead(&request_);
        break;
      case Operation::kWrite:
        StartWrite(&response_);
        break;
      case Operation::kFinish:
        Finish(ToGrpcStatus(end_status));
        break;
    }
  }
}

IngestStream::Operation IngestStream::NextOperation() {
  if (phase_ == Phase::kFinished) return Operation::kNone;
  if (!writing_ && !write_broken_ && HasNews()) {
    BuildResponse();
    writing_ = true;
    return Operation::kWrite;
  }
  if (phase_ == Phase::kEnding) {
    if (writing_) return Operation::kNone;
    phase_ = Phase::kFinished;
    return Operation::kFinish;
  }
  if (!reading_ && MayRead()) {
    reading_ = true;
    return Operation::kRead;
  }
  return Operation::kNone;
}

bool IngestStream::MayRead() {
  if (phase_ == Phase::kHello) return true;
  if (phase_ != Phase::kOpen || waiting_for_room_) return false;
  if (queued_bytes_ >= shared_.options.stream_bytes_max) return false;
  if (rejected_.size() >= kRejectedPendingMax) return false;
  waiting_for_room_ = !shared_.writer.HasRoom(shared_from_this());
  return !waiting_for_room_;
}

bool IngestStream::HasNews() const {
  return welcome_.has_value() || acked_sequence_ > told_sequence_ || !rejected_.empty() ||
         (phase_ == Phase::kEnding && retry_delay_.has_value());
}

void IngestStream::BuildResponse() {
  v1::StreamSessionsResponse response;
  response.set_acked_sequence(acked_sequence_);
  told_sequence_ = acked_sequence_;
  if (welcome_.has_value()) {
    *response.mutable_welcome() = *std::move(welcome_);
    welcome_.reset();
  }
  const size_t count = std::min(rejected_.size(), kRejectedPerResponse);
  for (size_t i = 0; i < count; ++i) {
    *response.add_rejected_sessions() = std::move(rejected_.front());
    rejected_.pop_front();
  }
  if (phase_ == Phase::kEnding && retry_delay_.has_value()) {
    response.set_retry_delay_ms(absl::ToInt64Milliseconds(*retry_delay_));
    retry_delay_.reset();
  }
  response_ = Serialize(response);
}

}  // namespace mxtally
