// How the next file is found.  The follower remembers which content it is done
// with, as cuts: the files that it read, and those that it was not asked to
// read.  At the end of a file that is no longer the live one, the oldest file
// of the log that holds something else is next; a file that begins with
// content that was read goes on behind it.  So it does not matter by which
// scheme files are renamed or copied, nor how often, while nobody looks.

#include "agent/source/log_follower.h"

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "agent/source/line_buffer.h"
#include "agent/source/log_file.h"
#include "agent/source/log_set.h"

namespace mxtally {
namespace {

// Files whose content is remembered as done with.  In a folder with more
// rotated files than this the oldest may be read again, which does no harm.
constexpr size_t kDoneMax = 1024;

// How often the files are looked up anew while a rotation renames them.
constexpr int kLookupsMax = 20;

// Runs `look`, which ends with ABORTED when a file changed its name under it,
// until it does not.
template <typename Look>
auto WhileFilesAreRenamed(Look look) {
  auto result = look();
  const auto aborted = [&result] {
    if constexpr (std::is_same_v<decltype(result), absl::Status>) {
      return absl::IsAborted(result);
    } else {
      return absl::IsAborted(result.status());
    }
  };
  for (int i = 1; aborted() && i < kLookupsMax; ++i) result = look();
  if (aborted()) result = absl::UnavailableError("the log's files are being renamed");
  return result;
}

//   ABORTED  another file has this name by now, or none
absl::StatusOr<LogFile> OpenEntry(const LogEntry& entry) {
  absl::StatusOr<LogFile> file = LogFile::Open(entry.path);
  const bool moved =
      file.ok() ? !file->opened().SameFile(entry.stat) : absl::IsNotFound(file.status());
  if (moved) return absl::AbortedError("renamed");
  return file;
}

class FileLogFollower final : public LogFollower {
 public:
  explicit FileLogFollower(LogFollowerOptions options)
      : options_(std::move(options)), buffer_(options_.line_bytes_max, options_.chunk_bytes) {}

  absl::Status Begin(LogStart start);

  absl::StatusOr<ReadResult> Read(int64_t bytes_max, LineSink& sink) override;
  std::optional<v1::Cut> Position() const override;
  std::optional<int64_t> OffsetInCurrentFile(const v1::Cut& cut) const override;
  int64_t BytesBehind() const override;

 private:
  struct Place {
    LogFile file;
    int64_t offset = 0;
    LogEntry entry;
  };
  struct Gap {
    v1::GapReason reason;
    int64_t bytes_min;
  };
  enum class FillResult { kData, kEndOfFile, kTruncated };

  bool HandOn(int64_t& budget, LineSink& sink);
  absl::StatusOr<FillResult> Fill();
  absl::Status HandleTruncation();

  absl::StatusOr<std::vector<LogEntry>> ListPlain() const;
  absl::Status MarkUnnamedDone(absl::Time unchanged_since);
  absl::StatusOr<bool> ResumeAt(const v1::Cut& cut, bool skip_older);
  absl::StatusOr<std::optional<Place>> FindNext();
  void NoteWhatIsMissingBefore(const Place& next);
  absl::Status GoTo(Place place);
  void LeaveFile();
  bool ReturnToPrevious();

  bool IsLive() const;

  int64_t DoneUpTo(const LogFile& file);
  bool IsCopyOfCurrent(const LogFile& file) const;
  void AddDone(v1::Cut cut);
  void MarkDone(const LogFile& file);
  bool MarkUnreadable(const LogEntry& entry);

  const LogFollowerOptions options_;

  std::optional<LogFile> file_;
  LineBuffer buffer_;                    // Its offsets are those in `file_`.
  std::optional<absl::Time> name_date_;  // Of `file_`.
  int64_t size_seen_ = 0;                // Of `file_`.
  bool announced_ = false;               // The sink knows of `file_`.
  bool end_confirmed_ = false;           // Nothing was added since there is a file after it.
  bool caught_up_ = false;               // The last Read() ended at the end of the log.

