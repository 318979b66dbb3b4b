// Bytes per second through the stages of a scan, each with those before it: what
// one more stage costs is the difference of its time and the one above.
//
//   Lines     the chunk's lines are found
//   Headers   stamp, host and tag are split off
//   Events    the text is parsed
//   Sessions  events are gathered into sessions
//   Tally     sessions are counted for the report

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/parser/framer.h"
#include "agent/scan/log_chunk.h"
#include "agent/scan/scan_settings.h"
#include "agent/scan/session_sink.h"
#include "agent/session/assembler.h"
#include "tests/bench/mail_log.h"

namespace mxtally {
namespace {

constexpr size_t kLogBytes = size_t{64} << 20;

const std::string& Log() {
  static const std::string& log = *[] {
    bench::MailLog mail_log({.start = absl::FromUnixSeconds(1767225600)});
    auto* text = new std::string;
    while (text->size() < kLogBytes) mail_log.AppendLine(*text);
    mail_log.Drain(*text);
    return text;
  }();
  return log;
}

// Calls `take` with each chunk of the log.
template <typename Take>
void ForEachChunk(Take take) {
  std::string_view rest = Log();
  LogChunk chunk;
  LineBuffer partial(LogChunk::kLineBytesMax, LogChunk::kBytes);
  while (!rest.empty()) {
    chunk.buffer.Reset(0, "");
    partial.MoveRest(chunk.buffer);
    const absl::Span<char> space = chunk.buffer.Space();
    const size_t bytes = std::min(space.size(), rest.size());
    std::memcpy(space.data(), rest.data(), bytes);
    rest.remove_prefix(bytes);
    chunk.buffer.Added(static_cast<int64_t>(bytes));
    partial.Reset(0, "");
    chunk.buffer.MoveRest(partial);
    take(chunk);
  }
}

void CountBytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(Log().size()));
}

void Lines(benchmark::State& state) {
  for (auto _ : state) {
    ForEachChunk([](LogChunk& chunk) {
      LineBuffer::Line line;
      while (chunk.buffer.Next(line)) benchmark::DoNotOptimize(line);
    });
  }
  CountBytes(state);
}

void Headers(benchmark::State& state) {
  for (auto _ : state) {
    ForEachChunk([](LogChunk& chunk) {
      LineBuffer::Line line;
      HeaderSplitter headers;
      FramedLine frame;
      Framer::Stamp stamp;
      bool repeats = false;
      while (chunk.buffer.Next(line)) {
        benchmark::DoNotOptimize(headers.Split(line.text, frame, stamp, repeats));
      }
    });
  }
  CountBytes(state);
}

void Events(benchmark::State& state) {
  for (auto _ : state) {
    ForEachChunk([](LogChunk& chunk) {
      chunk.Parse();
      benchmark::DoNotOptimize(chunk.lines().data());
    });
  }
  CountBytes(state);
}

// Gathers as a scan does.
void Gather(AssemblerObserver& observer, const PeerClassifier& peers) {
  Framer framer({.time_zone = absl::UTCTimeZone()});
  Assembler assembler({.host = {}, .peers = &peers}, observer);
  ForEachChunk([&](LogChunk& chunk) {
    chunk.Parse();
    for (const LogChunk::Line& line : chunk.lines()) {
      absl::Time time;
      if (!framer.Resolve(line.stamp, time)) continue;
      if (line.line_class != LineClass::kEvent) {
        assembler.Tick(time);
        continue;
      }
      LogChunk::LineEvent& parsed = chunk.event(line);
      parsed.frame.time = time;
      assembler.Add(parsed.frame, parsed.event);
    }
  });
}

void Sessions(benchmark::State& state) {
  struct Counter : AssemblerObserver {
    void OnSession(const Session&) override { ++sessions; }
    int64_t sessions = 0;
  } counter;
  const PeerClassifier peers;
  for (auto _ : state) Gather(counter, peers);
  CountBytes(state);
  state.counters["sessions"] =
      static_cast<double>(counter.sessions) / static_cast<double>(state.iterations());
}

void Tally(benchmark::State& state) {
  const ScanSettings settings;
  for (auto _ : state) {
    SessionSink sink(settings, nullptr);
    Gather(sink, settings.peers);
  }
  CountBytes(state);
}

BENCHMARK(Lines)->Unit(benchmark::kMillisecond);
BENCHMARK(Headers)->Unit(benchmark::kMillisecond);
BENCHMARK(Events)->Unit(benchmark::kMillisecond);
BENCHMARK(Sessions)->Unit(benchmark::kMillisecond);
BENCHMARK(Tally)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mxtally

BENCHMARK_MAIN();
