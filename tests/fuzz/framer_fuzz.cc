// Any bytes as lines of a log: the framer stays within each line, a header that is
// that of the line before is split like any other, and a framer that goes on from a
// stored state reads the times that one without a break does.

#include <cstdint>
#include <optional>
#include <string>

#include "agent/parser/framer.h"
#include "tests/fuzz/fuzz.h"

namespace mxtally {
namespace {

absl::TimeZone ZoneNamed(const char* name) {
  absl::TimeZone zone;
  Require(absl::LoadTimeZone(name, &zone), name);
  return zone;
}

bool SamePlace(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.empty() || a.data() == b.data());
}

void RequireWithin(const FramedLine& frame, std::string_view line) {
  Require(IsWithin(frame.host, line) && IsWithin(frame.text, line) &&
              IsWithin(frame.program, frame.tag),
          "views point into the line");
  // Exim's own files have none.
  Require(IsWithin(frame.tag, line) || (frame.host.empty() && frame.tag == "exim"),
          "a tag is of the line");
  Require(frame.pid >= -1, "process ids are not negative");
}

void RequireSame(const FramedLine& a, const Framer::Stamp& stamp_a, const FramedLine& b,
                 const Framer::Stamp& stamp_b) {
  Require(SamePlace(a.host, b.host), "host");
  Require(SamePlace(a.tag, b.tag), "tag");
  Require(SamePlace(a.program, b.program), "program");
  Require(a.pid == b.pid, "pid");
  Require(SamePlace(a.text, b.text), "text");
  Require(SamePlace(stamp_a.hour_prefix, stamp_b.hour_prefix), "stamp.hour_prefix");
  Require(stamp_a.hour_prefix.empty() ? stamp_a.civil_seconds == stamp_b.civil_seconds &&
                                            stamp_a.utc_offset == stamp_b.utc_offset
                                      : true,
          "stamp in RFC 3339");
  Require(stamp_a.hour == stamp_b.hour && stamp_a.minute == stamp_b.minute &&
              stamp_a.second == stamp_b.second && stamp_a.nanosecond == stamp_b.nanosecond,
          "clock of the stamp");
}

void Fuzz(FuzzedDataProvider& input) {
  static const absl::TimeZone kZones[] = {absl::UTCTimeZone(), ZoneNamed("Europe/Amsterdam"),
                                          ZoneNamed("Australia/Lord_Howe")};
  const FramerOptions options = {.time_zone = kZones[input.ConsumeIntegralInRange(0, 2)],
                                 .reference_time = input.ConsumeBool()
                                                       ? absl::InfiniteFuture()
                                                       : absl::FromUnixSeconds(1793620800)};
  Framer framer(options);
  HeaderSplitter splitter;
  const std::vector<Line> lines = LinesOf(input.ConsumeRemainingBytesAsString());
  std::string_view header_before;
  for (const Line& bytes : lines) {
    const std::string_view line = View(bytes);
    FramedLine frame, again;
    Framer::Stamp stamp, stamp_again;
    bool repeats = false;
    const bool split = Framer::SplitHeader(line, frame, stamp);
    Require(splitter.Split(line, again, stamp_again, repeats) == split, "whether it has a header");
    if (!split) {
      header_before = {};
      continue;
    }
    RequireWithin(frame, line);
    RequireSame(again, stamp_again, frame, stamp);
    const std::string_view header =
        line.substr(0, frame.host.data() + frame.host.size() - line.data());
    Require(!repeats || header == header_before, "a header that repeats is the one before");
    header_before = header;

    Framer restored(options, framer.state());
    const std::optional<absl::Time> peeked = framer.PeekTime(line);
    FramedLine whole;
    const bool read = framer.Split(line, whole);
    Require(peeked == (read ? std::optional(whole.time) : std::nullopt), "time without reading");
    Require(restored.Split(line, again) == read, "whether its date exists, from a stored state");
    if (read) Require(again.time == whole.time, "time from a stored state");
  }
}

}  // namespace
}  // namespace mxtally

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  mxtally::Fuzz(input);
  return 0;
}
