#include "agent/source/journal_reader.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/source/journal_files.h"

namespace mxtally {
namespace {

// Names and values on one line of the entry's text are bounded by LineMax of
// journald.conf and by this.
constexpr size_t kIdentifierBytesMax = 128;

// SD_MESSAGE_JOURNAL_DROPPED: "Suppressed 1234 messages from postfix@-.service".
constexpr char kSuppressed[] = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e";
constexpr char kMailFacility[] = "SYSLOG_FACILITY=2";

// Distributions' names.  Postfix's instances are postfix@NAME.service.
constexpr const char* kUnits[] = {"postfix.service",   "postfix@-.service", "exim.service",
                                  "exim4.service",     "sendmail.service",  "sm-client.service",
                                  "opensmtpd.service", "smtpd.service"};
constexpr std::string_view kPostfixInstance = "postfix@";

// Accounts that MTAs run under.
constexpr const char* kAccounts[] = {"postfix", "Debian-exim", "exim",  "mail",     "mailnull",
                                     "smmta",   "smmsp",       "smtpd", "opensmtpd"};

// User ids of people begin here (SYS_UID_MAX of login.defs), and nobody's is above.
constexpr uid_t kSystemUidMax = 999;

absl::Status ErrnoStatus(int error, std::string_view doing) {
  return absl::ErrnoToStatus(error, std::string(doing));
}

// Whether an identifier is one that lines about SMTP sessions have:
// Postfix's SYSLOG_NAME/PROGRAM, and the names of the others.
bool NamesMta(std::string_view identifier) {
  static constexpr std::string_view kNames[] = {"exim",   "exim4", "sendmail",
                                                "sm-mta", "smtpd", "opensmtpd"};
  return identifier.find('/') != std::string_view::npos ||
         std::find(std::begin(kNames), std::end(kNames), identifier) != std::end(kNames);
}

// Programs that users may run and that write in the MTA's name: what they say
// is about mail, not about sessions.
bool UsersRun(std::string_view identifier) {
  static constexpr std::string_view kPrograms[] = {"/sendmail", "/postdrop", "/postqueue",
                                                   "/postlog"};
  return std::any_of(std::begin(kPrograms), std::end(kPrograms),
                     [&](std::string_view p) { return identifier.ends_with(p); });
}

// What a line's header may hold.
std::string HeaderWord(std::string word) {
  if (word.size() > kIdentifierBytesMax) word.resize(kIdentifierBytesMax);
  for (char& c : word) {
    if (c <= ' ' || c == 0x7f || c == '[' || c == ']' || c == ':') c = '?';
  }
  return word;
}

void ReplaceControls(std::string& text) {
  for (char& c : text) {
    if ((c >= 0 && c < ' ' && c != '\t') || c == 0x7f) c = '?';
  }
}

// "s" and "i" of a cursor, "s=ID;i=NUMBER;b=...": the series of sequence
// numbers, and the entry's number.  systemd calls cursors opaque, but has kept
// their form since the first one; what cannot be read is 0, and then places are
// known by their cursors alone.
void ReadCursor(std::string_view cursor, v1::Cut& cut) {
  const auto hex_after = [cursor](std::string_view name, size_t digits_max) {
    const size_t begin = cursor.find(name);
    if (begin == std::string_view::npos) return std::string();
    std::string_view digits = cursor.substr(begin + name.size());
    return std::string(digits.substr(0, std::min(digits.find(';'), digits_max)));
  };
  const std::string id = hex_after("s=", 32);
  uint64_t high = 0;
  uint64_t low = 0;
  uint64_t number = 0;
  if (id.size() == 32 && absl::SimpleHexAtoi(id.substr(0, 16), &high) &&
      absl::SimpleHexAtoi(id.substr(16), &low)) {
    cut.mutable_file()->set_device(high);
    cut.mutable_file()->set_inode(low);
  }
  if (absl::SimpleHexAtoi(hex_after(";i=", 16), &number)) {
    cut.set_offset(static_cast<int64_t>(std::min<uint64_t>(number, INT64_MAX)));
  }
}

// The same entry also after journald moved it to another file, as it does when
// /var appears: then series and number are new, boot, times and content are not.
bool SameEntry(std::string_view a, std::string_view b) {
  const auto lasting = [](std::string_view cursor) {
    const size_t boot = cursor.find(";b=");
    return boot == std::string_view::npos ? cursor : cursor.substr(boot);
  };
  return lasting(a) == lasting(b);
}

std::set<uid_t> AccountsOfMtas() {
  std::set<uid_t> uids = {0};
  for (const char* name : kAccounts) {
    passwd entry = {};
    passwd* found = nullptr;
    std::array<char, size_t{16} * 1024> buffer;
    if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
      uids.insert(found->pw_uid);
    }
  }
  return uids;
}

// "Suppressed 1234 messages from UNIT": UNIT; older releases tell a cgroup.
std::string_view SuppressedUnit(std::string_view message) {
  const size_t from = message.find(" from ");
  if (from == std::string_view::npos) return {};
  std::string_view unit = message.substr(from + 6);
  return unit.substr(std::min(unit.rfind('/') + 1, unit.size()));
}

}  // namespace

