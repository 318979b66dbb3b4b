// Libarchive, loaded when the first compressed file is met: with the libraries
// that it needs in turn it would cost 2 MB of the memory of an agent that
// follows a plain log.

#ifndef MXTALLY_AGENT_SOURCE_LIBARCHIVE_H_
#define MXTALLY_AGENT_SOURCE_LIBARCHIVE_H_

#include <archive.h>

#include "absl/status/statusor.h"

namespace mxtally {

// What is used of it, under its own names less "archive_".
struct LibArchive {
  decltype(&::archive_read_new) read_new = nullptr;
  decltype(&::archive_read_free) read_free = nullptr;
  decltype(&::archive_read_support_filter_gzip) read_support_filter_gzip = nullptr;
  decltype(&::archive_read_support_filter_bzip2) read_support_filter_bzip2 = nullptr;
  decltype(&::archive_read_support_filter_zstd) read_support_filter_zstd = nullptr;
  decltype(&::archive_read_support_format_raw) read_support_format_raw = nullptr;
  decltype(&::archive_read_support_format_empty) read_support_format_empty = nullptr;
  decltype(&::archive_read_open) read_open = nullptr;
  decltype(&::archive_read_next_header) read_next_header = nullptr;
  decltype(&::archive_read_data_block) read_data_block = nullptr;
  decltype(&::archive_filter_code) filter_code = nullptr;
  decltype(&::archive_filter_bytes) filter_bytes = nullptr;
  decltype(&::archive_set_error) set_error = nullptr;
  decltype(&::archive_error_string) error_string = nullptr;
};

// The library that the agent was built against; it stays loaded.  Thread-safe.
//   FAILED_PRECONDITION  it is not installed; names the package
absl::StatusOr<const LibArchive*> LoadLibArchive();

// The library of that name, for tests.
absl::StatusOr<LibArchive> LoadLibArchive(const char* soname);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SOURCE_LIBARCHIVE_H_
