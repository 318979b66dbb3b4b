#include "server/stats/request.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/grpc_status/quoted.h"
#include "server/stats/time_window.h"

namespace mxtally {
namespace {

using Values = google::protobuf::RepeatedPtrField<std::string>;

constexpr int kLimitDefault = 1000;
constexpr int kLimitMax = 10'000;
constexpr int kFilterValuesMax = 1000;
constexpr char kAll[] = "all";

// Values of text labels that are neither all lower nor all upper case.
constexpr const char* kMixedCase[] = {
    "SSLv2",   "SSLv3", "TLSv1",   "TLSv1.1",           "TLSv1.2",
    "TLSv1.3", "Ed448", "Ed25519", "SecP256r1MLKEM768", "SecP384r1MLKEM1024",
};

std::optional<Field> FindField(absl::Span<const NamedField> fields, absl::string_view name) {
  for (const NamedField& field : fields) {
    if (name == field.name) return field.field;
  }
  return std::nullopt;
}

absl::Status ParseGroupBy(const Values& names, StatsQuery& query) {
  for (const std::string& name : names) {
    const std::optional<Field> field = FindField(GroupFields(), name);
    if (!field.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("group_by has ", Quoted(name),
                                                     ": expected any of ", NamesOf(GroupFields())));
    }
    if (const std::optional<Label> label = RollupLabel(*field)) {
      query.group_by.set(static_cast<size_t>(*label));
    } else {
      query.group_by_host = true;
    }
  }
  return absl::OkStatus();
}

absl::Status ParseOrderBy(const Values& names, std::vector<OrderKey>& order_by) {
  for (const std::string& name : names) {
    absl::string_view rest = name;
    const bool descending = absl::ConsumePrefix(&rest, "-");
    const std::optional<Field> field = FindField(OrderFields(), rest);
    if (!field.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("order_by has ", Quoted(name),
                                                     ": expected any of ", NamesOf(OrderFields()),
                                                     ", with \"-\" in front to reverse"));
    }
    // A field that was there before decides nothing any more.
    const bool known = std::any_of(order_by.begin(), order_by.end(),
                                   [&](const OrderKey& key) { return key.field == *field; });
    if (!known) order_by.push_back({*field, descending});
  }
  return absl::OkStatus();
}

absl::Status ParseBucket(const std::string& text, absl::Duration& bucket) {
  if (text.empty()) return absl::OkStatus();
  int hours = 0;
  if (text == "hour") {
    hours = 1;
  } else if (text == "day") {
    hours = 24;
  } else if (absl::string_view digits = text;
             !absl::ConsumeSuffix(&digits, "h") || digits.empty() ||
             !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
             !absl::SimpleAtoi(digits, &hours) || hours == 0 || 24 % hours != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("bucket is ", Quoted(text),
                     ": expected \"hour\", \"day\", or hours that divide a day: \"1h\", \"2h\", "
                     "\"3h\", \"4h\", \"6h\", \"8h\", \"12h\", \"24h\""));
  }
  bucket = absl::Hours(hours);
  return absl::OkStatus();
}

absl::Status CheckCount(absl::string_view field, const Values& values) {
  if (values.size() <= kFilterValuesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("filter.", field, " has ", values.size(),
                                                 " values: expected at most ", kFilterValuesMax));
}

absl::Status ParseNumbers(absl::string_view field, Label label, const Values& values,
                          std::vector<int>& numbers) {
  if (absl::Status s = CheckCount(field, values); !s.ok()) return s;
  const EnumNames& names = EnumNames::Of(label);
  for (const std::string& value : values) {
    const std::optional<int> number = names.NumberOf(value);
    if (!number.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("filter.", field, " has ", Quoted(value),
                                                     ": expected any of ", names.All()));
    }
    numbers.push_back(*number);
  }
  return absl::OkStatus();
}

