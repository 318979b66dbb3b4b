// How the next file is found.  The follower remembers which content it is done
// with, as cuts: the files that it read, and those that it was not asked to
// read.  At the end of a file that is no longer the live one, the oldest file
// of the log that holds something else is next; a file that begins with
// content that was read goes on behind it.  So it does not matter by which
// scheme files are renamed or copied, nor how often, while nobody looks.
//
// Unpacking an archive costs as much as reading a log, so what is inside is
// looked at only where nothing else tells: compressing keeps a file's
// modification time, and a renamed archive its inode.

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

// First stamps of so many files are remembered.
constexpr size_t kFirstTimesMax = 256;

// How often the files are looked up anew while a rotation renames them.
constexpr int kLookupsMax = 20;

// Files by inode and modification time, of which the oldest are forgotten.
class KnownFiles {
 public:
  bool Has(const FileStat& stat) const {
    return absl::c_any_of(files_, [&stat](const FileStat& known) {
      return known.SameFile(stat) && known.modified == stat.modified;
    });
  }
  void Add(const FileStat& stat) {
    if (Has(stat)) return;
    if (files_.size() == kDoneMax) files_.erase(files_.begin());
    files_.push_back(stat);
  }

 private:
  std::vector<FileStat> files_;
};

absl::Status StoppedError() { return absl::CancelledError("unpacking was stopped"); }

// Whether a file cannot be read now, and by its nature or that of the host not later.
bool IsUnreadable(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsUnimplemented(status);
}

// An archive that is being written beside the file that it is made of.
bool IsUnfinishedArchive(const LogEntry& entry, const std::vector<LogEntry>& entries) {
  if (!entry.suffix.compressed) return false;
  const std::string plain = entry.path.substr(0, entry.path.rfind('.'));
  return absl::c_any_of(entries, [&plain](const LogEntry& e) { return e.path == plain; });
}

// Whether names tell another order than modification times.
bool NamesContradict(const std::vector<LogEntry>& entries) {
  for (size_t i = 1; i < entries.size(); ++i) {
    const RotationSuffix& older = entries[i - 1].suffix;
    const RotationSuffix& younger = entries[i].suffix;
    if (older.number && younger.number && *older.number < *younger.number) return true;
    if (older.date && younger.date && *older.date > *younger.date) return true;
  }
  return false;
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
  // Content that is not to be read again.
  struct Done {
    v1::Cut cut;
    // Of the file that ends there, when it was left; a copy or archive with this
    // time holds no more.
    absl::Time modified = absl::InfinitePast();
  };
  enum class FillResult { kData, kEndOfFile, kTruncated, kDamaged };

  bool HandOn(int64_t& budget, LineSink& sink);
  absl::StatusOr<FillResult> Fill();
  absl::Status HandleTruncation();

  template <typename Look>
  auto WhileFilesAreRenamed(Look look);
  absl::StatusOr<LogFile> OpenEntry(const LogEntry& entry);
  absl::StatusOr<std::vector<LogEntry>> ListFiles();
  void SortByContent(std::vector<LogEntry>& entries);
  std::optional<absl::Time> FirstTime(const LogEntry& entry);
  absl::Status MarkUnnamedDone(absl::Time unchanged_since);
  absl::StatusOr<bool> ResumeAt(const v1::Cut& cut, bool skip_older);
  absl::StatusOr<std::optional<Place>> FindArchiveWith(const v1::Cut& cut,
                                                       const std::vector<LogEntry>& entries);
  absl::StatusOr<std::optional<Place>> FindNext();
  void NoteRemoval();
  absl::Status GoTo(Place place);
  void LeaveFile();
  bool ReturnToPrevious();

  bool IsLive() const;

  int64_t DoneUpTo(const LogFile& file);
  bool IsCopyOfCurrent(const LogFile& file) const;
  static Done EndOf(const LogFile& file);
  void AddDone(Done done);
  void MarkDone(const LogFile& file);
  bool IsArchiveDone(const LogEntry& entry) const;
  bool MarkUnreadable(const LogEntry& entry);

  const LogFollowerOptions options_;

  std::optional<LogFile> file_;
  LineBuffer buffer_;                    // Its offsets are those in `file_`.
  std::optional<absl::Time> name_date_;  // Of `file_`.
  int64_t size_seen_ = 0;                // Of `file_`.
  bool announced_ = false;               // The sink knows of `file_`.
  bool returned_ = false;                // `file_` was left before, for the live one.
  bool damaged_ = false;                 // `file_` cannot be read any further.
  bool end_confirmed_ = false;           // Nothing was added since there is a file after it.
  bool caught_up_ = false;               // The last Read() ended at the end of the log.
  bool stopped_ = false;                 // While unpacking: what was looked for was not found.

  std::optional<v1::Cut> sought_;  // Begins here as soon as there is any file.
  std::optional<v1::Cut> left_;    // Where it stood in the file before `file_`.
  std::vector<Gap> gaps_;          // Not told yet.
  // Content that was read or is not to be read.  Least recently met first.
  std::vector<Done> done_;
  KnownFiles done_archives_;
  KnownFiles unreadable_;
  std::vector<std::pair<FileStat, std::optional<absl::Time>>> first_times_;
  // The file before `file_`, which its writers may not all have left yet, and
  // how far it was read.
  std::optional<LogFile> previous_;
  int64_t previous_offset_ = 0;
};

