// Tells a second copy of a log in one file, as `cat log log` makes it, from a
// clock that was set back: the copy begins with the file's first line.

#ifndef MXTALLY_AGENT_SESSION_FIRST_LINE_H_
#define MXTALLY_AGENT_SESSION_FIRST_LINE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace mxtally {

// One file's first line.  One thread only.
class FirstLine {
 public:
  struct State {
    uint64_t hash = 0;
    std::optional<absl::Time> time;  // nullopt before the first line.
  };

  // Takes the next line with its time.  Returns whether it is the first one
  // again, after later ones.
  bool Returns(std::string_view line, absl::Time time) {
    if (!state_.time.has_value()) {
      state_ = {.hash = HashOf(line), .time = time};
    } else if (time == *state_.time && last_time_ > time && HashOf(line) == state_.hash) {
      last_time_ = time;
      return true;
    }
    last_time_ = time;
    return false;
  }

  const State& state() const { return state_; }
  // `last_time`: of the line before the next one.
  void Restore(const State& state, absl::Time last_time) {
    state_ = state;
    last_time_ = last_time;
  }

 private:
  // FNV-1a, which is the same in every build.
  static uint64_t HashOf(std::string_view line) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : line) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return hash;
  }

  State state_;
  absl::Time last_time_ = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_FIRST_LINE_H_
