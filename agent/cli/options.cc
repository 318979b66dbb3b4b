#include "agent/cli/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "agent/cli/peer_key_file.h"
#include "agent/source/log_follower.h"
#include "proto/options/command_line.h"
#include "proto/options/option_set.h"
#include "proto/options/values.h"

namespace mxtally {
namespace {

constexpr size_t kHostBytesMax = 255;

// Words as they were given; what they mean is checked after all are read.
struct RunWords {
  std::string server;
  std::vector<std::string> logs;
  bool journal = false;
  JournalOptions journal_options;
  std::string state_dir = "/var/lib/mxtally-agent";
  std::string host;
  std::string time_zone;
  std::string reference_time;
  std::vector<std::string> exclude_peers;
  std::string peer_detail = "full";
  std::string peer_key_file;
  CredentialFiles tls;
  bool plaintext = false;
  bool once = false;
  bool hosts_from_log = false;
  int64_t hosts_max = 1000;
  std::string log_level = "info";
};

std::string SystemHostName() {
  char name[kHostBytesMax + 1] = {};
  if (gethostname(name, kHostBytesMax) != 0) return "";
  return absl::AsciiStrToLower(name);
}

bool IsHostName(const std::string& name) {
  return !name.empty() && name.size() <= kHostBytesMax && absl::c_all_of(name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' || c == '-';
  });
}

absl::StatusOr<absl::Time> ParseReferenceTime(const std::string& text, absl::TimeZone zone) {
  absl::Time time;
  for (const char* format : {"%Y-%m-%d%ET%H:%M:%E*S%Ez", "%Y-%m-%d%ET%H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, text, zone, &time, nullptr)) return time;
  }
  return WrongValue("a time like 2026-11-01T04:00:00Z or 2026-11-01", text);
}

// The one place where the options of `run` are defined.
void DefineRunOptions(OptionSet& set, RunWords& words) {
  set.Text("server", "HOST:PORT", "Where the server listens", words.server);
  set.List("log", "PATH_OR_GLOB", "Log to follow, or a pattern for several", words.logs);
  set.Flag("journal", "Follow the systemd journal in place of logs", words.journal);
  set.Text("journal-directory", "DIR", "Follow the journal files in a folder",
           words.journal_options.directory);
  set.List("journal-unit", "UNIT", "Unit of an MTA in the journal, beside the usual names",
           words.journal_options.units);
  set.Text("state-dir", "DIR", "Where the checkpoint is kept", words.state_dir);
  set.Text("host", "NAME",
           "Name of this host in the records (default: the certificate's DNS name, else the "
           "system's)",
           words.host);
  set.Text("time-zone", "ZONE", "Zone of stamps that name none (default: the system's)",
           words.time_zone);
  set.Text("reference-time", "TIME",
           "Stamps without a year are at most a day after this (default: the files' own dates)",
           words.reference_time);
  set.List("exclude-peer", "CIDR_OR_DOMAIN", "Peer to count apart, such as a monitoring host",
           words.exclude_peers);
  set.Text("peer-detail", "DETAIL",
           "What of a peer is sent: full; prefix: networks and registrable domains; hmac: keyed "
           "hashes; none",
           words.peer_detail);
  set.Text("peer-key-file", "FILE",
           "Keys for peer-detail hmac, lines of EPOCH START KEY: a name, the first day (UTC), 64 "
           "hexadecimal digits",
           words.peer_key_file);
  set.Text("tls-ca", "FILE", "Authorities that the server is checked against, PEM; for TLS",
           words.tls.authorities);
  set.Text("tls-cert", "FILE", "Certificate of this agent, PEM", words.tls.certificate);
  set.Text("tls-key", "FILE", "Its private key, PEM", words.tls.key);
  set.Flag("plaintext", "Permit records to leave this machine without encryption", words.plaintext);
  set.Flag(
      "hosts-from-log",
      "Take the host of each session from its lines, as on a central log host; the server must "
      "list this agent as collector",
      words.hosts_from_log);
  set.Integer("hosts-max", "Hosts that are told apart in one log, for hosts-from-log",
              words.hosts_max, {.min = 1, .max = 100'000});
  set.Flag("once", "Read to the end, deliver everything, and exit", words.once);
  set.Choice("log-level", {"debug", "info", "warn", "error"}, "What is logged", words.log_level);
}

void CheckPeerDetail(const RunWords& words, RunOptions& options, OptionSet& set) {
  if (words.peer_detail == "full") {
    options.peer_detail = v1::PEER_DETAIL_UNSPECIFIED;
  } else if (words.peer_detail == "prefix") {
    options.peer_detail = v1::PEER_DETAIL_PREFIX;
  } else if (words.peer_detail == "hmac") {
    options.peer_detail = v1::PEER_DETAIL_HMAC;
  } else if (words.peer_detail == "none") {
    options.peer_detail = v1::PEER_DETAIL_NONE;
  } else {
    set.Reject("peer-detail", "full, prefix, hmac or none", words.peer_detail);
    return;
  }
  if (options.peer_detail != v1::PEER_DETAIL_HMAC) {
    if (!words.peer_key_file.empty()) {
      set.Reject("peer-key-file", "none without peer-detail hmac", words.peer_key_file);
    }
    return;
  }
  if (words.peer_key_file.empty()) {
    set.Reject("peer-key-file", "a file of keys for peer-detail hmac", "");
    return;
  }
  absl::StatusOr<std::vector<PeerKey>> keys = ReadPeerKeyFile(words.peer_key_file);
  if (keys.ok()) {
    options.peer_keys = *std::move(keys);
  } else {
    set.Reject("peer-key-file", keys.status());
  }
}

// Reads the files too, so that `check` says what is wrong with them.  Returns the
// name that the certificate gives this host; empty: none.
std::string CheckTls(const RunWords& words, OptionSet& set) {
  const std::pair<const char*, const std::string&> files[] = {{"tls-ca", words.tls.authorities},
                                                              {"tls-cert", words.tls.certificate},
                                                              {"tls-key", words.tls.key}};
  if (absl::c_all_of(files, [](const auto& file) { return file.second.empty(); })) return "";
  bool all = true;
  for (const auto& [name, path] : files) {
    if (!path.empty()) continue;
    set.Reject(name, "a file, because TLS needs --tls-ca, --tls-cert and --tls-key", "");
    all = false;
  }
  if (words.plaintext) set.Reject("plaintext", "none with --tls-ca", "true");
  if (!all) return "";
  const absl::StatusOr<Credentials> credentials = ReadCredentials(words.tls);
  if (!credentials.ok()) {
    set.Reject("tls-cert", credentials.status());
    return "";
  }
  const std::vector<std::string>& names = credentials->certificate.dns_names;
  if (names.empty() && words.host.empty()) {
    set.Reject("tls-cert", "a certificate with a DNS name, which is this host's",
               credentials->certificate.name());
  }
  return names.empty() ? "" : names.front();
}

// What the words mean; what cannot be is rejected.
RunOptions CheckRunWords(RunWords words, OptionSet& set) {
  RunOptions options;
  const absl::StatusOr<ServerAddress> address = ParseServerAddress(words.server);
  if (!address.ok()) {
    set.Reject("server", address.status());
  } else if (!words.plaintext && words.tls.authorities.empty() && !IsLoopback(address->host)) {
    set.Reject("server",
               "a loopback address, or --tls-ca, or --plaintext to send records over the network "
               "without encryption",
               words.server);
  }
  if (words.journal || !words.journal_options.directory.empty()) {
    options.journal = words.journal_options;
    if (!words.logs.empty()) {
      set.Reject("log", "none with --journal: their lines would count twice", words.logs.front());
    }
  } else if (words.logs.empty()) {
    set.Reject("log", "a path or a pattern", "");
  } else if (const auto logs = FindLogs(words.logs); !logs.ok()) {
    set.Reject("log", logs.status());
  }
  if (!options.journal.has_value() && !words.journal_options.units.empty()) {
    set.Reject("journal-unit", "none without --journal or --journal-directory",
               words.journal_options.units.front());
  }
  const std::string certified = CheckTls(words, set);
  options.host = !words.host.empty()  ? absl::AsciiStrToLower(words.host)
                 : !certified.empty() ? certified
                                      : SystemHostName();
  if (!IsHostName(options.host)) set.Reject("host", "at most 255 of [a-z0-9._-]", options.host);
  options.time_zone = absl::LocalTimeZone();
  if (!words.time_zone.empty() && !absl::LoadTimeZone(words.time_zone, &options.time_zone)) {
    set.Reject("time-zone", "a zone like UTC or Europe/Amsterdam", words.time_zone);
  }
  if (!words.reference_time.empty()) {
    absl::StatusOr<absl::Time> time = ParseReferenceTime(words.reference_time, options.time_zone);
    if (time.ok()) {
      options.reference_time = *time;
    } else {
      set.Reject("reference-time", time.status());
    }
  }
  absl::StatusOr<PeerClassifier> peers = PeerClassifier::Create(words.exclude_peers);
  if (peers.ok()) {
    options.peers = *std::move(peers);
  } else {
    set.Reject("exclude-peer", peers.status());
  }
  CheckPeerDetail(words, options, set);
  options.server = std::move(words.server);
  options.logs = std::move(words.logs);
  options.state_dir = std::move(words.state_dir);
  options.tls = std::move(words.tls);
  options.once = words.once;
  options.hosts_from_log = words.hosts_from_log;
  options.hosts_max = words.hosts_max;
  options.log_level = std::move(words.log_level);
  return options;
}

void AddScanOptions(CLI::App& scan, ScanOptions& options) {
  scan.add_option("FILE", options.files,
                  "Logs, plain or compressed (.gz, .xz, .bz2, .zst); - is standard input");
  scan.add_flag("--journal", options.journal, "Read the systemd journal");
  scan.add_option("--journal-directory", options.journal_directory,
                  "Read the journal files in a folder")
      ->type_name("DIR");
  scan.add_option("--journal-unit", options.journal_units,
                  "Unit of an MTA in the journal, beside the usual names; repeatable")
      ->type_name("UNIT")
      ->allow_extra_args(false);
  scan.add_option("--format", options.format, "table, json or csv")
      ->type_name("FORMAT")
      ->capture_default_str();
  scan.add_flag("--sessions", options.sessions, "Print one session a line, as JSON");
  scan.add_option("--since", options.since, "Only sessions from then on")->type_name("TIME");
  scan.add_option("--until", options.until, "Only sessions before then")->type_name("TIME");
  scan.add_option("--time-zone", options.time_zone,
                  "Zone of stamps that name none (default: the system's)")
      ->type_name("ZONE");
  scan.add_option("--reference-time", options.reference_time,
                  "Stamps without a year are at most a day after this "
                  "(default: the files' own dates)")
      ->type_name("TIME");
  scan.add_option("--exclude-peer", options.exclude_peers,
                  "Peer to count apart, such as a monitoring host; repeatable")
      ->type_name("CIDR_OR_DOMAIN")
      ->allow_extra_args(false);
  scan.add_option("--peer-class", options.peer_class,
                  "Class that is reported: external, loopback, excluded or all")
      ->type_name("CLASS")
      ->capture_default_str();
}

// Whether the first word leaves no doubt that it is about the whole program.
bool NamesCommand(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  for (const char* word : {"run", "scan", "check", "status", "-h", "--help", "--version"}) {
    if (words.front() == word) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<ServerAddress> ParseServerAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  ServerAddress address;
  if (colon != std::string::npos) {
    address.host = text.substr(0, colon);
    const bool in_brackets =
        address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']';
    if (in_brackets) {
      address.host = address.host.substr(1, address.host.size() - 2);
    } else if (absl::StrContains(address.host, ":")) {
      address.host.clear();  // An IPv6 address needs its brackets.
    }
    if (!absl::SimpleAtoi(text.substr(colon + 1), &address.port)) address.port = 0;
  }
  const bool wrong_host = address.host.empty() || absl::c_any_of(address.host, [](char c) {
                            return !absl::ascii_isgraph(c) || c == '/';
                          });
  if (wrong_host || address.port < 1 || address.port > 65'535) {
    return WrongValue("HOST:PORT", text);
  }
  return address;
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  return absl::StartsWith(host, "127.") &&
         absl::c_all_of(host, [](char c) { return absl::ascii_isdigit(c) || c == '.'; });
}

CommandLine ParseCommandLine(std::vector<std::string> words, char* const* environment,
                             std::ostream& out, std::ostream& err) {
  if (!NamesCommand(words)) words.insert(words.begin(), "run");

  CLI::App app("Counts the encryption of SMTP sessions from this host's mail log.",
               "mxtally-agent");
  app.set_version_flag("--version", "mxtally-agent " MXTALLY_VERSION);
  app.require_subcommand(1);
  RunWords run_words;
  OptionSet run_set("MXTALLY_AGENT_");
  DefineRunOptions(run_set, run_words);
  CLI::App& run = *app.add_subcommand("run", "Follow logs and send their sessions (the default)");
  run_set.AddTo(run);
  ScanOptions scan_options;
  CLI::App& scan = *app.add_subcommand("scan", "Report on log files, with no server");
  AddScanOptions(scan, scan_options);
  CLI::App& check = *app.add_subcommand(
      "check", "Say what is wrong with the configuration of run; exit 0 if nothing is");
  run_set.AddTo(check);
  StatusOptions status_options;
  CLI::App& status = *app.add_subcommand(
      "status", "Tell where the agent stands, from its state directory; exit 0 if it delivers");
  run_set.AddTo(status, {"state-dir"});
  status.add_option("--format", status_options.format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();

  if (const auto done = ParseWords(std::move(words), app, run, out, err)) return *done;
  if (scan) return scan_options;
  run_set.Read(environment);
  if (status && run_set.ok()) {
    status_options.state_dir = run_words.state_dir;
    return status_options;
  }
  RunOptions options = CheckRunWords(std::move(run_words), run_set);
  if (!run_set.ok()) {
    err << run_set.errors();
    return run_set.exit_status();
  }
  if (!check) {
    options.values = run_set.values();
    return options;
  }
  out << (run_set.config_path().empty() ? "options" : run_set.config_path()) << ": good\n";
  return 0;
}

}  // namespace mxtally
