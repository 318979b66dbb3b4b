// FindLogs() of log_follower.h.

#include <glob.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "agent/source/log_follower.h"
#include "agent/source/rotation_name.h"

namespace mxtally {
namespace {

bool IsGlob(std::string_view pattern) { return pattern.find_first_of("*?[") != std::string::npos; }

absl::StatusOr<std::vector<std::string>> Expand(const std::string& pattern) {
  glob_t matches = {};
  // Not thread-safe only with GLOB_TILDE.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  const int error = ::glob(pattern.c_str(), 0, nullptr, &matches);
  std::vector<std::string> paths(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  ::globfree(&matches);
  if (error != 0 && error != GLOB_NOMATCH) {
    return absl::InvalidArgumentError(absl::StrCat("cannot expand \"", pattern, "\""));
  }
  return paths;
}

}  // namespace

absl::StatusOr<std::vector<LogFollowerOptions>> FindLogs(const std::vector<std::string>& patterns) {
  std::map<std::string, LogFollowerOptions> logs;
  const auto add = [&logs](const std::string& path) {
    const std::string name = std::filesystem::path(path).filename().string();
    const size_t live_length = LiveNameLength(name);
    const auto suffix = ParseRotationSuffix(std::string_view(name).substr(live_length));
    const std::string live = path.substr(0, path.size() - name.size() + live_length);
    LogFollowerOptions& log = logs[live];
    log.path = live;
    if (suffix.has_value() && !absl::c_linear_search(log.older_paths, path)) {
      log.older_paths.push_back(path);
    }
  };

  for (const std::string& given : patterns) {
    if (given.empty() || given.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a log's path is empty or holds a NUL");
    }
    // Logs are known to the server by their path, wherever the agent runs.
    const std::string pattern = std::filesystem::absolute(given).lexically_normal().string();
    if (!IsGlob(pattern)) {
      std::error_code error;
      if (pattern.back() == '/' || std::filesystem::is_directory(pattern, error)) {
        return absl::FailedPreconditionError(absl::StrCat(pattern, " is a directory"));
      }
      add(pattern);
      continue;
    }
    absl::StatusOr<std::vector<std::string>> paths = Expand(pattern);
    if (!paths.ok()) return paths.status();
    for (const std::string& path : *paths) {
      std::error_code error;
      if (std::filesystem::is_regular_file(path, error)) add(path);
    }
  }

  std::vector<LogFollowerOptions> sorted;
  sorted.reserve(logs.size());
  for (auto& [path, log] : logs) sorted.push_back(std::move(log));
  return sorted;
}

}  // namespace mxtally
