#include "agent/parser/framer.h"

#include <algorithm>
#include <cstring>

#include "absl/time/civil_time.h"
#include "agent/parser/fields.h"

namespace mxtally {
namespace {

constexpr size_t kTraditionalStamp = 15;  // "Nov  2 04:02:01"
constexpr size_t kHourPrefix = 10;        // "Nov  2 04:"
constexpr size_t kDateSize = 10;          // "2026-11-02"
constexpr size_t kIsoStamp = 19;          // "2026-11-02T04:02:01"

// Lines of several processes are out of order by seconds, and clocks are set
// back by minutes; more than this within the hour that a change of the clocks
// repeats is its second pass.
constexpr absl::Duration kStepBackMax = absl::Minutes(5);

// Two leap years are at most this far apart (1896 and 1904).
constexpr int kLeapYearsApart = 8;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads two digits; -1 when they are none.
int TwoDigits(const char* p) {
  return IsDigit(p[0]) && IsDigit(p[1]) ? (p[0] - '0') * 10 + (p[1] - '0') : -1;
}

bool TakeBlank(std::string_view& text) {
  if (text.empty() || text.front() != ' ') return false;
  text.remove_prefix(1);
  return true;
}

// Of a word of three letters: 1 to 12; 0 for another.  English only: syslog writers
// use the C locale.
int MonthNumber(std::string_view word) {
  constexpr auto number = [](const char* p) { return (p[0] << 16) | (p[1] << 8) | p[2]; };
  switch (number(word.data())) {
    case number("Jan"):
      return 1;
    case number("Feb"):
      return 2;
    case number("Mar"):
      return 3;
    case number("Apr"):
      return 4;
    case number("May"):
      return 5;
    case number("Jun"):
      return 6;
    case number("Jul"):
      return 7;
    case number("Aug"):
      return 8;
    case number("Sep"):
      return 9;
    case number("Oct"):
      return 10;
    case number("Nov"):
      return 11;
    case number("Dec"):
      return 12;
    default:
      return 0;
  }
}

// Reads "04:02:01" at `p`.
bool ReadClock(const char* p, Framer::Stamp& stamp) {
  stamp.hour = TwoDigits(p);
  stamp.minute = TwoDigits(p + 3);
  stamp.second = TwoDigits(p + 6);
  return p[2] == ':' && p[5] == ':' && stamp.hour >= 0 && stamp.hour <= 23 && stamp.minute >= 0 &&
         stamp.minute <= 59 && stamp.second >= 0 && stamp.second <= 60;
}

// Takes ".123456" off `text`, if it is there; digits beyond nanoseconds are dropped.
bool ReadFraction(std::string_view& text, int32_t& nanosecond) {
  nanosecond = 0;
  if (text.empty() || text.front() != '.') return true;
  size_t i = 1;
  int32_t scale = 100'000'000;
  for (; i < text.size() && IsDigit(text[i]); ++i) {
    nanosecond += (text[i] - '0') * scale;
    scale /= 10;
  }
  text.remove_prefix(i);
  return i > 1;
}

// Takes "Z", "+01:00" or "+0100" off `text`.  nullopt: no zone there.
std::optional<int> ReadZone(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  if (text.front() == 'Z') {
    text.remove_prefix(1);
    return 0;
  }
  if ((text.front() != '+' && text.front() != '-') || text.size() < 5) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  const size_t minutes_at = text[3] == ':' ? 4 : 3;
  if (text.size() < minutes_at + 2) return std::nullopt;
  const int hours = TwoDigits(text.data() + 1);
  const int minutes = TwoDigits(text.data() + minutes_at);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  text.remove_prefix(minutes_at + 2);
  return sign * (hours * 3600 + minutes * 60);
}

// Seconds since 1970-01-01T00:00:00; days as Howard Hinnant's days_from_civil()
// counts them (years begin in March).
int64_t SecondsFromCivil(int year, int month, int day, const Framer::Stamp& clock) {
  const int64_t y = month <= 2 ? year - 1 : year;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t year_of_era = y - era * 400;
  const int64_t month_from_march = month + (month > 2 ? -3 : 9);
  const int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era * 146097 + day_of_era - 719468) * 86400 + clock.hour * 3600 + clock.minute * 60 +
         clock.second;
}

// Adds nothing where there is nothing to add: a call into another library.
absl::Time FromUnix(int64_t seconds, int32_t nanosecond) {
  const absl::Time time = absl::FromUnixSeconds(seconds);
  return nanosecond == 0 ? time : time + absl::Nanoseconds(nanosecond);
}

bool DateExists(int year, int month, int day) {
  static constexpr int kDays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1 || day > kDays[month - 1]) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month != 2 || day < 29 || leap;
}