// Runs `look`, which ends with ABORTED when a file changed its name under it,
// until it does not.
template <typename Look>
auto FileLogFollower::WhileFilesAreRenamed(Look look) {
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
  if (stopped_) result = StoppedError();
  return result;
}

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
  absl::StatusOr<std::vector<LogEntry>> entries = ListFiles();
  if (!entries.ok()) return entries.status();
  for (const LogEntry& entry : *entries) {
    if (entry.live || entry.stat.modified >= unchanged_since) continue;
    if (absl::c_linear_search(options_.older_paths, entry.path)) continue;
    if (file_.has_value() && entry.stat.SameFile(file_->opened())) continue;
    if (entry.suffix.compressed) {
      done_archives_.Add(entry.stat);
      continue;
    }
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (file.ok()) {
      MarkDone(*file);
    } else if (IsUnreadable(file.status())) {
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
  absl::StatusOr<std::vector<LogEntry>> entries = ListFiles();
  if (!entries.ok()) return entries.status();
  // Best is the same inode, then the same inode but for the device (a number
  // that may change at boot), then the file that holds most.
  const auto rank = [&cut](const Place& place) {
    const bool same_inode = place.file.opened().inode == cut.file().inode();
    const bool same_device = place.file.opened().device == cut.file().device();
    return std::make_pair(same_inode ? 1 + same_device : 0, place.file.opened().size);
  };
  std::optional<Place> best;
  size_t best_index = 0;
  std::vector<std::pair<size_t, Done>> ends;  // Of plain files, with their index.
  for (size_t i = 0; i < entries->size(); ++i) {
    const LogEntry& entry = (*entries)[i];
    if (entry.suffix.compressed) continue;
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (IsUnreadable(file.status()) && !entry.live) {
      // It may hold the cut, but whatever it holds cannot be had.
      if (skip_older && !best.has_value()) MarkUnreadable(entry);
      continue;
    }
    if (!file.ok()) return file.status();
    Done end = EndOf(*file);
    Place place = {*std::move(file), cut.offset(), entry};
    if (place.file.Matches(cut) && (!best.has_value() || rank(place) > rank(*best))) {
      best = std::move(place);
      best_index = i;
    }
    ends.emplace_back(i, std::move(end));
  }
  if (!best.has_value()) {
    absl::StatusOr<std::optional<Place>> found = FindArchiveWith(cut, *entries);
    if (!found.ok()) return found.status();
    if (!found->has_value()) return false;
    best = **std::move(found);
    while ((*entries)[best_index].path != best->entry.path) ++best_index;
  }

  if (absl::Status s = GoTo(*std::move(best)); !s.ok()) return s;
  if (skip_older) {
    for (auto& [index, end] : ends) {
      if (index < best_index && end.cut.offset() > 0) AddDone(std::move(end));
    }
    for (size_t i = 0; i < best_index; ++i) {
      if ((*entries)[i].suffix.compressed) done_archives_.Add((*entries)[i].stat);
    }
  }
  sought_.reset();
  return true;
}

// The youngest archive that holds `cut`.
absl::StatusOr<std::optional<FileLogFollower::Place>> FileLogFollower::FindArchiveWith(
    const v1::Cut& cut, const std::vector<LogEntry>& entries) {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (!entry->suffix.compressed) continue;
    absl::StatusOr<LogFile> file = OpenEntry(*entry);
    if (IsUnreadable(file.status())) continue;
    if (!file.ok()) return file.status();
    if (file->Matches(cut)) return Place{*std::move(file), cut.offset(), *entry};
  }
  return std::nullopt;
}

