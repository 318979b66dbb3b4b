// Follows one log: a live file and its rotated predecessors, as one sequence of
// whole lines with their positions.
//
// The log's name is its path without rotation suffix.  Its files are told
// apart by device, inode and a hash of the head that grows with the file; a
// file that was copied (copytruncate) is found again by its content.  A
// partial last line waits for its newline.
//
// Rotated files may be compressed.  One that was removed before it was read is
// a gap, and so is what cannot be read of one that is damaged or of a
// compression that is not read.  One thread only.

#ifndef MXTALLY_AGENT_SOURCE_LOG_FOLLOWER_H_
#define MXTALLY_AGENT_SOURCE_LOG_FOLLOWER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/source/journal_reader.h"
#include "mxtally/v1/cut.pb.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

struct LogFollowerOptions {
  // Live file.  May be missing now and appear later.  Of the journal: its name.
  std::string path;

  // Read the systemd journal; all but `path` and `line_bytes_max` is then of no use.
  std::optional<JournalOptions> journal = std::nullopt;

  // Files of the log besides the live one that the operator named (a glob that
  // matched rotated files), any order.  Read first, oldest first.
  std::vector<std::string> older_paths = {};

  // The time of a line's stamp, whose year goes by the second argument.  Tells
  // the order of files whose modification times contradict their names, as
  // those of restored files do; null: nothing tells.
  std::function<std::optional<absl::Time>(std::string_view, absl::Time)> time_of_line = nullptr;

  // A longer line is skipped and counted.
  int64_t line_bytes_max = 64 * 1024;

  // Bytes read from the file at a time.
  int64_t chunk_bytes = 256 * 1024;

  // To look for a place in archives may take minutes.  Called meanwhile for each
  // megabyte: whether to go on.  If not, Open() or Read() ends with CANCELLED,
  // and so does each Read() after it.  Null: to the end.
  std::function<bool()> keep_unpacking = nullptr;
};

// Where to begin.
struct LogStart {
  // Continue here.  Absent: at the beginning of what is there.
  std::optional<v1::Cut> cut = std::nullopt;

  // Read every rotated file of the log that is still on disk, oldest
  // first, although `cut` is absent: the server knows this log and the agent's
  // state is gone, or the server's database is behind it or another one.
  bool from_oldest = false;

  // For a log of which nothing was acknowledged since it was first met at this
  // time: rotated files that were not named and have not changed since are not
  // read, the others are.
  std::optional<absl::Time> first_met = std::nullopt;
};

// Receives what Read() finds, in log order.  Called on the caller's thread.
class LineSink {
 public:
  virtual ~LineSink() = default;

  // A whole line without its line end, its bytes with it, and the offset of the
  // place after it.  The view is valid during the call.  Returns false to stop
  // reading after it.
  virtual bool OnLine(std::string_view line, int64_t bytes, int64_t end_offset) = 0;

  // A line over the limit was skipped; `bytes` with its line end.
  virtual bool OnOversizedLine(int64_t bytes, int64_t end_offset) = 0;

  // The lines that follow are of another file: from its beginning, from where
  // `LogStart::cut` says, or from where it was left when it is returned to
  // (lines added to a rotated file after it was left).  `modified` is its modification time,
  // `name_date` the date that its rotation suffix tells ("-20261101").
  virtual void OnFile(const std::string& path, absl::Time modified,
                      std::optional<absl::Time> name_date) = 0;

  // Log between the last line and the next one is gone.
  virtual void OnGap(v1::GapReason reason, int64_t bytes_min) = 0;
};

enum class ReadResult {
  kMore,      // Stopped by the sink or by the byte limit; call again.
  kEndOfLog,  // Everything that is there was read.
};

class LogFollower {
 public:
  // Finds the place to begin.  A missing file is no error.
  static absl::StatusOr<std::unique_ptr<LogFollower>> Open(LogFollowerOptions options,
                                                           LogStart start);
  virtual ~LogFollower() = default;

  // Reads on, at most about `bytes_max`.  Sees rotation, truncation and
  // replacement.
  //   PERMISSION_DENIED, ... a file cannot be read; call again later
  virtual absl::StatusOr<ReadResult> Read(int64_t bytes_max, LineSink& sink) = 0;

  // The place after the last line handed on: identity and offset, without log
  // time.  nullopt when no file was found yet.
  virtual std::optional<v1::Cut> Position() const = 0;

  // Whether `cut` lies in the file being read now, and if so at which offset.
  // For stopping exactly at a cut that the server stored.
  virtual std::optional<int64_t> OffsetInCurrentFile(const v1::Cut& cut) const = 0;

  // Bytes of log not yet read, 0 at its end.  Of compressed files as stored; of
  // the journal an estimate.
  virtual int64_t BytesBehind() const = 0;

  // Entries that pretend to be an MTA's, since it was opened.
  virtual int64_t UntrustedLines() const { return 0; }
};

// The journal as a log: its entries as lines (journal_reader.h), its cursor as
// the place.  Used by LogFollower::Open().
absl::StatusOr<std::unique_ptr<LogFollower>> FollowJournal(LogFollowerOptions options,
                                                           LogStart start);

// Turns patterns into logs: expands globs, groups rotated files under the log
// they belong to, and keeps patterns' paths that
// do not exist yet.  Sorted by path.
//   INVALID_ARGUMENT   a pattern is malformed
//   FAILED_PRECONDITION  a path is a directory
absl::StatusOr<std::vector<LogFollowerOptions>> FindLogs(const std::vector<std::string>& patterns);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_LOG_FOLLOWER_H_