// The years 1970 to 2261, whose nanoseconds fit 64 bits.
constexpr absl::Time kStorableEnd = absl::FromUnixSeconds(9214646400);
bool CanBeStored(absl::Time time) { return time >= absl::UnixEpoch() && time < kStorableEnd; }

// Of the hour of a stamp that was read as `time`.
absl::Time HourStart(const Framer::Stamp& stamp, absl::Time time) {
  return time - absl::Seconds(stamp.minute * 60 + stamp.second) -
         absl::Nanoseconds(stamp.nanosecond);
}

// 0 for what is no day of any month.
int DayNumber(const char* p) {
  const int day = p[0] == ' ' && IsDigit(p[1]) ? p[1] - '0' : TwoDigits(p);
  return day >= 1 && day <= 31 ? day : 0;
}

// Takes "Nov  2 04:02:01 " off `line`.
bool TakeTraditionalStamp(std::string_view& line, Framer::Stamp& stamp) {
  if (line.size() <= kTraditionalStamp || !ReadClock(line.data() + 7, stamp)) return false;
  const char* p = line.data();
  static constexpr int kLeapYear = 2000;
  if (p[3] != ' ' || p[6] != ' ' || !DateExists(kLeapYear, MonthNumber(line), DayNumber(p + 4))) {
    return false;
  }
  stamp.hour_prefix = line.substr(0, kHourPrefix);
  line.remove_prefix(kTraditionalStamp);
  return ReadFraction(line, stamp.nanosecond) && TakeBlank(line);
}

// Takes "2026-11-02T04:02:01.123456+01:00 " off `line`, or, as Exim writes it in its own
// files, "2026-11-02 04:02:01.123 +0100 "; there fraction and zone may be missing.
bool TakeIsoStamp(std::string_view& line, Framer::Stamp& stamp, bool& is_exims) {
  if (line.size() <= kIsoStamp) return false;
  const char* p = line.data();
  const int century = TwoDigits(p);
  const int year_of_century = TwoDigits(p + 2);
  const int year = century * 100 + year_of_century;
  const int month = TwoDigits(p + 5);
  const int day = TwoDigits(p + 8);
  if (century < 0 || year_of_century < 0 || p[4] != '-' || p[7] != '-' ||
      (p[10] != 'T' && p[10] != ' ') || !DateExists(year, month, day) ||
      !ReadClock(p + 11, stamp)) {
    return false;
  }
  stamp.civil_seconds = SecondsFromCivil(year, month, day, stamp);
  is_exims = p[10] == ' ';
  line.remove_prefix(kIsoStamp);
  if (!ReadFraction(line, stamp.nanosecond)) return false;
  if (is_exims) {
    if (!TakeBlank(line)) return false;
    std::string_view rest = line;
    stamp.utc_offset = ReadZone(rest);
    if (stamp.utc_offset && TakeBlank(rest)) {
      line = rest;
    } else {
      stamp.utc_offset.reset();
    }
    return true;
  }
  stamp.utc_offset = ReadZone(line);
  return TakeBlank(line);
}

