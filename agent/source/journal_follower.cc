// FollowJournal() of log_follower.h.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/source/journal_reader.h"
#include "agent/source/log_follower.h"

namespace mxtally {
namespace {

bool SameSeries(const v1::Cut& a, const v1::Cut& b) {
  return a.file().device() == b.file().device() && a.file().inode() == b.file().inode();
}

// What is a file of a log is here a series of sequence numbers: within one, the
// number tells which of two places is the later one.  There is a new series
// when the journal was removed.
class JournalFollower final : public LogFollower {
 public:
  // `cut` is where `reader` stands, or what is gone.
  JournalFollower(LogFollowerOptions options, std::unique_ptr<JournalReader> reader, v1::Cut cut,
                  bool gone)
      : options_(std::move(options)),
        reader_(std::move(reader)),
        place_(std::move(cut)),
        gap_(gone) {}

  absl::StatusOr<ReadResult> Read(int64_t bytes_max, LineSink& sink) override {
    caught_up_ = false;
    if (!std::exchange(begun_, true)) BeginSeries(sink);
    JournalReader::Line line;
    while (bytes_max > 0) {
      if (std::exchange(gap_, false)) sink.OnGap(v1::GAP_REASON_FILE_GONE, 0);
      const absl::StatusOr<bool> found = reader_->Next(line);
      if (absl::IsDataLoss(found.status())) {
        sink.OnGap(v1::GAP_REASON_FILE_GONE, 0);
        continue;
      }
      if (!found.ok()) return found.status();
      if (!*found && reader_->LostFolder()) {
        if (absl::Status s = OpenAgain(); !s.ok()) return s;
        continue;
      }
      if (!*found) {
        caught_up_ = true;
        return ReadResult::kEndOfLog;
      }
      const v1::Cut& place = reader_->place();
      if (!SameSeries(place_, place)) {
        *place_.mutable_file() = place.file();
        place_.set_offset(place.offset() - 1);
        BeginSeries(sink);
      }
      place_ = place;
      bytes_max -= line.bytes;
      const bool more = line.oversized ? sink.OnOversizedLine(line.bytes, place_.offset())
                                       : sink.OnLine(line.text, line.bytes, place_.offset());
      if (!more) break;
    }
    return ReadResult::kMore;
  }

  std::optional<v1::Cut> Position() const override { return place_; }

  std::optional<int64_t> OffsetInCurrentFile(const v1::Cut& cut) const override {
    if (!SameSeries(place_, cut)) return std::nullopt;
    return cut.offset();
  }

  int64_t BytesBehind() const override { return caught_up_ ? 0 : reader_->BytesBehind(); }
  int64_t UntrustedLines() const override { return untrusted_before_ + reader_->untrusted_lines(); }

 private:
  // All stamps are whole, so no date of a file is asked for.
  void BeginSeries(LineSink& sink) const {
    sink.OnFile(options_.path, absl::UnixEpoch(), /*name_date=*/std::nullopt);
  }

  absl::Status OpenAgain() {
    absl::StatusOr<std::unique_ptr<JournalReader>> reader =
        JournalReader::Open(*options_.journal, options_.line_bytes_max);
    if (!reader.ok()) return reader.status();
    const absl::StatusOr<bool> found = (*reader)->GoTo(place_);
    if (!found.ok()) return found.status();
    gap_ = !*found;
    untrusted_before_ += reader_->untrusted_lines();
    reader_ = *std::move(reader);
    return absl::OkStatus();
  }

  const LogFollowerOptions options_;
  std::unique_ptr<JournalReader> reader_;
  int64_t untrusted_before_ = 0;  // By readers before this one.
  v1::Cut place_;
  bool gap_;  // Not told yet.
  bool begun_ = false;
  bool caught_up_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LogFollower>> FollowJournal(LogFollowerOptions options,
                                                           LogStart start) {
  absl::StatusOr<std::unique_ptr<JournalReader>> reader =
      JournalReader::Open(*options.journal, options.line_bytes_max);
  if (!reader.ok()) return reader.status();
  v1::Cut cut;
  cut.mutable_file();  // Present also before the first entry.
  bool gone = false;
  if (start.cut.has_value()) {
    cut = *std::move(start.cut);
    const absl::StatusOr<bool> found = (*reader)->GoTo(cut);
    if (!found.ok()) return found.status();
    gone = !*found;
  }
  return std::make_unique<JournalFollower>(std::move(options), *std::move(reader), std::move(cut),
                                           gone);
}

}  // namespace mxtally
