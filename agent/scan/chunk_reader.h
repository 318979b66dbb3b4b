// Reads the files of a scan, chunk after chunk.

#ifndef MXTALLY_AGENT_SCAN_CHUNK_READER_H_
#define MXTALLY_AGENT_SCAN_CHUNK_READER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/scan/input_log.h"
#include "agent/scan/log_chunk.h"
#include "agent/scan/progress.h"
#include "agent/source/line_buffer.h"

namespace mxtally {

// One thread at a time.
class ChunkReader {
 public:
  // All must outlive the reader.  What cannot be read is named in `errors` and
  // passed over.
  ChunkReader(const std::vector<InputLog>& logs, int standard_input, Progress& progress,
              std::vector<std::string>& errors);
  ~ChunkReader();

  // Puts the next lines into `chunk`.  False at the end.
  bool Next(LogChunk& chunk);

 private:
  class OpenFile;

  bool OpenNextFile();
  // The first lines of the file that follows in the log.
  std::string_view NextFilesLines() const;

  const std::vector<InputLog>& logs_;
  const int standard_input_;
  Progress& progress_;
  std::vector<std::string>& errors_;

  // The next file to open.
  size_t log_ = 0;
  size_t file_in_log_ = 0;

  std::unique_ptr<OpenFile> file_;
  // For the next chunk.
  bool begins_log_ = false;
  const InputFile* begins_file_ = nullptr;
  LineBuffer rest_;  // The beginning of a line.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_CHUNK_READER_H_