// Takes "<22>" off `line`; whether it was there.
bool TakePriority(std::string_view& line) {
  if (line.empty() || line.front() != '<') return false;
  size_t i = 1;
  while (i < line.size() && i <= 3 && IsDigit(line[i])) ++i;
  if (i == 1 || i >= line.size() || line[i] != '>') return false;
  line.remove_prefix(i + 1);
  return true;
}

// Reads the pid at the end of `frame.tag`, if there is one.
void SplitTag(FramedLine& frame) {
  frame.program = frame.tag;
  frame.pid = -1;
  const std::string_view tag = frame.tag;
  if (tag.empty() || tag.back() != ']') return;
  int64_t pid = 0;
  int64_t scale = 1;
  size_t i = tag.size() - 1;
  static constexpr int64_t kScaleMax = 1'000'000'000'000'000'000;
  for (; i > 0 && IsDigit(tag[i - 1]) && scale < kScaleMax; --i) {
    pid += (tag[i - 1] - '0') * scale;
    scale *= 10;
  }
  if (scale == 1 || i == 0 || tag[i - 1] != '[') return;
  frame.program = {tag.data(), i - 1};
  frame.pid = pid;
}

// Takes "[ID 801593 mail.info] " off, which syslogd of Solaris and illumos puts before a text.
void TakeMessageId(std::string_view& text) {
  std::string_view rest = text;
  int id = 0;
  if (!Consume(rest, "[ID ") || !TakeNumber(rest, id) || !TakeBlank(rest)) return;
  if (TakeUntil(rest, ']', ' ').find('.') == std::string_view::npos) return;
  if (Consume(rest, "] ")) text = rest;
}

// Takes "mail.info", or "mail:info", and what ends it off `text`.
bool TakeFacilityAndSeverity(std::string_view& text, std::string_view end) {
  static constexpr std::string_view kSeverities[] = {"emerg",  "panic", "alert",   "crit",
                                                     "err",    "error", "warning", "warn",
                                                     "notice", "info",  "debug"};
  size_t i = 0;
  while (i < text.size() && ((text[i] >= 'a' && text[i] <= 'z') || IsDigit(text[i]))) ++i;
  if (i == 0 || i == text.size() || (text[i] != '.' && text[i] != ':')) return false;
  std::string_view rest = text.substr(i + 1);
  for (const std::string_view severity : kSeverities) {
    if (!rest.starts_with(severity) || !rest.substr(severity.size()).starts_with(end)) continue;
    rest.remove_prefix(severity.size() + end.size());
    text = rest;
    return true;
  }
  return false;
}

// Of "TAG[PID]: TEXT": the size of the tag and its colon; 0: there is none.
size_t TagSize(std::string_view rest) {
  const size_t tag_end = Find(rest, ' ');
  return tag_end < 2 || rest[tag_end - 1] != ':' ? 0 : tag_end;
}

// Splits "TAG[PID]: TEXT".  Before it may stand "mail.info ", as syslogd of busybox writes
// it, or "mail:info ", as that of AIX does.
void SplitTagAndText(std::string_view rest, FramedLine& frame) {
  size_t tag_end = TagSize(rest);
  if (tag_end == 0) {
    std::string_view behind = rest;
    if (TakeFacilityAndSeverity(behind, " ") && (tag_end = TagSize(behind)) != 0) rest = behind;
  }
  if (tag_end == 0) {
    frame.tag = {};
    frame.text = rest;
  } else {
    frame.tag = rest.substr(0, tag_end - 1);
    frame.text = rest.substr(std::min(tag_end + 1, rest.size()));
    if (StartsWith(frame.text, "[ID ")) TakeMessageId(frame.text);
  }
  SplitTag(frame);
}

// Of lines of Exim's own files, which have none; told from others by its place.
constexpr char kEximTag[] = "exim";

