// The processes of a log: which session each serves, and how many it began
// within one stamp.
//
// A clock that is set back by less than the memory goes on counting, so that
// the sessions of both passes stay apart.  One that jumps back further is
// taken for an older log, or this log once more: who keeps the time then has
// what lies ahead forgotten, so that reading again counts again from 0.
//
// All this depends on the pairs of process and stamp alone, not on how they are
// stored: a restored memory goes on exactly like the saved one.

#ifndef MXTALLY_AGENT_SESSION_PROCESS_TABLE_H_
#define MXTALLY_AGENT_SESSION_PROCESS_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "agent/session/name_hash.h"
#include "agent/session/open_session.h"
#include "agent/session/service.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

struct Process;

struct ProcessSession;
using SessionList = std::list<ProcessSession>;
using SessionHandle = SessionList::iterator;

struct ProcessSession : OpenSession {
  // Null once the process is free for the next session.
  Process* process = nullptr;
  // Connections to the same server, as they were last used (reusable_connections.h).
  std::optional<SessionHandle> older, newer;
  // Whether it is one of these.
  bool chained = false;
};

// Tags name a process of one host.
struct ProcessName {
  std::string_view host;  // Empty where all are one host's.
  std::string_view tag;

  bool operator==(const ProcessName&) const = default;
};

struct Process {
  std::string host;
  std::string tag;
  Service service;  // As the tag says.
  // The one it serves, or that it handed on with its last line.
  std::optional<SessionHandle> session;
  // Sessions beside it, whose lines name their connection.
  int connections = 0;
  // Stamps that the table remembers of it.
  int stamps = 0;
  // Where the table finds it faster.
  size_t recent_slot = 0;
};

// One thread only.
class ProcessTable {
 public:
  // Stamps older than `memory` are forgotten; beyond `stamps_max`, counted by
  // process, the oldest are.
  ProcessTable(absl::Duration memory, int stamps_max) : memory_(memory), stamps_max_(stamps_max) {}
  ProcessTable(const ProcessTable&) = delete;
  ProcessTable& operator=(const ProcessTable&) = delete;

  // Null when nothing is known of it.  Lines that follow each other are of few processes:
  // those found lately are found faster by their process id.
  Process* Find(const ProcessName& name, int64_t pid = 0) {
    Process* const recent = recent_[SlotOf(pid)];
    if (recent != nullptr && recent->tag == name.tag && recent->host == name.host) return recent;
    return FindInTable(name, pid);
  }
  // A process stays where it is while it has sessions or remembered stamps.
  Process& FindOrAdd(const ProcessName& name);
  // Ends what the process does now.
  void Free(Process& process);
  void FreeConnection(Process& process);

  // Returns how often this was called for `process` and `stamp` before.  `now`
  // is the log's time.  Adds to `forgotten` the stamps that left before their time;
  // with the last of them goes a process without a session.
  uint32_t NextOrdinal(Process& process, absl::Time stamp, absl::Time now, int64_t& forgotten);

  // Forgets all stamps from `stamp` on, or all behind it.
  void ForgetFrom(absl::Time stamp);
  void ForgetAfter(absl::Time stamp);

  // Pairs of process and stamp that are remembered.
  int64_t size() const { return count_; }
  // Forgets the oldest stamp, of which there must be one.  Returns how many pairs that were.
  int64_t ForgetOldest();

  void Save(google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved) const;
  void Restore(const google::protobuf::RepeatedPtrField<agent::v1::TagOrdinals>& saved);

 private:
  struct Count {
    Process* process;
    uint32_t sessions;
  };
  struct Stamp {
    absl::Time time;
    // Of distinct processes.  Stamps of whole seconds have many, those of
    // microseconds have one.
    absl::InlinedVector<Count, 1> counts;
  };

  Stamp& FindOrAddStamp(absl::Time time);
  Count& FindOrAddCount(Stamp& stamp, Process& process);
  int64_t Forget(Stamp& stamp);
  int64_t ForgetNewest();
  void ForgetFarFrom(absl::Time time);
  void RemoveIfUnused(Process& process);
  void ForgetSlot(Process& process);
  Process* FindInTable(const ProcessName& name, int64_t pid);

  static constexpr size_t kRecent = 1024;
  static size_t SlotOf(int64_t pid) { return static_cast<size_t>(pid) % kRecent; }

  const absl::Duration memory_;
  const int stamps_max_;
  struct Hash {
    size_t operator()(const ProcessName& name) const {
      return MixHash(NameHash()(name.host), NameHash()(name.tag));
    }
  };

  // Keys are the processes' own names.
  absl::flat_hash_map<ProcessName, std::unique_ptr<Process>, Hash> processes_;
  std::array<Process*, kRecent> recent_ = {};
  std::deque<Stamp> stamps_;  // Sorted by time.
  int64_t count_ = 0;         // Of all stamps' counts.
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_PROCESS_TABLE_H_
