#include "agent/scan/input_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "agent/parser/framer.h"
#include "agent/source/compressed_reader.h"
#include "agent/source/rotation_name.h"
#include "agent/source/scoped_fd.h"

namespace mxtally {
namespace {

// The first stamp is looked for in so many bytes.
constexpr size_t kHeadBytes = 64 * 1024;
// Kept of what follows it.
constexpr size_t kFollowingBytes = 4 * 1024;

std::string ErrorText(const std::string& path, int error) {
  return absl::StrCat(path, ": ", std::generic_category().message(error));
}

std::string ReadHead(int fd) {
  std::string head(kHeadBytes, '\0');
  const ssize_t bytes = ::read(fd, head.data(), head.size());
  head.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  return head;
}

// The beginning of what a compressed file holds, which begins with `stored` and
// goes on in `fd`.  Damage is left to who reads the file.
std::string ReadCompressedHead(int fd, std::string_view stored) {
  std::string head;
  const absl::StatusOr<std::unique_ptr<CompressedReader>> reader =
      CompressedReader::Open(fd, stored);
  if (!reader.ok()) return head;
  head.resize(kHeadBytes);
  size_t size = 0;
  while (size < head.size()) {
    const absl::StatusOr<int64_t> bytes = (*reader)->Read(absl::MakeSpan(head).subspan(size));
    if (!bytes.ok() || *bytes == 0) break;
    size += static_cast<size_t>(*bytes);
  }
  head.resize(size);
  return head;
}

void FindFirstLine(std::string_view head, const Framer& framer, InputFile& file) {
  while (!head.empty() && !file.first_time) {
    const std::string_view line = head.substr(0, head.find('\n'));
    file.first_time = framer.PeekTime(line);
    if (file.first_time) file.first_lines = head.substr(0, line.size() + kFollowingBytes);
    head.remove_prefix(std::min(line.size() + 1, head.size()));
  }
}

// The folder and the name that the live file has.
std::string LogName(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  const std::string name = absolute.filename().string();
  return (absolute.parent_path() / name.substr(0, LiveNameLength(name))).string();
}

RotationSuffix SuffixOf(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return ParseRotationSuffix(std::string_view(name).substr(LiveNameLength(name)))
      .value_or(RotationSuffix());
}

// A file without any stamp goes by the date that it would get.
bool IsOlder(const InputFile& a, const InputFile& b) {
  const absl::Time a_time = a.first_time.value_or(a.reference_time);
  const absl::Time b_time = b.first_time.value_or(b.reference_time);
  return a_time != b_time ? a_time < b_time : a.rotation > b.rotation;
}

class Finder {
 public:
  Finder(const InputLogOptions& options, std::vector<std::string>& errors)
      : options_(options), errors_(errors) {}

  void Add(const std::string& path) {
    if (path == "-") {
      if (std::exchange(standard_input_, true)) return;
      AddTo("-", {.path = path, .reference_time = options_.reference_time.value_or(options_.now)});
      return;
    }
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return Fail(path, errno);
    if (S_ISDIR(status.st_mode)) return Fail(path, EISDIR);
    if (!known_.emplace(status.st_dev, status.st_ino).second) return;
    if (!S_ISREG(status.st_mode)) {
      AddTo(path, {.path = path, .reference_time = options_.reference_time.value_or(options_.now)});
      return;
    }
    const ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return Fail(path, errno);
    std::string head = ReadHead(fd.get());
    const std::string_view compression = CompressionOf(head);
    if (IsReadCompression(compression)) {
      head = ReadCompressedHead(fd.get(), head);
    } else if (!compression.empty()) {
      errors_.push_back(
          absl::StrCat(path, ": unsupported compression (", std::string(compression), ")"));
      return;
    }
    AddRegular(path, status, head);
  }

  void AddJournal(const JournalOptions& journal) {
    logs_.emplace_back().files.push_back({.path = JournalName(journal), .journal = journal});
  }

  std::vector<InputLog> TakeLogs() {
    for (InputLog& log : logs_) {
      std::stable_sort(log.files.begin(), log.files.end(), IsOlder);
    }
    return std::move(logs_);
  }

 private:
  void Fail(const std::string& path, int error) { errors_.push_back(ErrorText(path, error)); }

  // `head` is decompressed.
  void AddRegular(const std::string& path, const struct stat& status, const std::string& head) {
    InputFile file = {.path = path, .size = status.st_size};
    const RotationSuffix suffix = SuffixOf(path);
    file.rotation = suffix.number.value_or(0);
    file.reference_time = options_.reference_time.value_or(
        suffix.date.value_or(absl::TimeFromTimespec(status.st_mtim)));
    FindFirstLine(head,
                  Framer({.time_zone = options_.time_zone, .reference_time = file.reference_time}),
                  file);
    AddTo(LogName(path), std::move(file));
  }

  void AddTo(const std::string& name, InputFile file) {
    const auto [found, added] = index_.try_emplace(name, logs_.size());
    if (added) logs_.emplace_back();
    logs_[found->second].files.push_back(std::move(file));
  }

  const InputLogOptions& options_;
  std::vector<std::string>& errors_;
  bool standard_input_ = false;
  std::set<std::pair<dev_t, ino_t>> known_;
  std::map<std::string, size_t> index_;  // Name of a log -> place in `logs_`.
  std::vector<InputLog> logs_;
};

}  // namespace

std::vector<InputLog> FindInputLogs(const std::vector<std::string>& paths,
                                    const InputLogOptions& options,
                                    std::vector<std::string>& errors) {
  Finder finder(options, errors);
  for (const std::string& path : paths) finder.Add(path);
  if (options.journal) finder.AddJournal(*options.journal);
  return finder.TakeLogs();
}

}  // namespace mxtally