// Splits "[PID] TEXT", of which the first may be missing.
void SplitEximText(std::string_view rest, FramedLine& frame) {
  frame.host = rest.substr(0, 0);
  frame.tag = frame.program = kEximTag;
  frame.pid = -1;
  frame.text = rest;
  int pid = 0;
  if (Consume(rest, "[") && TakeNumber(rest, pid) && Consume(rest, "] ")) {
    frame.pid = pid;
    frame.text = rest;
  }
}

// Takes RFC 5424's structured data off `text`: "-" or elements of "[ID NAME=\"VALUE\" ...]",
// in whose values '"', '\' and ']' have a '\' before them.
bool SkipStructuredData(std::string_view& text) {
  if (Consume(text, "-")) return true;
  const size_t all = text.size();
  while (Consume(text, "[")) {
    bool quoted = false;
    size_t i = 0;
    for (; i < text.size() && (quoted || text[i] != ']'); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '"') {
        quoted = !quoted;
      }
    }
    if (i >= text.size()) return false;
    text.remove_prefix(i + 1);
  }
  return text.size() < all;
}

// Splits "HOST APP-NAME PROCID MSGID STRUCTURED-DATA MSG" of RFC 5424.  The tag is what
// stands there, "postfix/smtpd 123"; keys have it as others write it (agent/session/text.h).
bool SplitRfc5424(std::string_view rest, FramedLine& frame) {
  frame.host = TakeUntil(rest, ' ');
  if (frame.host.empty() || !TakeBlank(rest)) return false;
  const char* const tag = rest.data();
  frame.program = TakeUntil(rest, ' ');
  if (frame.program.empty() || !TakeBlank(rest)) return false;
  frame.tag = frame.program;
  frame.pid = -1;
  std::string_view process = TakeUntil(rest, ' ');
  if (process.empty()) return false;
  int pid = 0;
  if (!Is(process, "-")) {
    frame.tag = {tag, static_cast<size_t>(process.data() + process.size() - tag)};
    if (TakeNumber(process, pid) && process.empty()) frame.pid = pid;
  }
  if (!TakeBlank(rest) || TakeUntil(rest, ' ').empty() || !TakeBlank(rest) ||
      !SkipStructuredData(rest)) {
    return false;
  }
  if (!rest.empty() && !TakeBlank(rest)) return false;
  Consume(rest, "\xef\xbb\xbf");
  // rsyslog keeps the blank that stood behind the tag of the line that it got.
  Consume(rest, " ");
  frame.text = rest;
  return true;
}

// Whether `rest` begins with a severity in a column of eight, as templates of rsyslog's write it
// where others have the host: "INFO    ", "WARNING ".  `size` is that of the word.
bool BeginsWithSeverity(std::string_view rest, size_t size) {
  static constexpr std::string_view kColumn[] = {"EMERG   ", "ALERT   ", "CRIT    ", "ERR     ",
                                                 "WARNING ", "NOTICE  ", "INFO    ", "DEBUG   "};
  // Names of hosts are in lower case.
  if (size > 7 || rest.front() < 'A' || rest.front() > 'Z') return false;
  return std::any_of(std::begin(kColumn), std::end(kColumn),
                     [rest](std::string_view severity) { return rest.starts_with(severity); });
}

// Splits "HOST TAG[PID]: TEXT".  Before it may stand "<mail.info> ", as syslogd of the BSDs
// writes it with -vv.  The host may be missing, as in what syslog() itself sends.
bool SplitHostAndTag(std::string_view rest, FramedLine& frame) {
  if (StartsWith(rest, "<")) {
    TakeUntil(rest, '>', ' ');
    if (!Consume(rest, "> ")) return false;
  }
  const size_t host_end = Find(rest, ' ');
  if (host_end == rest.size() || host_end == 0) return false;
  frame.host = rest.substr(0, host_end);
  if (frame.host.ends_with("]:")) {
    frame.host = rest.substr(0, 0);
    SplitTagAndText(rest, frame);
  } else if (BeginsWithSeverity(rest, host_end)) {
    frame.host = rest.substr(0, 0);
    SplitTagAndText(rest.substr(8), frame);
  } else {
    SplitTagAndText(rest.substr(host_end + 1), frame);
  }
  return true;
}

