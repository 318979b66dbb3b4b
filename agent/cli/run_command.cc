#include "agent/cli/run_command.h"

#include <malloc.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/checkpoint/checkpoint_file.h"
#include "agent/cli/log_output.h"
#include "agent/cli/peer_key_file.h"
#include "agent/cli/signals.h"
#include "agent/parser/framer.h"
#include "agent/postconf/postconf_watch.h"
#include "agent/run/delivery.h"
#include "agent/run/run_state_keeper.h"
#include "agent/source/file_watcher.h"
#include "agent/uplink/grpc_ingest_client.h"
#include "agent/uplink/tls_credentials.h"
#include "proto/options/option_set.h"
#include "proto/options/test_kill.h"
#include "proto/service_manager/service_manager.h"

namespace mxtally {
namespace {

constexpr int kFailure = 1;
constexpr int kBadUsage = 2;

// Batches wait in memory until they are written, so small ones keep the agent
// small; the server commits several at once anyway.
constexpr int64_t kBatchBytesMax = 256 * 1024;
constexpr int64_t kWindowBytesMax = 2 * 1024 * 1024;
constexpr int64_t kChunkBytes = 64 * 1024;
// So much of a live log is read again after a crash.  A snapshot at each look
// took a quarter of the agent's time, and a checkpoint costs two fsyncs of the
// disk that the MTA's queue is on.
constexpr absl::Duration kSnapshotInterval = absl::Seconds(5);

// Larger blocks go back to the system when they are freed.  Batches, snapshots
// and what TLS makes of them are large and live shortly; left to itself glibc
// raises this bound to their size and the heap keeps their room, 6 MB of it.
constexpr int kMmapBytes = 128 * 1024;

absl::StatusOr<std::vector<LogFollowerOptions>> LogsToFollow(const RunOptions& options) {
  if (options.journal.has_value()) {
    return std::vector<LogFollowerOptions>{
        {.path = JournalName(*options.journal), .journal = options.journal}};
  }
  absl::StatusOr<std::vector<LogFollowerOptions>> logs = FindLogs(options.logs);
  if (!logs.ok()) return logs;
  for (LogFollowerOptions& log : *logs) {
    log.chunk_bytes = kChunkBytes;
    log.time_of_line = [time_zone = options.time_zone](std::string_view line,
                                                       absl::Time reference) {
      return Framer({.time_zone = time_zone, .reference_time = reference}).PeekTime(line);
    };
  }
  return logs;
}

// The folders to watch: of the logs there are, and of those there may be.
// The journal is looked at every second.
std::unique_ptr<FileWatcher> Watch(const std::vector<std::string>& patterns,
                                   const std::vector<LogFollowerOptions>& logs) {
  std::vector<std::string> paths = patterns;
  for (const LogFollowerOptions& log : logs) {
    if (!log.journal.has_value()) paths.push_back(log.path);
  }
  return FileWatcher::Create(paths);
}

// `keep_unpacking` as in LogFollowerOptions.
DeliveryOptions MakeDeliveryOptions(const RunOptions& options, const PeerClassifier& peers,
                                    PeerMask* mask, const PostconfWatch& postconf,
                                    std::function<bool()> keep_unpacking) {
  DeliveryOptions delivery;
  delivery.host = options.host;
  delivery.agent_version = MXTALLY_VERSION;
  delivery.once = options.once;
  delivery.logs.pipeline.once = options.once;
  delivery.mta_config = [&postconf] { return postconf.config(); };
  delivery.window_bytes_max = kWindowBytesMax;
  delivery.logs.find = [&options, keep_unpacking = std::move(keep_unpacking)] {
    absl::StatusOr<std::vector<LogFollowerOptions>> logs = LogsToFollow(options);
    if (!logs.ok()) return logs;
    for (LogFollowerOptions& log : *logs) log.keep_unpacking = keep_unpacking;
    return logs;
  };
  if (options.journal.has_value()) delivery.source_kind = v1::SOURCE_KIND_JOURNAL;
  delivery.logs.pipeline.assembler.host = options.host;
  delivery.logs.pipeline.assembler.peers = &peers;
  if (options.hosts_from_log) {
    delivery.logs.pipeline.hosts.emplace().hosts_max = options.hosts_max;
  }
  delivery.logs.pipeline.mask = mask;
  delivery.logs.pipeline.time_zone = options.time_zone;
  delivery.logs.pipeline.reference_time = options.reference_time;
  delivery.logs.pipeline.batch_bytes_max = kBatchBytesMax;
  if (!options.once) {
    delivery.logs.pipeline.snapshot_interval_min = kSnapshotInterval;
    delivery.logs.pipeline.end_snapshot_interval_min = kSnapshotInterval;
  }
  return delivery;
}

// Shows the connection as the service manager's status.
class ServiceStatus final : public ForwardingObserver {
 public:
  ServiceStatus(ServiceManager& manager, std::string server, DeliveryObserver& next)
      : ForwardingObserver(next), manager_(manager), server_(std::move(server)) {}