absl::Status FileLogFollower::GoTo(Place place) {
  absl::StatusOr<std::string> tail = place.file.TailAt(place.offset);
  if (!tail.ok()) return tail.status();
  buffer_.Reset(place.offset, *tail);
  size_seen_ = place.file.opened().size;
  name_date_ = place.entry.suffix.date;
  file_ = std::move(place.file);
  announced_ = false;
  returned_ = false;
  damaged_ = false;
  end_confirmed_ = false;
  return absl::OkStatus();
}

// ---- Reading

absl::StatusOr<ReadResult> FileLogFollower::Read(int64_t bytes_max, LineSink& sink) {
  caught_up_ = false;
  int64_t to_hand_on = bytes_max;
  int64_t to_fill = bytes_max;
  while (true) {
    if (stopped_) return StoppedError();
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
    } else if (file_.has_value() && buffer_.has_partial_line() && !damaged_) {
      buffer_.EndLine();
    } else {
      NoteRemoval();
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
                                     : sink.OnLine(line.text, line.bytes, buffer_.offset());
    if (!more || budget <= 0) return false;
  }
  return true;
}

absl::StatusOr<FileLogFollower::FillResult> FileLogFollower::Fill() {
  const absl::Span<char> space = buffer_.Space();
  absl::StatusOr<int64_t> n = file_->ReadAt(buffer_.read_offset(), space);
  if (file_->compressed() && absl::IsDataLoss(n.status())) {
    // What could be read counts; what is behind is lost.
    if (!std::exchange(damaged_, true)) gaps_.push_back({v1::GAP_REASON_FILE_GONE, 0});
    return FillResult::kDamaged;
  }
  if (!n.ok()) return n.status();
  if (file_->compressed()) {
    buffer_.Added(*n);
    return *n > 0 ? FillResult::kData : FillResult::kEndOfFile;
  }
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
  AddDone({cut});
  file_.reset();
  absl::StatusOr<bool> resumed =
      WhileFilesAreRenamed([&] { return ResumeAt(cut, /*skip_older=*/false); });
  if (!resumed.ok() || !*resumed) gaps_.push_back({v1::GAP_REASON_TRUNCATED, unread});
  return resumed.status();
}

// ---- From file to file

//   ABORTED  another file has this name by now, or none
absl::StatusOr<LogFile> FileLogFollower::OpenEntry(const LogEntry& entry) {
  absl::StatusOr<LogFile> file = LogFile::Open(entry.path, [this] {
    stopped_ = stopped_ || (options_.keep_unpacking != nullptr && !options_.keep_unpacking());
    return !stopped_;
  });
  const bool moved =
      file.ok() ? !file->opened().SameFile(entry.stat) : absl::IsNotFound(file.status());
  if (moved) return absl::AbortedError("renamed");
  return file;
}

// The files of the log, oldest first, but for archives that are being written.
//   ABORTED  they are being renamed
absl::StatusOr<std::vector<LogEntry>> FileLogFollower::ListFiles() {
  const auto same_name_and_file = [](const LogEntry& a, const LogEntry& b) {
    return a.path == b.path && a.stat.SameFile(b.stat);
  };
  std::vector<LogEntry> entries = ListLog(options_.path, options_.older_paths);
  // A folder is not read at one moment: a file that is renamed meanwhile may
  // be missing.  Twice the same means that nothing was.
  if (!absl::c_equal(entries, ListLog(options_.path, options_.older_paths), same_name_and_file)) {
    return absl::AbortedError("renamed");
  }
  std::vector<LogEntry> finished;
  for (const LogEntry& entry : entries) {
    if (!IsUnfinishedArchive(entry, entries)) finished.push_back(entry);
  }
  if (options_.time_of_line && NamesContradict(finished)) SortByContent(finished);
  return finished;
}

