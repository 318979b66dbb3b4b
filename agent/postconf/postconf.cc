#include "agent/postconf/postconf.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace mxtally {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

// Bounds of MtaConfig.
constexpr size_t kVersionBytesMax = 64;
constexpr size_t kPathBytesMax = 1024;
constexpr size_t kLevelBytesMax = 32;

// How often a child that has closed its output is looked for.
constexpr std::chrono::milliseconds kExitPoll{10};

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// A child that is killed and waited for, at the latest, with this.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Its wait status; nullopt: it still runs at the deadline.
  std::optional<int> Wait(Deadline deadline) {
    while (true) {
      int status = 0;
      const pid_t ended = waitpid(pid_, &status, WNOHANG);
      if (ended == pid_) {
        pid_ = -1;
        return status;
      }
      if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
      std::this_thread::sleep_for(kExitPoll);
    }
  }

 private:
  pid_t pid_;
};

absl::StatusOr<pid_t> Spawn(const std::string& program, int output) {
  std::vector<std::string> words = {
      program,        "smtpd_tls_loglevel", "mail_version",
      "maillog_file", "smtp_tls_loglevel",  "smtp_tls_security_level"};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // Our threads block the signals that end us.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, program.c_str(), &files, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(program, ": ", absl::ErrnoToStatus(error, "run").message()));
  }
  return pid;
}

absl::StatusOr<std::string> ReadAll(int fd, const PostconfOptions& options, Deadline deadline) {
  std::string output;
  char buffer[4096];
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wait = {.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready == 0) return absl::DeadlineExceededError("no answer in time");
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready < 0) continue;
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size == 0) return output;
    if (size < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "read");
    if (size > 0) output.append(buffer, static_cast<size_t>(size));
    if (output.size() > options.output_bytes_max) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", options.output_bytes_max, " bytes of output"));
    }
  }
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

absl::StatusOr<v1::MtaConfig> AskPostconf(const PostconfOptions& options) {
  const auto program =
      std::find_if(options.programs.begin(), options.programs.end(),
                   [](const std::string& path) { return access(path.c_str(), X_OK) == 0; });
  if (program == options.programs.end()) return absl::NotFoundError("no postconf");

  const Deadline deadline =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options.timeout);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const Fd output(ends[0]);
  Fd input(ends[1]);
  const absl::StatusOr<pid_t> pid = Spawn(*program, input.get());
  if (!pid.ok()) return pid.status();
  Child child(*pid);
  input.Close();
  const absl::StatusOr<std::string> answer = ReadAll(output.get(), options, deadline);
  if (!answer.ok()) {
    return absl::Status(answer.status().code(),
                        absl::StrCat(*program, ": ", answer.status().message()));
  }
  const std::optional<int> status = child.Wait(deadline);
  if (!status) return absl::DeadlineExceededError(absl::StrCat(*program, ": it does not end"));
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    return absl::UnavailableError(absl::StrCat(*program, ": it failed"));
  }
  return ParsePostconf(*answer);
}

v1::MtaConfig ParsePostconf(std::string_view output) {
  v1::MtaConfig config;
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(output.data(), output.size()), '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(parts.first);
    const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
    if (!IsPrintable(std::string_view(value.data(), value.size()))) continue;
    int32_t level = 0;
    if (name == "smtpd_tls_loglevel") {
      if (absl::SimpleAtoi(value, &level)) config.set_smtpd_tls_loglevel(level);
    } else if (name == "smtp_tls_loglevel") {
      if (absl::SimpleAtoi(value, &level)) config.set_smtp_tls_loglevel(level);
    } else if (name == "smtp_tls_security_level" && value.size() <= kLevelBytesMax) {
      config.set_smtp_tls_security_level(std::string(value));
    } else if (name == "mail_version" && value.size() <= kVersionBytesMax) {
      config.set_mail_version(std::string(value));
    } else if (name == "maillog_file" && value.size() <= kPathBytesMax) {
      config.set_maillog_file(std::string(value));
    }
  }
  return config;
}

}  // namespace mxtally