  void OnConnected(const v1::ServerWelcome& welcome) override {
    manager_.SetStatus(absl::StrCat("connected to ", server_));
    ForwardingObserver::OnConnected(welcome);
  }
  void OnDisconnected(const absl::Status& status, absl::Duration delay) override {
    if (!status.ok()) {
      manager_.SetStatus(
          absl::StrCat("no connection to ", server_, ": ", std::string(status.message())));
    }
    ForwardingObserver::OnDisconnected(status, delay);
  }

 private:
  ServiceManager& manager_;
  const std::string server_;
};

// Steps until it is over, waiting in between for what may come.
// `before_step` is called in each round.
absl::Status Drive(Delivery& delivery, Mailbox& mailbox, FileWatcher& watcher,
                   ServiceManager& manager, const std::function<void()>& before_step) {
  while (true) {
    manager.Feed();
    before_step();
    const Delivery::Pause pause = delivery.Step();
    if (delivery.done()) return delivery.result();
    const absl::Duration timeout = std::min(pause.timeout, manager.feed_interval() / 2);
    if (pause.watch_logs) {
      watcher.Wait(timeout);
      delivery.LogsChanged();
    } else {
      mailbox.Wait(timeout);
    }
  }
}

// A mask that can be replaced, while no log is open.  One thread only.
class CurrentMask final : public PeerMask {
 public:
  void Replace(std::shared_ptr<PeerMask> mask) { mask_ = std::move(mask); }
  void Apply(v1::SessionRecord& record) override { mask_->Apply(record); }

