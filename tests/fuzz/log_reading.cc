#include "tests/fuzz/log_reading.h"

#include <utility>

#include "agent/parser/dialect.h"
#include "agent/session/session.h"
#include "tests/fuzz/fuzz.h"

namespace mxtally {

LogReading::LogReading(AssemblerOptions assembler_options, FramerOptions framer_options)
    : assembler_options_(std::move(assembler_options)),
      framer_options_(framer_options),
      framer_(framer_options_),
      assembler_(NewAssembler()) {}

std::unique_ptr<Assembler> LogReading::NewAssembler() {
  AssemblerObserver& observer = *this;
  return std::make_unique<Assembler>(assembler_options_, observer);
}

void LogReading::Read(std::string_view line) {
  ++counts_.read;
  FramedLine frame;
  if (!framer_.Split(line, frame)) {
    ++(MentionsMta(line) ? counts_.unrecognized : counts_.ignored);
    return;
  }
  if (first_line_.Returns(line.substr(frame.host.data() - line.data()), frame.time)) {
    assembler_->OnLogBeginsAgain(frame.time);
  }
  switch (ParseDialect(frame, event_)) {
    case LineClass::kEvent:
      ++counts_.parsed;
      assembler_->Add(frame, event_);
      return;
    case LineClass::kUnrecognized:
      ++counts_.unrecognized;
      break;
    case LineClass::kIgnored:
    case LineClass::kNotMine:
      ++counts_.ignored;
      break;
  }
  assembler_->Tick(frame.time);
}

void LogReading::SaveAndRestore() {
  const std::string saved = Saved().SerializeAsString();
  agent::v1::AssemblerState state;
  Require(state.ParseFromString(saved), "a stored state can be read");
  assembler_ = NewAssembler();
  assembler_->Restore(state);
  RequireEqual(Saved().SerializeAsString(), saved, "a restored state is stored alike");
  framer_ = Framer(framer_options_, framer_.state());
  if (!first_line_.state().time) return;
  FirstLine first_line;
  first_line.Restore(first_line_.state(), *framer_.state().last_time);
  first_line_ = first_line;
}

agent::v1::AssemblerState LogReading::Saved() const {
  agent::v1::AssemblerState state;
  assembler_->Save(state);
  return state;
}

void LogReading::OnSession(const Session& session) {
  v1::SessionRecord& record = records_.emplace_back();
  ToRecord(session, record);
  Session again;
  FromRecord(record, again);
  v1::SessionRecord record_again;
  ToRecord(again, record_again);
  RequireEqual(record_again.DebugString(), record.DebugString(), "a record made of a record");
}

}  // namespace mxtally