std::string JournalName(const JournalOptions& options) {
  return options.directory.empty() ? "journal" : absl::StrCat("journal:", options.directory);
}

void JournalReader::Close::operator()(sd_journal* journal) const { ::sd_journal_close(journal); }

absl::StatusOr<std::unique_ptr<JournalReader>> JournalReader::Open(const JournalOptions& options,
                                                                   int64_t line_bytes_max) {
  const std::string name = JournalName(options);
  sd_journal* journal = nullptr;
  const int opened = options.directory.empty()
                         ? ::sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM)
                         : ::sd_journal_open_directory(&journal, options.directory.c_str(), 0);
  if (opened < 0) return ErrnoStatus(-opened, absl::StrCat("open ", name));
  std::unique_ptr<JournalReader> reader(new JournalReader(options, line_bytes_max));
  reader->folder_ = ScopedFd(::open(options.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  reader->journal_.reset(journal);
  // What cannot be read looks as if it were not there.
  uint64_t bytes = 0;
  if (::sd_journal_get_usage(journal, &bytes) < 0 || bytes == 0) {
    absl::Status status = absl::NotFoundError(absl::StrCat(name, ": no journal that may be read"));
    for (const JournalFile& file : ListJournalFiles(options.directory)) {
      if (!file.status.ok()) status = file.status;
    }
    return absl::Status(status.code(), absl::StrCat(status.message(),
                                                    "; the group systemd-journal may read the "
                                                    "system's"));
  }
  reader->usage_bytes_ = bytes;
  // Watches for new files.
  if (const int fd = ::sd_journal_get_fd(journal); fd < 0) {
    return ErrnoStatus(-fd, absl::StrCat("watch ", name));
  }
  // The first call tells of the files found just now.
  ::sd_journal_process(journal);
  // A field's name comes before its value.
  ::sd_journal_set_data_threshold(journal, static_cast<size_t>(line_bytes_max) + 1024);
  if (absl::Status s = reader->AddMatches(); !s.ok()) return s;
  if (const int sought = ::sd_journal_seek_head(journal); sought < 0) {
    return ErrnoStatus(-sought, absl::StrCat("seek ", name));
  }
  return reader;
}

JournalReader::JournalReader(const JournalOptions& options, int64_t line_bytes_max)
    : directory_(options.directory),
      line_bytes_max_(line_bytes_max),
      units_(std::begin(kUnits), std::end(kUnits)),
      accounts_(AccountsOfMtas()) {
  units_.insert(options.units.begin(), options.units.end());
}

JournalReader::~JournalReader() = default;

// Any of these; matches of one field are alternatives anyway.
absl::Status JournalReader::AddMatches() {
  std::vector<std::string> matches = {kMailFacility, kSuppressed};
  for (const std::string& unit : units_) matches.push_back(absl::StrCat("_SYSTEMD_UNIT=", unit));
  for (const std::string& match : matches) {
    int result = ::sd_journal_add_match(journal_.get(), match.data(), match.size());
    if (result >= 0) result = ::sd_journal_add_disjunction(journal_.get());
    if (result < 0) return ErrnoStatus(-result, "choose entries of the journal");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> JournalReader::GoTo(const v1::Cut& cut) {
  place_ = cut;
  taken_ = true;
  gone_ = !cut.cursor().empty();
  if (!gone_) {
    const int sought = ::sd_journal_seek_head(journal_.get());
    if (sought < 0) return ErrnoStatus(-sought, "seek in the journal");
    return true;
  }
  if (::sd_journal_seek_cursor(journal_.get(), cut.cursor().c_str()) < 0) {
    ::sd_journal_seek_head(journal_.get());  // No cursor of a journal.
    return false;
  }
  const int found = ::sd_journal_next(journal_.get());
  if (found < 0) return ErrnoStatus(-found, "seek in the journal");
  char* cursor = nullptr;
  if (found == 0 || ::sd_journal_get_cursor(journal_.get(), &cursor) < 0) return false;
  const bool same = SameEntry(cursor, cut.cursor());
  ::free(cursor);
  taken_ = same;
  gone_ = !same;
  if (uint64_t microseconds = 0;
      same && ::sd_journal_get_realtime_usec(journal_.get(), &microseconds) >= 0) {
    time_ = absl::FromUnixMicros(static_cast<int64_t>(microseconds));
  }
  return same;
}

// Takes note of files that came and went; false when none did.  Where some did,
// entries may have come and gone anywhere, so the place is sought anew.
absl::StatusOr<bool> JournalReader::LookForFiles() {
  const int change = ::sd_journal_process(journal_.get());
  if (change < 0) return ErrnoStatus(-change, "watch the journal");
  if (change != SD_JOURNAL_INVALIDATE) return false;
  checked_ = false;
  ::sd_journal_get_usage(journal_.get(), &usage_bytes_);
  const bool told = gone_;
  const absl::StatusOr<bool> found = GoTo(v1::Cut(place_));
  if (!found.ok()) return found.status();
  if (!*found && !told) {
    return absl::DataLossError("entries of the journal were removed, maybe before they were read");
  }
  return true;
}

// What libsystemd left out and may hold entries behind the place is lost.  Not
// what is in an empty file: journald may be just making it.
void JournalReader::CheckFiles() {
  std::set<std::pair<uint64_t, uint64_t>> unreadable;
  files_ = ListJournalFiles(directory_);
  for (const JournalFile& file : files_) {
    if (file.status.ok() || file.stat.modified < time_) continue;
    if (file.stat.size == 0 && !place_.cursor().empty()) continue;
    const auto [id, added] = unreadable.emplace(file.stat.device, file.stat.inode);
    if (unreadable_.count(*id) == 0) losses_.push_back(absl::DataLossError(file.status.message()));
  }
  unreadable_ = std::move(unreadable);
}

// Libsystemd drops a file in which it meets damage, and does not say so: then
// it uses less than is there.
bool JournalReader::DroppedFile() {
  uint64_t bytes = 0;
  if (::sd_journal_get_usage(journal_.get(), &bytes) < 0) return false;
  if (bytes >= std::exchange(usage_bytes_, bytes)) return false;
  constexpr uint64_t kBlockBytes = 512;
  uint64_t bytes_there = 0;
  for (const JournalFile& file : files_) {
    struct stat st = {};
    const bool there = file.status.ok() && ::stat(file.path.c_str(), &st) == 0;
    if (there && file.stat.SameFile(FromStat(st))) bytes_there += st.st_blocks * kBlockBytes;
  }
  return ::sd_journal_get_usage(journal_.get(), &bytes) >= 0 && bytes < bytes_there;
}

absl::StatusOr<bool> JournalReader::Next(Line& line) {
  while (true) {
    if (!std::exchange(checked_, true)) CheckFiles();
    if (!losses_.empty()) {
      absl::Status loss = std::move(losses_.front());
      losses_.pop_front();
      return loss;
    }
    if (std::exchange(taken_, true)) {
      const int found = ::sd_journal_next(journal_.get());
      if (found < 0) return ErrnoStatus(-found, "read the journal");
      if (found == 0) {
        if (DroppedFile()) {
          return absl::DataLossError("a file of the journal is damaged; not all of it was read");
        }
        // Not before: a file that was removed can be read as long as it is open.
        const absl::StatusOr<bool> changed = LookForFiles();
        if (!changed.ok() || !*changed) return changed;
        continue;
      }
    }
    if (absl::Status s = TakePlace(); !s.ok()) return s;
    if (MakeLine(line)) return true;
  }
}

absl::Status JournalReader::TakePlace() {
  char* cursor = nullptr;
  uint64_t microseconds = 0;
  if (::sd_journal_get_cursor(journal_.get(), &cursor) < 0 ||
      ::sd_journal_get_realtime_usec(journal_.get(), &microseconds) < 0) {
    ::free(cursor);
    return absl::DataLossError("an entry of the journal is damaged");
  }
  gone_ = false;
  place_.Clear();
  place_.set_cursor(cursor);
  ReadCursor(place_.cursor(), place_);
  ::free(cursor);
  time_ = absl::FromUnixMicros(static_cast<int64_t>(microseconds));
  return absl::OkStatus();
}

// False for an entry that is of no use.
bool JournalReader::MakeLine(Line& line) {
  absl::Time stamp = time_;
  int64_t source_microseconds = 0;
  if (absl::SimpleAtoi(Field("_SOURCE_REALTIME_TIMESTAMP"), &source_microseconds)) {
    stamp = absl::FromUnixMicros(source_microseconds);
  }
  std::string identifier = Field("SYSLOG_IDENTIFIER");
  if (identifier.empty()) identifier = Field("_COMM");
  std::string pid = Field("_PID");
  if (pid.empty()) pid = Field("SYSLOG_PID");
  std::string message = Field("MESSAGE");

  if (identifier == "systemd-journald") {
    // Only journald writes by itself.
    if (Field("_TRANSPORT") != "driver" || !IsMailUnit(SuppressedUnit(message))) return false;
  } else if (NamesMta(identifier) && !IsTrusted()) {
    if (!UsersRun(identifier)) ++untrusted_lines_;
    identifier = "untrusted";
    message.clear();
  }
  std::string host = HeaderWord(Field("_HOSTNAME"));
  if (host.empty()) host = "localhost";
  text_ = absl::StrCat(absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6S%Ez", stamp, absl::UTCTimeZone()),
                       " ", host, " ", HeaderWord(std::move(identifier)));
  if (!pid.empty()) absl::StrAppend(&text_, "[", HeaderWord(std::move(pid)), "]");
  absl::StrAppend(&text_, ": ", message);
  ReplaceControls(text_);
  line.bytes = static_cast<int64_t>(text_.size()) + 1;
  line.oversized = static_cast<int64_t>(text_.size()) > line_bytes_max_;
  line.text = text_;
  return true;
}

bool JournalReader::IsTrusted() const {
  uid_t uid = 0;
  if (!absl::SimpleAtoi(Field("_UID"), &uid)) return false;
  if (accounts_.count(uid) > 0) return true;
  return uid <= kSystemUidMax && IsMailUnit(Field("_SYSTEMD_UNIT"));
}

bool JournalReader::IsMailUnit(std::string_view unit) const {
  return units_.count(unit) > 0 ||
         (unit.starts_with(kPostfixInstance) && unit.ends_with(".service"));
}

std::string JournalReader::Field(const char* name) const {
  const void* data = nullptr;
  size_t size = 0;
  if (::sd_journal_get_data(journal_.get(), name, &data, &size) < 0) return "";
  const std::string_view field(static_cast<const char*>(data), size);
  const size_t value = std::min(std::strlen(name) + 1, field.size());
  return std::string(field.substr(value, static_cast<size_t>(line_bytes_max_) + 1));
}

bool JournalReader::LostFolder() const {
  if (directory_.empty()) return false;
  struct stat ours = {};
  struct stat there = {};
  return ::fstat(folder_.get(), &ours) != 0 || ::stat(directory_.c_str(), &there) != 0 ||
         ours.st_dev != there.st_dev || ours.st_ino != there.st_ino;
}

int64_t JournalReader::BytesBehind() const {
  uint64_t bytes = 0;
  uint64_t from = 0;
  uint64_t to = 0;
  if (::sd_journal_get_usage(journal_.get(), &bytes) < 0 ||
      ::sd_journal_get_cutoff_realtime_usec(journal_.get(), &from, &to) <= 0 || to <= from) {
    return 0;
  }
  const double here = static_cast<double>(std::clamp<int64_t>(
      absl::ToUnixMicros(time_), static_cast<int64_t>(from), static_cast<int64_t>(to)));
  return static_cast<int64_t>(static_cast<double>(bytes) * (static_cast<double>(to) - here) /
                              static_cast<double>(to - from));
}

}  // namespace mxtally
