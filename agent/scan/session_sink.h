// Where a scan's sessions go: to the report's counts, and one by one to a stream.

#ifndef MXTALLY_AGENT_SCAN_SESSION_SINK_H_
#define MXTALLY_AGENT_SCAN_SESSION_SINK_H_

#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "agent/scan/scan_settings.h"
#include "agent/scan/seen_keys.h"
#include "agent/scan/tally.h"
#include "agent/session/assembler.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// Sessions outside the time asked for are passed over, and so are those that
// came before: logs may overlap.  One thread only.
class SessionSink : public AssemblerObserver {
 public:
  // Both must outlive the sink.  `sessions_out` may be null.
  SessionSink(const ScanSettings& settings, std::ostream* sessions_out)
      : settings_(settings), sessions_out_(sessions_out) {}

  // The sessions that follow are of another log, or of the same once more.
  void BeginLog() { keys_.BeginLog(); }
  // The log's time is so far behind its newest.
  void OnStepBack(absl::Duration by) {
    if (by > (forgot_ordinals_ ? kDisorderMax : kStepBackMax)) keys_.LookUp();
  }

  void OnSession(const Session& session) override;
  // A session whose end was not read, with what is known of it.
  void OnOpen(const Session& session);
  // Nothing more will come.
  void Finish() { inbound_.SetOpen(keys_.CountOpen()); }
  void OnTlsNotLogged() override { outbound_.MarkTlsNotLogged(); }
  void OnCutSession() override { ++lines_.cut_sessions; }
  void OnForgottenOrdinal() override { forgot_ordinals_ = true; }
  void OnEvictedSession() override { ++lines_.evicted_sessions; }

  const DirectionTally& inbound() const { return inbound_; }
  const DirectionTally& outbound() const { return outbound_; }
  // What it counts is the sink's: *_sessions.
  const LineReport& lines() const { return lines_; }

 private:
  // Within this the assembler, which remembers ordinals for two hours, makes no key twice.
  static constexpr absl::Duration kStepBackMax = absl::Hours(1);
  // The same once it had to forget the oldest: lines of several processes are out of order by
  // seconds.
  static constexpr absl::Duration kDisorderMax = absl::Minutes(1);

  void Print(const Session& session);

  const ScanSettings& settings_;
  std::ostream* const sessions_out_;
  DirectionTally inbound_;
  DirectionTally outbound_;
  LineReport lines_;
  v1::SessionRecord record_;
  std::string json_;
  SeenKeys keys_;
  bool forgot_ordinals_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_SESSION_SINK_H_
