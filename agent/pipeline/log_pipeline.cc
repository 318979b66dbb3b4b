#include "agent/pipeline/log_pipeline.h"

#include <deque>
#include <utility>
#include <vector>

#include "agent/pipeline/batch_builder.h"
#include "agent/pipeline/line_reader.h"
#include "agent/pipeline/timestamps.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

bool SameMessage(const v1::Cut& a, const v1::Cut& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// The server applies the counts of a batch that begins at its stored cut.  So
// whatever this pipeline reads, its batches must meet that cut exactly: one
// ends there and the next begins there.  Until then (`target_` is set) lines
// are read again: their sessions are sent once more, which is harmless, and
// their batches begin at places that the server does not count from.
class LogPipelineImpl : public LogPipeline, private LineSink {
 public:
  LogPipelineImpl(LogPipelineOptions options, std::optional<v1::Cut> stored)
      : options_(std::move(options)),
        stored_(std::move(stored)),
        builder_(options_.follower.path, options_.batch_bytes_max) {}

  absl::Status OpenAtCheckpoint(const agent::v1::LogCheckpoint& checkpoint);
  absl::Status OpenAsFirstMet(const agent::v1::LogCheckpoint& checkpoint);
  // `from_oldest`: also rotated files that the operator did not name.
  absl::Status OpenAtBeginning(bool from_oldest);

  absl::StatusOr<std::optional<PipelineBatch>> Next() override;
  v1::LogStatus Status() const override;
  std::string mta() const override { return reader_->mta(); }

 private:
  bool OnLine(std::string_view line, int64_t bytes, int64_t end_offset) override;
  bool OnOversizedLine(int64_t bytes, int64_t end_offset) override;
  void OnFile(const std::string& path, absl::Time modified,
              std::optional<absl::Time> name_date) override;
  void OnGap(v1::GapReason reason, int64_t bytes_min) override;

  // A new reading, with nothing known of the log's time or sessions.
  void Begin(LogStart start);
  absl::Status OpenFollower();
  // Reads until a batch ended or the end of the log was reached.
  absl::Status ReadBatch();
  // The target does not lie after the checkpoint: begins at the oldest file.
  absl::Status ReadAgain();
  void ReachedEndOfLog(absl::Time now);
  // After a line that ends at `end_offset`: whether to read on.
  bool AfterLine(int64_t bytes, int64_t end_offset);

  // Where the follower stands; the same message as `start_` when nothing was
  // read since.
  v1::Cut Place() const;
  void MeetTarget();
  void EndBatch(const v1::Cut& end, bool snapshot, std::optional<absl::Time> caught_up);
  agent::v1::LogCheckpoint Snapshot(const v1::Cut& cut) const;

  const LogPipelineOptions options_;
  const std::optional<v1::Cut> stored_;

  BatchBuilder builder_;
  std::unique_ptr<LogReader> reader_;
  LogStart log_start_;
  // Null after it could not be opened.
  std::unique_ptr<LogFollower> follower_;

  // End of the batch before.
  std::optional<v1::Cut> start_;
  // Whether the follower may have moved since `start_`.
  bool moved_ = false;
  int64_t log_bytes_ = 0;
  // End of the last line in the file being read; nullopt before any file.
  std::optional<int64_t> offset_;

  // `stored_`, while it lies ahead.
  std::optional<v1::Cut> target_;
  // Where it is in the file being read; nullopt: in another file.
  std::optional<int64_t> target_offset_;
  // Whether the reading began at the oldest file, so that a target it does not
  // meet is gone.
  bool from_oldest_ = false;
  // The target turned out to lie before the place where this reading began.
  bool target_behind_ = false;

  std::deque<PipelineBatch> ready_;
  absl::Time last_snapshot_ = absl::InfinitePast();
  bool snapshot_owed_ = false;  // The last batch had none.
  std::optional<absl::Time> caught_up_;
};

absl::Status LogPipelineImpl::OpenAtCheckpoint(const agent::v1::LogCheckpoint& checkpoint) {
  start_ = checkpoint.cut();
  if (!SameMessage(*stored_, checkpoint.cut())) target_ = stored_;
  Begin({.cut = checkpoint.cut(), .from_oldest = false});
  reader_->Restore(checkpoint);
  return OpenFollower();
}

absl::Status LogPipelineImpl::OpenAsFirstMet(const agent::v1::LogCheckpoint& checkpoint) {
  LogStart start;
  if (checkpoint.has_cut()) start.cut = checkpoint.cut();
  start.from_oldest = !checkpoint.has_cut();
  start.first_met = GetTimestamp(checkpoint.first_met_time());
  Begin(std::move(start));
  if (absl::Status s = OpenFollower(); !s.ok()) return s;
  // The follower leaves alone what is before the cut.
  if (checkpoint.has_unreadable_bytes()) {
    OnGap(v1::GAP_REASON_FILE_GONE, checkpoint.unreadable_bytes());
  }
  return absl::OkStatus();
}

absl::Status LogPipelineImpl::OpenAtBeginning(bool from_oldest) {
  from_oldest_ = from_oldest;
  target_behind_ = false;
  target_ = stored_;
  start_.reset();
  Begin({.cut = std::nullopt, .from_oldest = from_oldest});
  return OpenFollower();
}

void LogPipelineImpl::Begin(LogStart start) {
  log_start_ = std::move(start);
  follower_.reset();
  target_offset_.reset();
  offset_.reset();
  moved_ = false;
  const FramerOptions framer = {.time_zone = options_.time_zone};
  if (options_.hosts) {
    reader_ = std::make_unique<HostsReader>(*options_.hosts, options_.assembler, framer, builder_,
                                            options_.mask);
  } else {
    reader_ = std::make_unique<LineReader>(options_.assembler, framer, builder_, options_.mask);
  }
}

absl::Status LogPipelineImpl::OpenFollower() {
  absl::StatusOr<std::unique_ptr<LogFollower>> follower =
      LogFollower::Open(options_.follower, log_start_);
  if (!follower.ok()) return follower.status();
  follower_ = *std::move(follower);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<PipelineBatch>> LogPipelineImpl::Next() {
  if (ready_.empty()) {
    if (absl::Status s = ReadBatch(); !s.ok()) return s;
  }
  if (ready_.empty()) return std::nullopt;
  PipelineBatch batch = std::move(ready_.front());
  ready_.pop_front();
  return batch;
}

absl::Status LogPipelineImpl::ReadBatch() {
  while (ready_.empty()) {
    if (follower_ == nullptr) {
      if (absl::Status s = OpenFollower(); !s.ok()) return s;
    }
    // Everything logged before this moment is read when the end is reached.
    const absl::Time now = options_.now();
    absl::StatusOr<ReadResult> result =
        follower_->Read(options_.batch_log_bytes_max - log_bytes_, *this);
    if (!result.ok()) {
      // What was read before the trouble need not wait for its end.
      if (builder_.empty() || !follower_->Position()) return result.status();
      EndBatch(Place(), /*snapshot=*/true, std::nullopt);
    } else if (target_behind_) {
      if (absl::Status s = ReadAgain(); !s.ok()) return s;
    } else if (*result == ReadResult::kEndOfLog) {
      if (!offset_ || !follower_->Position()) break;  // No file.
      if (target_ && !from_oldest_) {
        if (absl::Status s = ReadAgain(); !s.ok()) return s;
        continue;
      }
      ReachedEndOfLog(now);
      break;
    } else if (builder_.full() || log_bytes_ >= options_.batch_log_bytes_max) {
      EndBatch(Place(), now - last_snapshot_ >= options_.snapshot_interval_min, std::nullopt);
    }
  }
  return absl::OkStatus();
}

absl::Status LogPipelineImpl::ReadAgain() {
  // Sent before the state is given up: the beginnings of these sessions may be
  // in files that are gone.
  if (!builder_.empty()) EndBatch(Place(), /*snapshot=*/false, std::nullopt);
  return OpenAtBeginning(/*from_oldest=*/true);
}

void LogPipelineImpl::ReachedEndOfLog(absl::Time now) {
  if (target_) {
    // All that is on disk was read and the stored cut is not there any more.
    // Counts begin anew here; from the stored cut to here they are missing.
    if (!builder_.empty()) EndBatch(Place(), /*snapshot=*/false, std::nullopt);
    const v1::Cut lost = *std::exchange(target_, std::nullopt);
    const v1::Cut here = Place();
    start_.reset();
    std::optional<absl::Time> lost_time;
    if (lost.has_log_time()) lost_time = GetTimestamp(lost.log_time());
    builder_.AddGap(v1::GAP_REASON_FILE_GONE, lost_time, 0);
    if (reader_->last_time()) builder_.SetTime(*reader_->last_time());
    EndBatch(here, /*snapshot=*/true, now);
  } else {
    const bool due = now - last_snapshot_ >= options_.end_snapshot_interval_min;
    if (!builder_.empty() || !caught_up_ || (snapshot_owed_ && due)) EndBatch(Place(), due, now);
  }
  caught_up_ = now;
}

bool LogPipelineImpl::OnLine(std::string_view line, int64_t bytes, int64_t end_offset) {
  if (target_behind_) return false;
  reader_->ReadLine(line, bytes);
  return AfterLine(bytes, end_offset);
}

bool LogPipelineImpl::OnOversizedLine(int64_t bytes, int64_t end_offset) {
  if (target_behind_) return false;
  reader_->ReadOversizedLine(bytes);
  return AfterLine(bytes, end_offset);
}

bool LogPipelineImpl::AfterLine(int64_t bytes, int64_t end_offset) {
  log_bytes_ += bytes;
  offset_ = end_offset;
  moved_ = true;
  if (target_ && target_offset_ == end_offset) MeetTarget();
  return ready_.empty() && !builder_.full();
}

void LogPipelineImpl::OnFile(const std::string& path, absl::Time modified,
                             std::optional<absl::Time> name_date) {
  (void)path;
  absl::Time reference = modified;
  if (name_date) reference = *name_date + absl::Hours(24);
  if (options_.reference_time) reference = *options_.reference_time;

  const v1::Cut here = follower_->Position().value_or(v1::Cut());
  reader_->BeginFile(reference, /*at_start=*/here.offset() == 0);
  offset_ = here.offset();
  // A reading again begins at a place of its own: without one, the server
  // would take it for the first reading and count it.
  if (target_ && !start_) start_ = here;
  if (!start_ || follower_->OffsetInCurrentFile(*start_) != here.offset()) moved_ = true;

  target_offset_.reset();
  if (!target_) return;
  target_offset_ = follower_->OffsetInCurrentFile(*target_);
  if (!target_offset_) return;
  if (*target_offset_ == here.offset()) {
    MeetTarget();
  } else if (*target_offset_ < here.offset() && !from_oldest_) {
    target_behind_ = true;
  }
}

void LogPipelineImpl::OnGap(v1::GapReason reason, int64_t bytes_min) {
  moved_ = true;
  reader_->ReadGap(reason, bytes_min);
}

v1::Cut LogPipelineImpl::Place() const {
  if (!moved_ && start_) return *start_;
  v1::Cut cut = follower_->Position().value_or(v1::Cut());
  cut.clear_log_time();
  if (reader_->last_time()) *cut.mutable_log_time() = ToTimestamp(*reader_->last_time());
  return cut;
}

void LogPipelineImpl::MeetTarget() {
  const v1::Cut cut = *std::exchange(target_, std::nullopt);
  target_offset_.reset();
  if (builder_.empty()) {
    start_ = cut;
    moved_ = false;
  } else {
    EndBatch(cut, /*snapshot=*/true, std::nullopt);
  }
}

void LogPipelineImpl::EndBatch(const v1::Cut& end, bool snapshot,
                               std::optional<absl::Time> caught_up) {
  const absl::Time now = options_.now();
  reader_->EndBatch();
  for (PipelineBatch& batch : builder_.Finish(start_, end, now)) {
    ready_.push_back(std::move(batch));
  }
  PipelineBatch& last = ready_.back();
  if (caught_up) *last.batch.mutable_caught_up_time() = ToTimestamp(*caught_up);
  last.batch.set_once(options_.once);
  if (snapshot) {
    last.checkpoint = Snapshot(end);
    last_snapshot_ = now;
  }
  snapshot_owed_ = !snapshot;
  start_ = end;
  moved_ = false;
  log_bytes_ = 0;
}

agent::v1::LogCheckpoint LogPipelineImpl::Snapshot(const v1::Cut& cut) const {
  agent::v1::LogCheckpoint checkpoint;
  checkpoint.set_log(options_.follower.path);
  *checkpoint.mutable_cut() = cut;
  reader_->Save(checkpoint);
  return checkpoint;
}

v1::LogStatus LogPipelineImpl::Status() const {
  v1::LogStatus status;
  status.set_log(options_.follower.path);
  status.set_once(options_.once);
  if (caught_up_) *status.mutable_caught_up_time() = ToTimestamp(*caught_up_);
  if (reader_->last_time()) *status.mutable_log_time() = ToTimestamp(*reader_->last_time());
  if (follower_ != nullptr) {
    status.set_bytes_behind(follower_->BytesBehind());
    status.set_untrusted_lines(follower_->UntrustedLines());
  }
  reader_->AddStatus(status);
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogPipeline>> LogPipeline::Open(
    LogPipelineOptions options, std::optional<agent::v1::LogCheckpoint> checkpoint,
    std::optional<v1::Cut> stored, bool same_database) {
  const bool is_stored = stored.has_value();
  if (checkpoint && !checkpoint->has_first_met_time() &&
      checkpoint->hosts_from_log() != options.hosts.has_value()) {
    checkpoint.reset();
  }
  const bool known = checkpoint.has_value() || is_stored;
  auto pipeline = std::make_unique<LogPipelineImpl>(std::move(options), std::move(stored));
  absl::Status opened;
  if (checkpoint && checkpoint->has_first_met_time() && !is_stored) {
    opened = pipeline->OpenAsFirstMet(*checkpoint);
  } else if (checkpoint && is_stored && same_database) {
    opened = pipeline->OpenAtCheckpoint(*checkpoint);
  } else {
    opened = pipeline->OpenAtBeginning(/*from_oldest=*/known);
  }
  if (!opened.ok()) return opened;
  return pipeline;
}

absl::StatusOr<agent::v1::LogCheckpoint> MeetLog(const LogFollowerOptions& options,
                                                 absl::Time now) {
  struct GapsOnly : LineSink {
    bool OnLine(std::string_view, int64_t, int64_t) override { return false; }
    bool OnOversizedLine(int64_t, int64_t) override { return false; }
    void OnFile(const std::string&, absl::Time, std::optional<absl::Time>) override {}
    void OnGap(v1::GapReason, int64_t bytes_min) override {
      unreadable_bytes = unreadable_bytes.value_or(0) + bytes_min;
    }
    std::optional<int64_t> unreadable_bytes;
  };
  absl::StatusOr<std::unique_ptr<LogFollower>> follower = LogFollower::Open(options, {});
  if (!follower.ok()) return follower.status();
  GapsOnly sink;
  // Goes to the first file, and no further.
  if (auto read = (*follower)->Read(0, sink); !read.ok()) return read.status();
  agent::v1::LogCheckpoint met;
  met.set_log(options.path);
  *met.mutable_first_met_time() = ToTimestamp(now);
  if (std::optional<v1::Cut> cut = (*follower)->Position()) *met.mutable_cut() = *std::move(cut);
  if (sink.unreadable_bytes) met.set_unreadable_bytes(*sink.unreadable_bytes);
  return met;
}

}  // namespace mxtally
