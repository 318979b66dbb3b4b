// Splits the syslog header off a log line: RFC 3164 as syslog daemons and
// Postfix's maillog_file write it, and RFC 3339.  The shape is decided line by
// line, because an upgrade changes it in the middle of a file.
//
// Pure: no I/O, no clock.  What a stamp does not say (year, zone, which pass of
// a repeated hour) comes from `FramerOptions` and from `FramerState`, which
// the caller keeps and may store.

#ifndef MXTALLY_AGENT_PARSER_FRAMER_H_
#define MXTALLY_AGENT_PARSER_FRAMER_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace mxtally {

struct FramedLine {
  absl::Time time;
  std::string_view host;
  // As logged, with the process id and without the colon: "postfix/smtpd[123]".
  std::string_view tag;
  // The tag without the process id: "postfix/smtpd".
  std::string_view program;
  // -1 when the tag has none.
  int64_t pid = -1;
  std::string_view text;
};

struct FramerOptions {
  // Zone of stamps that do not name one.
  absl::TimeZone time_zone = absl::UTCTimeZone();

  // The first stamp without a year gets the latest year that puts it at most
  // one day after this time.  Later stamps follow the one before.
  absl::Time reference_time = absl::InfiniteFuture();
};

// Time of the line before, which decides year and DST pass of the next.
struct FramerState {
  std::optional<absl::Time> last_time;
  // Offset from UTC that `last_time` was read with.
  absl::Duration utc_offset;
};

// One log's framer.  One thread only.
class Framer {
 public:
  explicit Framer(FramerOptions options, FramerState state = {});

  // Splits `line`, which has no line end.  Returns false and leaves `frame`
  // unspecified when the line has no header of a known shape.  The views in
  // `frame` point into `line`.
  bool Split(std::string_view line, FramedLine& frame);

  const FramerState& state() const { return state_; }

  // Time that the line's stamp would have, without changing any state; nullopt
  // when it has none.  For ordering files by their first line.
  std::optional<absl::Time> PeekTime(std::string_view line) const;

 private:
  // The private part belongs to framer.cc's author.
  FramerOptions options_;
  FramerState state_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_FRAMER_H_
