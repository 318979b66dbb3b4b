// The files of a journal, as libsystemd finds them.  It leaves out what it cannot
// read and says nothing.

#ifndef MXTALLY_AGENT_SOURCE_JOURNAL_FILES_H_
#define MXTALLY_AGENT_SOURCE_JOURNAL_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/source/log_file.h"

namespace mxtally {

struct JournalFile {
  std::string path;
  FileStat stat;
  // Why it cannot be read, with its path:
  //   PERMISSION_DENIED, ...  as open() says
  //   DATA_LOSS               empty, cut short, damaged, or of a newer systemd
  absl::Status status;
};

// Those in `directory` and its folders named by a machine's id; empty: the
// system's.  Sorted by path.
std::vector<JournalFile> ListJournalFiles(const std::string& directory);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_JOURNAL_FILES_H_
