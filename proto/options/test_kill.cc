#include "proto/options/test_kill.h"

#include <signal.h>

#include <cstdint>
#include <random>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mxtally {

absl::StatusOr<std::function<void()>> ReadTestKill(char* const* environment,
                                                   const std::string& place) {
  constexpr absl::string_view kVariable = "MXTALLY_TEST_KILL=";
  absl::string_view text;
  for (; *environment != nullptr; ++environment) {
    if (absl::StartsWith(*environment, kVariable)) text = *environment + kVariable.size();
  }
  if (text.empty()) return std::function<void()>([] {});
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  double probability = 0;
  uint32_t seed = 0;
  if (parts.size() != 3 || parts[0] != place || !absl::SimpleAtod(parts[1], &probability) ||
      probability < 0 || probability > 1 || !absl::SimpleAtoi(parts[2], &seed)) {
    return absl::InvalidArgumentError(absl::StrCat("MXTALLY_TEST_KILL: expected ", place,
                                                   ":PROBABILITY:SEED, found \"", text, "\""));
  }
  return std::function<void()>([probability, random = std::mt19937(seed)]() mutable {
    if (std::bernoulli_distribution(probability)(random)) raise(SIGKILL);
  });
}

}  // namespace mxtally