// The store compares text as it is; either case is offered to it.
absl::Status ParseText(absl::string_view field, const Values& values,
                       std::vector<std::string>& texts) {
  if (absl::Status s = CheckCount(field, values); !s.ok()) return s;
  for (const std::string& value : values) {
    texts.push_back(value);
    texts.push_back(absl::AsciiStrToLower(value));
    texts.push_back(absl::AsciiStrToUpper(value));
    for (const char* name : kMixedCase) {
      if (absl::EqualsIgnoreCase(name, value)) texts.push_back(name);
    }
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return absl::OkStatus();
}

absl::Status ParseHosts(const Values& values, std::vector<std::string>& hosts) {
  if (absl::Status s = CheckCount("hosts", values); !s.ok()) return s;
  for (const std::string& value : values) hosts.push_back(absl::AsciiStrToLower(value));
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  return absl::OkStatus();
}

// Of a label that is not whole unless asked for: without values it is `usual`, or
// everything when that is null.
absl::Status ParseNumbersOrAll(absl::string_view field, Label label, const Values& values,
                               std::optional<int> usual, std::vector<int>& numbers) {
  if (values.empty()) {
    if (usual.has_value()) numbers = {*usual};
    return absl::OkStatus();
  }
  Values named;
  bool all = false;
  for (const std::string& value : values) {
    if (absl::EqualsIgnoreCase(value, kAll)) {
      all = true;
    } else {
      *named.Add() = value;
    }
  }
  absl::Status status = ParseNumbers(field, label, named, numbers);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(status.message(), ", or \"", kAll, "\""));
  }
  if (all) numbers.clear();
  return absl::OkStatus();
}

// Rows of services keep the directions apart by themselves.
std::optional<int> UsualDirection(const v1::TlsStatsFilter& filter, const StatsQuery& query) {
  const auto grouped = [&](Label label) { return query.group_by.test(static_cast<size_t>(label)); };
  if (grouped(Label::kDirection) || grouped(Label::kService) || !filter.services().empty()) {
    return std::nullopt;
  }
  return v1::DIRECTION_INBOUND;
}

// `query` has its `group_by`.
absl::Status ParseFilter(const v1::TlsStatsFilter& filter, StatsQuery& query) {
  LabelFilter& out = query.filter;
  for (const absl::Status& status : {
           ParseHosts(filter.hosts(), query.hosts),
           ParseText("services", filter.services(), out.services),
           ParseNumbersOrAll("directions", Label::kDirection, filter.directions(),
                             UsualDirection(filter, query), out.directions),
           ParseNumbersOrAll("peer_classes", Label::kPeerClass, filter.peer_classes(),
                             v1::PEER_CLASS_EXTERNAL, out.peer_classes),
           ParseText("protocols", filter.protocols(), out.protocols),
           ParseText("ciphers", filter.ciphers(), out.ciphers),
           ParseText("kex_groups", filter.kex_groups(), out.kex_groups),
           ParseText("signatures", filter.signatures(), out.signatures),
           ParseNumbers("trusts", Label::kTrust, filter.trusts(), out.trusts),
           ParseNumbers("tls_states", Label::kTlsState, filter.tls_states(), out.tls_states),
           ParseNumbers("evidences", Label::kEvidence, filter.evidences(), out.evidences),
           ParseNumbers("handshakes", Label::kHandshake, filter.handshakes(), out.handshakes),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Splits the window where buckets need local time: an hour or the whole window
// is the same in every zone.
absl::Status FindPieces(TlsStatsQuestion& question) {
  absl::StatusOr<std::vector<ZonePiece>> pieces = SplitByOffset(question.window, question.zone);
  if (!pieces.ok()) return pieces.status();
  if (question.query.bucket > absl::Hours(1)) {
    question.pieces = *std::move(pieces);
  } else {
    question.pieces = {{question.window, absl::ZeroDuration()}};
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsStatsQuestion> ParseRequest(const v1::GetTlsStatsRequest& request,
                                              absl::Time now) {
  TlsStatsQuestion question;
  absl::StatusOr<absl::TimeZone> zone = FindZone(request.time_zone());
  if (!zone.ok()) return zone.status();
  question.zone = *zone;
  absl::StatusOr<Interval> window = ParseWindow(request.window(), *zone, now);
  if (!window.ok()) return window.status();
  question.window = *window;

  if (absl::Status s = ParseGroupBy(request.group_by(), question.query); !s.ok()) return s;
  if (absl::Status s = ParseFilter(request.filter(), question.query); !s.ok()) return s;
  if (absl::Status s = ParseBucket(request.bucket(), question.query.bucket); !s.ok()) return s;
  if (absl::Status s = ParseOrderBy(request.order_by(), question.order_by); !s.ok()) return s;
  if (absl::Status s = FindPieces(question); !s.ok()) return s;

  if (request.limit() < 0 || request.limit() > kLimitMax) {
    return absl::InvalidArgumentError(absl::StrCat("limit is ", request.limit(), ": expected 1 to ",
                                                   kLimitMax, ", or 0 for ", kLimitDefault));
  }
  question.limit = request.limit() == 0 ? kLimitDefault : request.limit();
  return question;
}

}  // namespace mxtally