// Whether "HOST TAG[PID]: TEXT" follows, which no line of Exim's begins like.
bool NamesHostAndTag(std::string_view rest) {
  if (TakeUntil(rest, ' ').empty() || !TakeBlank(rest)) return false;
  FramedLine frame;
  frame.tag = TakeUntil(rest, ' ');
  if (!frame.tag.ends_with("]:")) return false;
  frame.tag.remove_suffix(1);
  SplitTag(frame);
  return frame.pid >= 0 && frame.program.find_first_of("=([<\"") == std::string_view::npos;
}

// Takes "1762052521.123456 " off `line`, as "journalctl -o short-unix" writes it.
bool TakeUnixStamp(std::string_view& line, Framer::Stamp& stamp) {
  int seconds = 0;
  std::string_view rest = line;
  constexpr size_t kSecondsSize = 10;
  if (line.size() < kSecondsSize || line[0] != '1') return false;
  rest.remove_prefix(1);
  if (!TakeNumber(rest, seconds) || line.size() - rest.size() != kSecondsSize) return false;
  stamp.civil_seconds = 1'000'000'000 + int64_t{seconds};
  stamp.utc_offset = 0;
  if (!ReadFraction(rest, stamp.nanosecond) || !TakeBlank(rest)) return false;
  line = rest;
  return true;
}

