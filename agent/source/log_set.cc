#include "agent/source/log_set.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace mxtally {
namespace {

std::optional<struct stat> Stat(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  return st;
}

bool WrittenBefore(const LogEntry& a, const LogEntry& b) {
  // Ties: the higher number is older, and any number is older than none.
  const auto key = [](const LogEntry& e) {
    return std::make_tuple(e.live, e.stat.modified, -e.suffix.number.value_or(0),
                           std::string_view(e.path));
  };
  return key(a) < key(b);
}

class Listing {
 public:
  void Add(const std::string& path, const RotationSuffix& suffix, bool live) {
    const std::optional<struct stat> st = Stat(path);
    if (!st.has_value() || !S_ISREG(st->st_mode)) return;
    const FileStat stat = FromStat(*st);
    if (files_.emplace(stat.device, stat.inode).second) {
      entries_.push_back({path, stat, suffix, live});
    }
  }

  std::vector<LogEntry> Sorted() && {
    std::sort(entries_.begin(), entries_.end(), WrittenBefore);
    return std::move(entries_);
  }

 private:
  std::vector<LogEntry> entries_;
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> files_;
};

// Calls `visit` with the names in `folder`.  One that cannot be listed has none.
void ForEachName(const std::filesystem::path& folder,
                 const std::function<void(const std::filesystem::path&)>& visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    visit(it->path());
  }
}

// Adds the files that the link `live` went to before.
void AddFormerTargets(const std::filesystem::path& live, Listing& listing) {
  std::error_code error;
  if (!std::filesystem::is_symlink(live, error)) return;
  const std::filesystem::path target = std::filesystem::canonical(live, error);
  if (error) return;
  const std::string name = target.filename().string();
  ForEachName(target.parent_path(), [&](const std::filesystem::path& path) {
    const std::optional<RotationSuffix> suffix = DifferInDateOnly(name, path.filename().string());
    if (suffix.has_value()) listing.Add(path.string(), *suffix, /*live=*/false);
  });
}

}  // namespace

std::optional<FileStat> StatPath(const std::string& path) {
  const std::optional<struct stat> st = Stat(path);
  if (!st.has_value()) return std::nullopt;
  return FromStat(*st);
}

std::vector<LogEntry> ListLog(const std::string& path,
                              const std::vector<std::string>& older_paths) {
  Listing listing;
  listing.Add(path, {}, /*live=*/true);

  const std::filesystem::path live(path);
  const std::string live_name = live.filename().string();
  const std::filesystem::path folder = live.has_parent_path() ? live.parent_path() : ".";
  ForEachName(folder, [&](const std::filesystem::path& file) {
    const std::string name = file.filename().string();
    if (!name.starts_with(live_name)) return;
    const auto suffix = ParseRotationSuffix(std::string_view(name).substr(live_name.size()));
    if (suffix.has_value()) listing.Add(file.string(), *suffix, /*live=*/false);
  });
  AddFormerTargets(live, listing);

  for (const std::string& older : older_paths) {
    const std::string name = std::filesystem::path(older).filename().string();
    const auto suffix = ParseRotationSuffix(std::string_view(name).substr(LiveNameLength(name)));
    listing.Add(older, suffix.value_or(RotationSuffix()), /*live=*/false);
  }
  return std::move(listing).Sorted();
}

}  // namespace mxtally
