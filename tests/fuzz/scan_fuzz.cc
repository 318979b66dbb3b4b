// Any bytes as a log: `scan`, which reads in chunks on several threads and looks at
// what follows lines of a kind only once, finds the sessions and the counts that
// reading line by line does.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "agent/scan/scan.h"
#include "agent/session/first_line.h"
#include "google/protobuf/util/json_util.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/log_reading.h"

namespace mxtally {
namespace {

constexpr char kReferenceTime[] = "2026-11-02";

std::string Scan(const std::string& log, bool sessions) {
  const int file = ::memfd_create("log", MFD_CLOEXEC);
  Require(file >= 0 && ::write(file, log.data(), log.size()) == static_cast<ssize_t>(log.size()) &&
              ::lseek(file, 0, SEEK_SET) == 0,
          "a file");
  ScanOptions options;
  options.files = {"-"};
  options.standard_input = file;
  options.format = "json";
  options.sessions = sessions;
  options.time_zone = "UTC";
  options.reference_time = kReferenceTime;
  options.peer_class = "all";
  std::ostringstream out, errors;
  const int exit_status = RunScan(options, out, errors);
  ::close(file);
  RequireEqual(absl::StrCat(exit_status, errors.str()), "0", "exit status and errors");
  return out.str();
}

void Fuzz(const std::string& input) {
  // What compression a file has is told by its first bytes.
  const std::string log = "-\n" + input;
  const FramerOptions framer_options = {
      .reference_time = absl::FromCivil(absl::CivilDay(2026, 11, 2), absl::UTCTimeZone())};
  LogReading reading(AssemblerOptions(), framer_options);
  for (const Line& line : LinesOf(log)) reading.Read(View(line));
  reading.assembler().FinishHeld();

  std::string sessions;
  std::set<std::tuple<std::string, int64_t, int32_t, std::string, uint32_t>> keys;
  int64_t duplicates = 0;
  for (const v1::SessionRecord& record : reading.records()) {
    const v1::SessionKey& key = record.key();
    if (!keys.emplace(key.host(), key.stamp().seconds(), key.stamp().nanos(), key.tag(),
                      key.ordinal())
             .second) {
      ++duplicates;
      continue;
    }
    std::string json;
    // Fails for times that protobuf cannot hold.
    if (google::protobuf::util::MessageToJsonString(record, &json).ok()) sessions += json + '\n';
  }
  RequireEqual(Scan(log, /*sessions=*/true), sessions, "sessions");

  const LogReading::Counts& counts = reading.counts();
  const std::string lines = absl::StrCat(
      "\"lines\":{\"read\":", counts.read, ",\"parsed\":", counts.parsed,
      ",\"ignored\":", counts.ignored, ",\"unrecognized\":", counts.unrecognized,
      ",\"oversized\":0,\"cut_sessions\":", counts.cut_sessions,
      ",\"evicted_sessions\":", counts.evicted_sessions, ",\"duplicate_sessions\":", duplicates);
  const std::string report = Scan(log, /*sessions=*/false);
  const size_t at = report.find("\"lines\":");
  Require(at != std::string::npos, "a report has lines");
  RequireEqual(report.substr(at, report.find('}', at) - at), lines, "counts");
}

}  // namespace
}  // namespace mxtally

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mxtally::Fuzz(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
