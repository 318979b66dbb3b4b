// Thousands of random requests over a real store against plain loops over the
// same sessions: rows, totals and shares must be the same, field by field.

#include "tests/server/stats/tls_stats_oracle.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/stats/tls_stats.h"
#include "storage/open.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

constexpr int kSessions = 2000;
constexpr int kRequests = 2000;

// Sessions lie around the changes of clocks in Europe and America.
const absl::Time kFirst = absl::FromCivil(absl::CivilDay(2026, 10, 20), absl::UTCTimeZone());
constexpr absl::Duration kSpan = absl::Hours(24 * 14);
const absl::Time kNow = kFirst + kSpan + absl::Minutes(17);

struct Suite {
  const char* logged;
  const char* iana;
  uint32_t code_point;
};
constexpr Suite kSuites[] = {
    {"AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA", 0x35},
    {"RSA-AES256-CBC-SHA1", "TLS_RSA_WITH_AES_256_CBC_SHA", 0x35},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA", 0x35},
    {"RSA-AES256-CBC-SHA1", "", 0},  // From an agent that did not know it.
    {"ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xC02F},
    {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", 0x1302},
    {"GOST-SOMETHING", "", 0},
    {"other", "", 0},
};
constexpr const char* kHosts[] = {"mx1", "mx2.example.org", "mx3", "relay-4"};
constexpr const char* kServices[] = {"smtpd", "submission", "smtps", "SMTP-IN"};
constexpr const char* kProtocols[] = {"TLSv1", "TLSv1.2", "TLSv1.3", "SSLv3"};
constexpr const char* kGroups[] = {"", "x25519", "X25519MLKEM768", "secp256r1"};
constexpr const char* kSignatures[] = {"", "RSA-PSS", "ECDSA", "Ed25519"};
constexpr const char* kLabels[] = {"host",     "service",   "direction", "peer_class",
                                   "protocol", "cipher",    "kex_group", "signature",
                                   "trust",    "tls_state", "evidence",  "handshake"};
constexpr const char* kOrders[] = {
    "bucket",           "sessions",  "tls_sessions", "plaintext_sessions", "failed_handshakes",
    "unknown_sessions", "tls_share", "messages",     "tls_messages",       "message_tls_share"};
constexpr const char* kZones[] = {"",       "UTC",    "+01:00",           "-7",
                                  "+14:00", "-12:00", "Europe/Amsterdam", "America/New_York"};

// Draws what the test needs.
class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  int64_t Below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
  bool OneIn(int64_t n) { return Below(n) == 0; }
  template <typename T, size_t n>
  const T& From(const T (&values)[n]) {
    return values[Below(n)];
  }
  std::string AnyCase(std::string text) {
    switch (Below(3)) {
      case 0:
        return absl::AsciiStrToLower(text);
      case 1:
        return absl::AsciiStrToUpper(text);
      default:
        return text;
    }
  }
  absl::Time Within(absl::Time start, absl::Duration span) {
    return start + absl::Seconds(Below(absl::ToInt64Seconds(span)));
  }

 private:
  std::mt19937_64 random_;
};

v1::SessionRecord RandomSession(Dice& dice, int number) {
  v1::SessionRecord record;
  v1::SessionKey& key = *record.mutable_key();
  key.set_key_version(1);
  key.set_host(dice.From(kHosts));
  key.mutable_stamp()->set_seconds(absl::ToUnixSeconds(dice.Within(kFirst, kSpan)));
  key.set_tag(absl::StrCat("postfix/smtpd[", number, "]"));
  record.mutable_rank()->set_parser_version(1);
  record.mutable_rank()->set_lines_used(3);
  record.set_direction(static_cast<v1::Direction>(1 + dice.Below(2)));
  record.set_service(dice.From(kServices));
  record.set_peer_class(static_cast<v1::PeerClass>(dice.OneIn(3) ? 2 + dice.Below(2) : 1));
  record.set_messages(static_cast<int>(dice.Below(4)));
  v1::TlsFacts& tls = *record.mutable_tls();
  tls.set_state(static_cast<v1::TlsState>(1 + dice.Below(4)));
  tls.set_evidence(static_cast<v1::TlsEvidence>(dice.Below(7)));
  if (tls.state() == v1::TLS_STATE_ESTABLISHED) {
    const Suite& suite = dice.From(kSuites);
    tls.set_protocol(dice.From(kProtocols));
    tls.set_cipher(suite.logged);
    tls.set_cipher_iana(suite.iana);
    tls.set_cipher_code_point(suite.code_point);
    tls.set_kex_group(dice.From(kGroups));
    tls.set_signature(dice.From(kSignatures));
    tls.set_trust(static_cast<v1::TlsTrust>(dice.Below(5)));
    tls.set_handshake(static_cast<v1::TlsHandshake>(dice.Below(4)));
  }
  return record;
}

// Up to two values of a list, in any case.  `names` may be enumeration names.
template <size_t n>
void MaybeFilter(Dice& dice, const char* const (&names)[n], int64_t one_in,
                 google::protobuf::RepeatedPtrField<std::string>* filter) {
  if (!dice.OneIn(one_in)) return;
  for (int64_t i = dice.Below(2); i >= 0; --i) *filter->Add() = dice.AnyCase(dice.From(names));
}

void AddFilter(Dice& dice, v1::TlsStatsFilter& filter) {
  constexpr const char* kMoreHosts[] = {"mx1", "mx2.example.org", "mx3", "relay-4", "unknown"};
  constexpr const char* kDirections[] = {"INBOUND", "DIRECTION_OUTBOUND", "all"};
  constexpr const char* kClasses[] = {"EXTERNAL", "LOOPBACK", "PEER_CLASS_EXCLUDED", "all"};
  constexpr const char* kStates[] = {"ESTABLISHED", "FAILED", "TLS_STATE_PLAINTEXT", "UNKNOWN"};
  constexpr const char* kEvidences[] = {"HANDSHAKE_LINE", "STARTTLS_COUNTER", "NO_TLS_LINE", ""};
  constexpr const char* kTrusts[] = {"", "ANONYMOUS", "VERIFIED"};
  constexpr const char* kHandshakes[] = {"NEW", "TLS_HANDSHAKE_RESUMED", ""};
  constexpr const char* kCiphers[] = {"AES256-SHA",
                                      "TLS_RSA_WITH_AES_256_CBC_SHA",
                                      "ECDHE-RSA-AES128-GCM-SHA256",
                                      "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                      "GOST-SOMETHING",
                                      "other",
                                      "nothing",
                                      ""};
  MaybeFilter(dice, kMoreHosts, 4, filter.mutable_hosts());
  MaybeFilter(dice, kServices, 6, filter.mutable_services());
  MaybeFilter(dice, kDirections, 3, filter.mutable_directions());
  MaybeFilter(dice, kClasses, 2, filter.mutable_peer_classes());
  MaybeFilter(dice, kProtocols, 10, filter.mutable_protocols());
  MaybeFilter(dice, kCiphers, 8, filter.mutable_ciphers());
  MaybeFilter(dice, kGroups, 10, filter.mutable_kex_groups());
  MaybeFilter(dice, kSignatures, 10, filter.mutable_signatures());
  MaybeFilter(dice, kTrusts, 10, filter.mutable_trusts());
  MaybeFilter(dice, kStates, 8, filter.mutable_tls_states());
  MaybeFilter(dice, kEvidences, 10, filter.mutable_evidences());
  MaybeFilter(dice, kHandshakes, 10, filter.mutable_handshakes());
}

void AddWindow(Dice& dice, KnownRequest& known) {
  if (dice.OneIn(3)) {
    const std::pair<const char*, absl::Duration> durations[] = {
        {"", absl::Hours(24)},        {"24h", absl::Hours(24)},
        {"90m", absl::Minutes(90)},   {"7d", absl::Hours(7 * 24)},
        {"2w", absl::Hours(14 * 24)}, {"5000d", absl::Hours(5000 * 24)}};
    const auto& [text, length] = durations[dice.Below(6)];
    known.request.set_window(text);
    known.start = kNow - length;
    known.end = kNow;
    return;
  }
  known.start = dice.Within(kFirst - absl::Hours(48), kSpan + absl::Hours(48));
  known.end = known.start + absl::Seconds(1 + dice.Below(86'400 * 10));
  if (dice.OneIn(2)) {  // Whole local days.
    const absl::CivilDay day = absl::ToCivilDay(known.start, known.zone);
    const absl::CivilDay last = day + 1 + dice.Below(10);
    known.start = absl::FromCivil(day, known.zone);
    known.end = absl::FromCivil(last, known.zone);
    known.request.set_window(
        absl::StrCat(absl::FormatCivilTime(day), "/", absl::FormatCivilTime(last)));
    return;
  }
  const absl::TimeZone shown = absl::FixedTimeZone(static_cast<int>(dice.Below(53) - 26) * 1800);
  known.request.set_window(absl::StrCat(absl::FormatTime(absl::RFC3339_sec, known.start, shown),
                                        "/",
                                        absl::FormatTime(absl::RFC3339_sec, known.end, shown)));
}

KnownRequest RandomRequest(Dice& dice) {
  KnownRequest known;
  v1::GetTlsStatsRequest& request = known.request;
  request.set_time_zone(dice.From(kZones));
  known.zone = absl::UTCTimeZone();
  if (request.time_zone() == "-7") {
    known.zone = absl::FixedTimeZone(-7 * 3600);
  } else if (request.time_zone().find(':') != std::string::npos) {
    known.zone = absl::FixedTimeZone(std::stoi(request.time_zone()) * 3600);
  } else if (!request.time_zone().empty()) {
    EXPECT_TRUE(absl::LoadTimeZone(request.time_zone(), &known.zone));
  }
  AddWindow(dice, known);
  AddFilter(dice, *request.mutable_filter());

  const std::pair<const char*, int> buckets[] = {{"", 0},   {"hour", 1}, {"day", 24}, {"1h", 1},
                                                 {"2h", 2}, {"3h", 3},   {"4h", 4},   {"6h", 6},
                                                 {"8h", 8}, {"12h", 12}, {"24h", 24}};
  if (dice.OneIn(2)) {
    const auto& [text, hours] = buckets[dice.Below(11)];
    request.set_bucket(text);
    known.bucket_hours = hours;
  }
  const int64_t one_in = 1 + dice.Below(12);
  for (const char* label : kLabels) {
    if (dice.OneIn(one_in)) request.add_group_by(label);
  }
  if (dice.OneIn(2)) {
    for (int64_t i = dice.Below(3); i >= 0; --i) {
      const char* name = dice.OneIn(2) ? dice.From(kOrders) : dice.From(kLabels);
      request.add_order_by(absl::StrCat(dice.OneIn(2) ? "-" : "", name));
    }
  }
  if (dice.OneIn(2))
    request.set_limit(static_cast<int>(1 + dice.Below(dice.OneIn(2) ? 10 : 10'000)));
  return known;
}

class TlsStatsOracleTest : public testing::Test {
 protected:
  void Store(const std::vector<v1::SessionRecord>& sessions) {
    StoreOptions options;
    options.url = absl::StrCat("sqlite:", folder_ / "mxtally.db");
    options.labels_per_hour_max = kSessions;  // Nothing folds.
    auto store = OpenStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    for (size_t i = 0; i < sessions.size(); ++i) {
      v1::SessionBatch batch;
      batch.set_log("/var/log/mail.log");
      batch.mutable_end()->set_offset(static_cast<int64_t>(i));
      *batch.add_sessions() = sessions[i];
      batches_.push_back(batch);
    }
    std::vector<HostBatch> of_hosts;
    for (const v1::SessionBatch& batch : batches_) {
      of_hosts.push_back({batch.sessions(0).key().host(), &batch, {}});
    }
    const auto outcome = store_->Commit(of_hosts);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
  }

  const TemporaryFolder folder_;
  std::unique_ptr<mxtally::Store> store_;
  std::vector<v1::SessionBatch> batches_;
};

TEST_F(TlsStatsOracleTest, RandomRequestsAreAnsweredAsPlainLoopsAnswerThem) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet.
  const char* given = std::getenv("MXTALLY_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device()();
  printf("MXTALLY_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Dice dice(seed);
  std::vector<v1::SessionRecord> sessions;
  sessions.reserve(kSessions);
  for (int i = 0; i < kSessions; ++i) sessions.push_back(RandomSession(dice, i));
  Store(sessions);
  if (HasFatalFailure()) return;

  const Oracle oracle(sessions);
  int64_t rows = 0;
  int empty = 0;
  for (int i = 0; i < kRequests; ++i) {
    const KnownRequest known = RandomRequest(dice);
    auto answer = AnswerTlsStats(*store_, known.request, kNow, [] { return absl::OkStatus(); });
    ASSERT_TRUE(answer.ok()) << answer.status() << "\n" << known.request.DebugString();
    answer->clear_completeness();
    const v1::GetTlsStatsResponse expected = oracle.Answer(known);
    google::protobuf::util::MessageDifferencer differencer;
    std::string difference;
    differencer.ReportDifferencesToString(&difference);
    ASSERT_TRUE(differencer.Compare(expected, *answer))
        << "request " << i << ":\n"
        << known.request.DebugString() << "differs:\n"
        << difference.substr(0, 2000);
    rows += answer->rows_size();
    empty += answer->rows_size() == 0 ? 1 : 0;
  }
  // The requests are neither trivial nor all of them empty.
  EXPECT_GT(rows, kRequests);
  EXPECT_LT(empty, kRequests / 2);
}

}  // namespace
}  // namespace mxtally
