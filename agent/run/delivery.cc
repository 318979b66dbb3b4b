#include "agent/run/delivery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/pipeline/timestamps.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// Whether trying the same again soon cannot help.
bool IsHopeless(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsUnimplemented(status) ||
         absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

// A StreamSessionsRequest with this batch.
std::string SerializeRequest(const PipelineBatch& batch) {
  using google::protobuf::internal::WireFormatLite;
  using google::protobuf::io::CodedOutputStream;
  constexpr uint32_t kTag = WireFormatLite::MakeTag(v1::StreamSessionsRequest::kBatchFieldNumber,
                                                    WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  const std::string rest = batch.batch.SerializeAsString();
  uint8_t head[16];
  uint8_t* end = CodedOutputStream::WriteTagToArray(kTag, head);
  end = CodedOutputStream::WriteVarint32ToArray(
      static_cast<uint32_t>(rest.size() + batch.sessions.size()), end);
  return absl::StrCat(std::string(head, end), rest, batch.sessions);
}

}  // namespace

Delivery::Delivery(DeliveryOptions options, IngestClient& client, Mailbox& mailbox,
                   CheckpointKeeper& checkpoint, DeliveryObserver& observer)
    : options_(std::move(options)),
      client_(client),
      mailbox_(mailbox),
      checkpoint_(checkpoint),
      observer_(observer),
      logs_(options_.logs, checkpoint, observer),
      in_flight_(options_.window_bytes_max),
      backoff_(options_.backoff) {}

Delivery::~Delivery() = default;

void Delivery::RequestStop() {
  stop_requested_ = true;
  mailbox_.Wake();
}

void Delivery::LogsChanged() {
  if (reading_ || gathering_) return;
  gathering_ = true;
  look_at_ = std::min(look_at_, options_.clock() + options_.gather);
}

void Delivery::Reload(std::function<void()> apply) { reload_ = std::move(apply); }

Delivery::Pause Delivery::Step() {
  const absl::Time now = options_.clock();
  if (stop_requested_ && !stop_at_) stop_at_ = now + options_.close_timeout;
  TakeEvents(now);
  if (done()) return {absl::ZeroDuration()};
  if (reload_) ApplyReload(now);

  switch (state_) {
    case State::kDisconnected:
      if (stop_at_) {
        Finish(Stopped(), now);
      } else if (now >= deadline_) {
        Connect(now);
      }
      break;
    case State::kOpening:
      if (stop_at_) {
        Finish(Stopped(), now);
      } else if (now >= deadline_) {
        Disconnect(absl::DeadlineExceededError("no welcome from the server"), now);
      }
      break;
    case State::kStreaming:
      Stream(now);
      break;
    case State::kClosing:
      if (now >= deadline_) Finish(logs_result_, now);
      break;
  }
  if (done()) return {absl::ZeroDuration()};
  if (now >= checkpoint_.due()) StoreCheckpoint(now);
  return UntilNextTask(now);
}

// ---- The stream's life

void Delivery::Connect(absl::Time now) {
  if (now >= find_at_) FindLogs(now);
  retry_delay_min_ = absl::ZeroDuration();
  state_ = State::kOpening;
  deadline_ = now + options_.welcome_timeout;
  stream_ = client_.Open(mailbox_);

  v1::StreamSessionsRequest request;
  v1::AgentHello& hello = *request.mutable_hello();
  hello.set_host(options_.host);
  hello.set_agent_version(options_.agent_version);
  hello.set_parser_version(kParserVersion);
  hello.set_key_version(kKeyVersion);
  *hello.mutable_wall_time() = ToTimestamp(options_.logs.pipeline.now());
  hello.set_source_kind(options_.source_kind);
  hello.set_hosts_from_log(options_.logs.pipeline.hosts.has_value());
  for (std::string& name : logs_.names()) hello.add_logs(std::move(name));
  Write(request.SerializeAsString());
  stream_->Read();
}

void Delivery::Disconnect(const absl::Status& status, absl::Time now) {
  // The server let a stream end that had reached its age.
  if (status.ok() && state_ == State::kStreaming) backoff_.Reset();
  stream_.reset();
  mailbox_.Clear();
  in_flight_.Clear();
  writing_ = false;
  logs_.Close();
  state_ = State::kDisconnected;
  if (stop_at_) return;
  if (IsHopeless(status)) {
    if (options_.once) return Finish(status, now);
    backoff_.Exhaust();
  }
  const absl::Duration delay = backoff_.Next(retry_delay_min_);
  deadline_ = now + delay;
  observer_.OnDisconnected(status, delay);
}

void Delivery::TakeEvents(absl::Time now) {
  while (stream_ != nullptr && !done()) {
    std::optional<StreamEvent> event = mailbox_.Take();
    if (!event) return;
    switch (event->type) {
      case StreamEvent::Type::kWritten:
        writing_ = false;
        break;
      case StreamEvent::Type::kMessage:
        stream_->Read();
        if (absl::Status s = TakeMessage(event->message, now); !s.ok()) Disconnect(s, now);
        break;
      case StreamEvent::Type::kEnded: {
        const absl::Status status = stream_->Finish();
        if (state_ == State::kClosing) {
          Finish(logs_result_, now);
        } else {
          Disconnect(status, now);
        }
        break;
      }
    }
  }
}

absl::Status Delivery::TakeMessage(const v1::StreamSessionsResponse& message, absl::Time now) {
  if (message.has_retry_delay_ms()) {
    retry_delay_min_ = absl::Milliseconds(std::max<int64_t>(0, message.retry_delay_ms()));
  }
  if (state_ == State::kOpening) {
    // A server that cannot welcome anybody now says when to come again.
    if (message.has_retry_delay_ms() && !message.has_welcome()) return absl::OkStatus();
    return TakeWelcome(message, now);
  }
  for (const v1::RejectedSession& rejected : message.rejected_sessions()) {
    observer_.OnRejected(rejected);
  }
  return TakeAcknowledgement(message.acked_sequence());
}

absl::Status Delivery::TakeWelcome(const v1::StreamSessionsResponse& message, absl::Time now) {
  if (!message.has_welcome() || message.welcome().database_id().empty()) {
    return absl::InternalError("the server's first message is not a welcome");
  }
  const v1::ServerWelcome& welcome = message.welcome();
  if (options_.logs.pipeline.hosts.has_value() && !welcome.has_collecting()) {
    // It would take the sessions of other hosts for records that it must reject.
    return absl::UnimplementedError(
        absl::StrCat("hosts from the log: expected a server that knows of it, found release \"",
                     welcome.server_version(), "\": update the server first"));
  }
  database_id_ = welcome.database_id();
  logs_.Open(welcome);
  state_ = State::kStreaming;
  reading_ = true;
  said_all_ = false;
  status_at_ = now + options_.status_interval;
  observer_.OnConnected(welcome);
  return absl::OkStatus();
}

absl::Status Delivery::TakeAcknowledgement(int64_t sequence) {
  absl::StatusOr<std::vector<SentBatch>> batches = in_flight_.Acknowledge(sequence);
  if (!batches.ok()) return absl::InternalError(batches.status().message());
  if (!batches->empty()) backoff_.Reset();
  for (SentBatch& batch : *batches) {
    observer_.OnAcknowledged(batch.log);
    if (batch.checkpoint) checkpoint_.Acknowledge(*std::move(batch.checkpoint), database_id_);
    if (batch.caught_up) logs_.OnAcknowledgedEnd(batch.log, *batch.caught_up);
  }
  return absl::OkStatus();
}

void Delivery::CloseStream(absl::Time now) {
  state_ = State::kClosing;
  deadline_ = now + options_.close_timeout;
  stream_->WritesDone();
}

void Delivery::ApplyReload(absl::Time now) {
  const bool quiet = state_ == State::kStreaming && in_flight_.empty() && !writing_;
  if (quiet) {
    Disconnect(absl::OkStatus(), now);
    deadline_ = now;
  }
  // Without a welcome no log is open.  A stream that is being closed was the last.
  if (state_ == State::kDisconnected || state_ == State::kOpening) {
    std::exchange(reload_, nullptr)();
  }
}

// ---- On a stream

void Delivery::Stream(absl::Time now) {
  // `once` reads what there was when the stream began.
  if (now >= find_at_ && !options_.once) FindLogs(now);
  if (stop_at_ && now >= *stop_at_) return Finish(Stopped(), now);
  if (writing_) return;
  if (stop_at_) {
    if (in_flight_.empty()) {
      logs_result_ = Stopped();
      CloseStream(now);
    }
    return;
  }
  if (now >= status_at_) return SendStatus(now);
  if (reload_) return;
  if (MayRead(now)) SendBatch(now);
  if (options_.once && !reading_ && !writing_ && in_flight_.empty()) {
    if (!std::exchange(said_all_, true)) return SendStatus(now);
    logs_result_ = logs_.AllRead();
    CloseStream(now);
  }
}

bool Delivery::MayRead(absl::Time now) {
  if (!reading_ && !options_.once && now >= look_at_) {
    logs_.LookAgain();
    reading_ = true;
  }
  return reading_ && HasRoom();
}

bool Delivery::HasRoom() const {
  return in_flight_.HasRoom(options_.logs.pipeline.batch_bytes_max);
}

void Delivery::SendBatch(absl::Time now) {
  std::optional<PipelineBatch> batch = logs_.Next();
  if (!batch) {
    reading_ = false;
    gathering_ = false;
    look_at_ = now + options_.poll_interval;
    return;
  }
  batch->batch.set_sequence(in_flight_.next_sequence());
  SentBatch sent = {.log = batch->batch.log(),
                    .bytes = 0,
                    .checkpoint = std::move(batch->checkpoint),
                    .caught_up = std::nullopt};
  if (batch->batch.has_caught_up_time()) {
    sent.caught_up = GetTimestamp(batch->batch.caught_up_time());
  }
  std::string request = SerializeRequest(*batch);
  sent.bytes = static_cast<int64_t>(request.size());
  in_flight_.Add(std::move(sent));
  Write(std::move(request));
}

void Delivery::SendStatus(absl::Time now) {
  v1::StreamSessionsRequest request;
  *request.mutable_status() =
      logs_.Status([this](const std::string& log) { return in_flight_.empty(log); });
  v1::AgentStatus& status = *request.mutable_status();
  *status.mutable_wall_time() = ToTimestamp(options_.logs.pipeline.now());
  if (std::optional<v1::MtaConfig> config = options_.mta_config()) {
    *status.mutable_mta_config() = *std::move(config);
  }
  status_at_ = now + options_.status_interval;
  observer_.OnStatus(request.status());
  Write(request.SerializeAsString());
}

void Delivery::Write(std::string request) {
  writing_ = true;
  stream_->Write(std::move(request));
}

// ---- Around it

void Delivery::FindLogs(absl::Time now) {
  logs_.Find();
  find_at_ = now + options_.find_interval;
}

void Delivery::StoreCheckpoint(absl::Time now) {
  const absl::Status stored = checkpoint_.Store(now);
  if (stored.ok() && !checkpoint_trouble_) return;
  checkpoint_trouble_ = !stored.ok();
  observer_.OnCheckpointTrouble(stored);
}

absl::Status Delivery::Stopped() const {
  if (!options_.once) return absl::OkStatus();
  return absl::CancelledError("stopped before everything was delivered");
}

void Delivery::Finish(absl::Status result, absl::Time now) {
  stream_.reset();
  logs_.Close();
  StoreCheckpoint(now);
  if (result.ok() && checkpoint_trouble_) {
    result = absl::UnavailableError("the checkpoint could not be written");
  }
  result_ = std::move(result);
}

Delivery::Pause Delivery::UntilNextTask(absl::Time now) const {
  absl::Time next = checkpoint_.due();
  bool watch_logs = false;
  if (state_ != State::kStreaming) {
    next = std::min(next, deadline_);
  } else if (stop_at_) {
    next = std::min(next, *stop_at_);
  } else {
    if (!options_.once) next = std::min(next, find_at_);
    // A write under way, and a full window, end with an event.
    if (!writing_) {
      next = std::min(next, status_at_);
      // Before a reload nothing is read: an acknowledgement ends the wait.
      if (reading_ && HasRoom() && !reload_) next = now;
      if (!reading_ && !options_.once && !reload_) {
        next = std::min(next, look_at_);
        watch_logs = !gathering_;
      }
    }
  }
  return {std::max(next - now, absl::ZeroDuration()), watch_logs};
}

}  // namespace mxtally
