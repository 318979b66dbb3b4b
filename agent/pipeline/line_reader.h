// What a line of one log means: framer, dialects, assembler, and the counts of
// what they said.  Its state is the part of the checkpoint that decides later
// keys and records.  One thread only.

#ifndef MXTALLY_AGENT_PIPELINE_LINE_READER_H_
#define MXTALLY_AGENT_PIPELINE_LINE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/pipeline/batch_builder.h"
#include "agent/session/assembler.h"
#include "agent/session/first_line.h"
#include "agent/session/log_clock.h"
#include "agent/session/peer_mask.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

class LineReader : private AssemblerObserver {
 public:
  // Sessions and counts go to `builder`, sessions through `mask`; null: as the
  // log tells them.  Both must outlive the reader.  `options.host` names the log's
  // host; see OwnHost().
  LineReader(AssemblerOptions options, FramerOptions framer_options, BatchBuilder& builder,
             PeerMask* mask = nullptr);

  // Continues from a checkpoint; no line may have been read.
  void Restore(const agent::v1::LogCheckpoint& checkpoint);
  // Saves all but the cut.  Not masked: what is open here may be sent with another mask.
  void Save(agent::v1::LogCheckpoint& checkpoint) const;

  // `bytes` with the line end.
  void ReadLine(std::string_view line, int64_t bytes);
  void ReadOversizedLine(int64_t bytes);

  // The lines that follow are of another file, or of a later part of the same.
  // `reference_time` decides their year when no stamp was read before.
  void BeginFile(absl::Time reference_time, bool at_start);

  void ReadGap(v1::GapReason reason, int64_t bytes_min);

  // Time of the log: the last stamp, unless that is a stray one; nullopt before any.
  std::optional<absl::Time> last_time() const { return clock_.state().now; }
  // "Postfix 3.7.11" once the log told, at most 64 bytes.
  const std::string& mta() const { return mta_; }
  const Assembler& assembler() const { return assembler_; }

 private:
  void OnSession(const v1::SessionRecord& record) override;
  void OnCutSession() override;
  void OnEvictedSession() override;
  void OnForgottenOrdinal() override;

  // Whether a line with this header host belongs to the log's host.  Hosts
  // write their name in full or without the domain, and under names they had
  // before: the name of the first line read is taken for the log's own.
  bool OwnHost(std::string_view header_host);

  void CountEvent(const Event& event, v1::LineCounts& counts);

  const std::string host_;
  FramerOptions framer_options_;
  Framer framer_;
  FirstLine first_line_;
  // A single line of 1970 must not make half a century covered.
  LogClock clock_{absl::ZeroDuration(), absl::Hours(24)};
  Assembler assembler_;
  BatchBuilder& builder_;
  PeerMask* const mask_;
  v1::SessionRecord masked_;  // Reused.

  Event event_;  // Large, so kept.
  std::string mta_;

  std::string adopted_host_;
  // The last question to OwnHost() and its answer.
  std::string last_host_;
  bool last_host_own_ = false;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PIPELINE_LINE_READER_H_
