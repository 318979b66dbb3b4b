// What the store's contract says a server does with batches: sessions by key,
// counts only where a batch begins at the stored cut.

#ifndef MXTALLY_TESTS_AGENT_PIPELINE_COUNTING_SERVER_H_
#define MXTALLY_TESTS_AGENT_PIPELINE_COUNTING_SERVER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mxtally/v1/ingest.pb.h"

namespace mxtally {

class CountingServer {
 public:
  // Commits `batch`; returns whether its counts were applied.
  bool Commit(const v1::SessionBatch& batch) {
    for (const v1::SessionRecord& record : batch.sessions()) {
      const std::string key = record.key().SerializeAsString();
      auto [it, is_new] = sessions_.try_emplace(key, record);
      if (is_new) continue;
      if (record.rank().lines_used() > it->second.rank().lines_used()) {
        it->second = record;
      } else if (record.rank().lines_used() == it->second.rank().lines_used() &&
                 record.SerializeAsString() != it->second.SerializeAsString()) {
        ++key_conflicts_;
      }
    }
    if (batch.has_start() &&
        (!stored_ || batch.start().SerializeAsString() != stored_->SerializeAsString())) {
      return false;
    }
    if (!batch.has_start()) ++beginnings_;
    for (const v1::HourCounts& hour : batch.counts()) {
      Add(hour.lines(), by_hour_[hour.hour().seconds()]);
      Add(hour.lines(), total_);
    }
    for (const v1::HostPart& part : batch.host_parts()) {
      for (const v1::HourCounts& hour : part.counts()) {
        Add(hour.lines(), of_hosts_[part.host()][hour.hour().seconds()]);
      }
    }
    gaps_.insert(gaps_.end(), batch.gaps().begin(), batch.gaps().end());
    stored_ = batch.end();
    return true;
  }

  const std::optional<v1::Cut>& stored() const { return stored_; }
  const std::map<std::string, v1::SessionRecord>& sessions() const { return sessions_; }
  const v1::LineCounts& total() const { return total_; }
  const std::map<int64_t, v1::LineCounts>& by_hour() const { return by_hour_; }
  // Of other hosts than the log's own.
  const std::map<int64_t, v1::LineCounts>& by_hour(const std::string& host) {
    return of_hosts_[host];
  }
  v1::LineCounts total(const std::string& host) {
    v1::LineCounts sum;
    for (const auto& [hour, lines] : of_hosts_[host]) Add(lines, sum);
    return sum;
  }
  const std::vector<v1::Gap>& gaps() const { return gaps_; }
  int key_conflicts() const { return key_conflicts_; }
  // Batches without a start.
  int beginnings() const { return beginnings_; }

 private:
  static void Add(const v1::LineCounts& from, v1::LineCounts& to) {
    to.set_read(to.read() + from.read());
    to.set_bytes(to.bytes() + from.bytes());
    to.set_parsed(to.parsed() + from.parsed());
    to.set_ignored(to.ignored() + from.ignored());
    to.set_unrecognized(to.unrecognized() + from.unrecognized());
    to.set_oversized(to.oversized() + from.oversized());
    to.set_foreign_host(to.foreign_host() + from.foreign_host());
    to.set_cut_sessions(to.cut_sessions() + from.cut_sessions());
    to.set_evicted_sessions(to.evicted_sessions() + from.evicted_sessions());
    to.set_forgotten_ordinals(to.forgotten_ordinals() + from.forgotten_ordinals());
    to.set_tls_lines(to.tls_lines() + from.tls_lines());
    to.set_counter_lines(to.counter_lines() + from.counter_lines());
    to.set_sessions(to.sessions() + from.sessions());
    to.set_suppressed(to.suppressed() + from.suppressed());
    to.set_tls_unlogged_sessions(to.tls_unlogged_sessions() + from.tls_unlogged_sessions());
    to.set_outbound_tls_lines(to.outbound_tls_lines() + from.outbound_tls_lines());
    to.set_outbound_unlogged_sessions(to.outbound_unlogged_sessions() +
                                      from.outbound_unlogged_sessions());
  }

  std::optional<v1::Cut> stored_;
  std::map<std::string, v1::SessionRecord> sessions_;
  v1::LineCounts total_;
  std::map<int64_t, v1::LineCounts> by_hour_;
  std::map<std::string, std::map<int64_t, v1::LineCounts>> of_hosts_;
  std::vector<v1::Gap> gaps_;
  int key_conflicts_ = 0;
  int beginnings_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_PIPELINE_COUNTING_SERVER_H_
