// mxtally-server: options, signals, log output.

#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/incident_log.h"
#include "server/serve/server.h"
#include "server/test_kill.h"

namespace mxtally {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// As the user gave them.
struct CommandLine {
  std::string listen = "127.0.0.1:4625";
  std::string http_listen = "127.0.0.1:4680";
  std::string database;
  bool plaintext = false;
};

void Define(CLI::App& app, CommandLine& line) {
  app.description(
      "Stores SMTP sessions from agents and answers how much of the mail is encrypted.");
  app.set_version_flag("--version", "mxtally-server " MXTALLY_VERSION);
  app.require_subcommand(0, 1);
  app.add_subcommand("serve", "Serve until SIGTERM or SIGINT; what the program does anyway")
      ->fallthrough();
  app.add_option("--listen", line.listen, "ADDR:PORT for gRPC; port 0 picks a free one")
      ->envname("MXTALLY_LISTEN")
      ->capture_default_str();
  app.add_option("--http-listen", line.http_listen, "ADDR:PORT for /metrics, /healthz and /readyz")
      ->envname("MXTALLY_HTTP_LISTEN")
      ->capture_default_str();
  app.add_option("--database", line.database,
                 "Where sessions are kept: sqlite:PATH; created when missing")
      ->envname("MXTALLY_DATABASE");
  app.add_flag("--plaintext", line.plaintext,
               "Let other machines connect, although nothing is encrypted")
      ->envname("MXTALLY_PLAINTEXT");
}

absl::Status Set(absl::string_view option, const std::string& text, ListenAddress& address) {
  absl::StatusOr<ListenAddress> parsed = ParseListenAddress(text);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(std::string(option) + ": " +
                                      std::string(parsed.status().message()));
  }
  address = *std::move(parsed);
  return absl::OkStatus();
}

absl::StatusOr<ServerOptions> OptionsOf(const CommandLine& line) {
  ServerOptions options;
  if (absl::Status s = Set("--listen", line.listen, options.listen); !s.ok()) return s;
  if (absl::Status s = Set("--http-listen", line.http_listen, options.http_listen); !s.ok()) {
    return s;
  }
  if (line.database.empty()) {
    return absl::InvalidArgumentError(
        "--database is missing: where sessions are kept, such as "
        "--database sqlite:/var/lib/mxtally/mxtally.db");
  }
  options.database = line.database;
  options.plaintext = line.plaintext;
  options.version = MXTALLY_VERSION;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet.
  if (const char* spec = std::getenv("MXTALLY_TEST_KILL"); spec != nullptr) {
    absl::StatusOr<std::function<void()>> kill = ParseTestKill(spec);
    if (!kill.ok()) return kill.status();
    options.after_commit = *std::move(kill);
  }
  return options;
}

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

int Serve(const ServerOptions& options) {
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

int Main(int argc, char** argv) {
  auto log = std::make_shared<spdlog::logger>("mxtally-server",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::set_default_logger(log);

  CLI::App app;
  CommandLine line;
  Define(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const absl::StatusOr<ServerOptions> options = OptionsOf(line);
  if (!options.ok()) {
    std::cerr << "mxtally-server: " << options.status().message() << "\n";
    return kExitUsage;
  }
  return Serve(*options);
}

}  // namespace
}  // namespace mxtally

int main(int argc, char** argv) { return mxtally::Main(argc, argv); }
