// The open sessions of one log, and what finds them.

#ifndef MXTALLY_AGENT_SESSION_SESSION_TABLE_H_
#define MXTALLY_AGENT_SESSION_SESSION_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/parser/framer.h"
#include "agent/parser/log_clock.h"
#include "agent/session/assembler.h"
#include "agent/session/name_hash.h"
#include "agent/session/peer_class.h"
#include "agent/session/process_table.h"
#include "agent/session/tls_logging.h"

namespace mxtally {

// Sessions are found idle, and ordinals old, with this much delay at most.
inline constexpr absl::Duration kClockStep = absl::Seconds(10);

// Sessions are nodes of seven lists; a node moves between them and never in
// memory.  Every list is in the order in which its sessions came to its end, so
// that only its head is looked at as log time moves on.
//
//   live        least recently used first; their process serves them
//   told        live, but silent, and the record was handed on: a line makes a better one
//   tombstones  only swallow late lines; their process is not free either
//   held        ended, but waiting for queue ids; their process is free again
//   resting     without an end that the log need tell; lines may go on with them
//   screening   may be handed on, or were by the last line of their process
//   spare       memory for the next sessions
//
// One thread only.
struct SessionTable {
  SessionTable(AssemblerOptions given, AssemblerObserver& observer);
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  const AssemblerOptions options;
  const PeerClassifier& peers;
  AssemblerObserver& observer;
  std::string own_host;  // `options.host` as in keys; empty: each line's.

  SessionList live, told, tombstones, held, resting, screening, spare;
  // Queue ids open in sessions that are live or held.
  NameMap<SessionHandle> by_queue_id;
  // Live sessions and tombstones whose lines name their connection.
  NameMap<SessionHandle> by_connection;
  // By host and server: the resting session that was used last (reusable_connections.h).
  absl::flat_hash_map<uint64_t, SessionHandle> by_server;
  LogClock clock;
  ProcessTable processes;
  TlsLoggingTable tls_logging;
  // Stamp of the first line since the newest gap.
  std::optional<absl::Time> reading_start;

  // Of the last line: most lines are of one host.
  std::string header_host, key_host;
  // Of IdName().
  std::string first_host;
  // Memory of the functions below.
  std::string id_name, key_tag;
};

// ---- Names

// The host of a line's keys.  Valid until the next line's.
std::string_view MakeKeyHost(SessionTable& table, std::string_view host);
inline std::string_view KeyHost(SessionTable& table, std::string_view host) {
  if (!table.own_host.empty()) return table.own_host;
  if (host == table.header_host && !table.key_host.empty()) return table.key_host;
  return MakeKeyHost(table, host);
}

// The same in names of processes: empty when all lines are one host's.
inline std::string_view ProcessHost(SessionTable& table, std::string_view host) {
  return table.own_host.empty() ? KeyHost(table, host) : std::string_view();
}

// A queue id, or what names a connection: alone for the first host that asks, else behind
// the key's host and a blank, which neither can hold.  Valid until the next call.
std::string_view IdName(SessionTable& table, std::string_view key_host, std::string_view id);

// The process that wrote the line; null when nothing is known of it.  Names are in the form of
// keys, as the tags of nearly all lines are.
Process* FindProcessByKeyTag(SessionTable& table, const FramedLine& line);
inline Process* FindProcess(SessionTable& table, const FramedLine& line) {
  const std::string_view host = ProcessHost(table, line.host);
  Process* const found = table.processes.Find({host, line.tag}, line.pid);
  return found != nullptr ? found : FindProcessByKeyTag(table, line);
}
Process& FindOrAddProcess(SessionTable& table, const FramedLine& line);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_SESSION_TABLE_H_
