// From lines of log to records: framer, dialects and assembler.

#ifndef MXTALLY_TESTS_AGENT_SESSION_LINES_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_SESSION_LINES_FIXTURE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "agent/session/assembler.h"
#include "gtest/gtest.h"
#include "mxtally/agent/v1/checkpoint.pb.h"
#include "tests/agent/session/record_text.h"

namespace mxtally {

class LinesFixture : public testing::Test, private AssemblerObserver {
 protected:
  LinesFixture() {
    Restart();
    // A reading begins with lines of other programs.
    ReadLine("anvil[9]: statistics: max cache size 1 at Nov  2 10:00:00");
  }

  // Reads "smtpd[1]: text" and the like, `step_` apart from 12:00:01 on, and returns the
  // records that came of them.
  std::vector<std::string> Read(const std::vector<std::string>& lines) {
    records_.clear();
    for (const std::string& line : lines) ReadLine(line);
    return std::exchange(records_, {});
  }

  // The log goes on so much later.
  std::vector<std::string> Pass(absl::Duration duration) {
    now_ += duration;
    return Read({"anvil[9]: statistics: max cache size 1 at Nov  2 10:00:00"});
  }

  // As after a restart of the agent.
  void SaveAndRestore() {
    agent::v1::AssemblerState state;
    assembler_->Save(state);
    Restart();
    assembler_->Restore(state);
  }

  // Forgets all that was read.
  void Restart() {
    AssemblerObserver& observer = *this;
    assembler_ = std::make_unique<Assembler>(options_, observer);
  }

  const Assembler& assembler() const { return *assembler_; }
  int evicted_sessions() const { return evicted_sessions_; }
  int cut_sessions() const { return cut_sessions_; }

  AssemblerOptions options_{.host = "mx1"};
  absl::Duration step_ = absl::Seconds(1);
  std::string program_prefix_ = "postfix/";
  // Records of silent sessions are taken, and returned behind "silent: ".
  bool takes_silent_ = false;

 private:
  void ReadLine(std::string_view tagged) {
    const std::string line =
        absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", now_, absl::UTCTimeZone()), " mx1 ",
                     program_prefix_, std::string(tagged));
    now_ += step_;
    FramedLine framed;
    ASSERT_TRUE(framer_.Split(line, framed)) << line;
    Event event;
    const LineClass line_class = ParseDialect(framed, event);
    EXPECT_NE(line_class, LineClass::kUnrecognized) << line;
    if (line_class == LineClass::kEvent) {
      assembler_->Add(framed, event);
    } else {
      assembler_->Tick(framed.time);
    }
  }

  void OnSession(const Session& session) override {
    v1::SessionRecord record;
    ToRecord(session, record);
    records_.push_back(RecordText(record));
  }
  bool OnSilentSession(const Session& session) override {
    if (!takes_silent_) return false;
    OnSession(session);
    records_.back().insert(0, "silent: ");
    return true;
  }
  void OnEvictedSession() override { ++evicted_sessions_; }
  void OnCutSession() override { ++cut_sessions_; }

  Framer framer_{FramerOptions()};
  std::unique_ptr<Assembler> assembler_;
  absl::Time now_ = absl::FromUnixSeconds(1793620800);  // 2026-11-02 12:00:00 UTC
  std::vector<std::string> records_;
  int evicted_sessions_ = 0;
  int cut_sessions_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SESSION_LINES_FIXTURE_H_
