#include "agent/pipeline/line_reader.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/parser/dialect.h"
#include "agent/parser/logger.h"
#include "agent/pipeline/timestamps.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

constexpr size_t kVersionBytesMax = 48;

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return absl::ascii_tolower(x) == absl::ascii_tolower(y);
         });
}

std::string_view FirstLabel(std::string_view host) { return host.substr(0, host.find('.')); }

}  // namespace

LineReader::LineReader(AssemblerOptions options, FramerOptions framer_options,
                       BatchBuilder& builder, PeerMask* mask, HourTable* lines)
    : host_(options.host),
      framer_options_(framer_options),
      framer_(framer_options),
      assembler_(std::move(options), *this),
      builder_(builder),
      lines_(lines != nullptr ? *lines : builder.lines()),
      mask_(mask) {}

void LineReader::Restore(const agent::v1::LogCheckpoint& checkpoint) {
  std::optional<absl::Time> log_time;
  if (checkpoint.cut().has_log_time()) log_time = GetTimestamp(checkpoint.cut().log_time());
  RestoreState(checkpoint.framer(), checkpoint.assembler(), log_time);
}

void LineReader::RestoreState(const agent::v1::FramerState& framer,
                              const agent::v1::AssemblerState& assembler,
                              std::optional<absl::Time> log_time) {
  FramerState state;
  if (framer.has_last_time()) {
    state.last_time = GetTimestamp(framer.last_time());
    state.utc_offset = absl::Seconds(framer.utc_offset_seconds());
    LogClock::State& clock = state.year_clock;
    if (framer.has_year_time()) clock.now = GetTimestamp(framer.year_time());
    if (framer.has_year_jump_time()) clock.jump = GetTimestamp(framer.year_jump_time());
  }
  if (log_time) {
    clock_.Restore({.now = *log_time, .jump = std::nullopt});
    lines_.SetTime(clock_.now());
  }
  framer_ = Framer(framer_options_, state);
  assembler_.Restore(assembler);
  if (assembler.has_first_line_time() && state.last_time) {
    first_line_.Restore(
        {.hash = assembler.first_line_hash(), .time = GetTimestamp(assembler.first_line_time())},
        *state.last_time);
  }
  adopted_host_ = assembler.header_host();
}

void LineReader::Save(agent::v1::LogCheckpoint& checkpoint) const {
  SaveState(*checkpoint.mutable_framer(), *checkpoint.mutable_assembler());
}

void LineReader::SaveState(agent::v1::FramerState& framer,
                           agent::v1::AssemblerState& assembler) const {
  framer.Clear();
  if (const FramerState state = framer_.state(); state.last_time) {
    *framer.mutable_last_time() = ToTimestamp(*state.last_time);
    framer.set_utc_offset_seconds(static_cast<int32_t>(absl::ToInt64Seconds(state.utc_offset)));
    const LogClock::State& clock = state.year_clock;
    if (clock.now) *framer.mutable_year_time() = ToTimestamp(*clock.now);
    if (clock.jump) *framer.mutable_year_jump_time() = ToTimestamp(*clock.jump);
  }
  assembler.Clear();
  assembler_.Save(assembler);
  assembler.set_header_host(adopted_host_);
  if (first_line_.state().time) {
    assembler.set_first_line_hash(first_line_.state().hash);
    *assembler.mutable_first_line_time() = ToTimestamp(*first_line_.state().time);
  }
}

void LineReader::AddStatus(v1::LogStatus& status) const {
  status.set_open_sessions(assembler_.open_sessions());
  if (const std::optional<absl::Time> oldest = assembler_.oldest_open()) {
    *status.mutable_oldest_open_time() = ToTimestamp(*oldest);
  }
}

void LineReader::ReadLine(std::string_view line, int64_t bytes) {
  FramedLine frame;
  Framer::Stamp stamp;
  if (!Framer::SplitHeader(line, frame, stamp) || !TakeTime(line, stamp, frame)) {
    CountUnframed(line, bytes, lines_.counts());
    return;
  }
  builder_.SetTime(clock_.now());
  v1::LineCounts& counts = lines_.counts();
  counts.set_read(counts.read() + 1);
  counts.set_bytes(counts.bytes() + bytes);
  if (!OwnHost(frame.host)) {
    counts.set_ignored(counts.ignored() + 1);
    counts.set_foreign_host(counts.foreign_host() + 1);
    return;
  }
  ReadOwnLine(frame, counts);
}

bool LineReader::ReadSplitLine(std::string_view line, int64_t bytes, const Framer::Stamp& stamp,
                               FramedLine& frame) {
  if (!TakeTime(line, stamp, frame)) return false;
  v1::LineCounts& counts = lines_.counts();
  counts.set_read(counts.read() + 1);
  counts.set_bytes(counts.bytes() + bytes);
  ReadOwnLine(frame, counts);
  return true;
}

bool LineReader::TakeTime(std::string_view line, const Framer::Stamp& stamp, FramedLine& frame) {
  if (!framer_.Resolve(stamp, frame.time)) return false;
  clock_.Take(frame.time);
  lines_.SetTime(clock_.now());
  if (first_line_.Returns(line, frame.time)) assembler_.OnLogBeginsAgain(frame.time);
  return true;
}

void LineReader::CountUnframed(std::string_view line, int64_t bytes, v1::LineCounts& counts) {
  counts.set_read(counts.read() + 1);
  counts.set_bytes(counts.bytes() + bytes);
  if (MentionsMta(line)) {
    counts.set_unrecognized(counts.unrecognized() + 1);
  } else {
    counts.set_ignored(counts.ignored() + 1);
  }
}

