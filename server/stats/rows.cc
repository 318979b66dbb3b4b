#include "server/stats/rows.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "mxtally/v1/session.pb.h"
#include "server/stats/fields.h"

namespace mxtally {
namespace {

template <typename T>
int ThreeWay(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int CompareNames(Label label, int a, int b) {
  if (a == b) return 0;
  const EnumNames& names = EnumNames::Of(label);
  return ThreeWay(names.NameOf(a), names.NameOf(b));
}

int CompareShares(std::optional<double> a, std::optional<double> b, bool descending) {
  if (a.has_value() != b.has_value()) return a.has_value() ? -1 : 1;
  if (!a.has_value()) return 0;
  return descending ? ThreeWay(*b, *a) : ThreeWay(*a, *b);
}

int CompareField(const Row& a, const Row& b, Field field) {
  switch (field) {
    case Field::kHost:
      return ThreeWay(a.host, b.host);
    case Field::kService:
      return ThreeWay(a.labels.service, b.labels.service);
    case Field::kDirection:
      return CompareNames(Label::kDirection, a.labels.direction, b.labels.direction);
    case Field::kPeerClass:
      return CompareNames(Label::kPeerClass, a.labels.peer_class, b.labels.peer_class);
    case Field::kProtocol:
      return ThreeWay(a.labels.protocol, b.labels.protocol);
    case Field::kCipher:
      return ThreeWay(std::tie(a.labels.cipher, a.labels.cipher_code_point),
                      std::tie(b.labels.cipher, b.labels.cipher_code_point));
    case Field::kKexGroup:
      return ThreeWay(a.labels.kex_group, b.labels.kex_group);
    case Field::kSignature:
      return ThreeWay(a.labels.signature, b.labels.signature);
    case Field::kTrust:
      return CompareNames(Label::kTrust, a.labels.trust, b.labels.trust);
    case Field::kTlsState:
      return CompareNames(Label::kTlsState, a.labels.tls_state, b.labels.tls_state);
    case Field::kEvidence:
      return CompareNames(Label::kEvidence, a.labels.evidence, b.labels.evidence);
    case Field::kHandshake:
      return CompareNames(Label::kHandshake, a.labels.handshake, b.labels.handshake);
    case Field::kBucket:
      return ThreeWay(a.bucket, b.bucket);
    case Field::kSessions:
      return ThreeWay(a.counts.sessions, b.counts.sessions);
    case Field::kTlsSessions:
      return ThreeWay(a.counts.tls, b.counts.tls);
    case Field::kPlaintextSessions:
      return ThreeWay(a.counts.plaintext, b.counts.plaintext);
    case Field::kFailedHandshakes:
      return ThreeWay(a.counts.failed, b.counts.failed);
    case Field::kUnknownSessions:
      return ThreeWay(a.counts.unknown, b.counts.unknown);
    case Field::kMessages:
      return ThreeWay(a.counts.messages, b.counts.messages);
    case Field::kTlsMessages:
      return ThreeWay(a.counts.tls_messages, b.counts.tls_messages);
    case Field::kTlsShare:
      return CompareShares(a.counts.TlsShare(), b.counts.TlsShare(), false);
    case Field::kMessageTlsShare:
      return CompareShares(a.counts.MessageTlsShare(), b.counts.MessageTlsShare(), false);
  }
  return 0;
}

int CompareKey(const Row& a, const Row& b, const OrderKey& key) {
  if (key.descending && key.field == Field::kTlsShare) {
    return CompareShares(a.counts.TlsShare(), b.counts.TlsShare(), true);
  }
  if (key.descending && key.field == Field::kMessageTlsShare) {
    return CompareShares(a.counts.MessageTlsShare(), b.counts.MessageTlsShare(), true);
  }
  const int order = CompareField(a, b, key.field);
  return key.descending ? -order : order;
}

// `order_by` and what decides between rows that are equal in it.
std::vector<OrderKey> FullOrder(std::vector<OrderKey> order_by) {
  order_by.push_back({Field::kBucket, false});
  order_by.push_back({Field::kSessions, true});
  for (const NamedField& label : GroupFields()) order_by.push_back({label.field, false});
  return order_by;
}

struct RowKey {
  std::string host;
  absl::Time bucket;
  Labels labels;

  friend bool operator==(const RowKey&, const RowKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const RowKey& key) {
    return H::combine(std::move(h), key.host, key.bucket, key.labels);
  }
};

v1::TlsLabels LabelsMessage(const Row& row, const StatsQuery& query) {
  const auto grouped = [&query](Label label) {
    return query.group_by.test(static_cast<size_t>(label));
  };
  const auto name = [](Label label, int number) { return EnumNames::Of(label).NameOf(number); };
  const Labels& labels = row.labels;
  v1::TlsLabels out;
  if (query.group_by_host) out.set_host(row.host);
  if (grouped(Label::kService)) out.set_service(labels.service);
  if (grouped(Label::kDirection)) out.set_direction(name(Label::kDirection, labels.direction));
  if (grouped(Label::kPeerClass)) out.set_peer_class(name(Label::kPeerClass, labels.peer_class));
  if (grouped(Label::kProtocol)) out.set_protocol(labels.protocol);
  if (grouped(Label::kCipher)) {
    out.set_cipher(labels.cipher);
    if (labels.cipher_code_point != 0) {
      if (!labels.cipher_iana.empty()) out.set_cipher_iana(labels.cipher_iana);
      out.set_cipher_code_point(labels.cipher_code_point);
    }
  }
  if (grouped(Label::kKexGroup)) out.set_kex_group(labels.kex_group);
  if (grouped(Label::kSignature)) out.set_signature(labels.signature);
  if (grouped(Label::kTrust)) out.set_trust(name(Label::kTrust, labels.trust));
  if (grouped(Label::kTlsState)) out.set_tls_state(name(Label::kTlsState, labels.tls_state));
  if (grouped(Label::kEvidence)) out.set_evidence(name(Label::kEvidence, labels.evidence));
  if (grouped(Label::kHandshake)) out.set_handshake(name(Label::kHandshake, labels.handshake));
  return out;
}

}  // namespace

void Counts::Add(int tls_state, const Measures& measures) {
  sessions += measures.sessions;
  messages += measures.messages;
  tls_messages += measures.tls_messages;
  switch (tls_state) {
    case v1::TLS_STATE_ESTABLISHED:
      tls += measures.sessions;
      break;
    case v1::TLS_STATE_PLAINTEXT:
      plaintext += measures.sessions;
      break;
    case v1::TLS_STATE_FAILED:
      failed += measures.sessions;
      break;
    default:  // Also states that only a newer release knows.
      unknown += measures.sessions;
      unknown_messages += measures.messages;
  }
}

Counts& Counts::operator+=(const Counts& other) {
  sessions += other.sessions;
  tls += other.tls;
  plaintext += other.plaintext;
  failed += other.failed;
  unknown += other.unknown;
  messages += other.messages;
  tls_messages += other.tls_messages;
  unknown_messages += other.unknown_messages;
  return *this;
}

std::optional<double> Counts::TlsShare() const {
  const int64_t known = tls + plaintext + failed;
  if (known == 0) return std::nullopt;
  return static_cast<double>(tls) / static_cast<double>(known);
}

std::optional<double> Counts::MessageTlsShare() const {
  const int64_t known = messages - unknown_messages;
  if (known == 0) return std::nullopt;
  return static_cast<double>(tls_messages) / static_cast<double>(known);
}

void SuiteNames::Learn(const Labels& labels, int64_t sessions) {
  const uint32_t suite = labels.cipher_code_point;
  if (suite == 0) return;
  Spelling& spelling = spellings_[suite][labels.cipher];
  spelling.sessions += sessions;
  if (spelling.iana.empty()) spelling.iana = labels.cipher_iana;
  const auto [known, added] = suite_of_.emplace(labels.cipher, suite);
  if (!added) known->second = std::min(known->second, suite);
}

void SuiteNames::Unify(Labels& labels) const {
  if (labels.cipher_code_point == 0) {
    const auto suite = suite_of_.find(labels.cipher);
    if (suite == suite_of_.end()) return;
    labels.cipher_code_point = suite->second;
  }
  const std::map<std::string, Spelling>& spellings = spellings_.at(labels.cipher_code_point);
  const auto common = std::max_element(
      spellings.begin(), spellings.end(),
      [](const auto& a, const auto& b) { return a.second.sessions < b.second.sessions; });
  labels.cipher = common->first;
  labels.cipher_iana = common->second.iana;
}

std::vector<Row> FoldRows(const TlsStatsQuestion& question,
                          const std::vector<StatsResult>& results) {
  SuiteNames suites;
  for (const StatsResult& result : results) {
    for (const StatsRow& row : result.rows) suites.Learn(row.labels, row.measures.sessions);
  }

  const bool by_state = question.query.group_by.test(static_cast<size_t>(Label::kTlsState));
  const bool local_buckets = question.query.bucket > absl::Hours(1);
  absl::flat_hash_map<RowKey, Counts> folded;
  for (size_t i = 0; i < results.size(); ++i) {
    for (const StatsRow& row : results[i].rows) {
      RowKey key{row.host, row.bucket, row.labels};
      if (local_buckets) {
        key.bucket = BucketStart(row.bucket, question.pieces[i].offset, question.zone);
      }
      suites.Unify(key.labels);
      if (!by_state) key.labels.tls_state = 0;
      folded[std::move(key)].Add(row.labels.tls_state, row.measures);
    }
  }

  std::vector<Row> rows;
  rows.reserve(folded.size());
  for (const auto& [key, counts] : folded) {
    rows.push_back({key.host, key.bucket, key.labels, counts});
  }
  return rows;
}

Counts TotalOf(const std::vector<Row>& rows) {
  Counts total;
  for (const Row& row : rows) total += row.counts;
  return total;
}

void OrderRows(const std::vector<OrderKey>& order_by, size_t count, std::vector<Row>& rows) {
  const std::vector<OrderKey> keys = FullOrder(order_by);
  const auto before = [&keys](const Row& a, const Row& b) {
    for (const OrderKey& key : keys) {
      if (const int order = CompareKey(a, b, key); order != 0) return order < 0;
    }
    return false;
  };
  const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(std::min(count, rows.size()));
  std::partial_sort(rows.begin(), middle, rows.end(), before);
}

void SetCounts(const Counts& counts, v1::TlsStatsRow& out) {
  out.set_sessions(counts.sessions);
  out.set_tls_sessions(counts.tls);
  out.set_plaintext_sessions(counts.plaintext);
  out.set_failed_handshakes(counts.failed);
  out.set_unknown_sessions(counts.unknown);
  if (const auto share = counts.TlsShare()) out.set_tls_share(*share);
  out.set_messages(counts.messages);
  out.set_tls_messages(counts.tls_messages);
  out.set_unknown_messages(counts.unknown_messages);
  if (const auto share = counts.MessageTlsShare()) out.set_message_tls_share(*share);
}

v1::TlsStatsRow RowMessage(const Row& row, const StatsQuery& query) {
  v1::TlsStatsRow out;
  if (query.group_by_host || query.group_by.any())
    *out.mutable_labels() = LabelsMessage(row, query);
  if (query.bucket != absl::ZeroDuration()) {
    out.mutable_bucket_start()->set_seconds(absl::ToUnixSeconds(row.bucket));
  }
  SetCounts(row.counts, out);
  return out;
}

}  // namespace mxtally
