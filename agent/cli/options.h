// The options of mxtally-agent, on the command line, in the environment and in
// the configuration file.  To add one of `run`, see RunWords in options.cc and
// proto/options/option_set.h.

#ifndef MXTALLY_AGENT_CLI_OPTIONS_H_
#define MXTALLY_AGENT_CLI_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/cli/status_command.h"
#include "agent/scan/scan.h"
#include "agent/session/peer_class.h"
#include "agent/session/peer_mask.h"
#include "agent/source/journal_reader.h"
#include "proto/options/option_set.h"
#include "proto/tls/credential_files.h"

namespace mxtally {

struct RunOptions {
  std::string server;  // "HOST:PORT", checked.
  std::vector<std::string> logs;
  std::optional<JournalOptions> journal;  // In place of logs.
  std::string state_dir;
  std::string host;
  absl::TimeZone time_zone;
  std::optional<absl::Time> reference_time;
  PeerClassifier peers;
  // UNSPECIFIED: all of the peer is sent.
  v1::PeerDetail peer_detail = v1::PEER_DETAIL_UNSPECIFIED;
  std::vector<PeerKey> peer_keys;  // Of HMAC.
  // All empty: plaintext.
  CredentialFiles tls;
  bool once = false;
  bool hosts_from_log = false;
  int64_t hosts_max = 1000;
  std::string log_level = "info";  // "debug", "info", "warn" or "error".
  OptionValues values;             // As they were given.
};

// A command to carry out, or the exit status of one that is done: 0 after
// --help, --version and a `check` that found nothing, 2 for wrong usage, 78 for
// a wrong configuration file.
using CommandLine = std::variant<RunOptions, ScanOptions, StatusOptions, int>;

// Reads the words after the program's name, the environment ("NAME=VALUE", up
// to a null pointer), and the configuration file that they name.  Tells on
// `out` what was asked for, on `err` everything that is wrong, what was
// expected and what was found.
CommandLine ParseCommandLine(std::vector<std::string> words, char* const* environment,
                             std::ostream& out, std::ostream& err);

// Host and port of "mx.example.org:4625" or "[::1]:4625".
struct ServerAddress {
  std::string host;
  int port = 0;
};
absl::StatusOr<ServerAddress> ParseServerAddress(const std::string& text);

// Whether nothing sent to `host` leaves this machine.
bool IsLoopback(const std::string& host);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_OPTIONS_H_
