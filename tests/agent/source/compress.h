// What gzip, xz, bzip2 and zstd make of a text.

#ifndef MXTALLY_TESTS_AGENT_SOURCE_COMPRESS_H_
#define MXTALLY_TESTS_AGENT_SOURCE_COMPRESS_H_

#include <archive.h>
#include <archive_entry.h>

#include <string>

#include "gtest/gtest.h"

namespace mxtally {

inline constexpr const char* kCompressions[] = {"gzip", "xz", "bzip2", "zstd"};

// One member, or stream, or frame.
inline std::string Compress(const std::string& compression, const std::string& content,
                            const char* options = nullptr) {
  archive* const archive = ::archive_write_new();
  EXPECT_EQ(::archive_write_add_filter_by_name(archive, compression.c_str()), ARCHIVE_OK);
  EXPECT_EQ(::archive_write_set_format_raw(archive), ARCHIVE_OK);
  EXPECT_EQ(::archive_write_set_bytes_per_block(archive, 0), ARCHIVE_OK);
  if (options != nullptr) {
    EXPECT_EQ(::archive_write_set_options(archive, options), ARCHIVE_OK);
  }
  std::string compressed(content.size() + 1000, '\0');
  size_t size = 0;
  EXPECT_EQ(::archive_write_open_memory(archive, compressed.data(), compressed.size(), &size),
            ARCHIVE_OK);
  archive_entry* const entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(::archive_write_header(archive, entry), ARCHIVE_OK);
  EXPECT_EQ(::archive_write_data(archive, content.data(), content.size()),
            static_cast<la_ssize_t>(content.size()));
  ::archive_entry_free(entry);
  EXPECT_EQ(::archive_write_close(archive), ARCHIVE_OK);
  EXPECT_EQ(::archive_write_free(archive), ARCHIVE_OK);
  compressed.resize(size);
  return compressed;
}

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SOURCE_COMPRESS_H_
