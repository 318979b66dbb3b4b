// A fleet of mail hosts in fast forward: logs on disk, the agents' pipelines
// that read them, a store, and the truth about what was written and lost.
// Time only moves by Step().

#ifndef MXTALLY_TESTS_SERVER_FAST_FORWARD_SMALL_FLEET_H_
#define MXTALLY_TESTS_SERVER_FAST_FORWARD_SMALL_FLEET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/pipeline/log_pipeline.h"
#include "mxtally/v1/completeness.pb.h"
#include "mxtally/v1/fleet.pb.h"
#include "mxtally/v1/stats.pb.h"
#include "storage/store.h"
#include "tests/temporary_folder.h"

namespace mxtally {

class SmallFleet {
 public:
  // One session of each host that has mail, this often.
  static constexpr absl::Duration kStep = absl::Minutes(5);

  SmallFleet(const std::vector<std::string>& hosts, absl::Time start);
  ~SmallFleet();

  absl::Time now() const { return now_; }

  // ---- What goes wrong, from the next step on

  void SetAgentRuns(const std::string& host, bool runs);
  void SetServerRuns(bool runs);
  void SetMail(const std::string& host, bool mail);
  void SetClockAhead(const std::string& host, absl::Duration ahead);
  void SetTlsLogLevel(const std::string& host, int level);
  // The log is deleted with what was not read of it; the next line begins another.
  void RemoveLog(const std::string& host);
  // The logger throws sessions away and says so.
  void LoseLines(const std::string& host, int sessions);
  void Retire(const std::string& host, absl::Time time);

  // Writes what the hosts log now, and lets the agents deliver it.
  void Step();

  // ---- The truth, by hour of log time

  int64_t SessionsToCount(const std::string& host, absl::Time hour) const;
  // Whether something happened that makes the hour's count questionable.
  bool IsWhole(const std::string& host, absl::Time hour) const;
  bool ShowsCiphers(const std::string& host, absl::Time hour) const;

  // ---- What is answered now

  v1::GetTlsStatsResponse Ask(const std::string& host, absl::Time start, absl::Time end) const;
  v1::Host Find(const std::string& host) const;

 private:
  struct Host {
    std::string name;
    std::string path;
    bool agent_runs = true;
    bool mail = true;
    bool decommissioned = false;
    int tls_log_level = 1;
    absl::Duration ahead;

    std::unique_ptr<LogPipeline> pipeline;
    std::optional<agent::v1::LogCheckpoint> checkpoint;
    absl::Time clock;  // What the host takes for now.

    std::vector<absl::Time> unread;  // Sessions, by stamp.
    std::map<absl::Time, int64_t> sessions;
    std::set<absl::Time> questionable;
    std::set<absl::Time> without_ciphers;
  };

  Host& Get(const std::string& name) { return hosts_.at(name); }
  void WriteSession(Host& host);
  void WriteLine(const Host& host, absl::Time stamp, const std::string& text);
  void Deliver(Host& host);
  void Open(Host& host);

  const TemporaryFolder folder_;
  absl::Time now_;
  int64_t steps_ = 0;
  bool server_runs_ = true;
  std::unique_ptr<Store> store_;
  std::map<std::string, Host> hosts_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_SERVER_FAST_FORWARD_SMALL_FLEET_H_
