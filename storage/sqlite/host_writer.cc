#include "storage/sqlite/host_writer.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"
#include "storage/sqlite/times.h"

namespace mxtally::sqlite {

namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

// Less is the way of a message, not a clock.
constexpr int64_t kSkewNanosMin = 60 * kNanosPerSecond;

// A skew that is seen again within so long has lasted: a stream may have been
// opened anew meanwhile.
constexpr int64_t kSkewLastsNanos = 10 * 60 * kNanosPerSecond;

// How far the newest of the stamps is ahead of the server's clock.
int64_t StampsAhead(const HostSighting& sighting, int64_t now_ns) {
  int64_t ahead_ns = 0;
  for (const v1::LogStatus& log : sighting.logs) {
    if (log.has_log_time()) ahead_ns = std::max(ahead_ns, NanosOf(log.log_time()) - now_ns);
  }
  return ahead_ns;
}

int64_t Magnitude(int64_t value) { return value < 0 ? -value : value; }

}  // namespace

void HostWriter::Seen(int64_t host_id, std::optional<int64_t> last_session_ns, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  ExpectAgain(host_id, now_ns);
  seen_.Run(host_id, now_ns, last_session_ns);
}

bool HostWriter::TakeFromCollector(int64_t host_id) {
  source_kind_.Query(host_id);
  const int64_t kind = source_kind_.Step() ? source_kind_.Int(0) : 0;
  source_kind_.Reset();
  if (kind == v1::SOURCE_KIND_UNSPECIFIED) {
    set_source_kind_.Run(host_id, static_cast<int>(v1::SOURCE_KIND_COLLECTOR));
    return true;
  }
  return kind == v1::SOURCE_KIND_COLLECTOR;
}

void HostWriter::NotePart(int64_t host_id, const v1::HostPart& part, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  if (!part.mta().empty()) set_mta_.Run(host_id, part.mta());
  // Stamps behind are those of lines that were late, or are read late.
  const int64_t ahead_ns = NanosOf(part.end_time()) - now_ns;
  if (ahead_ns >= kSkewNanosMin) NoteSkew(host_id, ahead_ns, now_ns);
}

void HostWriter::Note(int64_t host_id, const HostSighting& sighting, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  std::optional<int64_t> clock_ahead_ns;
  if (sighting.clock_ahead) clock_ahead_ns = absl::ToInt64Nanoseconds(*sighting.clock_ahead);
  std::string config;
  std::optional<Blob> config_blob;
  if (sighting.mta_config) {
    config = sighting.mta_config->SerializeAsString();
    config_blob = Blob{config};
  }
  ExpectAgain(host_id, now_ns);
  told_.Run(host_id, sighting.agent_version, sighting.mta, clock_ahead_ns,
            static_cast<int>(sighting.source_kind), config_blob);
  // A wrong clock shows in the stamps too; a wrong time zone in them alone.
  const int64_t clock_ns = clock_ahead_ns.value_or(0);
  const int64_t stamps_ns = StampsAhead(sighting, now_ns);
  const int64_t skew_ns = Magnitude(clock_ns) >= Magnitude(stamps_ns) ? clock_ns : stamps_ns;
  if (Magnitude(skew_ns) >= kSkewNanosMin) NoteSkew(host_id, skew_ns, now_ns);
}

void HostWriter::NoteSkew(int64_t host_id, int64_t ahead_ns, int64_t now_ns) {
  // Lines of now carry stamps that belong elsewhere, and are missing here.
  int64_t start_ns = std::min(now_ns, now_ns + ahead_ns);
  int64_t end_ns = std::max(now_ns, now_ns + ahead_ns);
  last_skew_.Query(host_id);
  if (last_skew_.Step()) {
    const int64_t last_start_ns = last_skew_.Int(0);
    const int64_t last_end_ns = last_skew_.Int(1);
    const int64_t last_ahead_ns = last_skew_.Int(3);
    const bool lasts =
        now_ns - last_skew_.Int(2) <= kSkewLastsNanos && (last_ahead_ns < 0) == (ahead_ns < 0);
    last_skew_.Reset();
    if (lasts) {
      remove_skew_.Run(host_id, last_start_ns);
      start_ns = std::min(start_ns, last_start_ns);
      end_ns = std::max(end_ns, last_end_ns);
      if (Magnitude(last_ahead_ns) > Magnitude(ahead_ns)) ahead_ns = last_ahead_ns;
    }
  }
  insert_skew_.Run(host_id, start_ns, end_ns, now_ns, ahead_ns);
}

void HostWriter::ExpectAgain(int64_t host_id, int64_t now_ns) {
  unretire_.Run(host_id);
  if (db_.ok() && db_.changes() > 0) begin_.Run(host_id, now_ns);
}

void HostWriter::Expect(absl::Span<const std::string> names, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  std::set<std::string> listed;
  for (const std::string& name : names) {
    const std::string lower = absl::AsciiStrToLower(name);
    listed.insert(lower);
    find_.Query(lower);
    const bool known = find_.Step();
    find_.Reset();
    const int64_t host_id = hosts_.Intern(lower, now);
    if (known) {
      ExpectAgain(host_id, now_ns);
    } else {
      never_seen_yet_.Run(host_id);
    }
  }
  std::vector<int64_t> dropped;
  for (never_seen_.Query(); never_seen_.Step();) {
    if (!listed.contains(std::string(never_seen_.Text(1)))) dropped.push_back(never_seen_.Int(0));
  }
  for (const int64_t host_id : dropped) {
    last_expectation_.Query(host_id);
    if (!last_expectation_.Step()) continue;
    const int64_t start_ns = last_expectation_.Int(0);
    last_expectation_.Reset();
    EndExpectation(host_id, start_ns, std::max(start_ns, now_ns));
  }
}

absl::StatusOr<absl::Time> HostWriter::Retire(const std::string& name, absl::Time time) {
  find_.Query(absl::AsciiStrToLower(name));
  if (!find_.Step()) return absl::NotFoundError(absl::StrCat("no host is named ", name));
  const int64_t host_id = find_.Int(0);
  find_.Reset();
  last_expectation_.Query(host_id);
  const int64_t start_ns = last_expectation_.Step() ? last_expectation_.Int(0) : 0;
  last_expectation_.Reset();
  const int64_t end_ns = absl::ToUnixNanos(time);
  if (end_ns < start_ns) {
    return absl::InvalidArgumentError(
        absl::StrCat("host ", name, " is expected since ", UtcText(absl::FromUnixNanos(start_ns)),
                     ": expected a later time, found ", UtcText(time)));
  }
  EndExpectation(host_id, start_ns, end_ns);
  return absl::FromUnixNanos(end_ns);
}

void HostWriter::EndExpectation(int64_t host_id, int64_t start_ns, int64_t end_ns) {
  end_.Run(host_id, start_ns, end_ns);
  retire_.Run(host_id, end_ns);
}

}  // namespace mxtally::sqlite
