// Reads the mail lines of the systemd journal, of all boots, and gives each
// entry the form of a line in a log file:
//
//   2026-11-02T04:02:01.123456+00:00 HOST IDENTIFIER[PID]: MESSAGE
//
// The stamp is the sender's (_SOURCE_REALTIME_TIMESTAMP) where the entry has
// it, else the journal's.  Bytes that would end or split a line become '?'.
//
// Read are entries of the facility "mail" and of the MTAs' units, and what
// journald says it suppressed of these units.
//
// Anybody may write an entry in an MTA's name, but not with its user id, which
// the kernel adds.  An entry in the name of an MTA is taken for the MTA's when
// _UID is root, or an account of an MTA on this host, or another system account
// (below 1000) within an MTA's unit.  _SYSTEMD_UNIT alone proves nothing:
// commands in aliases and .forward files run in it, as their users.  _COMM
// proves nothing either: a process chooses it.  What fails becomes a line of the
// program "untrusted" without its text.

#ifndef MXTALLY_AGENT_SOURCE_JOURNAL_READER_H_
#define MXTALLY_AGENT_SOURCE_JOURNAL_READER_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/source/journal_files.h"
#include "agent/source/scoped_fd.h"
#include "mxtally/v1/cut.pb.h"

struct sd_journal;

namespace mxtally {

struct JournalOptions {
  // Folder of journal files; empty: the system's journal.
  std::string directory = {};
  // Units of MTAs beside those that are known, "postfix-out.service".
  std::vector<std::string> units = {};
};

// What the journal is called in reports and messages.
std::string JournalName(const JournalOptions& options);

// One thread at a time.
class JournalReader {
 public:
  struct Line {
    std::string_view text;  // Valid until the next call.  Cut short when oversized.
    int64_t bytes = 0;      // With a line end.
    bool oversized = false;
  };

  // Stands before the first entry.
  //   NOT_FOUND               there is no journal
  //   PERMISSION_DENIED, ...  `directory` or its files cannot be read
  static absl::StatusOr<std::unique_ptr<JournalReader>> Open(const JournalOptions& options,
                                                             int64_t line_bytes_max);
  ~JournalReader();

  JournalReader(const JournalReader&) = delete;
  JournalReader& operator=(const JournalReader&) = delete;

  // Goes to the place after the entry of `cut`.  False when that entry is not
  // there any more: then to the next one.
  absl::StatusOr<bool> GoTo(const v1::Cut& cut);

  // Takes the next entry.  False while there is none; entries that come later
  // are seen.
  //   DATA_LOSS  an entry or a file is damaged; or that of place() was removed with what may
  //              have been behind it; or a file that may hold such entries cannot
  //              be read, told once for each.  The next call goes on
  absl::StatusOr<bool> Next(Line& line);

  // Whether the folder of the options is another one since, or none: that is not
  // read before it is opened again.
  bool LostFolder() const;

  // The place after the last line.
  const v1::Cut& place() const { return place_; }
  int64_t untrusted_lines() const { return untrusted_lines_; }

  // Bytes of journal files behind place(), estimated by time.
  int64_t BytesBehind() const;

 private:
  explicit JournalReader(const JournalOptions& options, int64_t line_bytes_max);

  absl::Status AddMatches();
  absl::StatusOr<bool> LookForFiles();
  void CheckFiles();
  bool DroppedFile();
  absl::Status TakePlace();
  bool MakeLine(Line& line);
  bool IsTrusted() const;
  bool IsMailUnit(std::string_view unit) const;
  // Field of the current entry, at most line_bytes_max_ + 1 bytes; empty: it has none.
  std::string Field(const char* name) const;

  struct Close {
    void operator()(sd_journal* journal) const;
  };

  const std::string directory_;
  const int64_t line_bytes_max_;
  std::set<std::string, std::less<>> units_;
  std::set<uid_t> accounts_;
  std::unique_ptr<sd_journal, Close> journal_;
  ScopedFd folder_;  // As long as it is open, no other has its inode.
  v1::Cut place_;
  absl::Time time_ = absl::InfinitePast();  // The journal's, of the last entry.
  bool taken_ = true;                       // The entry that `journal_` stands at.
  bool gone_ = false;                       // The entry of place_ is not there any more.
  std::vector<JournalFile> files_;          // As CheckFiles() found them.
  uint64_t usage_bytes_ = 0;                // Of the files that libsystemd has open.
  bool checked_ = false;                    // By CheckFiles(), since files came and went.
  std::set<std::pair<uint64_t, uint64_t>> unreadable_;  // Device and inode.
  std::deque<absl::Status> losses_;                     // Not told yet.
  int64_t untrusted_lines_ = 0;
  std::string text_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_JOURNAL_READER_H_
