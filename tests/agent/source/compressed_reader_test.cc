#include "agent/source/compressed_reader.h"

#include <lzma.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "agent/source/libarchive.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/source/compress.h"

namespace mxtally {
namespace {

using ::testing::HasSubstr;

class CompressedReaderTest : public ::testing::Test {
 protected:
  ~CompressedReaderTest() override {
    if (file_ != nullptr) ::fclose(file_);
  }

  absl::StatusOr<std::unique_ptr<CompressedReader>> Open(const std::string& stored) {
    if (file_ != nullptr) ::fclose(file_);
    file_ = ::tmpfile();
    EXPECT_EQ(::write(fileno(file_), stored.data(), stored.size()),
              static_cast<ssize_t>(stored.size()));
    EXPECT_EQ(::lseek(fileno(file_), std::min(stored.size(), kCompressionHeadBytes), SEEK_SET),
              std::min(stored.size(), kCompressionHeadBytes));
    return CompressedReader::Open(fileno(file_), stored.substr(0, kCompressionHeadBytes));
  }

  // All that can be read, and why no more.
  std::string Read(const std::string& stored) {
    absl::StatusOr<std::unique_ptr<CompressedReader>> reader = Open(stored);
    std::string content;
    status_ = reader.status();
    if (!reader.ok()) return content;
    std::string space(100'000, '\0');
    while (true) {
      const absl::StatusOr<int64_t> bytes = (*reader)->Read(absl::MakeSpan(space));
      status_ = bytes.status();
      if (!bytes.ok() || *bytes == 0) return content;
      content.append(space, 0, *bytes);
    }
  }

  static std::string Lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "line " + std::to_string(i * 7919) + "\n";
    return text;
  }

  static std::string Repeat(const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  }

  // An .xz file that says it needs a dictionary of (2 or 3) << (bits / 2 + 11) bytes; the .xz file
  // format, sections 3.1 and 5.3.1.
  static std::string WithDictionary(std::string xz, char bits) {
    constexpr size_t kBlock = 12;
    constexpr size_t kDictionary = kBlock + 4;
    const size_t crc_at = kBlock + static_cast<size_t>(xz[kBlock]) * 4;
    EXPECT_EQ(xz.substr(kBlock + 1, 3), std::string("\0\x21\1", 3)) << "another block header";
    xz[kDictionary] = bits;
    uint32_t crc = ::lzma_crc32(reinterpret_cast<const uint8_t*>(&xz[kBlock]), crc_at - kBlock, 0);
    for (size_t i = 0; i < 4; ++i, crc >>= 8) xz[crc_at + i] = static_cast<char>(crc);
    return xz;
  }

