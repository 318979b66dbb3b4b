#include "agent/scan/scan.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "agent/scan/chunk_reader.h"
#include "agent/scan/input_log.h"
#include "agent/scan/log_chunk.h"
#include "agent/scan/progress.h"
#include "agent/scan/report.h"
#include "agent/scan/scan_settings.h"
#include "agent/scan/session_sink.h"
#include "agent/scan/tally.h"
#include "agent/session/assembler.h"
#include "agent/session/first_line.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

// A file that begins this far from the end of the one before is dated anew.
constexpr absl::Duration kHalfAYear = absl::Hours(24 * 183);

// More would wait for each other: sessions are gathered by one at a time.
constexpr int kThreadsMax = 4;

// Framer and assembler of one log.
class LogScan {
 public:
  // All must outlive the scan.
  LogScan(const ScanSettings& settings, SessionSink& sink, ScanReport& report)
      : settings_(settings),
        sink_(sink),
        report_(report),
        framer_({.time_zone = settings.time_zone}) {
    BeginAssembler();
  }

  void Gather(LogChunk& chunk) {
    if (chunk.begins_file != nullptr) BeginFile(*chunk.begins_file);
    LineReport& counts = report_.lines;
    counts.unrecognized += chunk.unrecognized();
    counts.ignored += chunk.ignored();
    counts.oversized += chunk.oversized();
    counts.read += chunk.unrecognized() + chunk.ignored() + chunk.oversized();
    for (const LogChunk::Line& line : chunk.lines()) {
      GatherLine(line, chunk);
      counts.read += 1 + line.ignored_behind;
      counts.ignored += line.ignored_behind;
    }
  }

  // Nothing more will come.
  void Finish() {
    assembler_->FinishHeld();
    assembler_->VisitOpen([this](const Session& session) { sink_.OnOpen(session); });
  }

 private:
  // Between two lines.
  struct Place {
    FramerState framer;
    agent::v1::AssemblerState assembler;
    // Of the report, before it.
    int64_t lines_read = 0;
  };

  void BeginAssembler() {
    assembler_.emplace(AssemblerOptions{.host = {}, .peers = &settings_.peers}, sink_);
  }

  // The lines that follow are of `file`.  Lines that it shares with the file before it, of which it
  // may be a copy, are read from the state in which they were read there: so they make sessions of
  // the same keys, which the sink counts once, and what is behind them goes on with sessions that
  // are open there.
  void BeginFile(const InputFile& file) {
    FramerState state = framer_.state();
    if (farthest_ && report_.lines.read < farthest_->lines_read && file.first_time &&
        *file.first_time >= newest_time_) {
      // The file before ended within lines that were read before it, and this one is behind them.
      state = GoTo(*farthest_);
    }
    farthest_.reset();
    if (Overlaps(file)) {
      farthest_ = Here(state);
      farthest_->lines_read += report_.lines.read - sought_->lines_read;
      state = GoTo(*sought_);
      sink_.BeginLog();
    }
    sought_.reset();
    if (state.last_time && file.first_time &&
        absl::AbsDuration(*file.first_time - *state.last_time) > kHalfAYear) {
      state = {};
    }
    framer_ =
        Framer({.time_zone = settings_.time_zone, .reference_time = file.reference_time}, state);
    first_line_ = FirstLine();
  }

  // Whether the lines from `file`'s first one on were read before.  A single line that comes twice
  // within the newest stamp, where one file ends and the next begins, is two lines.
  bool Overlaps(const InputFile& file) const {
    return sought_ && sought_lines_ == file.first_lines &&
           (is_certain_ || *file.first_time < newest_time_);
  }

  void GatherLine(const LogChunk::Line& line, LogChunk& chunk) {
    if (line.sought != LogChunk::Sought::kNo && !sought_) {
      sought_ = Here(framer_.state());
      sought_lines_ = chunk.sought_lines;
      is_certain_ =
          line.sought == LogChunk::Sought::kSeveralLines || !first_line_.state().time.has_value();
    }
    // The second line of a stamp may confirm a jump of the clock, the third says nothing new.
    const bool says_nothing_new = line.repeats_stamp && repeated_stamp_;
    repeated_stamp_ = line.repeats_stamp;
    if (!says_nothing_new) has_time_ = framer_.Resolve(line.stamp, time_);
    if (!has_time_) {
      ++(MentionsMta(line.text) ? report_.lines.unrecognized : report_.lines.ignored);
      return;
    }
    const absl::Time time = time_;
    if (!line.repeats_stamp) {
      Widen(time);
      if (time < newest_time_) sink_.OnStepBack(newest_time_ - time);
      newest_time_ = std::max(newest_time_, time);
      if (first_line_.Returns(line.text, time)) BeginAgain(time);
    }
    if (line.line_class == LineClass::kEvent) {
      ++report_.lines.parsed;
      LogChunk::LineEvent& parsed = chunk.event(line);
      parsed.frame.time = time;
      assembler_->Add(parsed.frame, parsed.event);
      return;
    }
    ++(line.line_class == LineClass::kUnrecognized ? report_.lines.unrecognized
                                                   : report_.lines.ignored);
    assembler_->Tick(time);
  }

  Place Here(const FramerState& framer) const {
    Place here = {.framer = framer, .assembler = {}, .lines_read = report_.lines.read};
    assembler_->Save(here.assembler);
    return here;
  }

  // The lines that follow are those behind `place`.  Returns the framer's state.
  FramerState GoTo(const Place& place) {
    Finish();
    BeginAssembler();
    assembler_->Restore(place.assembler);
    return place.framer;
  }

