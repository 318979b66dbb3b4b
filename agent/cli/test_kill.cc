#include "agent/cli/test_kill.h"

#include <signal.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mxtally {

absl::StatusOr<std::function<void()>> ParseTestKill(const std::string& text) {
  if (text.empty()) return std::function<void()>([] {});
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  double probability = 0;
  uint32_t seed = 0;
  if (parts.size() != 3 || parts[0] != "before_checkpoint" ||
      !absl::SimpleAtod(parts[1], &probability) || !absl::SimpleAtoi(parts[2], &seed)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "MXTALLY_TEST_KILL: expected before_checkpoint:PROBABILITY:SEED, found \"", text, "\""));
  }
  return std::function<void()>([probability, engine = std::mt19937(seed)]() mutable {
    if (std::bernoulli_distribution(probability)(engine)) raise(SIGKILL);
  });
}

absl::StatusOr<std::function<void()>> TestKillFromEnvironment() {
  const char* text = std::getenv("MXTALLY_TEST_KILL");  // NOLINT(concurrency-mt-unsafe)
  return ParseTestKill(text == nullptr ? "" : text);
}

}  // namespace mxtally
