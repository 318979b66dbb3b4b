// Splits the header off a log line: RFC 3164 as syslog daemons (those of the BSDs, of Solaris,
// of AIX and of busybox included), journalctl and Postfix's maillog_file write it, RFC 3339, RFC
// 5424, that of Exim's own log files, and any of these behind the one that CRI, "docker logs -t" or
// "docker compose logs" puts before what a container writes.  The shape is decided line by
// line, because an upgrade changes it in the middle of a file.
//
// Pure: no I/O, no clock.  What a stamp does not say (year, zone, which pass of
// a repeated hour) comes from `FramerOptions` and from `FramerState`, which
// the caller keeps and may store.

#ifndef MXTALLY_AGENT_PARSER_FRAMER_H_
#define MXTALLY_AGENT_PARSER_FRAMER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "agent/parser/log_clock.h"

namespace mxtally {

// Lines of Exim's own files name neither host nor program: `host` is empty, `tag` and
// `program` are "exim", and `pid` is there when Exim logs it.
struct FramedLine {
  absl::Time time;
  // Empty when the header names none, and then still the place in the line behind the stamp.
  std::string_view host;
  // As logged, with the process id and without the colon: "postfix/smtpd[123]", in RFC 5424
  // "postfix/smtpd 123".
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
  // one day after this time and in which its date exists.  Later stamps get the
  // year that puts them nearest to the line before; a single line of RFC 3339 that
  // is more than a day off does not count as one.
  absl::Time reference_time = absl::InfiniteFuture();
};

// Time of the line before, which decides year and DST pass of the next.
struct FramerState {
  std::optional<absl::Time> last_time;
  // Offset from UTC that `last_time` was read with.
  absl::Duration utc_offset;
  // What years are chosen by.  Without a time of its own it is `last_time`.
  LogClock::State year_clock;
};

// One log's framer.  One thread only.
class Framer {
 public:
  // What a stamp says of itself.
  struct Stamp {
    // "Nov  2 04:", which says neither year nor zone; empty for a stamp with a year.
    std::string_view hour_prefix;
    // With a year only: seconds since 1970-01-01T00:00:00 in the stamp's own zone.
    int64_t civil_seconds = 0;
    // With a year only: seconds; absent when the stamp names no zone.
    std::optional<int> utc_offset;
    int hour = 0;
    int minute = 0;
    int second = 0;  // 60 in a leap second.
    int32_t nanosecond = 0;
  };

  explicit Framer(FramerOptions options, FramerState state = {});

  // Splits `line`, which has no line end.  Returns false and leaves `frame`
  // unspecified when the line has no header of a known shape, with a time in the years
  // 1970 to 2261 of UTC, which records and checkpoints can hold.  The views in `frame` point into
  // `line`.
  //
  // A line without a tag ("last message repeated 3 times", or a tag that a
  // relay cut short) is framed with an empty tag and the rest as text.
  //
  // A local time that exists twice is the first one, unless that lies more than
  // a few minutes before the last line; one that was skipped is read with the
  // offset that was in force before.
  bool Split(std::string_view line, FramedLine& frame) {
    Stamp stamp;
    return SplitHeader(line, frame, stamp) && Resolve(stamp, frame.time);
  }

  // The two halves of Split(): what a line says by itself, all but its time,
  // and what depends on the lines before.  The first may run on any thread, the
  // second takes the stamps in the order of the log.
  static bool SplitHeader(std::string_view line, FramedLine& frame, Stamp& stamp);
  bool Resolve(const Stamp& stamp, absl::Time& time);

  FramerState state() const {
    FramerState state = state_;
    state.year_clock = year_clock_.state();
    return state;
  }

  // Time that the line's stamp would have, without changing any state; nullopt
  // when it has none.  For ordering files by their first line.
  std::optional<absl::Time> PeekTime(std::string_view line) const;

 private:
  bool ReadTraditionalTime(const Stamp& stamp, absl::Time& time);
  bool ReadIsoTime(const Stamp& stamp, absl::Time& time);

  // Resolves the pass of a repeated hour.
  absl::Time FromLocal(absl::CivilSecond local, int32_t nanosecond) const;
  // nullopt when no year near the line before, or the reference, has the date.
  std::optional<int> YearFor(int month, int day, const Stamp& stamp) const;
  void RememberHour(const Stamp& stamp, absl::Time time);

  FramerOptions options_;
  FramerState state_;  // All but its clock.
  LogClock year_clock_{absl::Hours(1), absl::Hours(24)};

  // Most lines share month, day and hour with the line before.  While no change
  // of the zone's offset falls into that hour, minute and second are all that
  // is left to add.  Describes the last line read, or is empty.
  std::string hour_prefix_;
  int64_t hour_start_ = 0;  // Seconds since 1970 UTC.
};

// Splits off the headers of lines that follow each other, of which most have stamp and
// host in common with the line before.  One thread only.
class HeaderSplitter {
 public:
  // As Framer::SplitHeader().  `repeats` tells that stamp and host are those of the
  // line before, byte by byte.
  bool Split(std::string_view line, FramedLine& frame, Framer::Stamp& stamp, bool& repeats);

  // The next line repeats nothing.
  void Forget() { size_ = 0; }

 private:
  void Remember(std::string_view line, const FramedLine& frame, const Framer::Stamp& stamp);

  static constexpr size_t kBytesMax = 64;
  // The line before, up to its tag; 0: it is longer, or there is none.
  size_t size_ = 0;
  char bytes_[kBytesMax] = {};
  // `size_` where the header names no host.
  size_t host_at_ = 0;
  Framer::Stamp stamp_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_FRAMER_H_
