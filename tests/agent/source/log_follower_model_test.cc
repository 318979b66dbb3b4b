// A log's writer, its rotation, compression, copies and follower take random steps.  Whatever
// the order, every line arrives once and in order.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "agent/source/log_follower.h"
#include "gtest/gtest.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {
namespace {

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {
    options_.path = folder_.Path("mail.log");
    options_.line_bytes_max = 300;
    options_.chunk_bytes = 1 + Below(500);
    Reopen();
  }

  void Step() {
    switch (Below(20)) {
      case 0:
        return RotateByRenaming();
      case 1:
        return RotateByCopying();
      case 2:
        return Reopen();
      case 3:
      case 4:
      case 5:
      case 6:
        return Read();
      case 7:
        return Compress();
      case 8:
        return CopyLiveFile();
      default:
        return Write();
    }
  }

  void Finish() {
    Write(/*whole_line=*/true);
    RecordingSink sink;
    while (true) {
      absl::StatusOr<ReadResult> result = follower_->Read(1 << 20, sink);
      ASSERT_TRUE(result.ok()) << result.status();
      if (*result == ReadResult::kEndOfLog) break;
    }
    Take(sink);
    EXPECT_EQ(received_, written_);
    EXPECT_EQ(follower_->BytesBehind(), 0);
  }

  size_t lines() const { return written_.size(); }
  int rotations() const { return rotations_; }

 private:
  static constexpr const char* kEndings[] = {"", ".gz", ".xz", ".bz2", ".zst"};

  int64_t Below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }

  void Write(bool whole_line = false) {
    std::string bytes;
    for (int64_t lines = Below(5); lines >= 0; --lines) {
      const std::string text =
          std::to_string(++last_line_) + " " + std::string(Below(Below(20) == 0 ? 600 : 60), 'x');
      const bool partial = lines == 0 && !whole_line && Below(3) == 0;
      bytes += text;
      unfinished_ += text;
      if (partial) break;
      bytes += "\n";
      FinishLine();
    }
    folder_.Append("mail.log", bytes);
  }

  void FinishLine(int64_t line_end_bytes = 1) {
    const int64_t size = static_cast<int64_t>(unfinished_.size());
    written_.push_back(size > options_.line_bytes_max
                           ? absl::StrCat("<oversized ", size + line_end_bytes, ">")
                           : unfinished_);
    unfinished_.clear();
  }

  void ShiftNumbers() {
    // The end of what a rotated file holds is its last line's, newline or not.
    if (!unfinished_.empty()) FinishLine(0);
    for (int i = rotations_; i > 0; --i) {
      for (const char* ending : kEndings) {
        const std::string name = absl::StrCat("mail.log.", i, ending);
        if (!Exists(name)) continue;
        folder_.Rename(name, absl::StrCat("mail.log.", i + 1, ending));
      }
    }
    ++rotations_;
  }
  void RotateByRenaming() {
    if (!Exists("mail.log") || rotations_ > 100) return;
    ShiftNumbers();
    folder_.Rename("mail.log", "mail.log.1");
    if (Below(2) == 0) folder_.Append("mail.log", "");
  }
  void RotateByCopying() {
    if (!Exists("mail.log") || rotations_ > 100) return;
    ShiftNumbers();
    folder_.Copy("mail.log", "mail.log.1");
    folder_.Truncate("mail.log");
  }

  // Somebody's copy, which the live file continues.
  void CopyLiveFile() {
    if (Exists("mail.log")) folder_.Copy("mail.log", absl::StrCat("mail.log.", ++copies_, ".bak"));
  }

  // Any rotated file.
  void Compress() {
    const int number = 1 + static_cast<int>(Below(std::max(rotations_, 1)));
    const std::string name = absl::StrCat("mail.log.", number);
    if (!Exists(name)) return;
    folder_.Compress(name, kCompressions[Below(std::size(kCompressions))]);
  }

  bool Exists(const std::string& name) { return std::filesystem::exists(folder_.Path(name)); }

  void Reopen() {
    std::optional<v1::Cut> cut;
    if (follower_ != nullptr) cut = follower_->Position();
    follower_.reset();
    // Before the first position there is nothing to continue at.
    const bool from_oldest = !cut.has_value();
    absl::StatusOr<std::unique_ptr<LogFollower>> opened =
        LogFollower::Open(options_, {.cut = cut, .from_oldest = from_oldest});
    ASSERT_TRUE(opened.ok()) << opened.status();
    follower_ = *std::move(opened);
  }

  void Read() {
    RecordingSink sink;
    if (Below(2) == 0) sink.lines_wanted = 1 + Below(10);
    absl::StatusOr<ReadResult> result = follower_->Read(1 + Below(2000), sink);
    ASSERT_TRUE(result.ok()) << result.status();
    Take(sink);
  }
  void Take(const RecordingSink& sink) {
    received_.insert(received_.end(), sink.events.begin(), sink.events.end());
    ASSERT_LE(received_.size(), written_.size());
    for (size_t i = checked_; i < received_.size(); ++i) ASSERT_EQ(received_[i], written_[i]);
    checked_ = received_.size();
  }

  std::mt19937_64 random_;
  LogFolder folder_;
  LogFollowerOptions options_;
  std::unique_ptr<LogFollower> follower_;
  int64_t last_line_ = 0;
  int rotations_ = 0;
  int copies_ = 0;
  std::string unfinished_;
  std::vector<std::string> written_;
  std::vector<std::string> received_;
  size_t checked_ = 0;
};

