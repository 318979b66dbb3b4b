#include "server/ingest/validate.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/grpc_status/quoted.h"
#include "server/ingest/text.h"

namespace mxtally {
namespace {

using google::protobuf::Timestamp;

constexpr int64_t kSecondsMax = 253'402'300'799;  // 9999-12-31T23:59:59Z
constexpr int64_t kHourSeconds = 3600;

// Clocks are stepped back while sessions are open, most often by an hour of a
// wrong zone; a whole day before the start is no session.
constexpr int64_t kClockStepSecondsMax = 24 * 3600;

// Text that a peer chose has no '@', and names are in lower case.
enum class TextKind { kPlain, kPeer, kPeerLowerCase };

std::string Found(const Timestamp& time) {
  return absl::StrCat(time.seconds(), " s ", time.nanos(), " ns");
}

// Remembers the first thing that is wrong.  Every method takes the field's
// name, for the message only.
class Checker {
 public:
  bool failed() const { return rejection_.has_value(); }
  std::optional<Rejection> Take() { return std::move(rejection_); }
  absl::Status TakeStatus() {
    return failed() ? absl::InvalidArgumentError(rejection_->reason) : absl::OkStatus();
  }

  void Fail(RejectKind kind, absl::string_view field, absl::string_view expected,
            absl::string_view found) {
    if (failed()) return;
    rejection_ = {kind, absl::StrCat(field, ": expected ", expected, ", found ", found)};
  }

  void Present(absl::string_view field, bool present) {
    if (!present) Fail(RejectKind::kMissing, field, "a value", "none");
  }

  void Text(absl::string_view field, const std::string& text, size_t bytes_max,
            TextKind kind = TextKind::kPlain) {
    Length(field, text, bytes_max);
    if (failed()) return;
    if (!IsPrintable(text)) {
      Fail(RejectKind::kText, field, "printable UTF-8", Quoted(text));
    } else if (kind != TextKind::kPlain && absl::StrContains(text, '@')) {
      Fail(RejectKind::kText, field, "no '@'", Quoted(text));
    } else if (kind == TextKind::kPeerLowerCase && HasUpperCase(text)) {
      Fail(RejectKind::kText, field, "lower case", Quoted(text));
    }
  }

  // Text of a character set that `is_member` knows and `expected` describes.
  void Name(absl::string_view field, const std::string& text, size_t bytes_max,
            bool (*is_member)(absl::string_view), absl::string_view expected) {
    Length(field, text, bytes_max);
    if (!failed() && !is_member(text)) Fail(RejectKind::kText, field, expected, Quoted(text));
  }

  void Time(absl::string_view field, const Timestamp& time) {
    if (!IsValidTime(time)) {
      Fail(RejectKind::kTime, field, "a time in the years 1970 to 9999", Found(time));
    }
  }

  void Range(absl::string_view field, int64_t value, int64_t min, int64_t max) {
    if (value < min || value > max) {
      Fail(RejectKind::kOutOfRange, field, absl::StrCat(min, " to ", max), absl::StrCat(value));
    }
  }

  void NotNegative(absl::string_view field, int64_t value) {
    if (value < 0) {
      Fail(RejectKind::kOutOfRange, field, "not less than 0", absl::StrCat(value));
    }
  }

  void AtMost(absl::string_view field, int64_t count, int64_t max) {
    if (count > max) {
      Fail(RejectKind::kOutOfRange, field, absl::StrCat("at most ", max), absl::StrCat(count));
    }
  }

 private:
  void Length(absl::string_view field, const std::string& text, size_t bytes_max) {
    if (text.size() > bytes_max) {
      Fail(RejectKind::kText, field, absl::StrCat("at most ", bytes_max, " bytes"),
           absl::StrCat(text.size()));
    }
  }

