#include "agent/scan/log_chunk.h"

#include "agent/parser/dialect.h"

namespace mxtally {

void LogChunk::Parse() {
  lines_.clear();
  last_stamp_ = {};
  headers_.Forget();
  events_used_ = 0;
  unrecognized_ = ignored_ = oversized_ = 0;
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
  const bool is_sought = text == sought_line;
  // Two lines of a stamp say more than one, as the second confirms a jump of the
  // clock; the third says nothing new.
  if (line_class == LineClass::kIgnored && repeats && lines_.back().repeats_stamp && !is_sought) {
    ++lines_.back().ignored_behind;
    return;
  }
  Line& line = lines_.emplace_back();
  line.stamp = stamp;
  line.repeats_stamp = repeats;
  line.is_sought = is_sought;
  line.line_class = line_class;
  line.text = {header_end, static_cast<size_t>(text.data() + text.size() - header_end)};
  if (line_class == LineClass::kEvent) line.event = events_used_++;
}

}  // namespace mxtally
