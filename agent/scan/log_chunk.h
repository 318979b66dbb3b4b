// A piece of a log on its way through a scan: read, then parsed, then gathered.
//
// Reading and gathering go in the order of the log.  Parsing is most of the
// work and needs nothing but the chunk's own lines, so that several threads do
// it at a time.

#ifndef MXTALLY_AGENT_SCAN_LOG_CHUNK_H_
#define MXTALLY_AGENT_SCAN_LOG_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/scan/input_log.h"
#include "agent/source/line_buffer.h"

namespace mxtally {

// One thread only, but not always the same.
class LogChunk {
 public:
  // Whether `sought_lines` begin with this line.
  enum class Sought { kNo, kFirstLine, kSeveralLines };

  // A line that says something: its time, or an event.
  struct Line {
    Framer::Stamp stamp;
    // The stamp, byte by byte, is that of the line before.
    bool repeats_stamp = false;
    Sought sought = Sought::kNo;
    LineClass line_class = LineClass::kIgnored;
    // Lines right behind it that say nothing, not even another time.
    int ignored_behind = 0;
    // kEvent: index of the event.
    size_t event = 0;
    // All but the stamp.
    std::string_view text;
  };
  struct LineEvent {
    FramedLine frame;  // Its time is not known yet.
    Event event;
  };

  // As the agent that follows a log.
  static constexpr int64_t kLineBytesMax = 64 * 1024;
  // With its lines and events a chunk should stay in a core's cache.
  static constexpr int64_t kBytes = 256 * 1024;

  LogChunk() : buffer(kLineBytesMax, kBytes) {}

  // Filled by the reader: whole lines of one file.
  LineBuffer buffer;
  // Present when the chunk is the first of a log, or of a file.
  bool begins_log = false;
  const InputFile* begins_file = nullptr;
  // To be found in `lines()`, if they stand there; empty: none.
  std::string_view sought_lines;

  // Parses what is in `buffer`.
  void Parse();

  // Results.  Lines with a header, in order; views point into `buffer`.
  const std::vector<Line>& lines() const { return lines_; }
  LineEvent& event(const Line& line) { return events_[line.event]; }
  // Lines without.
  int64_t unrecognized() const { return unrecognized_; }
  int64_t ignored() const { return ignored_; }
  int64_t oversized() const { return oversized_; }

 private:
  void ParseLine(std::string_view text);
  Sought FindSought(std::string_view text) const;

  // Of the first of `sought_lines`.
  size_t sought_line_bytes_ = 0;
  HeaderSplitter headers_;
  std::string_view last_stamp_;
  std::vector<Line> lines_;
  // The first `events_used_` are of this chunk; the others keep their memory.
  std::vector<LineEvent> events_;
  size_t events_used_ = 0;
  int64_t unrecognized_ = 0;
  int64_t ignored_ = 0;
  int64_t oversized_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_LOG_CHUNK_H_
