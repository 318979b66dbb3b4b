// Any bytes as lines of one MTA's programs, or of those that the lines themselves name: the
// dialect stays within each line, its numbers within their ranges, and nothing of one event
// shows in the next.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "agent/parser/logger.h"
#include "agent/parser/postfix.h"
#include "tests/agent/parser/event_text.h"
#include "tests/fuzz/fuzz.h"

namespace mxtally {
namespace {

// Whose lines the target reads; none: of any program.
constexpr std::initializer_list<std::string_view> kPrograms = {MXTALLY_FUZZ_PROGRAMS};

// Makes the line one of the target's programs, if it is not.
void ChooseProgram(FramedLine& frame) {
  // Lines of Exim's own files name none, and have a tag that is not theirs.
  if (kPrograms.size() == 0 || frame.host.empty()) return;
  if (std::find(kPrograms.begin(), kPrograms.end(), frame.program) != kPrograms.end()) return;
  frame.program = kPrograms.begin()[frame.program.size() % kPrograms.size()];
}

void RequireWithin(const Event& event, std::string_view line) {
  const TlsSummary& tls = event.tls;
  for (const std::string_view view :
       {event.peer.name, event.peer.address, event.helo, event.queue_id, event.original_queue_id,
        event.auth_mechanism, event.version, event.connection}) {
    Require(IsWithin(view, line), "views point into the line");
  }
  for (const CommandCounter& counter : event.counters) {
    // OpenSMTPD's line counts messages, which are Postfix's "data", without the word.
    Require(IsWithin(counter.command, line) || counter.command == "data",
            "counters point into the line");
    Require(counter.accepted >= 0 && counter.total >= 0, "counters are not negative");
  }
  Require(event.counters.size() <= Event::kCountersMax, "counters are bounded");
  Require(event.peer.port >= 0 && event.peer.port <= 65535, "ports are ports");
  if (event.type != EventType::kTlsEstablished) return;
  for (const std::string_view view :
       {tls.sni, tls.protocol, tls.cipher, tls.kex, tls.kex_parameter, tls.server_signature,
        tls.server_signature_key, tls.server_digest, tls.client_signature, tls.client_signature_key,
        tls.client_digest}) {
    Require(IsWithin(view, line), "views of the TLS summary point into the line");
  }
  Require(tls.bits_used >= 0 && tls.bits_algorithm >= 0, "bits are not negative");
}

void Fuzz(FuzzedDataProvider& input) {
  const std::vector<Line> lines = LinesOf(input.ConsumeRemainingBytesAsString());
  Event reused;
  for (const Line& bytes : lines) {
    const std::string_view line = View(bytes);
    FramedLine frame;
    Framer::Stamp stamp;
    MentionsMta(line);
    if (!Framer::SplitHeader(line, frame, stamp)) continue;
    ParseSuppressed(frame);
    ChooseProgram(frame);
    Event fresh;
    const LineClass line_class = ParseDialect(frame, fresh);
    Require(ParseDialect(frame, reused) == line_class, "class of the line");
    if (line_class != LineClass::kEvent) continue;
    RequireWithin(fresh, line);
    RequireEqual(EventText(line_class, reused), EventText(line_class, fresh),
                 "an event that was used before is as new");
    const SessionTag tag = ParsePostfixTag(frame.program);
    Require(IsWithin(tag.instance, frame.program) && IsWithin(tag.service, frame.program),
            "instance and service are of the tag");
  }
}

}  // namespace
}  // namespace mxtally

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  mxtally::Fuzz(input);
  return 0;
}