  // The lines that follow are those from `time` on once more.
  void BeginAgain(absl::Time time) {
    assembler_->OnLogBeginsAgain(time);
    sink_.BeginLog();
  }

  void Widen(absl::Time time) {
    if (!report_.start || time < *report_.start) report_.start = time;
    if (!report_.end || time > *report_.end) report_.end = time;
  }

  const ScanSettings& settings_;
  SessionSink& sink_;
  ScanReport& report_;
  Framer framer_;
  FirstLine first_line_;
  std::optional<Assembler> assembler_;
  // Where the next file's first lines stand in this one, and whether nothing but a copy can have
  // them once more.
  std::optional<Place> sought_;
  std::string_view sought_lines_;
  bool is_certain_ = false;
  // The end of what was read before a file that begins within it, and that may end within it.
  std::optional<Place> farthest_;
  absl::Time newest_time_ = absl::InfinitePast();
  // Of the last line.
  bool repeated_stamp_ = false;
  bool has_time_ = false;
  absl::Time time_;
};

// All logs, one after the other.
class LogScans {
 public:
  // All must outlive this.
  LogScans(const ScanSettings& settings, SessionSink& sink, ScanReport& report)
      : settings_(settings), sink_(sink), report_(report) {}

  void Gather(LogChunk& chunk) {
    if (chunk.begins_log) {
      Finish();
      sink_.BeginLog();
      scan_.emplace(settings_, sink_, report_);
    }
    scan_->Gather(chunk);
  }

  void Finish() {
    if (scan_) scan_->Finish();
    scan_.reset();
  }

 private:
  const ScanSettings& settings_;
  SessionSink& sink_;
  ScanReport& report_;
  std::optional<LogScan> scan_;
};

// Reads, parses and gathers all there is, on several threads: while one gathers
// a chunk, which goes in order, the others parse the next ones.
void ScanAll(ChunkReader& reader, LogScans& scans) {
  std::mutex reading;
  int64_t chunks_read = 0;
  std::mutex gathering;
  std::condition_variable gathered;
  int64_t chunks_gathered = 0;

  const auto work = [&] {
    LogChunk chunk;
    while (true) {
      int64_t number = 0;
      {
        const std::lock_guard lock(reading);
        if (!reader.Next(chunk)) return;
        number = chunks_read++;
      }
      chunk.Parse();
      std::unique_lock lock(gathering);
      gathered.wait(lock, [&] { return chunks_gathered == number; });
      scans.Gather(chunk);
      ++chunks_gathered;
      lock.unlock();
      gathered.notify_all();
    }
  };

  std::vector<std::thread> threads;
  const int others =
      std::min(static_cast<int>(std::thread::hardware_concurrency()), kThreadsMax) - 1;
  try {
    for (int i = 0; i < others; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // A limit on threads: those that are there do it all.
  }
  work();
  for (std::thread& thread : threads) thread.join();
  scans.Finish();
}

// The part of what was read that `settings` asks for.
void NarrowWindow(const ScanSettings& settings, ScanReport& report) {
  if (!report.start || !report.end) return;
  report.start = std::max(*report.start, settings.since);
  report.end = std::min(*report.end, settings.until);
  if (*report.start <= *report.end) return;
  report.start.reset();
  report.end.reset();
}

void Print(const std::string& format, const ScanReport& report, std::ostream& out) {
  if (format == "json") {
    PrintJson(report, out);
  } else if (format == "csv") {
    PrintCsv(report, out);
  } else {
    PrintTable(report, out);
  }
}

// nullopt when it is not known of every file.
std::optional<int64_t> TotalBytes(const std::vector<InputLog>& logs) {
  int64_t total = 0;
  for (const InputLog& log : logs) {
    for (const InputFile& file : log.files) {
      if (!file.size) return std::nullopt;
      total += *file.size;
    }
  }
  return total;
}

std::optional<JournalOptions> JournalOf(const ScanOptions& options) {
  if (!options.journal && options.journal_directory.empty()) return std::nullopt;
  return JournalOptions{options.journal_directory, options.journal_units};
}

}  // namespace

int RunScan(const ScanOptions& options, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<ScanSettings> settings = ParseScanSettings(options);
  if (!settings.ok()) {
    err << "mxtally-agent scan: " << settings.status().message() << '\n';
    return kExitUsage;
  }
  std::vector<std::string> errors;
  const std::vector<InputLog> logs = FindInputLogs(options.files,
                                                   {.journal = JournalOf(options),
                                                    .time_zone = settings->time_zone,
                                                    .reference_time = settings->reference_time,
                                                    .now = options.now()},
                                                   errors);

  ScanReport report;
  SessionSink sink(*settings, options.sessions ? &out : nullptr);
  {
    Progress progress(options.show_progress, TotalBytes(logs), options.now, err);
    ChunkReader reader(logs, options.standard_input, progress, errors);
    LogScans scans(*settings, sink, report);
    ScanAll(reader, scans);
    sink.Finish();
  }

  for (const std::string& error : errors) err << "mxtally-agent scan: " << error << '\n';
  if (!options.sessions) {
    report.inbound = sink.inbound().Report();
    report.outbound = sink.outbound().Report();
    report.lines.cut_sessions = sink.lines().cut_sessions;
    report.lines.evicted_sessions = sink.lines().evicted_sessions;
    report.lines.duplicate_sessions = sink.lines().duplicate_sessions;
    report.peer_class = options.peer_class;
    NarrowWindow(*settings, report);
    Print(options.format, report, out);
  }
  if (!out.flush()) {
    err << "mxtally-agent scan: the report could not be written\n";
    return kExitFailed;
  }
  return errors.empty() ? 0 : kExitFailed;
}

}  // namespace mxtally
