#include "tests/storage/records.h"

#include <gtest/gtest.h>

namespace mxtally {

absl::Time At(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error)) << error;
  return time;
}

void SetTime(absl::Time time, google::protobuf::Timestamp* timestamp) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp->set_seconds(seconds);
  timestamp->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

v1::SessionRecord Session(const SessionSpec& spec) {
  v1::SessionRecord record;
  v1::SessionKey& key = *record.mutable_key();
  key.set_key_version(1);
  key.set_host("mx1");
  SetTime(At(spec.stamp), key.mutable_stamp());
  key.set_tag(spec.tag);
  key.set_ordinal(spec.ordinal);
  record.mutable_rank()->set_parser_version(spec.parser_version);
  record.mutable_rank()->set_lines_used(spec.lines_used);
  record.set_direction(spec.direction);
  record.set_service(spec.service);
  record.set_peer_class(spec.peer_class);
  v1::TlsFacts& tls = *record.mutable_tls();
  tls.set_state(spec.tls_state);
  if (spec.tls_state == v1::TLS_STATE_ESTABLISHED) {
    tls.set_evidence(v1::TLS_EVIDENCE_HANDSHAKE_LINE);
    tls.set_protocol(spec.protocol);
    tls.set_cipher(spec.cipher);
  } else {
    tls.set_evidence(v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  }
  record.mutable_peer()->set_address("192.0.2.1");
  record.mutable_peer()->set_name("mail.example.org");
  record.mutable_peer()->set_helo(spec.helo);
  record.set_end_reason(v1::END_REASON_DISCONNECT);
  record.set_messages(spec.messages);
  return record;
}

v1::Cut CutAt(int64_t offset, const std::string& log_time, uint64_t inode) {
  v1::Cut cut;
  cut.mutable_file()->set_device(1);
  cut.mutable_file()->set_inode(inode);
  cut.mutable_file()->set_head_length(1024);
  cut.mutable_file()->set_head_hash(inode * 31);
  cut.set_offset(offset);
  cut.set_tail_hash(static_cast<uint64_t>(offset) * 17);
  if (!log_time.empty()) SetTime(At(log_time), cut.mutable_log_time());
  return cut;
}

v1::SessionBatch FirstBatch(const v1::Cut& end, std::initializer_list<SessionSpec> sessions) {
  v1::SessionBatch batch;
  batch.set_log("/var/log/mail.log");
  *batch.mutable_end() = end;
  for (const SessionSpec& spec : sessions) *batch.add_sessions() = Session(spec);
  return batch;
}

v1::SessionBatch Batch(const v1::Cut& start, const v1::Cut& end,
                       std::initializer_list<SessionSpec> sessions) {
  v1::SessionBatch batch = FirstBatch(end, sessions);
  *batch.mutable_start() = start;
  return batch;
}

StatsQuery Always() {
  StatsQuery query;
  query.start = At("2000-01-01T00:00:00Z");
  query.end = At("2100-01-01T00:00:00Z");
  return query;
}

Measures Total(const StatsResult& result) {
  Measures total;
  for (const StatsRow& row : result.rows) total += row.measures;
  return total;
}

}  // namespace mxtally
