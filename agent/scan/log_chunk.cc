#include "agent/scan/log_chunk.h"

#include "agent/parser/postfix.h"

namespace mxtally {
void LogChunk::Parse() {
  lines_.clear();
  last_stamp_ = {};
  last_stamp_twice_ = false;
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
  if (!Framer::SplitHeader(text, parsed.frame, stamp)) {
    ++(MentionsPostfix(text) ? unrecognized_ : ignored_);
    return;
  }
  LineClass line_class = ParsePostfix(parsed.frame, parsed.event);
  if (line_class == LineClass::kNotMine) line_class = LineClass::kIgnored;
  const char* const header_end = parsed.frame.host.data();
  const std::string_view written_stamp(text.data(), header_end - text.data());
  // Two lines of a stamp say more than one, as the second confirms a jump of the
  // clock; the third says nothing new.
  const bool again = written_stamp == last_stamp_;
  if (line_class == LineClass::kIgnored && again && last_stamp_twice_) {
    ++lines_.back().ignored_behind;
    return;
  }
  last_stamp_ = written_stamp;
  last_stamp_twice_ = again;
  Line& line = lines_.emplace_back();
  line.stamp = stamp;
  line.line_class = line_class;
  line.text = {header_end, static_cast<size_t>(text.data() + text.size() - header_end)};
  if (line_class == LineClass::kEvent) line.event = events_used_++;
}

}  // namespace mxtally
