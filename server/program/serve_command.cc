#include "server/program/serve_command.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/program/incident_log.h"

namespace mxtally {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// The signals that end the server, kept from all threads started later.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Waits for the first of them; the second ends the process at once.
int AwaitSignal(const sigset_t& signals) {
  int number = 0;
  sigwait(&signals, &number);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  return number;
}

std::shared_ptr<spdlog::logger> CreateLogger() {
  auto log = std::make_shared<spdlog::logger>("mxtally-server",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  return log;
}

}  // namespace

int Serve(const ServerOptions& options) {
  spdlog::set_default_logger(CreateLogger());
  const sigset_t signals = BlockEndSignals();
  IncidentLog incidents;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options, incidents);
  if (!server.ok()) {
    spdlog::error("{}", std::string(server.status().message()));
    return absl::IsInvalidArgument(server.status()) ? kExitUsage : kExitFailure;
  }
  spdlog::info("ready: gRPC on {}, HTTP on {}", (*server)->listen().ToString(),
               (*server)->http_listen().ToString());
  const int number = AwaitSignal(signals);
  spdlog::info("{}: acknowledging what is committed, then stopping",
               number == SIGINT ? "SIGINT" : "SIGTERM");
  server->reset();
  spdlog::info("stopped");
  return 0;
}

}  // namespace mxtally