// Takes "2026-11-02 04:02:01 CET " off `line`, as "journalctl -o short-full" writes it behind
// the day of the week.  Of zones only the names of UTC are the same everywhere, and "+03":
// others are taken for the log's.
bool TakeFullStamp(std::string_view& line, Framer::Stamp& stamp) {
  bool has_blank = false;
  if (!TakeIsoStamp(line, stamp, has_blank) || !has_blank) return false;
  if (stamp.utc_offset) return true;
  const std::string_view zone = TakeUntil(line, ' ');
  if (zone.size() < 3 || !TakeBlank(line)) return false;
  if (zone.size() == 3 && (zone[0] == '+' || zone[0] == '-')) {
    const int hours = TwoDigits(zone.data() + 1);
    if (hours < 0 || hours > 23) return false;
    stamp.utc_offset = (zone[0] == '-' ? -1 : 1) * hours * 3600;
    return true;
  }
  if (Is(zone, "UTC") || Is(zone, "GMT")) stamp.utc_offset = 0;
  return std::all_of(zone.begin(), zone.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// Takes "Mon " off `line`.
bool TakeWeekday(std::string_view& line) {
  std::string_view rest = line;
  for (const std::string_view day : {"Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "}) {
    if (!rest.starts_with(day)) continue;
    rest.remove_prefix(day.size());
    line = rest;
    return true;
  }
  return false;
}

// Splits a header without priority.
bool SplitFileHeader(std::string_view line, FramedLine& frame, Framer::Stamp& stamp) {
  if (line.empty()) return false;
  if (!IsDigit(line.front())) {
    // "Mon 2026-11-02" has its hyphen where a traditional stamp has a digit.
    const bool full = line.size() > 8 && line[8] == '-';
    const bool taken =
        full ? TakeWeekday(line) && TakeFullStamp(line, stamp) : TakeTraditionalStamp(line, stamp);
    return taken && SplitHostAndTag(line, frame);
  }
  if (TakeUnixStamp(line, stamp)) return SplitHostAndTag(line, frame);
  bool is_exims = false;
  if (!TakeIsoStamp(line, stamp, is_exims)) return false;
  if (!is_exims || NamesHostAndTag(line)) return SplitHostAndTag(line, frame);
  SplitEximText(line, frame);
  return true;
}

// Takes off what stands before the header: "mail.info: " of socklogd's, "mail_1  | " of
// "docker compose logs".
bool TakeWriter(std::string_view& line) {
  if (TakeFacilityAndSeverity(line, ": ")) return true;
  const auto is_of_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '_' || c == '.' ||
           c == '-';
  };
  size_t i = 0;
  while (i < line.size() && is_of_name(line[i])) ++i;
  const size_t name_size = i;
  while (i < line.size() && line[i] == ' ') ++i;
  std::string_view rest = line.substr(i);
  if (name_size == 0 || i == name_size || !Consume(rest, "| ")) return false;
  line = rest;
  return true;
}

// Takes off the stamp of a program that wrote down what another printed, which has its own:
// "2026-11-02 04:02:01.123456789  " or "@40000000654aaa6b0e1b2c3d " of s6-log, the second of
// multilog, too, "2026-11-02_04:02:01.12345 " of svlogd.
bool TakeLoggersStamp(std::string_view& line) {
  constexpr size_t kShortest = 26;
  if (line.size() < kShortest) return false;
  std::string_view rest = line;
  if (line.front() == '@') {
    const std::string_view label = TakeUntil(rest, ' ');
    if (label.size() != 25 ||
        label.find_first_not_of("0123456789abcdef", 1) != std::string_view::npos) {
      return false;
    }
  } else if (line[kDateSize] == '_' || line[kDateSize] == ' ') {
    Framer::Stamp stamp;
    if (!IsDigit(line.front()) || line[kIsoStamp] != '.' ||
        !ReadClock(line.data() + kDateSize + 1, stamp)) {
      return false;
    }
    rest.remove_prefix(kIsoStamp);
    if (!ReadFraction(rest, stamp.nanosecond)) return false;
    if (line[kDateSize] == ' ' && !TakeBlank(rest)) return false;
  } else {
    return false;
  }
  if (!TakeBlank(rest)) return false;
  line = rest;
  return true;
}

// Splits what stands behind another header in `frame`, which has no tag of its own: a line of a
// container's, as CRI and "docker logs -t" keep it, or RFC 5424 that a syslogd got that does
// not know it.  Returns false and changes nothing when it has no header.
bool SplitInnerHeader(FramedLine& frame, Framer::Stamp& stamp) {
  FramedLine inner;
  Framer::Stamp inner_stamp;
  std::string_view line = frame.text;
  if (Consume(line, "1 ")) {
    bool is_exims = false;
    if (!TakeIsoStamp(line, inner_stamp, is_exims) || is_exims || !SplitRfc5424(line, inner)) {
      return false;
    }
  } else {
    // Of a line of CRI's in parts nobody knows which belong together.
    if (Is(frame.host, "stdout") || Is(frame.host, "stderr")) {
      if (!Consume(line, "F ")) return false;
    } else {
      line = {frame.host.data(),
              static_cast<size_t>(line.data() + line.size() - frame.host.data())};
      TakeWriter(line);
    }
    if (!SplitFileHeader(line, inner, inner_stamp)) return false;
  }
  frame = inner;
  stamp = inner_stamp;
  return true;
}

}  // namespace

Framer::Framer(FramerOptions options, FramerState state) : options_(options), state_(state) {
  if (state_.year_clock.now) {
    year_clock_.Restore(state_.year_clock);
  } else if (state_.last_time) {
    year_clock_.Take(*state_.last_time);
  }
}

bool Framer::SplitHeader(std::string_view line, FramedLine& frame, Stamp& stamp) {
  // After a crash a file system may leave zeros before the next good line.
  while (!line.empty() && line.front() == '\0') line.remove_prefix(1);
  // An editor may have left a byte order mark at the beginning of a file.
  Consume(line, "\xef\xbb\xbf");
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (TakePriority(line) && Consume(line, "1 ")) {
    bool is_exims = false;
    return TakeIsoStamp(line, stamp, is_exims) && !is_exims && SplitRfc5424(line, frame);
  }
  if (std::string_view printed = line; TakeLoggersStamp(printed)) {
    if (SplitFileHeader(printed, frame, stamp)) return true;
    stamp = {};
    if (TakeWriter(printed) && SplitFileHeader(printed, frame, stamp)) return true;
    stamp = {};
  }
  if (!SplitFileHeader(line, frame, stamp)) {
    stamp = {};
    if (!TakeWriter(line) || !SplitFileHeader(line, frame, stamp)) return false;
  }
  if (!frame.tag.empty() || SplitInnerHeader(frame, stamp)) return true;
  return !Is(frame.host, "stdout") && !Is(frame.host, "stderr");
}

