// Valid messages of an agent, for tests to spoil.

#ifndef MXTALLY_TESTS_SERVER_INGEST_RECORDS_H_
#define MXTALLY_TESTS_SERVER_INGEST_RECORDS_H_

#include <string>

#include "mxtally/v1/ingest.pb.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

inline constexpr int64_t kStamp = 1'700'000'000;

inline v1::SessionRecord Record(const std::string& host, int ordinal = 0) {
  v1::SessionRecord record;
  record.mutable_key()->set_key_version(1);
  record.mutable_key()->set_host(host);
  record.mutable_key()->mutable_stamp()->set_seconds(kStamp);
  record.mutable_key()->set_tag("postfix/smtpd[123]");
  record.mutable_key()->set_ordinal(ordinal);
  record.mutable_rank()->set_parser_version(1);
  record.mutable_rank()->set_lines_used(2);
  record.set_direction(v1::DIRECTION_INBOUND);
  record.set_service("smtpd");
  record.set_peer_class(v1::PEER_CLASS_EXTERNAL);
  record.mutable_tls()->set_state(v1::TLS_STATE_PLAINTEXT);
  record.mutable_tls()->set_evidence(v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  record.mutable_end_time()->set_seconds(kStamp + 1);
  return record;
}

// Sessions with the ordinals from `first`, between two cuts of one log.
inline v1::SessionBatch Batch(const std::string& host, int64_t sequence, int sessions = 1,
                              int first = 0) {
  v1::SessionBatch batch;
  batch.set_sequence(sequence);
  batch.set_log("/var/log/mail.log");
  batch.mutable_end()->set_offset(100 * sequence);
  batch.mutable_end()->mutable_log_time()->set_seconds(kStamp + sequence);
  for (int i = 0; i < sessions; ++i) *batch.add_sessions() = Record(host, first + i);
  return batch;
}

}  // namespace mxtally

#endif  // MXTALLY_TESTS_SERVER_INGEST_RECORDS_H_