 private:
  // Shared, because the function that replaces it must be copyable.
  std::shared_ptr<PeerMask> mask_;
};

// What SIGHUP changes; certificates are watched anyway.  Everything else needs a restart.
constexpr const char* kReloadable[] = {"exclude-peer", "log-level", "peer-key-file"};

// The options after a reload that was asked for; nullopt, told in the log, where
// anything is wrong.
std::optional<RunOptions> ReadAgain(const RunOptions& before, const std::vector<std::string>& words,
                                    char* const* environment, spdlog::logger& logger) {
  std::ostringstream out;
  std::ostringstream err;
  CommandLine command = ParseCommandLine(words, environment, out, err);
  auto* after = std::get_if<RunOptions>(&command);
  if (after == nullptr) {
    for (absl::string_view line : absl::StrSplit(err.str(), '\n', absl::SkipEmpty())) {
      logger.error("not reloaded: {}", std::string(line));
    }
    return std::nullopt;
  }
  const std::vector<std::string> later = ChangedOptions(before.values, after->values, kReloadable);
  if (!later.empty()) {
    logger.warn("changed, but only a restart puts into force: {}", absl::StrJoin(later, ", "));
  }
  return std::move(*after);
}

// The mask of the options after a reload; what is wrong with them, if anything is.
absl::StatusOr<std::shared_ptr<PeerMask>> MaskWithNewKeys(const std::vector<PeerKey>& before,
                                                          const RunOptions& after) {
  if (absl::Status s = CheckReplacement(before, after.peer_keys); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<PeerMask>> mask =
      PeerMask::Create(after.peer_detail, after.peer_keys);
  if (!mask.ok()) return mask.status();
  return std::shared_ptr<PeerMask>(*std::move(mask));
}

}  // namespace

int Run(const RunOptions& options, const std::vector<std::string>& words,
        char* const* environment) {
  // NOLINTBEGIN(concurrency-mt-unsafe): no other thread runs yet.
  mallopt(M_MMAP_THRESHOLD, kMmapBytes);
  mallopt(M_TRIM_THRESHOLD, kMmapBytes);
  mallopt(M_ARENA_MAX, 1);  // Threads that only pass bytes on need none of their own.
  // NOLINTEND(concurrency-mt-unsafe)
  const std::shared_ptr<spdlog::logger> logger = CreateLogger();
  logger->set_level(spdlog::level::from_str(options.log_level));
  const auto fail = [&logger](const absl::Status& status, int exit_status) {
    logger->error("{}", std::string(status.message()));
    return exit_status;
  };

  absl::StatusOr<std::function<void()>> kill = ReadTestKill(environment, "before_checkpoint");
  if (!kill.ok()) return fail(kill.status(), kBadUsage);
  absl::StatusOr<std::vector<LogFollowerOptions>> logs = LogsToFollow(options);
  if (!logs.ok()) return fail(logs.status(), kBadUsage);

  CurrentMask mask;
  const bool masks = options.peer_detail != v1::PEER_DETAIL_UNSPECIFIED;
  if (masks) {
    auto created = PeerMask::Create(options.peer_detail, options.peer_keys);
    if (!created.ok()) return fail(created.status(), kFailure);
    mask.Replace(*std::move(created));
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

  // Before any thread, gRPC's too, so that no other thread takes the signals.
  Signals signals;
  ServiceManager manager;
  const std::unique_ptr<FileWatcher> watcher = Watch(options.logs, *logs);
  Mailbox mailbox([&watcher] { watcher->Wake(); });
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
  ServiceStatus service_status(manager, options.server, state);
  // Changed only while no log is open.
  PeerClassifier peers = options.peers;
  std::vector<PeerKey> peer_keys = options.peer_keys;
  const PostconfWatch postconf({});
  std::atomic<bool> reload_requested = false;
  std::atomic<bool> stop_requested = false;
  bool stop_told = false;
  // An archive takes minutes where it is large.
  const auto keep_unpacking = [&manager, &stop_requested] {
    manager.Feed();
    return !stop_requested;
  };
  Delivery delivery(
      MakeDeliveryOptions(options, peers, masks ? &mask : nullptr, postconf, keep_unpacking),
      *client, mailbox, checkpoint, service_status);
  signals.Start([&](int number) {
    if (number == SIGHUP) {
      reload_requested = true;
      mailbox.Wake();
    } else {
      stop_requested = true;
      delivery.RequestStop();
    }
  });
  const auto take_requests = [&] {
    if (stop_requested && !std::exchange(stop_told, true)) {
      manager.Stopping("waiting for acknowledgements");
    }
    if (!reload_requested.exchange(false)) return;
    manager.Reloading();
    if (std::optional<RunOptions> after = ReadAgain(options, words, environment, *logger)) {
      const bool new_peers = after->peers.list_hash() != peers.list_hash();
      const bool new_keys =
          after->peer_detail == options.peer_detail && after->peer_keys != peer_keys;
      absl::StatusOr<std::shared_ptr<PeerMask>> new_mask = std::shared_ptr<PeerMask>();
      if (new_keys) new_mask = MaskWithNewKeys(peer_keys, *after);
      if (!new_mask.ok()) {
        logger->error("not reloaded: {}", std::string(new_mask.status().message()));
      } else {
        logger->set_level(spdlog::level::from_str(after->log_level));
        if (!new_peers && !new_keys) logger->info("reloaded");
      }
      if (new_mask.ok() && (new_peers || new_keys)) {
        // Told when it is so: what is on its way is acknowledged first.
        delivery.Reload([&, new_peers, new_keys, next = *std::move(new_mask),
                         options_after = *std::move(after)] {
          peers = options_after.peers;
          if (new_keys) {
            peer_keys = options_after.peer_keys;
            mask.Replace(next);
          }
          logger->info("reloaded, {} too", !new_keys    ? "excluded peers"
                                           : !new_peers ? "keys for peers"
                                                        : "excluded peers and keys for peers");
        });
      }
    }
    manager.Reloaded();
  };

  logger->info("mxtally-agent {} for host {}, {} logs, server {}", MXTALLY_VERSION, options.host,
               logs->size(), options.server);
  manager.Ready(absl::StrCat("connecting to ", options.server));
  const absl::Status result = Drive(delivery, mailbox, *watcher, manager, take_requests);
  take_requests();  // That ended it before they were told.
  signals.Stop();
  if (!result.ok()) return fail(result, kFailure);
  logger->info(options.once ? "everything is delivered" : "stopped");
  return 0;
}

}  // namespace mxtally
