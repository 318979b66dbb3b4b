#include "agent/scan/log_chunk.h"

#include <algorithm>

#include "agent/parser/dialect.h"

namespace mxtally {

void LogChunk::Parse() {
  lines_.clear();
  last_stamp_ = {};
  headers_.Forget();
  events_used_ = 0;
  unrecognized_ = ignored_ = oversized_ = 0;
  sought_line_bytes_ = std::min(sought_lines.find('\n'), sought_lines.size());
  LineBuffer::Line line;
  while (buffer.Next(line)) {
    if (line.oversized) {
      ++oversized_;
    } else {
      ParseLine(line.text);
    }
  }
}

void LogChunk::ParseLine(std::string_view text) {
  if (events_used_ == events_.size()) events_.emplace_back();
  LineEvent& parsed = events_[events_used_];
  Framer::Stamp stamp;
  bool repeats = false;
  if (!headers_.Split(text, parsed.frame, stamp, repeats)) {
    ++(MentionsMta(text) ? unrecognized_ : ignored_);
    return;
  }
  LineClass line_class = ParseDialect(parsed.frame, parsed.event);
  if (line_class == LineClass::kNotMine) line_class = LineClass::kIgnored;
  const char* const header_end = parsed.frame.host.data();
  if (!repeats) {
    const std::string_view written_stamp(text.data(), header_end - text.data());
    repeats = written_stamp == last_stamp_;
    last_stamp_ = written_stamp;
  }
  const Sought sought = FindSought(text);
  // Two lines of a stamp say more than one, as the second confirms a jump of the
  // clock; the third says nothing new.
  if (line_class == LineClass::kIgnored && repeats && lines_.back().repeats_stamp &&
      sought == Sought::kNo) {
    ++lines_.back().ignored_behind;
    return;
  }
  Line& line = lines_.emplace_back();
  line.stamp = stamp;
  line.repeats_stamp = repeats;
  line.sought = sought;
  line.line_class = line_class;
  line.text = {header_end, static_cast<size_t>(text.data() + text.size() - header_end)};
  if (line_class == LineClass::kEvent) line.event = events_used_++;
}

// The first line may come again by itself, what follows it does not.
LogChunk::Sought LogChunk::FindSought(std::string_view text) const {
  if (text.size() != sought_line_bytes_ || !sought_lines.starts_with(text)) return Sought::kNo;
  std::string_view behind = sought_lines.substr(std::min(text.size() + 1, sought_lines.size()));
  std::string_view rest = buffer.rest();
  behind = behind.substr(0, rest.size());
  rest = rest.substr(0, behind.size());
  if (behind != rest) return Sought::kNo;
  return behind.empty() ? Sought::kFirstLine : Sought::kSeveralLines;
}

}  // namespace mxtally