  std::optional<Rejection> rejection_;
};

void CheckKey(const v1::SessionKey& key, absl::string_view host, HostFilter others,
              Checker& check) {
  if (key.key_version() == 0) {
    check.Fail(RejectKind::kMissing, "key.key_version", "1 or more", "0");
  }
  if (key.host() != host && !others(key.host())) {
    check.Fail(RejectKind::kHost, "key.host", Quoted(host), Quoted(key.host()));
  }
  check.Present("key.stamp", key.has_stamp());
  check.Time("key.stamp", key.stamp());
  check.Name("key.tag", key.tag(), 128, IsSyslogTag, "visible ASCII");
}

void CheckTls(const v1::TlsFacts& tls, Checker& check) {
  check.Present("tls.state", tls.state() != v1::TLS_STATE_UNSPECIFIED);
  // A state that only a newer server knows may have its own rule.
  const bool decided = tls.state() == v1::TLS_STATE_ESTABLISHED ||
                       tls.state() == v1::TLS_STATE_FAILED ||
                       tls.state() == v1::TLS_STATE_PLAINTEXT;
  check.Present("tls.evidence", !decided || tls.evidence() != v1::TLS_EVIDENCE_UNSPECIFIED);
  check.Text("tls.protocol", tls.protocol(), 16);
  check.Text("tls.cipher", tls.cipher(), 80);
  check.Text("tls.cipher_iana", tls.cipher_iana(), 80);
  check.Range("tls.cipher_code_point", tls.cipher_code_point(), 0, 0xffff);
  check.NotNegative("tls.bits_used", tls.bits_used());
  check.NotNegative("tls.bits_algorithm", tls.bits_algorithm());
  check.Text("tls.kex_group", tls.kex_group(), 64);
  check.Text("tls.signature", tls.signature(), 64);
  check.Text("tls.signature_key", tls.signature_key(), 64);
  check.Text("tls.signature_digest", tls.signature_digest(), 64);
  check.Text("tls.client_signature", tls.client_signature(), 64);
  check.Text("tls.client_signature_key", tls.client_signature_key(), 64);
  check.Text("tls.client_signature_digest", tls.client_signature_digest(), 64);
  check.Text("tls.sni", tls.sni(), 255, TextKind::kPeerLowerCase);
  check.Range("tls.alert", tls.alert(), 0, 255);
  check.Text("tls.failure_reason", tls.failure_reason(), 128);
}

void CheckPeer(const v1::Peer& peer, Checker& check) {
  check.Text("peer.address", peer.address(), 64, TextKind::kPeer);
  check.Text("peer.name", peer.name(), 255, TextKind::kPeerLowerCase);
  check.Range("peer.port", peer.port(), 0, 0xffff);
  check.Text("peer.helo", peer.helo(), 255, TextKind::kPeer);
}

void CheckEnd(const v1::SessionRecord& record, Checker& check) {
  check.Text("end_place", record.end_place(), 32);
  if (!record.has_end_time()) return;
  check.Time("end_time", record.end_time());
  if (record.end_time().seconds() < record.key().stamp().seconds() - kClockStepSecondsMax) {
    check.Fail(RejectKind::kTime, "end_time",
               absl::StrCat("at most a day before key.stamp, ", Found(record.key().stamp())),
               Found(record.end_time()));
  }
}

void CheckCommands(const v1::SessionRecord& record, Checker& check) {
  check.AtMost("commands", record.commands_size(), 32);
  for (const v1::CommandCount& command : record.commands()) {
    if (check.failed()) return;
    check.Present("commands.command", !command.command().empty());
    check.Text("commands.command", command.command(), 16);
    check.NotNegative("commands.accepted", command.accepted());
    check.NotNegative("commands.total", command.total());
  }
}

void CheckQueueIds(const v1::SessionRecord& record, Checker& check) {
  check.AtMost("queue_ids", record.queue_ids_size(), 8);
  for (const std::string& queue_id : record.queue_ids()) {
    if (check.failed()) return;
    check.Text("queue_ids", queue_id, 32);
  }
  check.Text("original_queue_id", record.original_queue_id(), 32);
}

void CheckLogName(absl::string_view field, const std::string& log, Checker& check) {
  check.Present(field, !log.empty());
  check.Text(field, log, 1024);
}

void CheckCut(absl::string_view field, const v1::Cut& cut, Checker& check) {
  check.NotNegative(field, cut.offset());
  check.Text(field, cut.cursor(), 512);
  check.Time(field, cut.log_time());
}

void CheckHostName(absl::string_view field, const std::string& host, Checker& check) {
  check.Name(field, host, 255, IsHostName, "[a-z0-9._-], not empty");
}

void CheckCounts(const v1::HourCounts& counts, Checker& check) {
  const v1::LineCounts& lines = counts.lines();
  check.Present("counts.hour", counts.has_hour());
  check.Time("counts.hour", counts.hour());
  if (counts.hour().nanos() != 0 || counts.hour().seconds() % kHourSeconds != 0) {
    check.Fail(RejectKind::kTime, "counts.hour", "a whole hour", Found(counts.hour()));
  }
  check.NotNegative("counts.lines.read", lines.read());
  check.NotNegative("counts.lines.bytes", lines.bytes());
  check.NotNegative("counts.lines.parsed", lines.parsed());
  check.NotNegative("counts.lines.ignored", lines.ignored());
  check.NotNegative("counts.lines.unrecognized", lines.unrecognized());
  check.NotNegative("counts.lines.oversized", lines.oversized());
  check.NotNegative("counts.lines.foreign_host", lines.foreign_host());
  check.NotNegative("counts.lines.cut_sessions", lines.cut_sessions());
  check.NotNegative("counts.lines.evicted_sessions", lines.evicted_sessions());
  check.NotNegative("counts.lines.forgotten_ordinals", lines.forgotten_ordinals());
  check.NotNegative("counts.lines.tls_lines", lines.tls_lines());
  check.NotNegative("counts.lines.counter_lines", lines.counter_lines());
  check.NotNegative("counts.lines.sessions", lines.sessions());
  check.NotNegative("counts.lines.suppressed", lines.suppressed());
  check.NotNegative("counts.lines.tls_unlogged_sessions", lines.tls_unlogged_sessions());
  check.NotNegative("counts.lines.outbound_tls_lines", lines.outbound_tls_lines());
  check.NotNegative("counts.lines.outbound_unlogged_sessions", lines.outbound_unlogged_sessions());
}

void CheckHostPart(const v1::HostPart& part, absl::string_view host, Checker& check) {
  CheckHostName("batch.host_parts.host", part.host(), check);
  if (part.host() == host) {
    check.Fail(RejectKind::kHost, "batch.host_parts.host", "another host than the stream's",
               Quoted(part.host()));
  }
  check.Present("batch.host_parts.start_time", part.has_start_time());
  check.Time("batch.host_parts.start_time", part.start_time());
  check.Present("batch.host_parts.end_time", part.has_end_time());
  check.Time("batch.host_parts.end_time", part.end_time());
  for (const v1::HourCounts& counts : part.counts()) {
    if (check.failed()) return;
    CheckCounts(counts, check);
  }
  check.NotNegative("batch.host_parts.open_sessions", part.open_sessions());
  check.Time("batch.host_parts.oldest_open_time", part.oldest_open_time());
  check.Text("batch.host_parts.mta", part.mta(), 64);
}

}  // namespace

bool IsValidTime(const Timestamp& time) {
  return time.seconds() >= 0 && time.seconds() <= kSecondsMax && time.nanos() >= 0 &&
         time.nanos() < 1'000'000'000;
}

absl::string_view RejectKindName(RejectKind kind) {
  switch (kind) {
    case RejectKind::kMissing:
      return "missing";
    case RejectKind::kHost:
      return "host";
    case RejectKind::kText:
      return "text";
    case RejectKind::kTime:
      return "time";
    case RejectKind::kOutOfRange:
      return "out_of_range";
  }
  return "";
}

std::optional<Rejection> CheckRecord(const v1::SessionRecord& record, absl::string_view host,
                                     HostFilter others) {
  Checker check;
  CheckKey(record.key(), host, others, check);
  check.Present("direction", record.direction() != v1::DIRECTION_UNSPECIFIED);
  check.Name("service", record.service(), 64, IsServiceName, "[A-Za-z0-9._:-], not empty");
  check.Present("peer_class", record.peer_class() != v1::PEER_CLASS_UNSPECIFIED);
  check.Present("tls", record.has_tls());
  CheckTls(record.tls(), check);
  CheckPeer(record.peer(), check);
  CheckEnd(record, check);
  check.NotNegative("messages", record.messages());
  check.NotNegative("rejects", record.rejects());
  check.NotNegative("auth_accepted", record.auth_accepted());
  check.NotNegative("auth_failed", record.auth_failed());
  check.Text("auth_mechanism", record.auth_mechanism(), 32);
  CheckCommands(record, check);
  CheckQueueIds(record, check);
  check.Time("estimated_start_time", record.estimated_start_time());
  check.NotNegative("limit_warnings", record.limit_warnings());
  return check.Take();
}

absl::Status CheckKeyVersions(const v1::SessionBatch& batch) {
  for (const v1::SessionRecord& record : batch.sessions()) {
    if (record.key().key_version() > kKeyVersionMax) {
      return absl::FailedPreconditionError(
          absl::StrCat("key.key_version: expected at most ", kKeyVersionMax, ", found ",
                       record.key().key_version(),
                       ": this agent needs a newer server, update the server first"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHello(const v1::AgentHello& hello) {
  Checker check;
  CheckHostName("hello.host", hello.host(), check);
  check.Text("hello.agent_version", hello.agent_version(), 64);
  check.AtMost("hello.logs", hello.logs_size(), 256);
  for (const std::string& log : hello.logs()) CheckLogName("hello.logs", log, check);
  check.Time("hello.wall_time", hello.wall_time());
  return check.TakeStatus();
}

absl::Status CheckStatus(const v1::AgentStatus& status) {
  Checker check;
  check.Text("status.mta", status.mta(), 64);
  check.Time("status.wall_time", status.wall_time());
  check.Text("status.mta_config.mail_version", status.mta_config().mail_version(), 64);
  check.Text("status.mta_config.maillog_file", status.mta_config().maillog_file(), 1024);
  check.Text("status.mta_config.smtp_tls_security_level",
             status.mta_config().smtp_tls_security_level(), 32);
  check.AtMost("status.logs", status.logs_size(), 256);
  for (const v1::LogStatus& log : status.logs()) {
    if (check.failed()) break;
    CheckLogName("status.logs.log", log.log(), check);
    check.Time("status.logs.caught_up_time", log.caught_up_time());
    check.Time("status.logs.log_time", log.log_time());
    check.NotNegative("status.logs.bytes_behind", log.bytes_behind());
    check.NotNegative("status.logs.untrusted_lines", log.untrusted_lines());
    check.NotNegative("status.logs.open_sessions", log.open_sessions());
    check.Time("status.logs.oldest_open_time", log.oldest_open_time());
    check.NotNegative("status.logs.hosts", log.hosts());
    check.NotNegative("status.logs.lines_beyond_hosts_max", log.lines_beyond_hosts_max());
    check.AtMost("status.logs.foreign_hosts", log.foreign_hosts_size(), 16);
    for (const std::string& host : log.foreign_hosts()) {
      if (check.failed()) break;
      CheckHostName("status.logs.foreign_hosts", host, check);
    }
  }
  return check.TakeStatus();
}

absl::Status CheckBatch(const v1::SessionBatch& batch, int64_t sequence_expected,
                        absl::string_view host, bool collects) {
  Checker check;
  if (batch.sequence() != sequence_expected) {
    check.Fail(RejectKind::kOutOfRange, "batch.sequence", absl::StrCat(sequence_expected),
               absl::StrCat(batch.sequence()));
  }
  CheckLogName("batch.log", batch.log(), check);
  CheckCut("batch.start", batch.start(), check);
  check.Present("batch.end", batch.has_end());
  CheckCut("batch.end", batch.end(), check);
  check.AtMost("batch.sessions", batch.sessions_size(), kBatchSessionsMax);
  for (const v1::HourCounts& counts : batch.counts()) {
    if (check.failed()) break;
    CheckCounts(counts, check);
  }
  for (const v1::Gap& gap : batch.gaps()) {
    if (check.failed()) break;
    check.Time("batch.gaps.start_time", gap.start_time());
    check.Time("batch.gaps.end_time", gap.end_time());
    check.NotNegative("batch.gaps.bytes_min", gap.bytes_min());
  }
  check.Time("batch.caught_up_time", batch.caught_up_time());
  if (!collects && batch.host_parts_size() > 0) {
    check.Fail(RejectKind::kHost, "batch.host_parts", "none without hello.hosts_from_log",
               absl::StrCat(batch.host_parts_size()));
  }
  check.AtMost("batch.host_parts", batch.host_parts_size(), kBatchHostPartsMax);
  for (const v1::HostPart& part : batch.host_parts()) {
    if (check.failed()) break;
    CheckHostPart(part, host, check);
  }
  return check.TakeStatus();
}

}  // namespace mxtally