  FILE* file_ = nullptr;
  absl::Status status_;
};

TEST_F(CompressedReaderTest, ReadsWhatWasCompressed) {
  const std::string text = Lines(100'000);
  for (const char* compression : kCompressions) {
    const std::string stored = Compress(compression, text);
    EXPECT_EQ(CompressionOf(stored), compression);
    EXPECT_TRUE(Read(stored) == text) << compression;
    EXPECT_TRUE(status_.ok()) << status_;
  }
}

TEST_F(CompressedReaderTest, ReadsOneAfterTheOtherWhatWasConcatenated) {
  const std::string text = Lines(10'000);
  for (const char* compression : kCompressions) {
    EXPECT_TRUE(Read(Compress(compression, text) + Compress(compression, "") +
                     Compress(compression, "end\n")) == text + "end\n")
        << compression;
    EXPECT_TRUE(status_.ok()) << status_;
  }
}

TEST_F(CompressedReaderTest, NothingCompressedIsNothing) {
  for (const char* compression : kCompressions) {
    EXPECT_EQ(Read(Compress(compression, "")), "") << compression;
    EXPECT_TRUE(status_.ok()) << status_;
  }
}

TEST_F(CompressedReaderTest, TruncatedFileGivesItsBeginningAndSaysSo) {
  const std::string text = Lines(200'000);
  for (const char* compression : kCompressions) {
    const std::string stored = Compress(compression, text);
    const std::string read = Read(stored.substr(0, stored.size() / 2));
    EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
    EXPECT_EQ(status_.message(), std::string("truncated ") + compression + " file");
    EXPECT_GT(read.size(), text.size() / 10);
    EXPECT_TRUE(text.compare(0, read.size(), read) == 0) << compression;
  }
}

TEST_F(CompressedReaderTest, WhereverItWasTruncatedItIsNotTakenForWhole) {
  for (const char* compression : kCompressions) {
    const std::string stored = Compress(compression, Lines(20));
    for (size_t size = 6; size < stored.size(); ++size) {
      Read(stored.substr(0, size));
      EXPECT_TRUE(absl::IsDataLoss(status_)) << compression << " " << size << " " << status_;
    }
  }
}

TEST_F(CompressedReaderTest, DamageIsTold) {
  for (const char* compression : kCompressions) {
    std::string stored = Compress(compression, Lines(100'000));
    std::fill(stored.begin() + static_cast<std::ptrdiff_t>(stored.size() / 2), stored.end(),
              '\xff');
    Read(stored);
    EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
    EXPECT_THAT(std::string(status_.message()), HasSubstr(compression));
  }
}

TEST_F(CompressedReaderTest, OutputIsBounded) {
  // 100 MB of one byte: bzip2 makes less than 100 bytes of it.
  const std::string read = Read(Compress("bzip2", std::string(100'000'000, 'x')));
  EXPECT_TRUE(absl::IsDataLoss(status_)) << status_;
  EXPECT_LE(read.size(), kExpansionFreeBytes);
}

TEST_F(CompressedReaderTest, LogThatRepeatsALineIsReadToItsEnd) {
  const std::string part =
      Repeat("Nov  2 10:00:00 mx1 postfix/smtpd[5]: warning: hostname x.example does not resolve\n",
             80'000);
  constexpr int kParts = 11;
  ASSERT_GT(part.size() * kParts, kExpansionFreeBytes);
  const std::string text = Repeat(part, kParts);
  for (const char* compression : kCompressions) {
    EXPECT_TRUE(Read(Repeat(Compress(compression, part), kParts)) == text) << compression;
    EXPECT_TRUE(status_.ok()) << status_;
  }
}

TEST_F(CompressedReaderTest, WindowIsBounded) {
  // Headers that ask for 192 MiB, 1.5 GiB and 256 MiB.
  const std::string xz = WithDictionary(Compress("xz", "x\n"), 31);
  const std::string zstd = Compress("zstd", "x\n");
  ASSERT_EQ(zstd[4] & 0x20, 0) << "no window in the header";
  for (const std::string& stored :
       {xz, std::string(zstd).replace(5, 1, 1, static_cast<char>((28 - 10) << 3)),
        std::string(zstd).replace(4, 14, "\xe0\0\0\0\0\x10\0\0\0\0\0\0\0\0", 14)}) {
    EXPECT_TRUE(absl::IsUnimplemented(Open(stored).status())) << Open(stored).status();
  }
  // The most that the tools make by themselves, and that is permitted.
  EXPECT_EQ(Read(Compress("xz", "x\n", "xz:compression-level=9")), "x\n");
  EXPECT_EQ(Read(WithDictionary(Compress("xz", "x\n"), 30)), "x\n");
}

// It may be another that asks for more than the first.
TEST_F(CompressedReaderTest, WindowOfEachStreamAndFrameIsBounded) {
  const std::string zstd = Compress("zstd", "x\n");
  ASSERT_EQ(zstd[4] & 0x20, 0) << "no window in the header";
  const std::string text = Lines(100'000);
  for (const std::string& second :
       {WithDictionary(Compress("xz", "x\n"), 31),
        std::string(zstd).replace(5, 1, 1, static_cast<char>((28 - 10) << 3))}) {
    const std::string compression(CompressionOf(second));
    const std::string read = Read(Compress(compression, text) + second);
    EXPECT_GT(read.size(), text.size() / 2) << compression;
    EXPECT_TRUE(text.compare(0, read.size(), read) == 0) << compression;
    EXPECT_TRUE(absl::IsDataLoss(status_)) << compression << " " << status_;
  }
}

TEST_F(CompressedReaderTest, OtherCompressionsAreNamed) {
  EXPECT_EQ(Open("\x04\x22\x4d\x18 and so on").status().message(), "unsupported compression (lz4)");
  EXPECT_EQ(CompressionOf("\x1f\x9d"), "compress");
  EXPECT_EQ(CompressionOf("Nov  2 04:02:01 mx1 postfix/smtpd[1]: x"), "");
  EXPECT_FALSE(IsReadCompression("lz4"));
}

TEST_F(CompressedReaderTest, MissingLibraryIsNamedWithItsPackage) {
  const absl::Status status = LoadLibArchive("libarchive.so.0").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("install the package libarchive13"));
}

}  // namespace
}  // namespace mxtally
