// A log read line by line: framer, dialect and assembler, in the plainest way.

#ifndef MXTALLY_TESTS_FUZZ_LOG_READING_H_
#define MXTALLY_TESTS_FUZZ_LOG_READING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/parser/framer.h"
#include "agent/session/assembler.h"
#include "agent/session/first_line.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

class LogReading : private AssemblerObserver {
 public:
  struct Counts {
    int64_t read = 0;
    int64_t parsed = 0;
    int64_t ignored = 0;
    int64_t unrecognized = 0;
    int64_t cut_sessions = 0;
    int64_t evicted_sessions = 0;
    int64_t forgotten_ordinals = 0;

    bool operator==(const Counts&) const = default;
  };

  LogReading(AssemblerOptions assembler_options, FramerOptions framer_options);

  void Read(std::string_view line);
  // Stores its state and goes on from there, as after a restart of the agent.
  void SaveAndRestore();

  agent::v1::AssemblerState Saved() const;
  Assembler& assembler() { return *assembler_; }
  const Counts& counts() const { return counts_; }
  const std::vector<v1::SessionRecord>& records() const { return records_; }

 private:
  void OnSession(const Session& session) override;
  void OnCutSession() override { ++counts_.cut_sessions; }
  void OnEvictedSession() override { ++counts_.evicted_sessions; }
  void OnForgottenOrdinal() override { ++counts_.forgotten_ordinals; }

  std::unique_ptr<Assembler> NewAssembler();

  const AssemblerOptions assembler_options_;
  const FramerOptions framer_options_;
  Framer framer_;
  FirstLine first_line_;
  std::unique_ptr<Assembler> assembler_;
  Event event_;
  Counts counts_;
  std::vector<v1::SessionRecord> records_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_FUZZ_LOG_READING_H_
