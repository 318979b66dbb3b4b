// What a line of one host's log means: framer, dialects, assembler, and the
// counts of what they said.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_LINE_READER_H_
#define MXTALLY_AGENT_PIPELINE_LINE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/parser/log_clock.h"
#include "agent/pipeline/batch_builder.h"
#include "agent/pipeline/hour_table.h"
#include "agent/pipeline/log_reader.h"
#include "agent/session/assembler.h"
#include "agent/session/first_line.h"
#include "agent/session/peer_mask.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

class LineReader : public LogReader, private AssemblerObserver {
 public:
  // Sessions go to `builder`, through `mask`; null: as the log tells them.
  // Counts go to `lines`; null: those of the log itself in `builder`.  All must
  // outlive the reader.  `options.host` names the log's host; see OwnHost().
  LineReader(AssemblerOptions options, FramerOptions framer_options, BatchBuilder& builder,
             PeerMask* mask = nullptr, HourTable* lines = nullptr);

  void Restore(const agent::v1::LogCheckpoint& checkpoint) override;
  void Save(agent::v1::LogCheckpoint& checkpoint) const override;
  void ReadLine(std::string_view line, int64_t bytes) override;
  void ReadOversizedLine(int64_t bytes) override;
  void BeginFile(absl::Time reference_time, bool at_start) override;
  void ReadGap(v1::GapReason reason, int64_t bytes_min) override;

  std::optional<absl::Time> last_time() const override { return clock_.state().now; }
  const std::string& mta() const override { return mta_; }
  void AddStatus(v1::LogStatus& status) const override;

  // The parts of these, for a log of many hosts.
  void RestoreState(const agent::v1::FramerState& framer,
                    const agent::v1::AssemblerState& assembler, std::optional<absl::Time> log_time);
  void SaveState(agent::v1::FramerState& framer, agent::v1::AssemblerState& assembler) const;
  // A line that Framer::SplitHeader() has split, whichever host its header names.  False
  // if its stamp is none; it is not counted then.
  bool ReadSplitLine(std::string_view line, int64_t bytes, const Framer::Stamp& stamp,
                     FramedLine& frame);
  // A line that could not be framed.
  static void CountUnframed(std::string_view line, int64_t bytes, v1::LineCounts& counts);
  void OnGap() { assembler_.OnGap(); }
  void set_mta(const std::string& mta) { mta_ = mta; }

  Assembler& assembler() { return assembler_; }
  const Assembler& assembler() const { return assembler_; }

 private:
  void OnSession(const Session& session) override;
  bool OnSilentSession(const Session& session) override;
  void OnCutSession() override;
  void OnTlsNotLogged() override;
  void OnEvictedSession() override;
  void OnForgottenOrdinal() override;

  // Whether a line with this header host belongs to the log's host.  Hosts
  // write their name in full or without the domain, and under names they had
  // before: the name of the first line read is taken for the log's own.
  bool OwnHost(std::string_view header_host);

  // Takes the stamp of a line.
  bool TakeTime(std::string_view line, const Framer::Stamp& stamp, FramedLine& frame);
  void ReadOwnLine(const FramedLine& frame, v1::LineCounts& counts);
  void CountEvent(const FramedLine& line, const Event& event, v1::LineCounts& counts);

  const std::string host_;
  FramerOptions framer_options_;
  Framer framer_;
  FirstLine first_line_;
  // A single line of 1970 must not make half a century covered.
  LogClock clock_{absl::ZeroDuration(), absl::Hours(24)};
  Assembler assembler_;
  BatchBuilder& builder_;
  HourTable& lines_;
  PeerMask* const mask_;
  v1::SessionRecord record_;  // Reused.

  Event event_;  // Reused.
  std::string mta_;

  std::string adopted_host_;
  // The last question to OwnHost() and its answer.
  std::string last_host_;
  bool last_host_own_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_LINE_READER_H_
