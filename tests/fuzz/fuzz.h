// What the fuzz targets share.

#ifndef MXTALLY_TESTS_FUZZ_FUZZ_H_
#define MXTALLY_TESTS_FUZZ_FUZZ_H_

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace mxtally {

// Ends the program unless `holds`: libFuzzer prints and keeps the input.
inline void Require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline void RequireEqual(std::string_view found, std::string_view expected, std::string_view what) {
  if (found == expected) return;
  std::fprintf(stderr, "found    %.*s\nexpected %.*s\n", static_cast<int>(found.size()),
               found.data(), static_cast<int>(expected.size()), expected.data());
  Require(false, what);
}

// Whether `part` lies within `whole`; views of nothing may point anywhere.
inline bool IsWithin(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Lines, each in memory of its own, so that reading beyond one is found.
using Line = std::vector<char>;

inline std::string_view View(const Line& line) { return {line.data(), line.size()}; }

// The lines of `log`, without line ends.
inline std::vector<Line> LinesOf(std::string_view log) {
  std::vector<Line> lines;
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    lines.emplace_back(line.begin(), line.end());
    log.remove_prefix(std::min(line.size() + 1, log.size()));
  }
  return lines;
}

}  // namespace mxtally

#endif  // MXTALLY_TESTS_FUZZ_FUZZ_H_