// Modification times are those of some copy: first stamps tell the order, and
// those times only where there is no stamp.
void FileLogFollower::SortByContent(std::vector<LogEntry>& entries) {
  std::vector<std::pair<absl::Time, LogEntry>> keyed;
  for (LogEntry& entry : entries) {
    const absl::Time time =
        entry.live ? absl::InfiniteFuture() : FirstTime(entry).value_or(entry.stat.modified);
    keyed.emplace_back(time, std::move(entry));
  }
  absl::c_stable_sort(keyed, [](const auto& a, const auto& b) { return a.first < b.first; });
  entries.clear();
  for (auto& [time, entry] : keyed) entries.push_back(std::move(entry));
}

std::optional<absl::Time> FileLogFollower::FirstTime(const LogEntry& entry) {
  const auto known = absl::c_find_if(first_times_, [&entry](const auto& file) {
    return file.first.SameFile(entry.stat) && file.first.modified == entry.stat.modified;
  });
  if (known != first_times_.end()) return known->second;
  absl::StatusOr<LogFile> file = OpenEntry(entry);
  if (!file.ok()) return std::nullopt;
  absl::Time reference = entry.stat.modified;
  if (entry.suffix.date) reference = *entry.suffix.date + absl::Hours(24);
  std::optional<absl::Time> time;
  for (std::string_view head = file->head(); !head.empty() && !time;) {
    const size_t end = std::min(head.find('\n'), head.size());
    time = options_.time_of_line(head.substr(0, end), reference);
    head.remove_prefix(std::min(end + 1, head.size()));
  }
  if (first_times_.size() == kFirstTimesMax) first_times_.erase(first_times_.begin());
  first_times_.emplace_back(entry.stat, time);
  return time;
}

// The file to read after `file_`; nullopt while there is none.
absl::StatusOr<std::optional<FileLogFollower::Place>> FileLogFollower::FindNext() {
  if (file_.has_value() && IsLive()) return std::nullopt;
  absl::StatusOr<std::vector<LogEntry>> entries = ListFiles();
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
    if (IsArchiveDone(entry)) continue;
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (IsUnreadable(file.status()) && !entry.live) {
      if (MarkUnreadable(entry)) gaps_.push_back({v1::GAP_REASON_FILE_GONE, entry.stat.size});
      continue;
    }
    if (!file.ok()) return file.status();
    Place place = {*std::move(file), 0, std::move(entry)};
    place.offset = DoneUpTo(place.file);
    if (place.entry.live) return place;
    absl::StatusOr<bool> done = place.file.EndsAt(place.offset);
    if (!done.ok() && !absl::IsDataLoss(done.status())) return done.status();
    if (absl::IsDataLoss(done.status()) && place.offset == 0 && MarkUnreadable(place.entry)) {
      gaps_.push_back({v1::GAP_REASON_FILE_GONE, place.entry.stat.size});
    }
    // Where an archive is damaged it was left before.
    if (done.ok() && !*done && !IsCopyOfCurrent(place.file)) return place;
    MarkDone(place.file);
  }
  return std::nullopt;
}

// What removed a file that was being read may have removed younger ones too,
// unless it was replaced by an archive.
void FileLogFollower::NoteRemoval() {
  if (!file_.has_value() || returned_) return;
  absl::StatusOr<FileStat> left = file_->Stat();
  if (!left.ok() || left->links > 0) return;
  const absl::Time whole_seconds = absl::FromUnixSeconds(absl::ToUnixSeconds(left->modified));
  const bool archived =
      absl::c_any_of(ListLog(options_.path, options_.older_paths), [&](const LogEntry& entry) {
        return entry.suffix.compressed &&
               (entry.stat.modified == left->modified || entry.stat.modified == whole_seconds);
      });
  if (!archived) gaps_.push_back({v1::GAP_REASON_FILE_GONE, 0});
}