void LineReader::ReadOwnLine(const FramedLine& frame, v1::LineCounts& counts) {
  switch (ParseDialect(frame, event_)) {
    case LineClass::kEvent:
      CountEvent(frame, event_, counts);
      assembler_.Add(frame, event_);
      return;
    case LineClass::kUnrecognized:
      counts.set_unrecognized(counts.unrecognized() + 1);
      break;
    case LineClass::kNotMine:
      if (const std::optional<int64_t> lines = ParseSuppressed(frame)) {
        counts.set_suppressed(counts.suppressed() + *lines);
      }
      [[fallthrough]];
    case LineClass::kIgnored:
      counts.set_ignored(counts.ignored() + 1);
      break;
  }
  assembler_.Tick(frame.time);
}

void LineReader::ReadOversizedLine(int64_t bytes) {
  v1::LineCounts& counts = lines_.counts();
  counts.set_read(counts.read() + 1);
  counts.set_bytes(counts.bytes() + bytes);
  counts.set_oversized(counts.oversized() + 1);
}

void LineReader::BeginFile(absl::Time reference_time, bool at_start) {
  if (at_start) first_line_ = FirstLine();
  if (framer_.state().last_time) return;
  framer_options_.reference_time = reference_time;
  framer_ = Framer(framer_options_);
}

void LineReader::ReadGap(v1::GapReason reason, int64_t bytes_min) {
  builder_.AddGap(reason, last_time(), bytes_min);
  assembler_.OnGap();
}

void LineReader::OnSession(const Session& session) {
  v1::LineCounts& counts = lines_.counts();
  counts.set_sessions(counts.sessions() + 1);
  if (session.tls.state == v1::TLS_STATE_ESTABLISHED &&
      session.tls.evidence == v1::TLS_EVIDENCE_STARTTLS_COUNTER) {
    counts.set_tls_unlogged_sessions(counts.tls_unlogged_sessions() + 1);
  }
  ToRecord(session, record_);
  if (mask_ != nullptr) mask_->Apply(record_);
  builder_.AddSession(record_);
}

bool LineReader::OnSilentSession(const Session& session) {
  OnSession(session);
  return true;
}

void LineReader::OnCutSession() {
  v1::LineCounts& counts = lines_.counts();
  counts.set_cut_sessions(counts.cut_sessions() + 1);
}

void LineReader::OnTlsNotLogged() {
  v1::LineCounts& counts = lines_.counts();
  counts.set_outbound_unlogged_sessions(counts.outbound_unlogged_sessions() + 1);
}

void LineReader::OnEvictedSession() {
  v1::LineCounts& counts = lines_.counts();
  counts.set_evicted_sessions(counts.evicted_sessions() + 1);
}

void LineReader::OnForgottenOrdinal() {
  v1::LineCounts& counts = lines_.counts();
  counts.set_forgotten_ordinals(counts.forgotten_ordinals() + 1);
}

bool LineReader::OwnHost(std::string_view header_host) {
  if (header_host.empty()) return true;
  if (header_host == last_host_ && !adopted_host_.empty()) return last_host_own_;
  if (adopted_host_.empty()) adopted_host_ = std::string(header_host);
  last_host_ = std::string(header_host);
  last_host_own_ = host_.empty() || SameName(header_host, adopted_host_) ||
                   SameName(FirstLabel(header_host), FirstLabel(host_));
  return last_host_own_;
}

void LineReader::CountEvent(const FramedLine& line, const Event& event, v1::LineCounts& counts) {
  counts.set_parsed(counts.parsed() + 1);
  // Of these the server learns whether TLS is logged.  A helper's lines (tlsproxy's) say
  // nothing of what smtpd and smtp log.
  if (event.only_continues) return;
  if (event.outbound) {
    if (event.type == EventType::kTlsEstablished) {
      counts.set_outbound_tls_lines(counts.outbound_tls_lines() + 1);
    }
    return;
  }
  // Exim shows TLS, and its absence, by default.
  if (event.connection_tls != DeliveryTls::kNotLogged) counts.set_tls_lines(counts.tls_lines() + 1);
  switch (event.type) {
    case EventType::kTlsEstablished:
    case EventType::kTlsSetup:
    case EventType::kTlsFailed:
    case EventType::kTlsLibraryProblem:
    case EventType::kTlsRefusedAfterHandshake:
    case EventType::kTlsRefusedBeforeHandshake:
      counts.set_tls_lines(counts.tls_lines() + 1);
      break;
    case EventType::kDisconnect:
      if (event.has_counters) counts.set_counter_lines(counts.counter_lines() + 1);
      [[fallthrough]];
    case EventType::kMessageAccepted:
      // OpenSMTPD and Sendmail log TLS by default: such a session had it or had it not.
      if (line.program.find('/') == std::string_view::npos &&
          event.connection_tls == DeliveryTls::kNotLogged) {
        counts.set_tls_lines(counts.tls_lines() + 1);
      }
      break;
    case EventType::kInstanceBoundary:
      if (!event.version.empty() && event.version.size() <= kVersionBytesMax &&
          absl::c_all_of(event.version, [](char c) { return absl::ascii_isgraph(c); })) {
        const std::string_view name = event.program_name.empty() ? "Postfix" : event.program_name;
        mta_ = absl::StrCat(std::string(name), " ", std::string(event.version));
      }
      break;
    default:
      break;
  }
}

}  // namespace mxtally
