#include "server/ingest/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/server/ingest/records.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Reason(const std::optional<Rejection>& rejection) {
  return rejection.has_value() ? rejection->reason : "accepted";
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

struct BadRecord {
  RejectKind kind;
  std::string reason;
  std::function<void(v1::SessionRecord&)> spoil;
};

std::vector<BadRecord> BadRecords() {
  using R = v1::SessionRecord;
  return {
      {RejectKind::kMissing, "key.key_version: expected 1 or more, found 0",
       [](R& r) { r.mutable_key()->set_key_version(0); }},
      {RejectKind::kHost, R"(key.host: expected "mx1", found "mx2")",
       [](R& r) { r.mutable_key()->set_host("mx2"); }},
      {RejectKind::kMissing, "key.stamp: expected a value, found none",
       [](R& r) { r.mutable_key()->clear_stamp(); }},
      {RejectKind::kTime, "key.stamp: expected a time in the years 1970 to 9999, found -1 s 0 ns",
       [](R& r) { r.mutable_key()->mutable_stamp()->set_seconds(-1); }},
      {RejectKind::kTime,
       "key.stamp: ", [](R& r) { r.mutable_key()->mutable_stamp()->set_seconds(253'402'300'800); }},
      {RejectKind::kTime,
       "key.stamp: ", [](R& r) { r.mutable_key()->mutable_stamp()->set_nanos(1'000'000'000); }},
      {RejectKind::kText, "key.tag: expected visible ASCII",
       [](R& r) { r.mutable_key()->clear_tag(); }},
      {RejectKind::kText, "key.tag: expected visible ASCII",
       [](R& r) { r.mutable_key()->set_tag("postfix smtpd[1]"); }},
      {RejectKind::kText, "key.tag: expected at most 128 bytes, found 129",
       [](R& r) { r.mutable_key()->set_tag(std::string(129, 'a')); }},
      {RejectKind::kMissing, "direction: ", [](R& r) { r.clear_direction(); }},
      {RejectKind::kText, "service: expected [A-Za-z0-9._:-], not empty, found \"\"",
       [](R& r) { r.clear_service(); }},
      {RejectKind::kText, "service: ", [](R& r) { r.set_service("smtpd\""); }},
      {RejectKind::kText, "service: ", [](R& r) { r.set_service(std::string(65, 'a')); }},
      {RejectKind::kMissing, "peer_class: ", [](R& r) { r.clear_peer_class(); }},
      {RejectKind::kMissing, "tls: ", [](R& r) { r.clear_tls(); }},
      {RejectKind::kMissing, "tls.state: ", [](R& r) { r.mutable_tls()->clear_state(); }},
      {RejectKind::kMissing, "tls.evidence: ", [](R& r) { r.mutable_tls()->clear_evidence(); }},
      {RejectKind::kText,
       "tls.protocol: ", [](R& r) { r.mutable_tls()->set_protocol(std::string(17, 'T')); }},
      {RejectKind::kText,
       "tls.cipher: ", [](R& r) { r.mutable_tls()->set_cipher(std::string(81, 'A')); }},
      {RejectKind::kText, "tls.cipher: expected printable UTF-8, found \"AES\\n256\"",
       [](R& r) { r.mutable_tls()->set_cipher("AES\n256"); }},
      {RejectKind::kText,
       "tls.cipher_iana: ", [](R& r) { r.mutable_tls()->set_cipher_iana(std::string(81, 'A')); }},
      {RejectKind::kOutOfRange, "tls.cipher_code_point: expected 0 to 65535, found 65536",
       [](R& r) { r.mutable_tls()->set_cipher_code_point(65536); }},
      {RejectKind::kOutOfRange,
       "tls.bits_used: ", [](R& r) { r.mutable_tls()->set_bits_used(-1); }},
      {RejectKind::kOutOfRange,
       "tls.bits_algorithm: ", [](R& r) { r.mutable_tls()->set_bits_algorithm(-1); }},
      {RejectKind::kText,
       "tls.kex_group: ", [](R& r) { r.mutable_tls()->set_kex_group(std::string(65, 'x')); }},
      {RejectKind::kText, "tls.signature: ", [](R& r) { r.mutable_tls()->set_signature("\x7f"); }},
      {RejectKind::kText,
       "tls.signature_key: ", [](R& r) { r.mutable_tls()->set_signature_key("\t"); }},
      {RejectKind::kText,
       "tls.signature_digest: ", [](R& r) { r.mutable_tls()->set_signature_digest("\t"); }},
      {RejectKind::kText,
       "tls.client_signature: ", [](R& r) { r.mutable_tls()->set_client_signature("\t"); }},
      {RejectKind::kText,
       "tls.client_signature_key: ", [](R& r) { r.mutable_tls()->set_client_signature_key("\t"); }},
      {RejectKind::kText, "tls.client_signature_digest: ",
       [](R& r) { r.mutable_tls()->set_client_signature_digest("\t"); }},
      {RejectKind::kText, "tls.sni: expected lower case",
       [](R& r) { r.mutable_tls()->set_sni("MX.example"); }},
      {RejectKind::kText, "tls.sni: expected no '@'",
       [](R& r) { r.mutable_tls()->set_sni("a@example"); }},
      {RejectKind::kOutOfRange, "tls.alert: ", [](R& r) { r.mutable_tls()->set_alert(256); }},
      {RejectKind::kText, "tls.failure_reason: ",
       [](R& r) { r.mutable_tls()->set_failure_reason(std::string(129, 'x')); }},
      {RejectKind::kText,
       "peer.address: ", [](R& r) { r.mutable_peer()->set_address(std::string(65, '1')); }},
      {RejectKind::kText, "peer.name: expected lower case",
       [](R& r) { r.mutable_peer()->set_name("Mail.example"); }},
      {RejectKind::kOutOfRange, "peer.port: ", [](R& r) { r.mutable_peer()->set_port(65536); }},
      {RejectKind::kText, "peer.helo: expected no '@'",
       [](R& r) { r.mutable_peer()->set_helo("user@example"); }},
      {RejectKind::kText, "peer.helo: expected at most 255 bytes, found 256",
       [](R& r) { r.mutable_peer()->set_helo(std::string(256, 'x')); }},
      {RejectKind::kTime, "end_time: expected at most a day before key.stamp",
       [](R& r) { r.mutable_end_time()->set_seconds(kStamp - 86'401); }},
      {RejectKind::kTime, "end_time: ", [](R& r) { r.mutable_end_time()->set_nanos(-1); }},
      {RejectKind::kText, "end_place: ", [](R& r) { r.set_end_place(std::string(33, 'x')); }},
      {RejectKind::kOutOfRange, "messages: expected not less than 0, found -1",
       [](R& r) { r.set_messages(-1); }},
      {RejectKind::kOutOfRange, "rejects: ", [](R& r) { r.set_rejects(-1); }},
      {RejectKind::kOutOfRange, "auth_accepted: ", [](R& r) { r.set_auth_accepted(-1); }},
      {RejectKind::kOutOfRange, "auth_failed: ", [](R& r) { r.set_auth_failed(-1); }},
      {RejectKind::kText,
       "auth_mechanism: ", [](R& r) { r.set_auth_mechanism(std::string(33, 'x')); }},
      {RejectKind::kOutOfRange, "commands: expected at most 32, found 33",
       [](R& r) {
         for (int i = 0; i < 33; ++i) r.add_commands()->set_command("ehlo");
       }},
      {RejectKind::kMissing, "commands.command: ", [](R& r) { r.add_commands()->set_total(1); }},
      {RejectKind::kText,
       "commands.command: ", [](R& r) { r.add_commands()->set_command(std::string(17, 'x')); }},
      {RejectKind::kOutOfRange, "commands.accepted: ",
       [](R& r) {
         r.add_commands()->set_command("ehlo");
         r.mutable_commands(0)->set_accepted(-1);
       }},
      {RejectKind::kOutOfRange, "commands.total: ",
       [](R& r) {
         r.add_commands()->set_command("ehlo");
         r.mutable_commands(0)->set_total(-1);
       }},
      {RejectKind::kOutOfRange, "queue_ids: expected at most 8, found 9",
       [](R& r) {
         for (int i = 0; i < 9; ++i) r.add_queue_ids("4F1A2");
       }},
      {RejectKind::kText, "queue_ids: ", [](R& r) { r.add_queue_ids(std::string(33, 'A')); }},
      {RejectKind::kText, "original_queue_id: ", [](R& r) { r.set_original_queue_id("\xff"); }},
      {RejectKind::kTime,
       "estimated_start_time: ", [](R& r) { r.mutable_estimated_start_time()->set_seconds(-1); }},
      {RejectKind::kOutOfRange, "limit_warnings: ", [](R& r) { r.set_limit_warnings(-1); }},
  };
}

TEST(CheckRecord, AcceptsARecordThatKeepsTheContract) {
  EXPECT_EQ(Reason(CheckRecord(Record("mx1"), "mx1")), "accepted");
}

TEST(CheckRecord, RejectsWithFieldExpectedAndFound) {
  for (const BadRecord& bad : BadRecords()) {
    v1::SessionRecord record = Record("mx1");
    bad.spoil(record);
    const std::optional<Rejection> rejection = CheckRecord(record, "mx1");
    EXPECT_THAT(Reason(rejection), StartsWith(bad.reason));
    if (rejection.has_value()) {
      EXPECT_EQ(RejectKindName(rejection->kind), RejectKindName(bad.kind)) << bad.reason;
    }
  }
}

TEST(CheckRecord, AcceptsWhatOnlyANewerServerKnows) {
  v1::SessionRecord record = Record("mx1");
  record.set_direction(static_cast<v1::Direction>(99));
  record.set_peer_class(static_cast<v1::PeerClass>(99));
  record.set_end_reason(static_cast<v1::EndReason>(99));
  record.mutable_tls()->set_state(static_cast<v1::TlsState>(99));
  record.mutable_tls()->clear_evidence();
  EXPECT_EQ(Reason(CheckRecord(record, "mx1")), "accepted");
}

TEST(CheckRecord, UnknownStateNeedsNoEvidence) {
  v1::SessionRecord record = Record("mx1");
  record.mutable_tls()->set_state(v1::TLS_STATE_UNKNOWN);
  record.mutable_tls()->clear_evidence();
  EXPECT_EQ(Reason(CheckRecord(record, "mx1")), "accepted");
}

TEST(CheckRecord, AcceptsMaskedPeers) {
  const std::string hmac = "2026q4-of-fleet1:" + std::string(32, 'f');
  for (const auto& [detail, address, name] :
       {std::tuple(v1::PEER_DETAIL_PREFIX, std::string("192.0.2.0/24"), std::string("example.com")),
        std::tuple(v1::PEER_DETAIL_PREFIX, std::string("2001:db8:1::/48"), std::string()),
        std::tuple(v1::PEER_DETAIL_HMAC, hmac, hmac),
        std::tuple(static_cast<v1::PeerDetail>(99), hmac, hmac)}) {
    v1::SessionRecord record = Record("mx1");
    record.set_peer_detail(detail);
    record.mutable_peer()->set_address(address);
    record.mutable_peer()->set_name(name);
    record.mutable_peer()->set_helo(address);
    record.mutable_tls()->set_sni(name);
    EXPECT_EQ(Reason(CheckRecord(record, "mx1")), "accepted");
  }
  v1::SessionRecord record = Record("mx1");
  record.set_peer_detail(v1::PEER_DETAIL_NONE);
  record.clear_peer();
  EXPECT_EQ(Reason(CheckRecord(record, "mx1")), "accepted");
}

TEST(CheckRecord, EndMayBeBeforeTheStartWhereAClockWasSteppedBack) {
  v1::SessionRecord record = Record("mx1");
  record.mutable_end_time()->set_seconds(kStamp - 3600);
  EXPECT_EQ(Reason(CheckRecord(record, "mx1")), "accepted");
}

TEST(CheckRecord, TextMayBeAnyPrintableUtf8) {
  for (const std::string good :
       {"", "~ !", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x93\xa8", "\xc2\xa0",
        "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    v1::SessionRecord record = Record("mx1");
    record.mutable_peer()->set_helo(good);
    EXPECT_EQ(Reason(CheckRecord(record, "mx1")), "accepted") << good;
  }
  // Controls, cut and overlong forms, surrogates, beyond U+10FFFF.
  for (const std::string bad : {"\x1f", "\x7f", "\xc2\x80", "\xc2\x9f", "\x80", "\xc3", "\xc0\xaf",
                                "\xe2\x82", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    v1::SessionRecord record = Record("mx1");
    record.mutable_peer()->set_helo(bad);
    EXPECT_THAT(Reason(CheckRecord(record, "mx1")), StartsWith("peer.helo: expected printable"));
  }
}

TEST(CheckRecord, ReasonHoldsLittleOfWhatWasFoundAndNothingUnprintable) {
  v1::SessionRecord record = Record("mx1");
  record.set_service(std::string(60, '\x1b') + "\r\n");
  const std::string reason = Reason(CheckRecord(record, "mx1"));
  EXPECT_LT(reason.size(), 400u);
  for (char c : reason) EXPECT_TRUE(c >= ' ' && c < 0x7f);
}

TEST(CheckKeyVersions, NewerKeyIsNoRejectionButEndsTheStream) {
  v1::SessionBatch batch = Batch("mx1", 1, 3);
  EXPECT_TRUE(CheckKeyVersions(batch).ok());
  batch.mutable_sessions(2)->mutable_key()->set_key_version(2);
  const absl::Status status = CheckKeyVersions(batch);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(Message(status), HasSubstr("newer server"));
}

TEST(CheckHello, TakesHostsInLowerCaseOnly) {
  for (const std::string& good :
       std::vector<std::string>{"mx1", "mx-1.example.org", "a_b", std::string(255, 'a')}) {
    v1::AgentHello hello;
    hello.set_host(good);
    EXPECT_TRUE(CheckHello(hello).ok()) << good;
  }
  for (const std::string& bad : std::vector<std::string>{"", "MX1", "mx 1", "mx1\n", "mx/1",
                                                         "mx1\xc3\xbc", std::string(256, 'a')}) {
    v1::AgentHello hello;
    hello.set_host(bad);
    const absl::Status status = CheckHello(hello);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_THAT(Message(status), StartsWith("hello.host: "));
  }
}

TEST(CheckHello, BoundsTheOtherFields) {
  v1::AgentHello hello;
  hello.set_host("mx1");
  hello.set_agent_version(std::string(65, '1'));
  EXPECT_THAT(Message(CheckHello(hello)), StartsWith("hello.agent_version: "));
  hello.clear_agent_version();
  hello.add_logs("");
  EXPECT_THAT(Message(CheckHello(hello)), StartsWith("hello.logs: expected a value"));
  hello.clear_logs();
  for (int i = 0; i < 257; ++i) hello.add_logs("/var/log/mail.log");
  EXPECT_THAT(Message(CheckHello(hello)), StartsWith("hello.logs: expected at most 256"));
}

TEST(CheckBatch, NamesWhatBreaksTheContractOfTheStream) {
  struct Case {
    std::string message;
    std::function<void(v1::SessionBatch&)> spoil;
  };
  using B = v1::SessionBatch;
  const std::vector<Case> cases = {
      {"batch.sequence: expected 7, found 6", [](B& b) { b.set_sequence(6); }},
      {"batch.sequence: expected 7, found 8", [](B& b) { b.set_sequence(8); }},
      {"batch.log: expected a value", [](B& b) { b.clear_log(); }},
      {"batch.log: expected at most 1024 bytes", [](B& b) { b.set_log(std::string(1025, 'l')); }},
      {"batch.log: expected printable", [](B& b) { b.set_log("mail\nlog"); }},
      {"batch.start: ", [](B& b) { b.mutable_start()->set_offset(-1); }},
      {"batch.end: expected a value", [](B& b) { b.clear_end(); }},
      {"batch.end: ", [](B& b) { b.mutable_end()->set_offset(-1); }},
      {"batch.end: ", [](B& b) { b.mutable_end()->mutable_log_time()->set_nanos(-1); }},
      {"batch.sessions: expected at most 10000, found 10001",
       [](B& b) {
         while (b.sessions_size() < 10'001) b.add_sessions();
       }},
      {"counts.hour: expected a value", [](B& b) { b.add_counts(); }},
      {"counts.hour: expected a whole hour",
       [](B& b) { b.add_counts()->mutable_hour()->set_seconds(3601); }},
      {"counts.lines.read: ",
       [](B& b) {
         b.add_counts()->mutable_hour()->set_seconds(3600);
         b.mutable_counts(0)->mutable_lines()->set_read(-1);
       }},
      {"batch.gaps.start_time: ",
       [](B& b) { b.add_gaps()->mutable_start_time()->set_seconds(-1); }},
      {"batch.gaps.bytes_min: ", [](B& b) { b.add_gaps()->set_bytes_min(-1); }},
      {"batch.host_parts: expected none without hello.hosts_from_log, found 1",
       [](B& b) { b.add_host_parts(); }},
      {"batch.caught_up_time: ", [](B& b) { b.mutable_caught_up_time()->set_seconds(-1); }},
  };
  EXPECT_TRUE(CheckBatch(Batch("mx1", 7), 7, "mx1", false).ok());
  for (const Case& c : cases) {
    v1::SessionBatch batch = Batch("mx1", 7);
    c.spoil(batch);
    const absl::Status status = CheckBatch(batch, 7, "mx1", false);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.message;
    EXPECT_THAT(Message(status), StartsWith(c.message));
  }
}

TEST(CheckBatch, NamesWhatIsWrongWithAPartOfACollector) {
  const auto part_of = [](const std::string& host) {
    v1::HostPart part;
    part.set_host(host);
    part.mutable_start_time()->set_seconds(kStamp);
    part.mutable_end_time()->set_seconds(kStamp + 1);
    part.add_counts()->mutable_hour()->set_seconds(3600);
    part.set_mta("Postfix 3.7.11");
    return part;
  };
  v1::SessionBatch good = Batch("loghost", 1);
  *good.add_host_parts() = part_of("mx1");
  *good.add_host_parts() = part_of("mx2");
  EXPECT_TRUE(CheckBatch(good, 1, "loghost", true).ok());
  struct Case {
    std::string message;
    std::function<void(v1::HostPart&)> spoil;
  };
  using P = v1::HostPart;
  const std::vector<Case> cases = {
      {"batch.host_parts.host: expected [a-z0-9._-]", [](P& p) { p.set_host("MX2"); }},
      {"batch.host_parts.host: expected [a-z0-9._-]", [](P& p) { p.clear_host(); }},
      {"batch.host_parts.host: expected at most 255",
       [](P& p) { p.set_host(std::string(256, 'a')); }},
      {"batch.host_parts.host: expected another host than the stream's, found \"loghost\"",
       [](P& p) { p.set_host("loghost"); }},
      {"batch.host_parts.start_time: expected a value", [](P& p) { p.clear_start_time(); }},
      {"batch.host_parts.end_time: expected a value", [](P& p) { p.clear_end_time(); }},
      {"batch.host_parts.end_time: ", [](P& p) { p.mutable_end_time()->set_seconds(-1); }},
      {"counts.hour: expected a whole hour",
       [](P& p) { p.mutable_counts(0)->mutable_hour()->set_seconds(3601); }},
      {"batch.host_parts.open_sessions: ", [](P& p) { p.set_open_sessions(-1); }},
      {"batch.host_parts.oldest_open_time: ",
       [](P& p) { p.mutable_oldest_open_time()->set_nanos(-1); }},
      {"batch.host_parts.mta: ", [](P& p) { p.set_mta("Postfix\n"); }},
  };
  for (const Case& c : cases) {
    v1::SessionBatch batch = good;
    c.spoil(*batch.mutable_host_parts(1));
    EXPECT_THAT(Message(CheckBatch(batch, 1, "loghost", true)), StartsWith(c.message));
  }
  while (good.host_parts_size() <= 1000) *good.add_host_parts() = part_of("mx1");
  EXPECT_THAT(Message(CheckBatch(good, 1, "loghost", true)),
              StartsWith("batch.host_parts: expected at most 1000, found 1001"));
}

TEST(CheckRecord, TakesThoseOfHostsThatTheFilterTakes) {
  const auto is_mx2 = [](const std::string& host) { return host == "mx2"; };
  EXPECT_EQ(Reason(CheckRecord(Record("loghost"), "loghost", is_mx2)), "accepted");
  EXPECT_EQ(Reason(CheckRecord(Record("mx2"), "loghost", is_mx2)), "accepted");
  EXPECT_EQ(Reason(CheckRecord(Record("mx3"), "loghost", is_mx2)),
            R"(key.host: expected "loghost", found "mx3")");
}

TEST(CheckStatus, NamesWhatIsWrong) {
  v1::AgentStatus status;
  v1::LogStatus& log = *status.add_logs();
  log.set_log("/var/log/mail.log");
  EXPECT_TRUE(CheckStatus(status).ok());
  log.set_bytes_behind(-1);
  EXPECT_THAT(Message(CheckStatus(status)), StartsWith("status.logs.bytes_behind: "));
  log.set_bytes_behind(0);
  log.set_untrusted_lines(-1);
  EXPECT_THAT(Message(CheckStatus(status)), StartsWith("status.logs.untrusted_lines: "));
  log.set_untrusted_lines(0);
  log.clear_log();
  EXPECT_THAT(Message(CheckStatus(status)), StartsWith("status.logs.log: "));
  log.set_log("/var/log/mail.log");
  log.add_foreign_hosts("mx2\n");
  EXPECT_THAT(Message(CheckStatus(status)), StartsWith("status.logs.foreign_hosts: "));
  log.clear_foreign_hosts();
  log.set_lines_beyond_hosts_max(-1);
  EXPECT_THAT(Message(CheckStatus(status)), StartsWith("status.logs.lines_beyond_hosts_max: "));
  log.set_lines_beyond_hosts_max(0);
  status.set_mta(std::string(65, 'P'));
  EXPECT_THAT(Message(CheckStatus(status)), StartsWith("status.mta: "));
}

}  // namespace
}  // namespace mxtally
