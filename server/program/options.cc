#include "server/program/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "proto/options/command_line.h"
#include "proto/options/option_set.h"
#include "proto/options/test_kill.h"
#include "proto/options/values.h"
#include "proto/tls/credential_files.h"
#include "server/auth/access_list.h"
#include "server/serve/expected_hosts.h"
#include "storage/open.h"

namespace mxtally {
namespace {

// The one place where the options of `serve` are defined.
void DefineServeOptions(OptionSet& set, ServeOptions& serve) {
  ServerOptions& options = serve.server;
  set.Value("listen", "ADDR:PORT", "Where gRPC listens; port 0 picks a free one", options.listen,
            ParseListenAddress, options.listen.ToString());
  set.Value("http-listen", "ADDR:PORT", "Where /metrics, /healthz and /readyz are served",
            options.http_listen, ParseListenAddress, options.http_listen.ToString());
  set.Text("database", "URL", "Where sessions are kept: sqlite:PATH; created when missing",
           options.database);
  set.Text("tls-cert", "FILE", "Certificate of this server, PEM; with it gRPC speaks TLS only",
           options.tls.certificate);
  set.Text("tls-key", "FILE", "Its private key, PEM", options.tls.key);
  set.Text("tls-client-ca", "FILE", "Authorities that client certificates are checked against, PEM",
           options.tls.authorities);
  set.Text("access", "FILE", "List of readers, operators and collectors", options.access_list);
  set.Duration("certificate-margin",
               "Health fails when the server's certificate expires within this time",
               options.certificate_margin, {});
  set.Duration("connection-age",
               "Longest life of a connection; then certificates are looked at again",
               options.connection_age_max, {.min = absl::Seconds(1), .max = absl::Hours(24)});
  set.Integer("address-connections",
              "Connections to gRPC that one address, or IPv6 /64, may have open at a time; 0: any",
              options.address_connections_max, {.max = 1'000'000});
  set.Integer("agent-streams", "Streams that one agent may have open at a time",
              options.quotas.streams_max, {.min = 1});
  set.Bytes("agent-bytes", "What one agent may send in a second, on average; 0: any",
            options.quotas.bytes_per_second, {});
  set.Integer("agent-sessions", "Sessions that one agent may send in a second, on average; 0: any",
              options.quotas.sessions_per_second, {});
  set.Integer("collector-hosts",
              "Hosts, beside its own, that one collector may send sessions of at a time",
              options.quotas.hosts_max, {.min = 1});
  set.Flag("plaintext", "Let other machines connect where nothing is encrypted", options.plaintext);
  set.Choice("log-level", {"debug", "info", "warn", "error"}, "What is logged", serve.log_level);
  const OptionSet::DurationRange kept;
  set.Duration("session-retention", "How long single sessions are kept; 0: forever",
               options.session_retention, kept);
  set.Duration("hour-retention", "How long counts by hour are kept; 0: forever",
               options.hour_retention, kept);
  set.Duration("day-retention", "How long counts by day are kept; 0: forever",
               options.day_retention, kept);
  set.Text("expected-hosts", "FILE", "Names of hosts that should report, one a line",
           options.expected_hosts);
}

// Counts must not go before what they are counted from.
void CheckRetention(OptionSet& set, const std::string& shorter_name, absl::Duration shorter,
                    const std::string& longer_name, absl::Duration longer) {
  if (longer == absl::ZeroDuration()) return;  // Forever.
  if (shorter != absl::ZeroDuration() && shorter <= longer) return;
  set.Reject(longer_name,
             absl::StrCat("at least --", shorter_name, ", which is ",
                          shorter == absl::ZeroDuration() ? "forever" : DurationText(shorter)),
             DurationText(longer));
}

void CheckDatabase(OptionSet& set, const ServerOptions& options) {
  if (options.database.empty()) {
    set.Reject("database", "sqlite:PATH, such as sqlite:/var/lib/mxtally/mxtally.db", "");
  } else if (absl::Status s = CheckStoreUrl(options.database); !s.ok()) {
    set.Reject("database", s);
  }
}

// The files are read here too, so that `check` says what is wrong with them.
void CheckTls(OptionSet& set, const ServerOptions& options) {
  const std::pair<const char*, const std::string&> files[] = {
      {"tls-cert", options.tls.certificate},
      {"tls-key", options.tls.key},
      {"tls-client-ca", options.tls.authorities}};
  const bool any = std::any_of(std::begin(files), std::end(files),
                               [](const auto& file) { return !file.second.empty(); });
  if (!any) {
    if (!options.access_list.empty()) {
      set.Reject("access", "--tls-cert too, because readers and operators need TLS",
                 options.access_list);
    }
    return;
  }
  bool all = true;
  for (const auto& [name, path] : files) {
    if (!path.empty()) continue;
    set.Reject(name, "a file, because TLS needs --tls-cert, --tls-key and --tls-client-ca", "");
    all = false;
  }
  if (!all) return;
  if (absl::Status s = ReadCredentials(options.tls).status(); !s.ok()) set.Reject("tls-cert", s);
  if (options.access_list.empty()) return;
  if (absl::Status s = AccessList::Read(options.access_list).status(); !s.ok()) {
    set.Reject("access", s);
  }
}

// What cannot be is rejected.
void CheckServeOptions(OptionSet& set, const ServerOptions& options) {
  CheckDatabase(set, options);
  CheckTls(set, options);
  CheckRetention(set, "session-retention", options.session_retention, "hour-retention",
                 options.hour_retention);
  CheckRetention(set, "hour-retention", options.hour_retention, "day-retention",
                 options.day_retention);
  if (!options.expected_hosts.empty()) {
    if (absl::Status s = ReadExpectedHosts(options.expected_hosts).status(); !s.ok()) {
      set.Reject("expected-hosts", s);
    }
  }
  const auto check_listen = [&](const std::string& name, const ListenAddress& address) {
    if (options.plaintext || address.IsLoopback()) return;
    if (name == "listen" && !options.tls.certificate.empty()) return;
    set.Reject(name,
               "a loopback address, or --plaintext if the network is trusted: other machines "
               "could connect, and nothing would be encrypted",
               address.ToString());
  };
  check_listen("listen", options.listen);
  check_listen("http-listen", options.http_listen);
}

// Whether the first word leaves no doubt that it is about the whole program.
bool NamesCommand(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  for (const char* word : {"serve", "check", "backup", "reopen", "-h", "--help", "--version"}) {
    if (words.front() == word) return true;
  }
  return false;
}

}  // namespace

CommandLine ParseCommandLine(std::vector<std::string> words, char* const* environment,
                             std::ostream& out, std::ostream& err) {
  if (!NamesCommand(words)) words.insert(words.begin(), "serve");

  CLI::App app("Stores SMTP sessions from agents and answers how much of the mail is encrypted.",
               "mxtally-server");
  app.set_version_flag("--version", "mxtally-server " MXTALLY_VERSION);
  app.require_subcommand(1);
  ServeOptions serve_options;
  ServerOptions& options = serve_options.server;
  options.version = MXTALLY_VERSION;
  OptionSet set("MXTALLY_SERVER_");
  DefineServeOptions(set, serve_options);
  CLI::App& serve = *app.add_subcommand("serve", "Serve until SIGTERM or SIGINT (the default)");
  set.AddTo(serve);
  CLI::App& check = *app.add_subcommand(
      "check",
      "Say what is wrong with the configuration of serve, and with the database that --database "
      "names here; exit 0 if nothing is");
  set.AddTo(check);
  BackupOptions backup_options;
  CLI::App& backup = *app.add_subcommand("backup", "Copy the database, also of a running server");
  set.AddTo(backup, {"database"});
  backup.add_option("--to", backup_options.to, "New file")->type_name("PATH")->required();
  ReopenOptions reopen_options;
  CLI::App& reopen = *app.add_subcommand(
      "reopen",
      "Drop a sealed day of a host, so that an archive can be read again; the server "
      "must be stopped");
  set.AddTo(reopen, {"database"});
  reopen.add_option("--host", reopen_options.host, "Name of the host")
      ->type_name("NAME")
      ->required();
  std::string day;
  reopen.add_option("--day", day, "UTC day, 2026-11-02")->type_name("DAY")->required();

  if (const auto done = ParseWords(std::move(words), app, serve, out, err)) return *done;
  set.Read(environment);
  if (backup || reopen) {
    CheckDatabase(set, options);
  } else {
    CheckServeOptions(set, options);
  }
  const absl::StatusOr<std::function<void()>> kill = ReadTestKill(environment, "after_commit");
  if (!kill.ok()) err << kill.status().message() << "\n";
  if (!set.ok()) {
    err << set.errors();
    return set.exit_status();
  }
  if (!kill.ok()) return OptionSet::kBadUsage;
  options.after_commit = *kill;
  if (backup) {
    backup_options.database = options.database;
    return backup_options;
  }
  if (reopen) {
    if (!absl::ParseCivilTime(day, &reopen_options.day)) {
      err << "--day: expected a day, such as 2026-11-02, found \"" << day << "\"\n";
      return OptionSet::kBadUsage;
    }
    reopen_options.database = options.database;
    return reopen_options;
  }
  if (!check) {
    serve_options.values = set.values();
    return serve_options;
  }
  if (set.OnCommandLine("database")) return AuditOptions{.database = options.database};
  out << (set.config_path().empty() ? "options" : set.config_path()) << ": good\n";
  return 0;
}

}  // namespace mxtally