  std::optional<v1::Cut> sought_;  // Begins here as soon as there is any file.
  std::optional<v1::Cut> left_;    // Where it stood in the file before `file_`.
  std::vector<Gap> gaps_;          // Not told yet.
  // Content that was read or is not to be read.  Least recently met first.
  std::vector<v1::Cut> done_;
  std::vector<FileStat> unreadable_;
  // The file before `file_`, which its writers may not all have left yet, and
  // how far it was read.
  std::optional<LogFile> previous_;
  int64_t previous_offset_ = 0;
};

// ---- Beginning

absl::Status FileLogFollower::Begin(LogStart start) {
  // Tell at once when the live file can never be followed.
  if (absl::StatusOr<LogFile> live = LogFile::Open(options_.path);
      !live.ok() && !absl::IsNotFound(live.status())) {
    return live.status();
  }
  if (start.cut.has_value()) {
    sought_ = std::move(start.cut);
    absl::StatusOr<bool> resumed =
        WhileFilesAreRenamed([this] { return ResumeAt(*sought_, /*skip_older=*/true); });
    if (!resumed.ok() || !start.first_met.has_value()) return resumed.status();
  } else if (start.from_oldest && !start.first_met.has_value()) {
    return absl::OkStatus();
  }
  const absl::Time unchanged_since = start.first_met.value_or(absl::InfiniteFuture());
  return WhileFilesAreRenamed([&] { return MarkUnnamedDone(unchanged_since); });
}

absl::Status FileLogFollower::MarkUnnamedDone(absl::Time unchanged_since) {
  absl::StatusOr<std::vector<LogEntry>> entries = ListPlain();
  if (!entries.ok()) return entries.status();
  for (const LogEntry& entry : *entries) {
    if (entry.live || entry.stat.modified >= unchanged_since) continue;
    if (absl::c_linear_search(options_.older_paths, entry.path)) continue;
    if (file_.has_value() && entry.stat.SameFile(file_->opened())) continue;
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (file.ok()) {
      MarkDone(*file);
    } else if (absl::IsPermissionDenied(file.status())) {
      MarkUnreadable(entry);
    } else {
      return file.status();
    }
  }
  return absl::OkStatus();
}

// Goes to the file that holds `cut`; false when there is none.  `skip_older`:
// what was written before that file is not to be read.
absl::StatusOr<bool> FileLogFollower::ResumeAt(const v1::Cut& cut, bool skip_older) {
  absl::StatusOr<std::vector<LogEntry>> entries = ListPlain();
  if (!entries.ok()) return entries.status();
  // Best is the same inode, then the same inode but for the device (a number
  // that may change at boot), then the file that holds most.
  const auto rank = [&cut](const Place& place) {
    const bool same_inode = place.file.opened().inode == cut.file().inode();
    const bool same_device = place.file.opened().device == cut.file().device();
    return std::make_pair(same_inode ? 1 + same_device : 0, place.file.opened().size);
  };
  std::optional<Place> best;
  std::vector<v1::Cut> ends;  // Of the files so far.
  size_t ends_before_best = 0;
  for (LogEntry& entry : *entries) {
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (absl::IsPermissionDenied(file.status()) && !entry.live) {
      // It may hold the cut, but whatever it holds cannot be had.
      if (skip_older && !best.has_value()) MarkUnreadable(entry);
      continue;
    }
    if (!file.ok()) return file.status();
    const int64_t size = file->opened().size;
    absl::StatusOr<std::string> tail = file->TailAt(size);
    v1::Cut end = tail.ok() ? file->CutAt(size, *tail) : v1::Cut();
    Place place = {*std::move(file), cut.offset(), std::move(entry)};
    if (place.file.Matches(cut) && (!best.has_value() || rank(place) > rank(*best))) {
      best = std::move(place);
      ends_before_best = ends.size();
    }
    ends.push_back(std::move(end));
  }
  if (!best.has_value()) return false;

  if (absl::Status s = GoTo(*std::move(best)); !s.ok()) return s;
  ends.resize(skip_older ? ends_before_best : 0);
  for (v1::Cut& end : ends) {
    if (end.offset() > 0) AddDone(std::move(end));
  }
  sought_.reset();
  return true;
}

absl::Status FileLogFollower::GoTo(Place place) {
  absl::StatusOr<std::string> tail = place.file.TailAt(place.offset);
  if (!tail.ok()) return tail.status();
  buffer_.Reset(place.offset, *tail);
  size_seen_ = place.file.opened().size;
  name_date_ = place.entry.suffix.date;
  file_ = std::move(place.file);
  announced_ = false;
  end_confirmed_ = false;
  return absl::OkStatus();
}

// ---- Reading

absl::StatusOr<ReadResult> FileLogFollower::Read(int64_t bytes_max, LineSink& sink) {
  caught_up_ = false;
  int64_t to_hand_on = bytes_max;
  int64_t to_fill = bytes_max;
  while (true) {
    if (file_.has_value()) {
      if (!HandOn(to_hand_on, sink) || to_fill <= 0) return ReadResult::kMore;
      absl::StatusOr<FillResult> filled = Fill();
      if (!filled.ok()) return filled.status();
      if (*filled == FillResult::kData) {
        to_fill -= options_.chunk_bytes;
        end_confirmed_ = false;
        continue;
      }
      if (*filled == FillResult::kTruncated) {
        if (absl::Status s = HandleTruncation(); !s.ok()) return s;
        continue;
      }
    }
    if (ReturnToPrevious()) continue;
    if (!file_.has_value() && sought_.has_value()) {
      absl::StatusOr<bool> resumed =
          WhileFilesAreRenamed([this] { return ResumeAt(*sought_, /*skip_older=*/true); });
      if (!resumed.ok()) return resumed.status();
      if (*resumed) continue;
    }
    absl::StatusOr<std::optional<Place>> next = WhileFilesAreRenamed([this] { return FindNext(); });
    if (!next.ok()) return next.status();
    if (!next->has_value()) {
      caught_up_ = true;
      return ReadResult::kEndOfLog;
    }
    if (file_.has_value() && !end_confirmed_) {
      end_confirmed_ = true;
    } else if (file_.has_value() && buffer_.has_partial_line()) {
      buffer_.EndLine();
    } else {
      NoteWhatIsMissingBefore(**next);
      LeaveFile();
      if (absl::Status s = GoTo(**std::move(next)); !s.ok()) return s;
    }
  }
}

// Hands on the whole lines that are in memory.  False to stop.
bool FileLogFollower::HandOn(int64_t& budget, LineSink& sink) {
  for (const Gap& gap : std::exchange(gaps_, {})) sink.OnGap(gap.reason, gap.bytes_min);
  if (!announced_) {
    announced_ = true;
    sink.OnFile(file_->path(), file_->opened().modified, name_date_);
  }
  LineBuffer::Line line;
  while (buffer_.Next(line)) {
    budget -= line.bytes;
    const bool more = line.oversized ? sink.OnOversizedLine(line.bytes, buffer_.offset())
                                     : sink.OnLine(line.text, buffer_.offset());
    if (!more || budget <= 0) return false;
  }
  return true;
}

absl::StatusOr<FileLogFollower::FillResult> FileLogFollower::Fill() {
  const absl::Span<char> space = buffer_.Space();
  absl::StatusOr<int64_t> n = file_->ReadAt(buffer_.read_offset(), space);
  if (!n.ok()) return n.status();
  // Whether these bytes still belong to what was read before shows only after
  // reading them: the file may be truncated, and grow again, at any time.
  absl::StatusOr<bool> same = file_->KeptItsHead();
  if (!same.ok()) return same.status();
  absl::StatusOr<FileStat> stat = file_->Stat();
  if (!stat.ok()) return stat.status();
  if (!*same || stat->size < buffer_.read_offset() + *n) return FillResult::kTruncated;
  size_seen_ = stat->size;
  buffer_.Added(*n);
  return *n > 0 ? FillResult::kData : FillResult::kEndOfFile;
}

// `file_` holds something else now.  What it held is gone, unless it was copied
// before, as logrotate's "copytruncate" does.
absl::Status FileLogFollower::HandleTruncation() {
  const v1::Cut cut = *Position();
  const int64_t unread = std::max<int64_t>(0, size_seen_ - buffer_.offset());
  left_ = cut;
  AddDone(cut);
  file_.reset();
  absl::StatusOr<bool> resumed =
      WhileFilesAreRenamed([&] { return ResumeAt(cut, /*skip_older=*/false); });
  if (!resumed.ok() || !*resumed) gaps_.push_back({v1::GAP_REASON_TRUNCATED, unread});
  return resumed.status();
}

// ---- From file to file

// The files that can be read, oldest first.
//   ABORTED  they are being renamed
absl::StatusOr<std::vector<LogEntry>> FileLogFollower::ListPlain() const {
  const auto same_name_and_file = [](const LogEntry& a, const LogEntry& b) {
    return a.path == b.path && a.stat.SameFile(b.stat);
  };
  std::vector<LogEntry> entries = ListLog(options_.path, options_.older_paths);
  // A folder is not read at one moment: a file that is renamed meanwhile may
  // be missing.  Twice the same means that nothing was.
  if (!absl::c_equal(entries, ListLog(options_.path, options_.older_paths), same_name_and_file)) {
    return absl::AbortedError("renamed");
  }
  entries.erase(std::remove_if(entries.begin(), entries.end(),
                               [](const LogEntry& entry) { return entry.suffix.compressed; }),
                entries.end());
  return entries;
}

// The file to read after `file_`; nullopt while there is none.
absl::StatusOr<std::optional<FileLogFollower::Place>> FileLogFollower::FindNext() {
  if (file_.has_value() && IsLive()) return std::nullopt;
  absl::StatusOr<std::vector<LogEntry>> entries = ListPlain();
  if (!entries.ok()) return entries.status();
  if (sought_.has_value() && !entries->empty()) {
    left_ = std::exchange(sought_, std::nullopt);
    gaps_.push_back({v1::GAP_REASON_FILE_GONE, 0});
  }
  for (LogEntry& entry : *entries) {
    // The current file is left only for one that holds something: until then
    // its writers may still use it.
    const bool is_current = file_.has_value() && entry.stat.SameFile(file_->opened());
    if (is_current || (entry.stat.size == 0 && (file_.has_value() || !entry.live))) continue;
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (absl::IsPermissionDenied(file.status()) && !entry.live) {
      if (MarkUnreadable(entry)) gaps_.push_back({v1::GAP_REASON_FILE_GONE, entry.stat.size});
      continue;
    }
    if (!file.ok()) return file.status();
    Place place = {*std::move(file), 0, std::move(entry)};
    place.offset = DoneUpTo(place.file);
    if (place.entry.live) return place;
    if (place.offset == place.file.opened().size) continue;
    if (!IsCopyOfCurrent(place.file)) return place;
    MarkDone(place.file);
  }
  return std::nullopt;
}

// Reports what was written between `file_` and `next` and cannot be read any
// more.  Compressing a file keeps its modification time.
void FileLogFollower::NoteWhatIsMissingBefore(const Place& next) {
  if (!file_.has_value()) return;
  absl::StatusOr<FileStat> left = file_->Stat();
  if (!left.ok()) return;
  const absl::Time whole_seconds = absl::FromUnixSeconds(absl::ToUnixSeconds(left->modified));
  // What removed a file that was being read may have removed younger ones too.
  bool missing = left->links == 0;
  int64_t bytes_min = 0;
  for (const LogEntry& entry : ListLog(options_.path, options_.older_paths)) {
    if (!entry.suffix.compressed) continue;
    const absl::Time modified = entry.stat.modified;
    if (modified == left->modified || modified == whole_seconds) {
      missing = bytes_min > 0;  // It was not removed but compressed.
    } else if (modified > left->modified &&
               (next.entry.live || modified < next.entry.stat.modified)) {
      missing = true;
      bytes_min += entry.stat.size;
    }
  }
  if (missing) gaps_.push_back({v1::GAP_REASON_FILE_GONE, bytes_min});
}

void FileLogFollower::LeaveFile() {
  if (!file_.has_value()) return;
  left_ = Position();
  AddDone(*left_);
  previous_offset_ = buffer_.offset();
  previous_ = std::exchange(file_, std::nullopt);
}

// Goes back to the file before the live one when lines were added to it since:
// not every writer had opened the new file yet.  What was read of the live
// file is not read again, unless the agent starts anew meanwhile.
bool FileLogFollower::ReturnToPrevious() {
  if (!file_.has_value() || !previous_.has_value() || !IsLive()) return false;
  absl::StatusOr<FileStat> stat = previous_->Stat();
  if (!stat.ok() || stat->size <= previous_offset_) {
    // Not kept when removed: its blocks are in use as long as it is open.
    if (!stat.ok() || stat->links == 0) previous_.reset();
    return false;
  }
  AddDone(*Position());
  LogEntry entry = {.path = previous_->path(), .stat = *stat, .suffix = {}, .live = false};
  Place place = {*std::exchange(previous_, std::nullopt), previous_offset_, std::move(entry)};
  return GoTo(std::move(place)).ok();
}

bool FileLogFollower::IsLive() const {
  const std::optional<FileStat> live = StatPath(options_.path);
  return live.has_value() && live->SameFile(file_->opened());
}

// ---- Content that is done with

// How much of `file` is not to be read again.
int64_t FileLogFollower::DoneUpTo(const LogFile& file) {
  auto best = done_.end();
  for (auto it = done_.begin(); it != done_.end(); ++it) {
    if (file.Matches(*it) && (best == done_.end() || it->offset() >= best->offset())) best = it;
  }
  if (best == done_.end()) return 0;
  const int64_t offset = best->offset();
  std::rotate(best, best + 1, done_.end());
  return offset;
}

// Whether `file` is a copy made of `file_` before it was complete.
bool FileLogFollower::IsCopyOfCurrent(const LogFile& file) const {
  if (!file_.has_value()) return false;
  const int64_t size = file.opened().size;
  absl::StatusOr<std::string> tail = file.TailAt(size);
  return tail.ok() && size <= buffer_.offset() && file_->Matches(file.CutAt(size, *tail));
}

void FileLogFollower::AddDone(v1::Cut cut) {
  if (done_.size() == kDoneMax) done_.erase(done_.begin());
  done_.push_back(std::move(cut));
}

void FileLogFollower::MarkDone(const LogFile& file) {
  const int64_t size = file.opened().size;
  absl::StatusOr<std::string> tail = file.TailAt(size);
  if (size > 0 && tail.ok()) AddDone(file.CutAt(size, *tail));
}

// False when it was marked before.
bool FileLogFollower::MarkUnreadable(const LogEntry& entry) {
  const auto known = [&entry](const FileStat& stat) {
    return stat.SameFile(entry.stat) && stat.modified == entry.stat.modified;
  };
  if (absl::c_any_of(unreadable_, known)) return false;
  if (unreadable_.size() == kDoneMax) unreadable_.erase(unreadable_.begin());
  unreadable_.push_back(entry.stat);
  return true;
}

// ---- Where it stands

std::optional<v1::Cut> FileLogFollower::Position() const {
  if (!file_.has_value()) return sought_.has_value() ? sought_ : left_;
  return file_->CutAt(buffer_.offset(), buffer_.tail());
}

std::optional<int64_t> FileLogFollower::OffsetInCurrentFile(const v1::Cut& cut) const {
  if (!file_.has_value() || !file_->Matches(cut)) return std::nullopt;
  return cut.offset();
}

int64_t FileLogFollower::BytesBehind() const {
  int64_t bytes = 0;
  if (file_.has_value()) {
    absl::StatusOr<FileStat> stat = file_->Stat();
    const int64_t read = caught_up_ ? buffer_.read_offset() : buffer_.offset();
    if (stat.ok()) bytes += std::max<int64_t>(0, stat->size - read);
    if (IsLive()) return bytes;
  }
  for (const LogEntry& entry : ListLog(options_.path, options_.older_paths)) {
    if (entry.suffix.compressed || (file_.has_value() && entry.stat.SameFile(file_->opened()))) {
      continue;
    }
    absl::StatusOr<LogFile> file = LogFile::Open(entry.path);
    if (!file.ok()) continue;
    const int64_t size = file->opened().size;
    int64_t done = 0;
    for (const v1::Cut& cut : done_) {
      if (file->Matches(cut)) done = std::max(done, cut.offset());
    }
    bytes += size - done;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogFollower>> LogFollower::Open(LogFollowerOptions options,
                                                               LogStart start) {
  auto follower = std::make_unique<FileLogFollower>(std::move(options));
  if (absl::Status s = follower->Begin(std::move(start)); !s.ok()) return s;
  return follower;
}

}  // namespace mxtally
