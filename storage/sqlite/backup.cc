#include "storage/sqlite/backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/audit.h"
#include "storage/sqlite/connection.h"

namespace mxtally::sqlite {
namespace {

using Progress = std::function<void(double)>;

constexpr mode_t kFileMode = 0640;
// 4 MB: a few milliseconds.
constexpr int kPagesPerStep = 1024;

absl::Status Error(const std::string& what) {
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": ", std::generic_category().message(errno)));
  }
  return absl::ErrnoToStatus(errno, what);
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  const int fd_;
};

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status CopyPages(Connection& from, Connection& to, const Progress& progress) {
  // Its own journal is useless: what is not whole is thrown away.  Synced once, at the end.
  to.Exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;");
  if (!to.ok()) return to.TakeStatus();
  Transaction one_state(from, Transaction::kRead);
  Statement begin(from, "SELECT count(*) FROM sqlite_schema");
  begin.Query();
  begin.Step();
  begin.Reset();
  if (!from.ok()) return from.TakeStatus();

  sqlite3_backup* copy = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (copy == nullptr) {
    to.Fail(sqlite3_extended_errcode(to.handle()));
    return to.TakeStatus();
  }
  int code = SQLITE_OK;
  while (code == SQLITE_OK) {
    code = sqlite3_backup_step(copy, kPagesPerStep);
    const int total = sqlite3_backup_pagecount(copy);
    if (progress && total > 0) {
      progress(1 - static_cast<double>(sqlite3_backup_remaining(copy)) / total);
    }
  }
  sqlite3_backup_finish(copy);
  if (code != SQLITE_DONE) to.Fail(code);
  return to.TakeStatus();
}

// Puts the whole file in its place, where nothing may be.
absl::Status Place(const std::string& partial, const std::string& to) {
  if (renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  if (errno != EINVAL && errno != ENOSYS) return Error(to);
  // A file system that cannot: a second name cannot take a place either.
  if (link(partial.c_str(), to.c_str()) != 0) return Error(to);
  unlink(partial.c_str());
  return absl::OkStatus();
}

absl::Status CopyInto(const std::string& path, const std::string& partial, const Fd& file,
                      const Progress& progress) {
  absl::StatusOr<std::unique_ptr<Connection>> from = OpenForOneLook(path);
  if (!from.ok()) return from.status();
  absl::StatusOr<std::unique_ptr<Connection>> target =
      Connection::Open(partial, Connection::kReadWrite);
  if (!target.ok()) return target.status();
  if (absl::Status s = CopyPages(**from, **target, progress); !s.ok()) {
    return absl::Status(s.code(), absl::StrCat("copy ", path, " to ", partial, ": ", s.message()));
  }
  target->reset();
  if (fsync(file.get()) != 0) return Error(absl::StrCat("sync ", partial));
  return absl::OkStatus();
}

}  // namespace

absl::Status BackUpSqlite(const std::string& path, const std::string& to,
                          const Progress& progress) {
  struct stat info = {};
  if (lstat(to.c_str(), &info) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(to, ": expected no file, found one"));
  }
  const std::string partial = to + ".partial";
  const Fd file(open(partial.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file.valid()) return Error(absl::StrCat("create ", partial));
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(partial, ": another backup to this place is running"));
  }
  // Of a backup that was killed.
  if (ftruncate(file.get(), 0) != 0) return Error(absl::StrCat("truncate ", partial));
  absl::Status done = CopyInto(path, partial, file, progress);
  if (done.ok()) done = Place(partial, to);
  if (!done.ok()) {
    unlink(partial.c_str());
    return done;
  }
  const Fd folder(open(FolderOf(to).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) return Error(absl::StrCat("sync ", to));
  return absl::OkStatus();
}

}  // namespace mxtally::sqlite