void FileLogFollower::LeaveFile() {
  if (!file_.has_value()) return;
  left_ = Position();
  absl::StatusOr<FileStat> stat = file_->Stat();
  AddDone({*left_, stat.ok() ? stat->modified : absl::InfinitePast()});
  if (file_->compressed()) {
    done_archives_.Add(file_->opened());
    file_.reset();
    return;
  }
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
  AddDone({*Position()});
  LogEntry entry = {.path = previous_->path(), .stat = *stat, .suffix = {}, .live = false};
  Place place = {*std::exchange(previous_, std::nullopt), previous_offset_, std::move(entry)};
  returned_ = GoTo(std::move(place)).ok();
  return returned_;
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
    if (best != done_.end() && it->cut.offset() < best->cut.offset()) continue;
    if (file.Matches(it->cut)) best = it;
  }
  if (best == done_.end()) return 0;
  const int64_t offset = best->cut.offset();
  std::rotate(best, best + 1, done_.end());
  return offset;
}

// Whether `file` is a copy made of `file_` before it was complete.
bool FileLogFollower::IsCopyOfCurrent(const LogFile& file) const {
  if (!file_.has_value()) return false;
  if (file.compressed()) {
    return file.Matches(*Position()) && file.EndsAt(buffer_.read_offset()).value_or(false);
  }
  const int64_t size = file.opened().size;
  absl::StatusOr<std::string> tail = file.TailAt(size);
  return tail.ok() && size <= buffer_.offset() && file_->Matches(file.CutAt(size, *tail));
}

// Nothing, for an archive: those are not unpacked for it.
FileLogFollower::Done FileLogFollower::EndOf(const LogFile& file) {
  if (file.compressed()) return {};
  const int64_t size = file.opened().size;
  absl::StatusOr<std::string> tail = file.TailAt(size);
  return {tail.ok() ? file.CutAt(size, *tail) : v1::Cut(), file.opened().modified};
}

void FileLogFollower::AddDone(Done done) {
  if (done_.size() == kDoneMax) done_.erase(done_.begin());
  done_.push_back(std::move(done));
}

void FileLogFollower::MarkDone(const LogFile& file) {
  if (file.compressed()) {
    done_archives_.Add(file.opened());
  } else if (Done end = EndOf(file); end.cut.offset() > 0) {
    AddDone(std::move(end));
  }
}

// As far as it can be told without unpacking it.
bool FileLogFollower::IsArchiveDone(const LogEntry& entry) const {
  if (done_archives_.Has(entry.stat)) return true;
  if (!entry.suffix.compressed) return false;
  if (file_.has_value()) {
    // The current file has become an archive.
    absl::StatusOr<FileStat> stat = file_->Stat();
    if (stat.ok() && stat->links == 0 && stat->modified == entry.stat.modified) return true;
  }
  return absl::c_any_of(
      done_, [&entry](const Done& done) { return done.modified == entry.stat.modified; });
}

// False when it was marked before.
bool FileLogFollower::MarkUnreadable(const LogEntry& entry) {
  if (unreadable_.Has(entry.stat)) return false;
  unreadable_.Add(entry.stat);
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
    if (file_.has_value() && entry.stat.SameFile(file_->opened())) continue;
    if (entry.suffix.compressed) {
      // More when unpacked.
      if (!IsArchiveDone(entry)) bytes += entry.stat.size;
      continue;
    }
    absl::StatusOr<LogFile> file = LogFile::Open(entry.path);
    if (!file.ok()) continue;
    const int64_t size = file->opened().size;
    int64_t done = 0;
    for (const Done& d : done_) {
      if (file->Matches(d.cut)) done = std::max(done, d.cut.offset());
    }
    bytes += size - done;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogFollower>> LogFollower::Open(LogFollowerOptions options,
                                                               LogStart start) {
  if (options.journal.has_value()) return FollowJournal(std::move(options), std::move(start));
  auto follower = std::make_unique<FileLogFollower>(std::move(options));
  if (absl::Status s = follower->Begin(std::move(start)); !s.ok()) return s;
  return follower;
}

}  // namespace mxtally
