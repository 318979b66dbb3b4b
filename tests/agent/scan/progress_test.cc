#include "agent/scan/progress.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

namespace mxtally {
namespace {

TEST(ProgressTest, TellsBytesRateAndTimeLeft) {
  constexpr int64_t kMegabyte = 1'000'000;
  const struct {
    int64_t bytes;
    std::optional<int64_t> total_bytes;
    absl::Duration elapsed;
    std::string text;
  } kCases[] = {
      {340 * kMegabyte, 1200 * kMegabyte, absl::Seconds(4),
       "scan: 340 of 1200 MB, 28 %, 85 MB/s, 0:10 left"},
      {kMegabyte, 100 * kMegabyte, absl::Milliseconds(1500),
       "scan: 1 of 100 MB, 1 %, 1 MB/s, 2:28 left"},
      {kMegabyte, 7201 * kMegabyte, absl::Seconds(1),
       "scan: 1 of 7201 MB, 0 %, 1 MB/s, 2:00:00 left"},
      // A pipe's size is not known.
      {1484 * kMegabyte, std::nullopt, absl::Seconds(10), "scan: 1484 MB, 148 MB/s"},
      {0, std::nullopt, absl::Seconds(2), "scan: 0 MB, 0 MB/s"},
      {0, 5 * kMegabyte, absl::Seconds(2), "scan: 0 of 5 MB, 0 %, 0 MB/s"},
      // The file has grown since, or was empty.
      {6 * kMegabyte, 5 * kMegabyte, absl::Seconds(2), "scan: 6 of 6 MB, 100 %, 3 MB/s, 0:00 left"},
      {0, 0, absl::Seconds(2), "scan: 0 of 0 MB, 0 %, 0 MB/s"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(FormatProgress(test.bytes, test.total_bytes, test.elapsed), test.text);
  }
}

}  // namespace
}  // namespace mxtally
