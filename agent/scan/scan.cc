#include "agent/scan/scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "agent/parser/framer.h"
#include "agent/parser/postfix.h"
#include "agent/scan/gzip_reader.h"
#include "agent/scan/input_log.h"
#include "agent/scan/progress.h"
#include "agent/scan/report.h"
#include "agent/scan/scan_settings.h"
#include "agent/scan/session_sink.h"
#include "agent/scan/tally.h"
#include "agent/session/assembler.h"
#include "agent/source/line_buffer.h"
#include "agent/source/scoped_fd.h"

namespace mxtally {
namespace {

constexpr int kExitUnreadable = 1;
constexpr int kExitUsage = 2;

// As the agent that follows a log.
constexpr int64_t kLineBytesMax = 64 * 1024;
constexpr int64_t kChunkBytes = 256 * 1024;

// A file that begins this far from the end of the one before is dated anew.
constexpr absl::Duration kHalfAYear = absl::Hours(24 * 183);

// Framer, dialect and assembler of one log.
class LogScan {
 public:
  // All must outlive the scan.
  LogScan(const ScanSettings& settings, SessionSink& sink, ScanReport& report)
      : settings_(settings),
        report_(report),
        framer_({.time_zone = settings.time_zone}),
        assembler_({.host = {}, .peers = &settings.peers}, sink) {}

  // The lines that follow are of `file`.
  void BeginFile(const InputFile& file) {
    FramerState state = framer_.state();
    if (state.last_time && file.first_time &&
        absl::AbsDuration(*file.first_time - *state.last_time) > kHalfAYear) {
      state = {};
    }
    framer_ =
        Framer({.time_zone = settings_.time_zone, .reference_time = file.reference_time}, state);
  }

  void ReadLine(const LineBuffer::Line& line) {
    ++report_.lines.read;
    if (line.oversized) {
      ++report_.lines.oversized;
      return;
    }
    FramedLine frame;
    if (!framer_.Split(line.text, frame)) {
      ++(MentionsPostfix(line.text) ? report_.lines.unrecognized : report_.lines.ignored);
      return;
    }
    Widen(frame.time);
    switch (ParsePostfix(frame, event_)) {
      case LineClass::kEvent:
        ++report_.lines.parsed;
        assembler_.Add(frame, event_);
        return;
      case LineClass::kUnrecognized:
        ++report_.lines.unrecognized;
        break;
      case LineClass::kIgnored:
      case LineClass::kNotMine:
        ++report_.lines.ignored;
        break;
    }
    assembler_.Tick(frame.time);
  }

  // Returns the number of sessions that are still open.
  int64_t Finish() {
    assembler_.FinishHeld();
    return assembler_.open_sessions();
  }

 private:
  void Widen(absl::Time time) {
    if (!report_.start || time < *report_.start) report_.start = time;
    if (!report_.end || time > *report_.end) report_.end = time;
  }

  const ScanSettings& settings_;
  ScanReport& report_;
  Framer framer_;
  Assembler assembler_;
  Event event_;  // Large, so kept.
};

absl::Status ReadError(const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat(path, ": ", std::generic_category().message(error)));
}

absl::Status UnsupportedCompression(const std::string& path, const std::string& compression) {
  return absl::UnimplementedError(
      absl::StrCat(path, ": unsupported compression (", compression, ")"));
}

// What a file, or what is left of a pipe, holds; decompressed.
class InputBytes {
 public:
  // `fd` must outlive this.
  InputBytes(const std::string& path, int fd) : path_(path), fd_(fd) {}

  // Puts bytes into `space`.  Returns how many; 0 at the end.
  absl::StatusOr<int64_t> Read(absl::Span<char> space) {
    if (gzip_) return ReadGzip(space);
    ssize_t bytes = 0;
    do {
      bytes = ::read(fd_, space.data(), space.size());
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0) return ReadError(path_, errno);
    if (stored_bytes_ == 0) {
      const std::string_view head(space.data(), static_cast<size_t>(bytes));
      const std::string compression = CompressionOf(head);
      if (compression == kGzip) {
        gzip_.emplace(fd_, head);
        return ReadGzip(space);
      }
      if (!compression.empty()) return UnsupportedCompression(path_, compression);
    }
    stored_bytes_ += bytes;
    return bytes;
  }

