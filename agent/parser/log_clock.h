// The time of a log, which one stray stamp does not move.
//
// Stamps that are far off, as a forged line or a machine without a clock at boot
// writes them, would end every open session as idle, or forget what ordinals
// are in use.  So a jump counts from the second line in a row that made it.
//
// It moves in steps, because what depends on it is a matter of minutes and hours
// and most lines are within a second of the one before.

#ifndef MXTALLY_AGENT_PARSER_LOG_CLOCK_H_
#define MXTALLY_AGENT_PARSER_LOG_CLOCK_H_

#include <optional>

#include "absl/time/time.h"

namespace mxtally {

// One thread only.
class LogClock {
 public:
  struct State {
    std::optional<absl::Time> now;
    // Where the last line jumped to, while no other has followed it.
    std::optional<absl::Time> jump;
  };

  // Moves on once a stamp is `step_min` ahead, and back with any that is behind.
  // Steps beyond `step_max`, in either direction, are jumps.
  LogClock(absl::Duration step_min, absl::Duration step_max)
      : step_min_(step_min), step_max_(step_max) {}

  // Takes the next line's stamp.  Returns whether the log's time moved.
  bool Take(absl::Time stamp) {
    if (stamp >= here_ && stamp < ahead_) return false;
    const bool moves = !state_.now.has_value() || IsNear(stamp, *state_.now) || Confirms(stamp);
    if (moves) {
      Restore({.now = stamp, .jump = std::nullopt});
    } else {
      Restore({.now = state_.now, .jump = stamp});
    }
    return moves;
  }

  // Meaningless before the first line.
  absl::Time now() const { return *state_.now; }

  const State& state() const { return state_; }
  void Restore(const State& state) {
    state_ = state;
    // After a jump the next line, wherever it is, has something to decide.
    const bool stays = state.now.has_value() && !state.jump.has_value();
    here_ = stays ? *state.now : absl::InfiniteFuture();
    ahead_ = stays ? *state.now + step_min_ : absl::InfinitePast();
  }

 private:
  // Another line there, or in a log of few lines one that is further on.
  bool Confirms(absl::Time stamp) const {
    if (!state_.jump.has_value()) return false;
    return IsNear(stamp, *state_.jump) || (*state_.jump > *state_.now && stamp > *state_.jump);
  }
  bool IsNear(absl::Time a, absl::Time b) const { return a - b <= step_max_ && b - a <= step_max_; }

  absl::Duration step_min_;
  absl::Duration step_max_;
  State state_;
  // Stamps in [here_, ahead_) change nothing.
  absl::Time here_ = absl::InfiniteFuture();
  absl::Time ahead_ = absl::InfinitePast();
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_LOG_CLOCK_H_
