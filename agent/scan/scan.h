// `mxtally-agent scan`: reads logs from beginning to end and reports what their
// SMTP sessions used, with no server.  Knows nothing of gRPC.

#ifndef MXTALLY_AGENT_SCAN_SCAN_H_
#define MXTALLY_AGENT_SCAN_SCAN_H_

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mxtally {

// The command line, word by word: RunScan() reads and checks it.
struct ScanOptions {
  // Paths, "-" for standard input; plain or compressed.  Rotated files of one log, in any order,
  // are read as one, oldest first.
  std::vector<std::string> files;

  // Read the systemd journal too; of the system, or in a folder.
  bool journal = false;
  std::string journal_directory;
  // Units of MTAs beside those that are known.
  std::vector<std::string> journal_units;

  std::string format = "table";  // Or "json", "csv".

  // Print one session record per line, as proto3 JSON, in place of the report.
  bool sessions = false;

  // Only sessions whose first line is at or after `since` and before `until`:
  // RFC 3339, or shorter and then in `time_zone` ("2026-11-01", "2026-11-01T04:00").
  // Empty: no bound.
  std::string since;
  std::string until;

  // Of stamps that name no zone, such as "Europe/Amsterdam".  Empty: this host's.
  std::string time_zone;

  // The first stamp of a file that has no year gets the latest year that puts
  // it at most a day after this time.  Empty: the date in the file's name, else
  // the time of its last change.
  std::string reference_time;

  // Networks, addresses and domains of peers that are EXCLUDED.
  std::vector<std::string> exclude_peers;
  // Class that the report counts: "external", "loopback", "excluded" or "all".
  std::string peer_class = "external";

  // Tell on `err` how far long work is; for a terminal.
  bool show_progress = false;

  int standard_input = 0;  // -1: closed.
  std::function<absl::Time()> now = absl::Now;
};

// Prints the report to `out`, errors and progress to `err`.  Returns the exit
// status:
//   0   done
//   1   some input could not be read, and the report is about the rest; or the report could not be
//       written
//   2   an option is wrong; nothing was read
int RunScan(const ScanOptions& options, std::ostream& out, std::ostream& err);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_SCAN_H_