TEST(LogFollowerModelTest, EveryLineArrivesOnceAndInOrder) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing sets the environment.
  const char* given = std::getenv("MXTALLY_TEST_SEED");
  const uint64_t first =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  const int runs = given != nullptr ? 1 : 60;
  for (int run = 0; run < runs; ++run) {
    const uint64_t seed = first + run;
    SCOPED_TRACE("MXTALLY_TEST_SEED=" + std::to_string(seed));
    Model model(seed);
    for (int step = 0; step < 300 && !testing::Test::HasFailure(); ++step) model.Step();
    if (!testing::Test::HasFailure()) model.Finish();
    if (testing::Test::HasFailure()) return;
  }
}

// A writer that is rotated while the follower reads, on two threads.
TEST(LogFollowerRaceTest, RotationByRenamingLosesNothing) {
  constexpr int kLines = 20'000;
  LogFolder folder;
  absl::StatusOr<std::unique_ptr<LogFollower>> opened = LogFollower::Open(
      {.path = folder.Path("mail.log"), .chunk_bytes = 4096}, {.from_oldest = true});
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::thread writer([&folder] {
    std::ofstream file;
    for (int i = 0; i < kLines; ++i) {
      if (i % 500 == 0) {
        file.close();
        // As logrotate does: every file gets another name.
        for (int number = i / 500; number > 0; --number) {
          const std::string name = number == 1 ? "mail.log" : absl::StrCat("mail.log.", number - 1);
          folder.Rename(name, absl::StrCat("mail.log.", number));
        }
        file.open(folder.Path("mail.log"), std::ios::app);
      }
      file << "line " << i << std::endl;
    }
  });
  RecordingSink sink;
  while (sink.events.size() < kLines) {
    absl::StatusOr<ReadResult> result = (*opened)->Read(1 << 20, sink);
    // Names that change faster than they can be listed are tried again.
    EXPECT_TRUE(result.ok() || absl::IsUnavailable(result.status())) << result.status();
    if (testing::Test::HasFailure()) break;
  }
  writer.join();
  for (int i = 0; i < kLines; ++i) ASSERT_EQ(sink.events.at(i), absl::StrCat("line ", i));
}

}  // namespace
}  // namespace mxtally
