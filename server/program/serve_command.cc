#include "server/program/serve_command.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "proto/options/option_set.h"
#include "proto/service_manager/service_manager.h"
#include "server/program/incident_log.h"

namespace mxtally {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// How often the service manager's status is looked at.
constexpr absl::Duration kStatusInterval = absl::Seconds(10);

// The options that SIGHUP puts into force, beside the contents of files that
// others name (Server::Reload()).  Everything else needs a restart.
constexpr const char* kReloadable[] = {"log-level"};

// SIGTERM, SIGINT and SIGHUP, kept from all threads started later.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  // The next one; 0 when none came within `timeout`.
  int Wait(absl::Duration timeout) {
    const timespec wait = absl::ToTimespec(timeout);
    return std::max(sigtimedwait(&set_, nullptr, &wait), 0);
  }

  // From now on the next one ends the process at once.
  void Release() { pthread_sigmask(SIG_UNBLOCK, &set_, nullptr); }

 private:
  sigset_t set_;
};

std::shared_ptr<spdlog::logger> CreateLogger() {
  auto log = std::make_shared<spdlog::logger>("mxtally-server",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  return log;
}

// Reads the options again, for a reload that was asked for; false, told in the
// log, where anything is wrong.
bool ReadAgain(ServeOptions& options, const std::vector<std::string>& words,
               char* const* environment) {
  std::ostringstream out;
  std::ostringstream err;
  CommandLine command = ParseCommandLine(words, environment, out, err);
  auto* after = std::get_if<ServeOptions>(&command);
  if (after == nullptr) {
    for (absl::string_view line : absl::StrSplit(err.str(), '\n', absl::SkipEmpty())) {
      spdlog::error("not reloaded: {}", std::string(line));
    }
    return false;
  }
  const std::vector<std::string> later = ChangedOptions(options.values, after->values, kReloadable);
  if (!later.empty()) {
    spdlog::warn("changed, but only a restart puts into force: {}", absl::StrJoin(later, ", "));
  }
  // Keeps the values that are in force, so that the next reload tells the same.
  if (const auto level = after->values.find("log-level"); level != after->values.end()) {
    options.values["log-level"] = level->second;
  } else {
    options.values.erase("log-level");
  }
  options.log_level = after->log_level;
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  return true;
}

std::string StatusText(const Server& server) {
  return absl::StrCat("gRPC on ", server.listen().ToString(), ", HTTP on ",
                      server.http_listen().ToString(),
                      ", streams of agents: ", server.stream_count());
}

}  // namespace

int Serve(const ServeOptions& given, const std::vector<std::string>& words,
          char* const* environment) {
  spdlog::set_default_logger(CreateLogger());
  spdlog::set_level(spdlog::level::from_str(given.log_level));
  ServeOptions options = given;
  RaiseDescriptorLimit();
  Signals signals;
  ServiceManager manager;
  IncidentLog incidents;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
      options.server, [&incidents](const Incident& incident) { incidents.Tell(incident); });
  if (!server.ok()) {
    spdlog::error("{}", std::string(server.status().message()));
    return absl::IsInvalidArgument(server.status()) ? kExitUsage : kExitFailure;
  }
  spdlog::info("ready: gRPC on {}, HTTP on {}", (*server)->listen().ToString(),
               (*server)->http_listen().ToString());
  manager.Ready(StatusText(**server));

  int number = 0;
  while (number != SIGTERM && number != SIGINT) {
    // Not fed while the writer hangs: systemd then ends and starts the server.
    if ((*server)->writer_busy_for() < manager.feed_interval()) manager.Feed();
    manager.SetStatus(StatusText(**server));
    number = signals.Wait(std::min(kStatusInterval, manager.feed_interval() / 2));
    if (number == SIGHUP) {
      manager.Reloading();
      if (ReadAgain(options, words, environment)) {
        (*server)->Reload();
        spdlog::info("reloaded");
      }
      manager.Reloaded();
    }
  }
  signals.Release();
  spdlog::info("{}: acknowledging what is committed, then stopping",
               number == SIGINT ? "SIGINT" : "SIGTERM");
  manager.Stopping("acknowledging what is committed");
  server->reset();
  spdlog::info("stopped");
  return 0;
}

}  // namespace mxtally
