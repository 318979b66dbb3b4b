#include "server/serve/expected_hosts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

constexpr size_t kHostsMax = 100'000;
constexpr size_t kNameBytesMax = 255;
constexpr size_t kShownBytesMax = 64;

bool IsHostName(const std::string& name) {
  return name.size() <= kNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' ||
                  c == '-';
         });
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadExpectedHosts(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat(path, ": ", absl::ErrnoToStatus(errno, "open").message()));
  }
  std::vector<std::string> hosts;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::string name(absl::StripAsciiWhitespace(line.substr(0, line.find('#'))));
    if (name.empty()) continue;
    absl::AsciiStrToLower(&name);
    if (!IsHostName(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":", number, ": expected the name of a host, at most ", kNameBytesMax,
          " of [a-z0-9._-], found \"", absl::CEscape(name.substr(0, kShownBytesMax)), "\""));
    }
    if (hosts.size() >= kHostsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": expected at most ", kHostsMax, " hosts, found more"));
    }
    hosts.push_back(std::move(name));
  }
  if (file.bad()) return absl::NotFoundError(absl::StrCat(path, ": it cannot be read"));
  return hosts;
}

}  // namespace mxtally
