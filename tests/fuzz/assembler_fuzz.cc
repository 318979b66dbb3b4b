// Any bytes as a log, from lines to records: a reading that is stored and restored
// after any line makes the records of one that is not, and the server takes every
// one of them.

#include <cstdint>
#include <string>

#include "server/ingest/validate.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/log_reading.h"

namespace mxtally {
namespace {

const PeerClassifier& Peers() {
  static const auto* const kPeers =
      new PeerClassifier(PeerClassifier::Create({"192.0.2.0/28", "monitor.example"}).value());
  return *kPeers;
}

// Bounds are small now and then, so that they are hit.
AssemblerOptions OptionsFrom(FuzzedDataProvider& input) {
  AssemblerOptions options = {.host = "mx1", .peers = &Peers()};
  if (input.ConsumeBool()) options.host = {};
  if (input.ConsumeBool()) options.peers = nullptr;
  if (input.ConsumeBool()) {
    options.open_sessions_max = input.ConsumeIntegralInRange(1, 4);
    options.queue_ids_max = input.ConsumeIntegralInRange(0, 3);
    options.ordinals_max = input.ConsumeIntegralInRange(1, 4);
    options.idle_max = absl::Minutes(10);
  }
  return options;
}

void RequireServerTakes(const v1::SessionRecord& record) {
  const std::optional<Rejection> rejection = CheckRecord(record, record.key().host());
  RequireEqual(rejection ? rejection->reason : "", "", "the server takes the record");
}

void Fuzz(FuzzedDataProvider& input) {
  const AssemblerOptions options = OptionsFrom(input);
  const FramerOptions framer_options = {.reference_time = absl::FromUnixSeconds(1793620800)};
  const int lines_between_restarts = input.ConsumeIntegralInRange(1, 8);
  LogReading whole(options, framer_options);
  LogReading pieces(options, framer_options);
  int lines = 0;
  for (const Line& line : LinesOf(input.ConsumeRemainingBytesAsString())) {
    whole.Read(View(line));
    pieces.Read(View(line));
    if (++lines % lines_between_restarts == 0) pieces.SaveAndRestore();
  }
  RequireEqual(pieces.Saved().DebugString(), whole.Saved().DebugString(), "state at the end");
  Require(whole.assembler().remembered() <= options.open_sessions_max, "sessions are bounded");
  Require(whole.assembler().ordinals() <= options.ordinals_max, "ordinals are bounded");
  for (LogReading* reading : {&whole, &pieces}) reading->assembler().GiveUpAll();

  Require(pieces.counts() == whole.counts(), "counts");
  Require(pieces.records().size() == whole.records().size(), "number of records");
  for (size_t i = 0; i < whole.records().size(); ++i) {
    const v1::SessionRecord& record = whole.records()[i];
    RequireEqual(pieces.records()[i].DebugString(), record.DebugString(), "record");
    RequireServerTakes(record);
  }
}

}  // namespace
}  // namespace mxtally

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  mxtally::Fuzz(input);
  return 0;
}
