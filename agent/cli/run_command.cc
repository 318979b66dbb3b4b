#include "agent/cli/run_command.h"

#include <memory>
#include <utility>

#include "agent/checkpoint/checkpoint_file.h"
#include "agent/cli/log_output.h"
#include "agent/cli/stop_signals.h"
#include "agent/cli/test_kill.h"
#include "agent/run/delivery.h"
#include "agent/run/run_state_keeper.h"
#include "agent/source/file_watcher.h"
#include "agent/uplink/grpc_ingest_client.h"
#include "agent/uplink/tls_credentials.h"

namespace mxtally {
namespace {

constexpr int kFailure = 1;
constexpr int kBadUsage = 2;

// Batches wait in memory until they are written, so small ones keep the agent
// small; the server commits several at once anyway.
constexpr int64_t kBatchBytesMax = 256 * 1024;
constexpr int64_t kWindowBytesMax = 2 * 1024 * 1024;
constexpr int64_t kChunkBytes = 64 * 1024;

absl::StatusOr<std::vector<LogFollowerOptions>> LogsToFollow(
    const std::vector<std::string>& patterns) {
  absl::StatusOr<std::vector<LogFollowerOptions>> logs = FindLogs(patterns);
  if (!logs.ok()) return logs;
  for (LogFollowerOptions& log : *logs) log.chunk_bytes = kChunkBytes;
  return logs;
}

// The folders to watch: of the logs there are, and of those there may be.
std::unique_ptr<FileWatcher> Watch(const std::vector<std::string>& patterns,
                                   const std::vector<LogFollowerOptions>& logs) {
  std::vector<std::string> paths = patterns;
  for (const LogFollowerOptions& log : logs) paths.push_back(log.path);
  return FileWatcher::Create(paths);
}

DeliveryOptions MakeDeliveryOptions(const RunOptions& options, PeerMask* mask) {
  DeliveryOptions delivery;
  delivery.host = options.host;
  delivery.agent_version = MXTALLY_VERSION;
  delivery.once = options.once;
  delivery.window_bytes_max = kWindowBytesMax;
  delivery.logs.find = [patterns = options.logs] { return LogsToFollow(patterns); };
  delivery.logs.pipeline.assembler.host = options.host;
  delivery.logs.pipeline.assembler.peers = &options.peers;
  delivery.logs.pipeline.mask = mask;
  delivery.logs.pipeline.time_zone = options.time_zone;
  delivery.logs.pipeline.reference_time = options.reference_time;
  delivery.logs.pipeline.batch_bytes_max = kBatchBytesMax;
  return delivery;
}

// Steps until it is over, waiting in between for what may come.
absl::Status Drive(Delivery& delivery, Mailbox& mailbox, FileWatcher& watcher) {
  while (true) {
    const Delivery::Pause pause = delivery.Step();
    if (delivery.done()) return delivery.result();
    if (pause.watch_logs) {
      watcher.Wait(pause.timeout);
      delivery.LogsChanged();
    } else {
      mailbox.Wait(pause.timeout);
    }
  }
}

}  // namespace

int Run(const RunOptions& options) {
  const std::shared_ptr<spdlog::logger> logger = CreateLogger();
  const auto fail = [&logger](const absl::Status& status, int exit_status) {
    logger->error("{}", std::string(status.message()));
    return exit_status;
  };

  absl::StatusOr<std::function<void()>> kill = TestKillFromEnvironment();
  if (!kill.ok()) return fail(kill.status(), kBadUsage);
  absl::StatusOr<std::vector<LogFollowerOptions>> logs = LogsToFollow(options.logs);
  if (!logs.ok()) return fail(logs.status(), kBadUsage);

  std::unique_ptr<PeerMask> mask;
  if (options.peer_detail != v1::PEER_DETAIL_UNSPECIFIED) {
    auto created = PeerMask::Create(options.peer_detail, options.peer_keys);
    if (!created.ok()) return fail(created.status(), kFailure);
    mask = *std::move(created);
  }

  std::unique_ptr<TlsCredentials> tls;
  if (!options.tls.authorities.empty()) {
    auto loaded = TlsCredentials::Load(
        {.files = options.tls, .on_trouble = [&logger](const absl::Status& trouble) {
           if (trouble.ok()) return logger->info("the certificate files can be used again");
           logger->error("{}", std::string(trouble.message()));
         }});
    if (!loaded.ok()) return fail(loaded.status(), kFailure);
    tls = *std::move(loaded);
  }

  absl::StatusOr<std::unique_ptr<CheckpointFile>> file =
      CheckpointFile::Open({.dir = options.state_dir});
  if (!file.ok()) return fail(file.status(), kFailure);
  CheckpointKeeperOptions keeper_options;
  keeper_options.host = options.host;
  keeper_options.before_store = *std::move(kill);
  CheckpointKeeper checkpoint(std::move(keeper_options), **file);
  if (absl::Status s = checkpoint.Load(); absl::IsDataLoss(s)) {
    logger->warn("{}; older state is used", std::string(s.message()));
  } else if (!s.ok()) {
    return fail(s, kFailure);
  }

  if (!checkpoint.former_host().empty()) {
    logger->warn(
        "{}: expected the state of host {}, found that of {}; the logs are read again as those of "
        "{}",
        options.state_dir, options.host, checkpoint.former_host(), options.host);
  }

  // Before any thread, so that no other thread takes the signals.
  StopSignals signals;
  const std::unique_ptr<FileWatcher> watcher = Watch(options.logs, *logs);
  Mailbox mailbox([&watcher] { watcher->Wake(); });
  GrpcIngestClientOptions client_options;
  client_options.server = options.server;
  client_options.user_agent = "mxtally-agent/" MXTALLY_VERSION;
  if (tls != nullptr) client_options.credentials = [&tls] { return tls->ForNextStream(); };
  const std::unique_ptr<IngestClient> client = CreateGrpcIngestClient(std::move(client_options));
  LogOutput output(logger);
  RunStateKeeper state({.dir = options.state_dir,
                        .host = options.host,
                        .agent_version = MXTALLY_VERSION,
                        .server = options.server},
                       output);
  Delivery delivery(MakeDeliveryOptions(options, mask.get()), *client, mailbox, checkpoint, state);
  signals.Start([&delivery] { delivery.RequestStop(); });

  logger->info("mxtally-agent {} for host {}, {} logs, server {}", MXTALLY_VERSION, options.host,
               logs->size(), options.server);
  const absl::Status result = Drive(delivery, mailbox, *watcher);
  signals.Stop();
  if (!result.ok()) return fail(result, kFailure);
  logger->info(options.once ? "everything is delivered" : "stopped");
  return 0;
}

}  // namespace mxtally
