#include "agent/source/journal_files.h"

#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

namespace fs = std::filesystem;

// Those of other namespaces, "ID.NAMESPACE", are not read.
bool NamesMachine(const std::string& name) {
  sd_id128_t id;
  return ::sd_id128_from_string(name.c_str(), &id) >= 0;
}

std::vector<std::string> Folders(const std::string& directory) {
  std::vector<std::string> folders;
  if (directory.empty()) {
    sd_id128_t machine;
    std::array<char, SD_ID128_STRING_MAX> name;
    if (::sd_id128_get_machine(&machine) < 0) return folders;
    for (const char* root : {"/run/log/journal/", "/var/log/journal/"}) {
      folders.push_back(absl::StrCat(root, ::sd_id128_to_string(machine, name.data())));
    }
    return folders;
  }
  folders.push_back(directory);
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code unknown;
    if (it->is_directory(unknown) && NamesMachine(it->path().filename().string())) {
      folders.push_back(it->path().string());
    }
  }
  return folders;
}

bool NamesJournal(std::string_view name, bool of_system) {
  if (of_system && !name.starts_with("system.") && !name.starts_with("system@")) return false;
  return name.ends_with(".journal") || name.ends_with(".journal~");
}

// Opened alone, a file that cannot be read is an error.
absl::Status TryToOpen(const std::string& path) {
  sd_journal* journal = nullptr;
  std::array<const char*, 2> paths = {path.c_str(), nullptr};
  const int opened = ::sd_journal_open_files(&journal, paths.data(), 0);
  ::sd_journal_close(journal);
  switch (-opened) {
    case ENODATA:
      return absl::DataLossError(absl::StrCat(path, ": truncated journal file"));
    case EBADMSG:
      return absl::DataLossError(absl::StrCat(path, ": damaged journal file"));
    case EPROTONOSUPPORT:
      return absl::DataLossError(absl::StrCat(path, ": journal file of a newer systemd"));
    default:
      if (opened >= 0) return absl::OkStatus();
      return absl::Status(absl::ErrnoToStatusCode(-opened),
                          absl::StrCat(path, ": ", std::generic_category().message(-opened)));
  }
}

}  // namespace

std::vector<JournalFile> ListJournalFiles(const std::string& directory) {
  std::vector<JournalFile> files;
  for (const std::string& folder : Folders(directory)) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (!NamesJournal(it->path().filename().string(), directory.empty())) continue;
      const std::string path = it->path().string();
      struct stat st = {};
      if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
      // Made right before a crash; journald sets it aside at its next start.
      if (st.st_size == 0 && path.ends_with('~')) continue;
      absl::Status status = TryToOpen(path);
      if (absl::IsNotFound(status)) continue;  // Removed meanwhile.
      files.push_back({path, FromStat(st), std::move(status)});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const JournalFile& a, const JournalFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace mxtally