bool Framer::Resolve(const Stamp& stamp, absl::Time& time) {
  return stamp.hour_prefix.empty() ? ReadIsoTime(stamp, time) : ReadTraditionalTime(stamp, time);
}

std::optional<absl::Time> Framer::PeekTime(std::string_view line) const {
  Framer copy = *this;
  FramedLine frame;
  if (!copy.Split(line, frame)) return std::nullopt;
  return frame.time;
}

bool Framer::ReadTraditionalTime(const Stamp& stamp, absl::Time& time) {
  if (stamp.hour_prefix == hour_prefix_) {
    time = FromUnix(hour_start_ + stamp.minute * 60 + stamp.second, stamp.nanosecond);
  } else {
    const char* p = stamp.hour_prefix.data();
    const int month = MonthNumber(stamp.hour_prefix);
    const int day = DayNumber(p + 4);
    const std::optional<int> year = YearFor(month, day, stamp);
    if (!year) return false;
    time = FromLocal(absl::CivilSecond(*year, month, day, stamp.hour, stamp.minute, stamp.second),
                     stamp.nanosecond);
    if (!CanBeStored(time)) return false;
    RememberHour(stamp, time);
    state_.utc_offset = absl::Seconds(options_.time_zone.At(time).offset);
    // The same for all lines of the hour.
    year_clock_.Restore({.now = HourStart(stamp, time), .jump = std::nullopt});
  }
  state_.last_time = time;
  return true;
}

bool Framer::ReadIsoTime(const Stamp& stamp, absl::Time& time) {
  time = stamp.utc_offset ? FromUnix(stamp.civil_seconds - *stamp.utc_offset, stamp.nanosecond)
                          : FromLocal(absl::CivilSecond() + stamp.civil_seconds, stamp.nanosecond);
  if (!CanBeStored(time)) return false;
  state_.utc_offset =
      absl::Seconds(stamp.utc_offset ? *stamp.utc_offset : options_.time_zone.At(time).offset);
  state_.last_time = time;
  year_clock_.Take(time);
  hour_prefix_.clear();
  return true;
}

absl::Time Framer::FromLocal(absl::CivilSecond local, int32_t nanosecond) const {
  const absl::TimeZone::TimeInfo info = options_.time_zone.At(local);
  const bool second_pass = info.kind == absl::TimeZone::TimeInfo::REPEATED && state_.last_time &&
                           *state_.last_time - info.pre > kStepBackMax;
  return (second_pass ? info.post : info.pre) + absl::Nanoseconds(nanosecond);
}

std::optional<int> Framer::YearFor(int month, int day, const Stamp& stamp) const {
  const auto time_in = [&](int64_t year) {
    return absl::FromCivil(
        absl::CivilSecond(year, month, day, stamp.hour, stamp.minute, stamp.second),
        options_.time_zone);
  };
  if (const std::optional<absl::Time> near = year_clock_.state().now) {
    const int around = static_cast<int>(absl::ToCivilYear(*near, options_.time_zone).year());
    // February 29 may be further away than the next year.
    for (const int spread : {1, kLeapYearsApart}) {
      std::optional<int> best;
      absl::Duration best_distance;
      for (int year = around - spread; year <= around + spread; ++year) {
        if (!DateExists(year, month, day)) continue;
        const absl::Duration distance = absl::AbsDuration(time_in(year) - *near);
        if (best && distance >= best_distance) continue;
        best = year;
        best_distance = distance;
      }
      if (best) return best;
    }
    return std::nullopt;
  }
  const absl::Time latest =
      std::min(options_.reference_time, kStorableEnd - absl::Hours(24)) + absl::Hours(24);
  const int newest = static_cast<int>(absl::ToCivilYear(latest, options_.time_zone).year());
  for (int year = newest; year >= newest - kLeapYearsApart - 1; --year) {
    if (DateExists(year, month, day) && time_in(year) <= latest) return year;
  }
  return std::nullopt;
}

