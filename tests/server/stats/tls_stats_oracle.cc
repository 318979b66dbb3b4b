#include "tests/server/stats/tls_stats_oracle.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/civil_time.h"

namespace mxtally {
namespace {

const char* const kLabelNames[] = {"host",     "service",   "direction", "peer_class",
                                   "protocol", "cipher",    "kex_group", "signature",
                                   "trust",    "tls_state", "evidence",  "handshake"};

using Names = google::protobuf::RepeatedPtrField<std::string>;

std::string Strip(const std::string& name, const std::string& prefix) {
  const std::string rest(absl::StripPrefix(name, prefix));
  return rest == "UNSPECIFIED" ? "" : rest;
}

using Seen = Oracle::Seen;

Seen See(const v1::SessionRecord& record) {
  Seen seen;
  const int64_t stamp = record.key().stamp().seconds();
  seen.hour = absl::FromUnixSeconds(stamp - stamp % 3600);
  const v1::TlsFacts& tls = record.tls();
  seen.labels = {
      {"host", record.key().host()},
      {"service", record.service()},
      {"direction", Strip(v1::Direction_Name(record.direction()), "DIRECTION_")},
      {"peer_class", Strip(v1::PeerClass_Name(record.peer_class()), "PEER_CLASS_")},
      {"protocol", tls.protocol()},
      {"cipher", tls.cipher()},
      {"kex_group", tls.kex_group()},
      {"signature", tls.signature()},
      {"trust", Strip(v1::TlsTrust_Name(tls.trust()), "TLS_TRUST_")},
      {"tls_state", Strip(v1::TlsState_Name(tls.state()), "TLS_STATE_")},
      {"evidence", Strip(v1::TlsEvidence_Name(tls.evidence()), "TLS_EVIDENCE_")},
      {"handshake", Strip(v1::TlsHandshake_Name(tls.handshake()), "TLS_HANDSHAKE_")},
  };
  seen.iana = tls.cipher_iana();
  seen.code_point = tls.cipher_code_point();
  seen.messages = record.messages();
  return seen;
}

bool Permits(const Names& permitted, const std::string& value, const std::string& prefix = "") {
  if (permitted.empty()) return true;
  return std::any_of(permitted.begin(), permitted.end(), [&](const std::string& name) {
    return absl::EqualsIgnoreCase(name, value) || absl::EqualsIgnoreCase(name, prefix + value);
  });
}

// All filters but those of peer classes and directions.
bool PassesOthers(const v1::TlsStatsFilter& f, const Seen& s) {
  const auto& l = s.labels;
  return Permits(f.hosts(), l.at("host")) && Permits(f.services(), l.at("service")) &&
         Permits(f.protocols(), l.at("protocol")) &&
         (Permits(f.ciphers(), l.at("cipher")) ||
          (!s.iana.empty() && Permits(f.ciphers(), s.iana))) &&
         Permits(f.kex_groups(), l.at("kex_group")) && Permits(f.signatures(), l.at("signature")) &&
         Permits(f.trusts(), l.at("trust"), "TLS_TRUST_") &&
         Permits(f.tls_states(), l.at("tls_state"), "TLS_STATE_") &&
         Permits(f.evidences(), l.at("evidence"), "TLS_EVIDENCE_") &&
         Permits(f.handshakes(), l.at("handshake"), "TLS_HANDSHAKE_");
}

bool PassesPeerClass(const v1::TlsStatsFilter& f, const std::string& peer_class) {
  if (f.peer_classes().empty()) return peer_class == "EXTERNAL";
  return Permits(f.peer_classes(), "all") || Permits(f.peer_classes(), peer_class, "PEER_CLASS_");
}

bool Asked(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool PassesDirection(const v1::GetTlsStatsRequest& request, const std::string& direction) {
  const auto& f = request.filter();
  if (!f.directions().empty()) {
    return Permits(f.directions(), "all") || Permits(f.directions(), direction, "DIRECTION_");
  }
  return direction == "INBOUND" || !f.services().empty() ||
         Asked(request.group_by(), "direction") || Asked(request.group_by(), "service");
}

absl::Time FloorHour(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  return absl::FromUnixSeconds(seconds - seconds % 3600);
}

absl::Time CeilHour(absl::Time time) {
  const absl::Time floor = FloorHour(time);
  return floor == time ? floor : floor + absl::Hours(1);
}

// Begins at a local clock time; an hour belongs to the offset that it ends in.
absl::Time BucketOf(absl::Time hour, const KnownRequest& known) {
  if (known.bucket_hours <= 1) return hour;
  const int offset = known.zone.At(hour + absl::Minutes(59)).offset;
  const absl::CivilHour local =
      absl::ToCivilHour(hour + absl::Seconds(offset), absl::UTCTimeZone());
  return absl::FromCivil(local - local.hour() % known.bucket_hours, known.zone);
}

// Most common spelling of each suite, and its registered name.
std::map<uint32_t, std::pair<std::string, std::string>> Spellings(const std::vector<Seen>& seen) {
  std::map<uint32_t, std::map<std::string, int>> counts;
  std::map<uint32_t, std::string> iana;
  for (const Seen& s : seen) {
    if (s.code_point == 0) continue;
    ++counts[s.code_point][s.labels.at("cipher")];
    iana[s.code_point] = s.iana;
  }
  std::map<uint32_t, std::pair<std::string, std::string>> best;
  for (const auto& [code_point, spellings] : counts) {
    int most = 0;
    for (const auto& [spelling, count] : spellings) {
      if (count > most) {
        most = count;
        best[code_point] = {spelling, iana[code_point]};
      }
    }
  }
  return best;
}

void UnifyCiphers(std::vector<Seen>& seen) {
  std::map<std::string, uint32_t> suite_of;
  for (const Seen& s : seen) {
    if (s.code_point != 0) suite_of[s.labels.at("cipher")] = s.code_point;
  }
  const auto names = Spellings(seen);
  for (Seen& s : seen) {
    if (s.code_point == 0 && suite_of.count(s.labels.at("cipher")) > 0) {
      s.code_point = suite_of[s.labels.at("cipher")];
    }
    if (s.code_point == 0) continue;
    std::tie(s.labels["cipher"], s.iana) = names.at(s.code_point);
  }
}

void Count(const Seen& s, v1::TlsStatsRow& row) {
  const std::string& state = s.labels.at("tls_state");
  row.set_sessions(row.sessions() + 1);
  row.set_tls_sessions(row.tls_sessions() + (state == "ESTABLISHED" ? 1 : 0));
  row.set_plaintext_sessions(row.plaintext_sessions() + (state == "PLAINTEXT" ? 1 : 0));
  row.set_failed_handshakes(row.failed_handshakes() + (state == "FAILED" ? 1 : 0));
  row.set_unknown_sessions(row.unknown_sessions() + (state == "UNKNOWN" ? 1 : 0));
  row.set_messages(row.messages() + s.messages);
  row.set_tls_messages(row.tls_messages() + (state == "ESTABLISHED" ? s.messages : 0));
  row.set_unknown_messages(row.unknown_messages() + (state == "UNKNOWN" ? s.messages : 0));
}

void SetShares(v1::TlsStatsRow& row) {
  const int64_t known = row.sessions() - row.unknown_sessions();
  if (known > 0) row.set_tls_share(static_cast<double>(row.tls_sessions()) / known);
  const int64_t known_messages = row.messages() - row.unknown_messages();
  if (known_messages > 0) {
    row.set_message_tls_share(static_cast<double>(row.tls_messages()) / known_messages);
  }
}

v1::TlsStatsRow EmptyRow() {
  v1::TlsStatsRow row;
  row.set_sessions(0);
  row.set_tls_sessions(0);
  row.set_plaintext_sessions(0);
  row.set_failed_handshakes(0);
  row.set_unknown_sessions(0);
  row.set_messages(0);
  row.set_tls_messages(0);
  row.set_unknown_messages(0);
  return row;
}

void SetLabels(const Seen& s, const Names& group_by, v1::TlsStatsRow& row) {
  for (const std::string& name : group_by) {
    v1::TlsLabels& out = *row.mutable_labels();
    out.GetReflection()->SetString(&out, out.GetDescriptor()->FindFieldByName(name),
                                   s.labels.at(name));
  }
  if (Asked(group_by, "cipher") && s.code_point != 0) {
    row.mutable_labels()->set_cipher_iana(s.iana);
    row.mutable_labels()->set_cipher_code_point(s.code_point);
  }
}

// The value that a row shows in a column, where it shows one.
struct Value {
  bool present = false;
  double number = 0;
  std::string text;
};

Value ValueOf(const v1::TlsStatsRow& row, const std::string& name) {
  if (name == "bucket") {
    return {true, static_cast<double>(row.bucket_start().seconds()), ""};
  }
  const bool is_label =
      std::find(std::begin(kLabelNames), std::end(kLabelNames), name) != std::end(kLabelNames);
  const google::protobuf::Message& message =
      is_label ? static_cast<const google::protobuf::Message&>(row.labels()) : row;
  const google::protobuf::FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  const google::protobuf::Reflection& r = *message.GetReflection();
  Value value{r.HasField(message, field), 0, ""};
  if (is_label) {
    value.text = r.GetString(message, field);
  } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE) {
    value.number = r.GetDouble(message, field);
  } else {
    value.number = static_cast<double>(r.GetInt64(message, field));
  }
  return value;
}

bool Before(const v1::TlsStatsRow& a, const v1::TlsStatsRow& b, const Names& order_by) {
  std::vector<std::string> columns(order_by.begin(), order_by.end());
  columns.insert(columns.end(), {"bucket", "-sessions"});
  columns.insert(columns.end(), std::begin(kLabelNames), std::end(kLabelNames));
  for (const std::string& column : columns) {
    const bool descending = column[0] == '-';
    const Value x = ValueOf(a, column.substr(descending ? 1 : 0));
    const Value y = ValueOf(b, column.substr(descending ? 1 : 0));
    if (x.present != y.present) return x.present;
    const auto left = std::tie(x.number, x.text);
    const auto right = std::tie(y.number, y.text);
    if (left != right) return descending ? right < left : left < right;
  }
  return false;
}

// `others` are sessions that one of the two filters leaves out.
void AddOthers(const v1::GetTlsStatsRequest& request, const std::vector<Seen>& others,
               v1::GetTlsStatsResponse& response) {
  const auto passes_class = [&](const std::string& name) {
    return PassesPeerClass(request.filter(), name);
  };
  const auto passes_direction = [&](const std::string& name) {
    return PassesDirection(request, name);
  };
  for (const char* name : {"EXTERNAL", "LOOPBACK", "EXCLUDED"}) {
    if (passes_class(name)) continue;
    v1::PeerClassCount& other = *response.add_other_peer_classes();
    other.set_peer_class(name);
    other.set_sessions(std::count_if(others.begin(), others.end(), [&](const Seen& s) {
      return s.labels.at("peer_class") == name && passes_direction(s.labels.at("direction"));
    }));
  }
  for (const char* name : {"INBOUND", "OUTBOUND"}) {
    if (passes_direction(name)) continue;
    v1::DirectionCount& other = *response.add_other_directions();
    other.set_direction(name);
    other.set_sessions(std::count_if(others.begin(), others.end(), [&](const Seen& s) {
      return s.labels.at("direction") == name && passes_class(s.labels.at("peer_class"));
    }));
  }
}

}  // namespace

Oracle::Oracle(const std::vector<v1::SessionRecord>& sessions) {
  for (const v1::SessionRecord& record : sessions) sessions_.push_back(See(record));
}

v1::GetTlsStatsResponse Oracle::Answer(const KnownRequest& known) const {
  const v1::GetTlsStatsRequest& request = known.request;
  const absl::Time start = FloorHour(known.start);
  const absl::Time end = CeilHour(known.end);
  v1::GetTlsStatsResponse response;
  response.set_effective_window(
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ/", start, absl::UTCTimeZone()) +
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", end, absl::UTCTimeZone()));

  std::vector<Seen> counted;
  std::vector<Seen> others;
  std::optional<absl::Time> newest;
  for (const Seen& s : sessions_) {
    if (!PassesOthers(request.filter(), s)) continue;
    const bool in_window = start <= s.hour && s.hour < end;
    if (!PassesPeerClass(request.filter(), s.labels.at("peer_class")) ||
        !PassesDirection(request, s.labels.at("direction"))) {
      if (in_window) others.push_back(s);
      continue;
    }
    newest = std::max(newest.value_or(s.hour), s.hour);
    if (in_window) counted.push_back(s);
  }
  if (Asked(request.group_by(), "cipher")) UnifyCiphers(counted);

  std::map<std::vector<std::string>, v1::TlsStatsRow> rows;
  v1::TlsStatsRow total = EmptyRow();
  for (const Seen& s : counted) {
    std::vector<std::string> key;
    const absl::Time bucket = BucketOf(s.hour, known);
    if (known.bucket_hours > 0) key.push_back(absl::FormatTime(bucket));
    for (const std::string& name : request.group_by()) key.push_back(s.labels.at(name));
    if (Asked(request.group_by(), "cipher")) key.push_back(std::to_string(s.code_point));
    auto [row, added] = rows.emplace(key, EmptyRow());
    if (added) {
      SetLabels(s, request.group_by(), row->second);
      if (known.bucket_hours > 0) {
        row->second.mutable_bucket_start()->set_seconds(absl::ToUnixSeconds(bucket));
      }
    }
    Count(s, row->second);
    Count(s, total);
  }

  std::vector<v1::TlsStatsRow> ordered;
  for (auto& [key, row] : rows) {
    SetShares(row);
    ordered.push_back(row);
  }
  std::sort(ordered.begin(), ordered.end(),
            [&](const auto& a, const auto& b) { return Before(a, b, request.order_by()); });
  const size_t limit = request.limit() == 0 ? 1000 : static_cast<size_t>(request.limit());
  for (size_t i = 0; i < std::min(limit, ordered.size()); ++i) *response.add_rows() = ordered[i];
  response.set_rows_omitted(static_cast<int64_t>(ordered.size()) - response.rows_size());
  SetShares(total);
  *response.mutable_total() = total;
  if (counted.empty() && newest.has_value()) {
    response.mutable_newest_data_hour()->set_seconds(absl::ToUnixSeconds(*newest));
  }
  AddOthers(request, others, response);
  return response;
}

}  // namespace mxtally