  // Read so far, as stored.
  int64_t stored_bytes() const { return gzip_ ? gzip_->compressed_bytes() : stored_bytes_; }

 private:
  absl::StatusOr<int64_t> ReadGzip(absl::Span<char> space) {
    absl::StatusOr<int64_t> bytes = gzip_->Read(space);
    if (bytes.ok()) return bytes;
    return absl::Status(bytes.status().code(), absl::StrCat(path_, ": ", bytes.status().message()));
  }

  const std::string& path_;
  const int fd_;
  int64_t stored_bytes_ = 0;
  std::optional<GzipReader> gzip_;
};

// Reads a file, or what is left of a pipe, to its end.
absl::Status ReadFile(const InputFile& file, int standard_input, LineBuffer& buffer, LogScan& scan,
                      Progress& progress) {
  const bool standard = file.path == "-";
  const ScopedFd opened(standard ? -1 : ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!standard && !opened.valid()) return ReadError(file.path, errno);
  const int fd = standard ? standard_input : opened.get();
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);

  scan.BeginFile(file);
  buffer.Reset(0, "");
  InputBytes input(file.path, fd);
  int64_t stored_bytes = 0;
  LineBuffer::Line line;
  while (true) {
    const absl::StatusOr<int64_t> bytes = input.Read(buffer.Space());
    if (!bytes.ok()) return bytes.status();
    if (*bytes == 0) break;
    buffer.Added(*bytes);
    while (buffer.Next(line)) scan.ReadLine(line);
    progress.Add(input.stored_bytes() - stored_bytes);
    stored_bytes = input.stored_bytes();
  }
  buffer.EndLine();
  if (buffer.Next(line)) scan.ReadLine(line);
  return absl::OkStatus();
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

}  // namespace

int RunScan(const ScanOptions& options, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<ScanSettings> settings = ParseScanSettings(options);
  if (!settings.ok()) {
    err << "mxtally-agent scan: " << settings.status().message() << '\n';
    return kExitUsage;
  }
  std::vector<std::string> errors;
  const std::vector<InputLog> logs = FindInputLogs(options.files,
                                                   {.time_zone = settings->time_zone,
                                                    .reference_time = settings->reference_time,
                                                    .now = options.now()},
                                                   errors);

  ScanReport report;
  int64_t open_sessions = 0;
  SessionSink sink(*settings, options.sessions ? &out : nullptr);
  {
    int64_t total_bytes = 0;
    for (const InputLog& log : logs) {
      for (const InputFile& file : log.files) total_bytes += file.size;
    }
    Progress progress(options.show_progress, total_bytes, options.now, err);
    LineBuffer buffer(kLineBytesMax, kChunkBytes);
    for (const InputLog& log : logs) {
      LogScan scan(*settings, sink, report);
      for (const InputFile& file : log.files) {
        const absl::Status status = ReadFile(file, options.standard_input, buffer, scan, progress);
        if (!status.ok()) errors.emplace_back(status.message());
      }
      open_sessions += scan.Finish();
    }
  }

  for (const std::string& error : errors) err << "mxtally-agent scan: " << error << '\n';
  if (!options.sessions) {
    report.inbound = sink.inbound().Report();
    report.inbound.open_sessions = open_sessions;
    report.outbound = sink.outbound().Report();
    report.lines.cut_sessions = sink.lines().cut_sessions;
    report.lines.evicted_sessions = sink.lines().evicted_sessions;
    report.lines.duplicate_sessions = sink.lines().duplicate_sessions;
    report.peer_class = options.peer_class;
    NarrowWindow(*settings, report);
    Print(options.format, report, out);
  }
  out.flush();
  return errors.empty() ? 0 : kExitUnreadable;
}

}  // namespace mxtally