void Framer::RememberHour(const Stamp& stamp, absl::Time time) {
  hour_prefix_.clear();
  const absl::Time start = HourStart(stamp, time);
  const absl::CivilHour hour = absl::ToCivilHour(start, options_.time_zone);
  const absl::TimeZone::TimeInfo first = options_.time_zone.At(absl::CivilSecond(hour));
  const absl::TimeZone::TimeInfo last = options_.time_zone.At(absl::CivilSecond(hour + 1) - 1);
  const bool plain = first.kind == absl::TimeZone::TimeInfo::UNIQUE && first.pre == start &&
                     last.kind == absl::TimeZone::TimeInfo::UNIQUE &&
                     last.pre == start + absl::Seconds(3599) && CanBeStored(start) &&
                     CanBeStored(last.pre + absl::Seconds(1));
  if (!plain) return;
  hour_prefix_ = stamp.hour_prefix;
  hour_start_ = absl::ToUnixSeconds(start);
}

bool HeaderSplitter::Split(std::string_view line, FramedLine& frame, Framer::Stamp& stamp,
                           bool& repeats) {
  repeats = size_ != 0 && line.size() > size_ && std::memcmp(line.data(), bytes_, size_) == 0;
  // Behind a stamp of Exim's may stand its zone, another header, or host and tag, which the line
  // before had not.
  if (repeats && host_at_ == size_) {
    const char next = line[size_];
    repeats = next != '+' && next != '-' && next != 'Z' && next != ' ' &&
              !NamesHostAndTag(line.substr(size_));
  }
  if (repeats) {
    const std::string_view rest = line.substr(size_, line.size() - size_ - line.ends_with('\r'));
    stamp = stamp_;
    if (!stamp_.hour_prefix.empty()) stamp.hour_prefix = line.substr(0, kHourPrefix);
    if (host_at_ == size_) {
      SplitEximText(rest, frame);
      return true;
    }
    frame.host = line.substr(host_at_, size_ - host_at_ - 1);
    SplitTagAndText(rest, frame);
    if (!frame.tag.empty()) return true;
    // There may be another header.
    stamp = {};
  }
  const size_t host_at = host_at_;
  const size_t host_size = size_ > host_at_ ? size_ - host_at_ - 1 : 0;
  size_ = 0;
  if (!Framer::SplitHeader(line, frame, stamp)) return false;
  repeats = repeats && frame.host.data() == line.data() + host_at && frame.host.size() == host_size;
  Remember(line, frame, stamp);
  return true;
}

void HeaderSplitter::Remember(std::string_view line, const FramedLine& frame,
                              const Framer::Stamp& stamp) {
  const std::string_view host = frame.host;
  host_at_ = host.data() - line.data();
  const size_t size = host.empty() ? host_at_ : host_at_ + host.size() + 1;
  // Of other shapes the rest of the line decides, too, or something stands before the stamp.
  const bool is_simple = host.empty()
                             ? frame.tag.data() == kEximTag
                             : stamp.hour_prefix.data() == line.data() ||
                                   (line[kDateSize] == 'T' && Find(line, ' ') + 1 == host_at_);
  if (size > kBytesMax || line.front() == '<' || line.front() == '\0' || !is_simple) return;
  size_ = size;
  std::memcpy(bytes_, line.data(), size);
  stamp_ = stamp;
}

}  // namespace mxtally
