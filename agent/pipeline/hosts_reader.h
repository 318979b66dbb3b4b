// Reads a log of many hosts: each line goes to a reader of its host alone, which
// has time, keys, open sessions and counts of its own.  So a host's records are
// those that an agent on it would make of the same lines, and neither a wrong
// clock nor a flood on one host changes those of another.
//
// Bounds are over all hosts.  Where sessions or ordinals must go, they are those
// of the host that has most.  Where a host is one too many, one that has not
// written for a day is forgotten; else the new one's lines are counted as
// foreign.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_HOSTS_READER_H_
#define MXTALLY_AGENT_PIPELINE_HOSTS_READER_H_

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "agent/parser/framer.h"
#include "agent/parser/log_clock.h"
#include "agent/pipeline/batch_builder.h"
#include "agent/pipeline/host_names.h"
#include "agent/pipeline/line_reader.h"
#include "agent/pipeline/log_reader.h"
#include "agent/session/assembler.h"
#include "agent/session/name_hash.h"
#include "agent/session/peer_mask.h"
#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

// Hosts of all logs of a stream, beside the agent's own: the server permits so many.
class HostBudget {
 public:
  // Begins anew, for another stream.
  void Reset(int64_t hosts_max) {
    hosts_max_ = hosts_max;
    hosts_.clear();
  }
  // Whether sessions of `host` may be sent on this stream.
  bool Take(const std::string& host) {
    if (hosts_.contains(host)) return true;
    if (static_cast<int64_t>(hosts_.size()) >= hosts_max_) return false;
    hosts_.insert(host);
    return true;
  }

 private:
  int64_t hosts_max_ = 0;
  absl::flat_hash_set<std::string> hosts_;
};

struct HostsReaderOptions {
  // Which hosts the server takes.
  v1::Collecting collecting;
  HostBudget* budget = nullptr;  // Borrowed; null: any number.

  // Hosts told apart at a time, beside the agent's own.  Each costs some
  // kilobytes, and its open sessions.
  int64_t hosts_max = 1000;

  // Of all hosts: sessions remembered, about 1 KB each, and ordinals in use,
  // about 100 bytes each.
  int64_t sessions_max = 100'000;
  int64_t ordinals_max = 500'000;
};

class HostsReader : public LogReader {
 public:
  // As LineReader's; `assembler.host` is the agent's own host.
  HostsReader(HostsReaderOptions options, const AssemblerOptions& assembler,
              const FramerOptions& framer_options, BatchBuilder& builder, PeerMask* mask = nullptr);
  ~HostsReader() override;

  void Restore(const agent::v1::LogCheckpoint& checkpoint) override;
  void Save(agent::v1::LogCheckpoint& checkpoint) const override;
  void ReadLine(std::string_view line, int64_t bytes) override;
  void ReadOversizedLine(int64_t bytes) override;
  void BeginFile(absl::Time reference_time, bool at_start) override;
  void ReadGap(v1::GapReason reason, int64_t bytes_min) override;
  void EndBatch() override;

  std::optional<absl::Time> last_time() const override { return clock_.state().now; }
  const std::string& mta() const override { return own_.reader.mta(); }
  void AddStatus(v1::LogStatus& status) const override;

 private:
  struct Host {
    // `part` is null for the agent's own host.
    Host(HostsReader& all, std::string name, HostPartBuilder* part);

    const std::string name;
    HostPartBuilder* const part;
    LineReader reader;
    // What it has of `sessions_` and `ordinals_`.
    int64_t sessions = 0;
    int64_t ordinals = 0;
  };
  using Hosts = std::list<Host>;
  struct Alias {
    Host* host = nullptr;  // Null: foreign.
    Hosts::iterator place = {};
  };

  // The host of a line's header; null: its lines are foreign.
  Host* Find(std::string_view header_host);
  Alias Resolve(std::string_view header_host, bool& lasting);
  // Null: there is no room.
  std::optional<Hosts::iterator> Add(const std::string& name);
  // Whether the least recently read host has not written for long.
  bool MayForget() const;
  void NoteForeign(const std::string& name);

  // After a change of what `host` remembers.
  void Recount(Host& host);
  void KeepBounds(Host& changed);
  Host& Largest(int64_t Host::*figure);
  void ForgetHost(Hosts::iterator host);

  const HostsReaderOptions options_;
  const AssemblerOptions assembler_options_;
  const HostNames names_;
  FramerOptions framer_options_;
  BatchBuilder& builder_;
  PeerMask* const mask_;

  // Of lines that no host's reader takes.
  Framer framer_;
  LogClock clock_{absl::ZeroDuration(), absl::Hours(24)};
  bool file_at_start_ = false;

  Host own_;
  Hosts hosts_;  // Least recently read first.
  absl::flat_hash_map<std::string, Hosts::iterator, NameHash, NameEqual> by_name_;
  // By header, of those that were asked for.
  absl::flat_hash_map<std::string, Alias, NameHash, NameEqual> aliases_;
  std::string last_header_;
  Alias last_alias_;
  bool last_lasting_ = false;

  int64_t sessions_ = 0;
  int64_t ordinals_ = 0;

  int64_t lines_beyond_hosts_max_ = 0;
  std::vector<std::string> foreign_hosts_;  // The first ones.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_HOSTS_READER_H_
