#include "server/program/test_kill.h"

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mxtally {

absl::StatusOr<std::function<void()>> ParseTestKill(absl::string_view spec) {
  const std::vector<std::string> parts = absl::StrSplit(spec, ':');
  double probability = 0;
  uint32_t seed = 0;
  if (parts.size() != 3 || parts[0] != "after_commit" ||
      !absl::SimpleAtod(parts[1], &probability) || probability < 0 || probability > 1 ||
      !absl::SimpleAtoi(parts[2], &seed)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "MXTALLY_TEST_KILL: expected after_commit:PROBABILITY:SEED, found \"", spec, "\""));
  }
  return [probability, random = std::mt19937(seed)]() mutable {
    if (std::bernoulli_distribution(probability)(random)) kill(getpid(), SIGKILL);
  };
}

}  // namespace mxtally
