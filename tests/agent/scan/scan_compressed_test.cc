// Compressed files and compressed standard input.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "tests/agent/scan/scan_fixture.h"
#include "tests/agent/source/compress.h"

namespace mxtally {
namespace {

using testing::HasSubstr;

using ScanCompressedTest = ScanTest;

TEST_F(ScanCompressedTest, CompressedFilesGiveThePlainReport) {
  options_.reference_time = "2013-11-04";
  const std::string text = ReadAll(kAdminLog);
  ASSERT_EQ(Scan({Write("a.log", text)}), 0);
  const std::string plain = out_;
  EXPECT_EQ(Number("inbound.sessions"), 6227);
  const size_t cut = text.size() / 3;  // Within a line.
  for (const std::string compression : kCompressions) {
    // Recognised by content, whatever the name.
    ASSERT_EQ(Scan({Write("b.log.gz", Compress(compression, text))}), 0);
    EXPECT_EQ(out_, plain) << compression;
    EXPECT_EQ(err_, "");
    ASSERT_EQ(Scan({Write("c.log", Compress(compression, text.substr(0, cut)) +
                                       Compress(compression, "") +
                                       Compress(compression, text.substr(cut)))}),
              0);
    EXPECT_EQ(out_, plain) << compression << ", several members";
  }
}

TEST_F(ScanCompressedTest, PlainFileMayBeNamedLikeACompressedOne) {
  ASSERT_EQ(Scan({Write("maillog.1.gz", Plain(1, "04:00:00"))}), 0);
  EXPECT_EQ(Number("inbound.sessions"), 1);
}

TEST_F(ScanCompressedTest, EmptyGzipIsAnEmptyLog) {
  EXPECT_EQ(Scan({Write("maillog.1.gz", Gzip(""))}), 0);
  EXPECT_EQ(err_, "");
  EXPECT_EQ(Number("lines.read"), 0);
}

TEST_F(ScanCompressedTest, RotatedFilesMayBeCompressed) {
  const std::string tag = "mx1 postfix/smtpd[1]: ";
  std::vector<std::string> files = {
      Write("m.log",
            "Nov  2 06:00:01 " + tag + "disconnect from x[192.0.2.1] ehlo=1 quit=1 commands=2\n"),
      Write("m.log.1", "Nov  2 05:00:00 " + tag +
                           "disconnect from x[192.0.2.1] ehlo=1 commands=1\n" + "Nov  2 05:59:59 " +
                           tag + "connect from x[192.0.2.1]\n"),
      Write("m.log.2.gz", Gzip("Nov  2 04:59:59 " + tag + "connect from x[192.0.2.1]\n")),
  };
  std::sort(files.begin(), files.end());
  do {
    ASSERT_EQ(Scan(files), 0);
    EXPECT_EQ(Number("inbound.sessions"), 2);
    EXPECT_EQ(Number("inbound.open_sessions"), 0);
    EXPECT_EQ(Number("lines.cut_sessions"), 0);
  } while (std::next_permutation(files.begin(), files.end()));
}

TEST_F(ScanCompressedTest, TruncatedGzipIsNamedAndWhatCouldBeReadReported) {
  options_.reference_time = "2013-11-04";
  const std::string gzip = Gzip(ReadAll(kAdminLog));
  ASSERT_EQ(Scan({Write("maillog.1.gz", gzip.substr(0, gzip.size() / 2))}), 1);
  EXPECT_THAT(err_, HasSubstr(Path("maillog.1.gz") + ": truncated gzip file\n"));
  EXPECT_GT(Number("inbound.sessions"), 2000);
  EXPECT_LT(Number("inbound.sessions"), 4000);
  // Wherever it was cut, it is not taken for an empty or a plain file.
  const std::string small = Gzip(Plain(1, "04:00:00"));
  for (size_t size = 2; size < small.size(); ++size) {
    EXPECT_EQ(Scan({Write("maillog.2.gz", small.substr(0, size))}), 1) << size;
    EXPECT_THAT(err_, HasSubstr(Path("maillog.2.gz") + ": ")) << size;
  }
}

TEST_F(ScanCompressedTest, DamagedGzipIsNamed) {
  options_.reference_time = "2013-11-04";
  std::string gzip = Gzip(ReadAll(kAdminLog));
  std::fill_n(gzip.begin() + static_cast<std::ptrdiff_t>(gzip.size() / 2), 1000, '\xff');
  EXPECT_EQ(Scan({Write("maillog.1.gz", gzip)}), 1);
  EXPECT_THAT(err_, HasSubstr(Path("maillog.1.gz") + ": "));
  EXPECT_GT(Number("inbound.sessions"), 2000);
}

TEST_F(ScanCompressedTest, ReadsCompressedStandardInputHoweverItComes) {
  const std::string text = Plain(1, "04:00:00");
  for (const std::string compression : {"", "gzip", "xz", "bzip2", "zstd"}) {
    const std::string stored = compression.empty() ? text : Compress(compression, text);
    // Bytes that are there at the first look; the others come when those are taken.
    for (const size_t first : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, stored.size()}) {
      int ends[2];
      ASSERT_EQ(::pipe(ends), 0);
      std::thread writer([&] {
        ASSERT_EQ(::write(ends[1], stored.data(), first), static_cast<ssize_t>(first));
        int unread = 1;
        while (unread > 0) {
          ASSERT_EQ(::ioctl(ends[0], FIONREAD, &unread), 0);
          std::this_thread::yield();
        }
        ASSERT_EQ(::write(ends[1], stored.data() + first, stored.size() - first),
                  static_cast<ssize_t>(stored.size() - first));
        ::close(ends[1]);
      });
      options_.standard_input = ends[0];
      EXPECT_EQ(Scan({"-"}), 0);
      writer.join();
      EXPECT_EQ(err_, "");
      EXPECT_EQ(Number("inbound.sessions"), 1) << compression << " " << first;
      ::close(ends[0]);
    }
  }
}

TEST_F(ScanCompressedTest, OtherCompressionOnStandardInputIsRefused) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "\x04\x22\x4d\x18xxx", 7), 7);
  ::close(ends[1]);
  options_.standard_input = ends[0];
  EXPECT_EQ(Scan({"-"}), 1);
  EXPECT_THAT(err_, HasSubstr("unsupported compression (lz4)"));
  ::close(ends[0]);
}

}  // namespace
}  // namespace mxtally
