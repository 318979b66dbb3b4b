// A log in a folder of its own, and its follower.

#ifndef MXTALLY_TESTS_AGENT_SOURCE_FOLLOWER_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_SOURCE_FOLLOWER_FIXTURE_H_

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/source/log_follower.h"
#include "gtest/gtest.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {

// Root may read everything; tests of permissions run as somebody else.
class WithoutRoot {
 public:
  WithoutRoot() {
    if (root_) {
      EXPECT_EQ(seteuid(65534), 0);
    }
  }
  ~WithoutRoot() {
    if (root_) {
      EXPECT_EQ(seteuid(0), 0);
    }
  }

 private:
  const bool root_ = geteuid() == 0;
};

class FollowerFixture : public ::testing::Test {
 public:
  using Events = std::vector<std::string>;

 protected:
  static constexpr int64_t kAll = 1 << 30;

  FollowerFixture() { options_.path = folder_.Path("mail.log"); }

  void Open(LogStart start = {}) {
    absl::StatusOr<std::unique_ptr<LogFollower>> opened =
        LogFollower::Open(options_, std::move(start));
    ASSERT_TRUE(opened.ok()) << opened.status();
    follower_ = *std::move(opened);
  }
  // Ends the follower and starts another one where it stood.
  void Reopen() {
    std::optional<v1::Cut> cut = follower_->Position();
    follower_.reset();
    Open({.cut = std::move(cut)});
  }

  // What is new up to the end of the log.
  Events ReadAll(bool with_files = false) {
    RecordingSink sink;
    sink.with_files = with_files;
    while (true) {
      absl::StatusOr<ReadResult> result = follower_->Read(kAll, sink);
      if (!result.ok()) sink.events.push_back(std::string(result.status().ToString()));
      if (!result.ok() || *result == ReadResult::kEndOfLog) return sink.events;
    }
  }
  Events ReadLines(int64_t count) {
    RecordingSink sink;
    sink.lines_wanted = count;
    EXPECT_TRUE(follower_->Read(kAll, sink).ok());
    return sink.events;
  }
  int64_t Offset() const { return follower_->Position()->offset(); }

  LogFolder folder_;
  LogFollowerOptions options_;
  std::unique_ptr<LogFollower> follower_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SOURCE_FOLLOWER_FIXTURE_H_
