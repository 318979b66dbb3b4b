// How the next file is found.  The follower remembers which content it is done
// with, as cuts: the files that it read, and those that it was not asked to
// read.  At the end of a file that is no longer the live one, the oldest file
// of the log that holds something else is next; a file that begins with
// content that was read goes on behind it.  So it does not matter by which
// scheme files are renamed or copied, nor how often, while nobody looks.
//
// A file that holds nothing more is known by inode, size and modification time,
// and not opened again while these stay.  Unpacking an archive costs as much as
// reading a log, so what is inside is looked at only where nothing else tells:
// compressing keeps a file's modification time.

#include "agent/source/log_follower.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "agent/source/line_buffer.h"
#include "agent/source/log_file.h"
#include "agent/source/log_set.h"

namespace mxtally {
namespace {

// What is remembered of files is forgotten with them, but not of the last so
// many, because a folder may be gone for a moment.
constexpr size_t kRemovedMax = 1024;

// How often the files are looked up anew while a rotation renames them.
constexpr int kLookupsMax = 20;

// A file as it was at some moment: device, inode, size, modification time.
using FileKey = std::tuple<uint64_t, uint64_t, int64_t, absl::Time>;
FileKey KeyOf(const FileStat& stat) { return {stat.device, stat.inode, stat.size, stat.modified}; }

absl::Status StoppedError() { return absl::CancelledError("unpacking was stopped"); }

// Whether a file cannot be read now, and by its nature or that of the host not later.
bool IsUnreadable(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsUnimplemented(status);
}

// All but archives that are being written beside the file that they are made of.
std::vector<LogEntry> Finished(const std::vector<LogEntry>& entries) {
  absl::flat_hash_set<std::string_view> paths;
  for (const LogEntry& entry : entries) paths.insert(entry.path);
  std::vector<LogEntry> finished;
  for (const LogEntry& entry : entries) {
    const std::string_view plain = std::string_view(entry.path).substr(0, entry.path.rfind('.'));
    if (!entry.suffix.compressed || !paths.contains(plain)) finished.push_back(entry);
  }
  return finished;
}

// How many files have each modification time.
using TimeCounts = absl::flat_hash_map<absl::Time, int>;
TimeCounts CountTimes(const std::vector<LogEntry>& entries) {
  TimeCounts counts;
  for (const LogEntry& entry : entries) ++counts[entry.stat.modified];
  return counts;
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
    // Of the plain file that ends there, when it was left; an archive with this time,
    // if it is the only file that has it, holds no more.
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

  int64_t DoneUpTo(const LogFile& file) const;
  bool IsCopyOfCurrent(const LogFile& file) const;
  static Done EndOf(const LogFile& file);
  void AddDone(Done done);
  void MarkDone(const LogFile& file);
  static Done AsCopy(Done end);
  void MarkCopyDone(const LogFile& file);
  bool IsDone(const LogEntry& entry, const TimeCounts& times) const;
  void ForgetRemoved(const std::vector<LogEntry>& entries);
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
  std::vector<LogEntry> listed_;   // The files as listed last.
  // Content that was read or is not to be read, and files that hold nothing else.
  std::vector<Done> done_;
  absl::flat_hash_set<FileKey> done_files_;
  absl::flat_hash_set<FileKey> unreadable_;
  absl::flat_hash_map<FileKey, absl::Time> first_times_;
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
  const absl::StatusOr<LogFile> live = LogFile::Open(options_.path);
  for (const LogEntry& entry : *entries) {
    if (entry.live || entry.stat.modified >= unchanged_since) continue;
    if (absl::c_linear_search(options_.older_paths, entry.path)) continue;
    if (file_.has_value() && entry.stat.SameFile(file_->opened())) continue;
    if (entry.suffix.compressed) {
      done_files_.insert(KeyOf(entry.stat));
      continue;
    }
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (file.ok() && live.ok() && live->Matches(EndOf(*file).cut)) {
      MarkCopyDone(*file);  // The live file is read from its beginning nevertheless.
    } else if (file.ok()) {
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
      if (index >= best_index || end.cut.offset() == 0) continue;
      AddDone(file_->Matches(end.cut) ? AsCopy(std::move(end)) : std::move(end));
    }
    for (size_t i = 0; i < best_index; ++i) {
      if ((*entries)[i].suffix.compressed) done_files_.insert(KeyOf((*entries)[i].stat));
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
    // Whether the current file is a copy of the next one, made when that was shorter.
    const bool copied = file_.has_value() && (*next)->file.Matches(*Position());
    if (file_.has_value() && !end_confirmed_ && !file_->compressed()) {
      end_confirmed_ = true;
    } else if (file_.has_value() && buffer_.has_partial_line() && !damaged_ && !copied) {
      buffer_.EndLine();
    } else {
      if (!copied) NoteRemoval();
      LeaveFile();
      if (copied) previous_.reset();  // Nobody writes to it.
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
  const std::vector<LogEntry> before = std::move(listed_);
  listed_ = ListLog(options_.path, options_.older_paths);
  // A folder is not read at one moment: a file that is renamed meanwhile may
  // be missing.  Twice the same means that nothing was.
  if (!absl::c_equal(listed_, before, same_name_and_file)) return absl::AbortedError("renamed");
  std::vector<LogEntry> finished = Finished(listed_);
  if (options_.time_of_line && NamesContradict(finished)) SortByContent(finished);
  return finished;
}

// Modification times are those of some copy: first stamps tell the order, and
// those times only where there is no stamp.
void FileLogFollower::SortByContent(std::vector<LogEntry>& entries) {
  std::vector<std::pair<absl::Time, LogEntry>> keyed;
  absl::flat_hash_map<FileKey, absl::Time> first_times;
  for (LogEntry& entry : entries) {
    absl::Time time = absl::InfiniteFuture();
    if (!entry.live) {
      const std::optional<absl::Time> first = FirstTime(entry);
      if (first) first_times[KeyOf(entry.stat)] = *first;
      time = first.value_or(entry.stat.modified);
    }
    keyed.emplace_back(time, std::move(entry));
  }
  first_times_ = std::move(first_times);
  absl::c_stable_sort(keyed, [](const auto& a, const auto& b) { return a.first < b.first; });
  entries.clear();
  for (auto& [time, entry] : keyed) entries.push_back(std::move(entry));
}

std::optional<absl::Time> FileLogFollower::FirstTime(const LogEntry& entry) {
  const auto known = first_times_.find(KeyOf(entry.stat));
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
  const TimeCounts times = CountTimes(*entries);
  for (const LogEntry& entry : *entries) {
    // The current file is left only for one that holds something: until then
    // its writers may still use it.
    const bool is_current = file_.has_value() && entry.stat.SameFile(file_->opened());
    if (is_current || (entry.stat.size == 0 && (file_.has_value() || !entry.live))) continue;
    if (!entry.live && IsDone(entry, times)) continue;
    absl::StatusOr<LogFile> file = OpenEntry(entry);
    if (IsUnreadable(file.status()) && !entry.live) {
      if (MarkUnreadable(entry)) gaps_.push_back({v1::GAP_REASON_FILE_GONE, entry.stat.size});
      continue;
    }
    if (!file.ok()) return file.status();
    Place place = {*std::move(file), 0, entry};
    place.offset = DoneUpTo(place.file);
    if (entry.live) {
      ForgetRemoved(*entries);
      return place;
    }
    absl::StatusOr<bool> done = place.file.EndsAt(place.offset);
    if (!done.ok() && !absl::IsDataLoss(done.status())) return done.status();
    if (absl::IsDataLoss(done.status()) && place.offset == 0 && MarkUnreadable(entry)) {
      gaps_.push_back({v1::GAP_REASON_FILE_GONE, entry.stat.size});
    }
    // Where an archive is damaged it was left before.
    if (!done.ok() || *done) {
      MarkDone(place.file);
    } else if (IsCopyOfCurrent(place.file)) {
      MarkCopyDone(place.file);
    } else {
      return place;
    }
  }
  ForgetRemoved(*entries);
  return std::nullopt;
}

// What removed a file that was being read may have removed younger ones too,
// unless it was replaced by an archive or there is another copy of it.
void FileLogFollower::NoteRemoval() {
  if (!file_.has_value() || returned_) return;
  absl::StatusOr<FileStat> left = file_->Stat();
  if (!left.ok() || left->links > 0) return;
  const absl::Time whole_seconds = absl::FromUnixSeconds(absl::ToUnixSeconds(left->modified));
  const auto holds_it = [&](const LogEntry& entry) {
    if (entry.suffix.compressed) {
      return entry.stat.modified == left->modified || entry.stat.modified == whole_seconds;
    }
    absl::StatusOr<LogFile> file = LogFile::Open(entry.path);
    return file.ok() && file->Matches(*Position());
  };
  if (!absl::c_any_of(listed_, holds_it)) gaps_.push_back({v1::GAP_REASON_FILE_GONE, 0});
}

void FileLogFollower::LeaveFile() {
  if (!file_.has_value()) return;
  left_ = Position();
  if (file_->compressed()) {
    AddDone({*left_});
    done_files_.insert(KeyOf(file_->opened()));
    file_.reset();
    return;
  }
  absl::StatusOr<FileStat> stat = file_->Stat();
  AddDone({*left_, stat.ok() ? stat->modified : absl::InfinitePast()});
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
int64_t FileLogFollower::DoneUpTo(const LogFile& file) const {
  // The current file is not among `done_` yet, and may be a copy of it.
  int64_t offset = 0;
  if (file_.has_value() && file.Matches(*Position())) offset = buffer_.offset();
  for (const Done& done : done_) {
    if (done.cut.offset() > offset && file.Matches(done.cut)) offset = done.cut.offset();
  }
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
  return tail.ok() && size <= buffer_.read_offset() && file_->Matches(file.CutAt(size, *tail));
}

// Nothing, for an archive: those are not unpacked for it.
FileLogFollower::Done FileLogFollower::EndOf(const LogFile& file) {
  if (file.compressed()) return {};
  const int64_t size = file.opened().size;
  absl::StatusOr<std::string> tail = file.TailAt(size);
  return {tail.ok() ? file.CutAt(size, *tail) : v1::Cut(), file.opened().modified};
}

void FileLogFollower::AddDone(Done done) {
  const auto known = absl::c_find_if(done_, [&done](const Done& other) {
    return other.cut.offset() == done.cut.offset() &&
           other.cut.tail_hash() == done.cut.tail_hash() &&
           other.cut.file().inode() == done.cut.file().inode() &&
           other.cut.file().device() == done.cut.file().device();
  });
  if (known != done_.end()) {
    *known = std::move(done);
  } else {
    done_.push_back(std::move(done));
  }
}

void FileLogFollower::MarkDone(const LogFile& file) {
  done_files_.insert(KeyOf(file.opened()));
  if (Done end = EndOf(file); end.cut.offset() > 0) AddDone(std::move(end));
}

// Of a file that was copied at any moment, perhaps in mid-line.  What was read
// of the other file tells how far its content is done with.
FileLogFollower::Done FileLogFollower::AsCopy(Done end) {
  end.cut.set_offset(0);
  return end;
}

void FileLogFollower::MarkCopyDone(const LogFile& file) {
  done_files_.insert(KeyOf(file.opened()));
  if (Done end = EndOf(file); end.cut.offset() > 0) AddDone(AsCopy(std::move(end)));
}

// As far as it can be told without opening it.  `times` are those of all files.
bool FileLogFollower::IsDone(const LogEntry& entry, const TimeCounts& times) const {
  if (done_files_.contains(KeyOf(entry.stat))) return true;
  if (!entry.suffix.compressed || times.at(entry.stat.modified) > 1) return false;
  if (file_.has_value()) {
    // The current file has become an archive.
    absl::StatusOr<FileStat> stat = file_->Stat();
    if (stat.ok() && stat->links == 0 && stat->modified == entry.stat.modified) return true;
  }
  return absl::c_any_of(
      done_, [&entry](const Done& done) { return done.modified == entry.stat.modified; });
}

// Of what was read the end is kept while there is a file that it may be found
// in.  Called when all of `entries` are done with: who was made of a removed
// file is known by now.
void FileLogFollower::ForgetRemoved(const std::vector<LogEntry>& entries) {
  const size_t known = std::max({done_.size(), done_files_.size(), unreadable_.size()});
  if (known <= 2 * entries.size() + kRemovedMax) return;
  absl::flat_hash_set<FileKey> keys;
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> inodes;
  for (const LogEntry& entry : entries) {
    keys.insert(KeyOf(entry.stat));
    inodes.emplace(entry.stat.device, entry.stat.inode);
  }
  const auto removed = [&keys](const FileKey& key) { return !keys.contains(key); };
  absl::erase_if(done_files_, removed);
  absl::erase_if(unreadable_, removed);
  std::erase_if(done_, [&inodes](const Done& done) {
    return !inodes.contains({done.cut.file().device(), done.cut.file().inode()});
  });
}

// False when it was marked before.
bool FileLogFollower::MarkUnreadable(const LogEntry& entry) {
  return unreadable_.insert(KeyOf(entry.stat)).second;
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
  const std::vector<LogEntry> entries = ListLog(options_.path, options_.older_paths);
  const TimeCounts times = CountTimes(entries);
  for (const LogEntry& entry : entries) {
    if (file_.has_value() && entry.stat.SameFile(file_->opened())) continue;
    if (!entry.live && IsDone(entry, times)) continue;
    if (entry.suffix.compressed) {
      bytes += entry.stat.size;  // More when unpacked.
    } else if (absl::StatusOr<LogFile> file = LogFile::Open(entry.path); file.ok()) {
      bytes += file->opened().size - DoneUpTo(*file);
    }
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
