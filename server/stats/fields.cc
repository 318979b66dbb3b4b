#include "server/stats/fields.h"

#include <cassert>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {
namespace {

constexpr NamedField kFields[] = {
    {"host", Field::kHost},
    {"service", Field::kService},
    {"direction", Field::kDirection},
    {"peer_class", Field::kPeerClass},
    {"protocol", Field::kProtocol},
    {"cipher", Field::kCipher},
    {"kex_group", Field::kKexGroup},
    {"signature", Field::kSignature},
    {"trust", Field::kTrust},
    {"tls_state", Field::kTlsState},
    {"evidence", Field::kEvidence},
    {"handshake", Field::kHandshake},
    {"bucket", Field::kBucket},
    {"sessions", Field::kSessions},
    {"tls_sessions", Field::kTlsSessions},
    {"plaintext_sessions", Field::kPlaintextSessions},
    {"failed_handshakes", Field::kFailedHandshakes},
    {"unknown_sessions", Field::kUnknownSessions},
    {"tls_share", Field::kTlsShare},
    {"messages", Field::kMessages},
    {"tls_messages", Field::kTlsMessages},
    {"message_tls_share", Field::kMessageTlsShare},
};
constexpr int kLabelFields = 12;

}  // namespace

absl::Span<const NamedField> GroupFields() {
  return absl::MakeConstSpan(kFields).first(kLabelFields);
}

absl::Span<const NamedField> OrderFields() { return kFields; }

std::string NamesOf(absl::Span<const NamedField> fields) {
  return absl::StrJoin(fields, ", ", [](std::string* out, const NamedField& field) {
    absl::StrAppend(out, field.name);
  });
}

std::optional<Label> RollupLabel(Field field) {
  switch (field) {
    case Field::kService:
      return Label::kService;
    case Field::kDirection:
      return Label::kDirection;
    case Field::kPeerClass:
      return Label::kPeerClass;
    case Field::kProtocol:
      return Label::kProtocol;
    case Field::kCipher:
      return Label::kCipher;
    case Field::kKexGroup:
      return Label::kKexGroup;
    case Field::kSignature:
      return Label::kSignature;
    case Field::kTrust:
      return Label::kTrust;
    case Field::kTlsState:
      return Label::kTlsState;
    case Field::kEvidence:
      return Label::kEvidence;
    case Field::kHandshake:
      return Label::kHandshake;
    default:
      return std::nullopt;
  }
}

EnumNames::EnumNames(const google::protobuf::EnumDescriptor* descriptor)
    : descriptor_(*descriptor),
      // The zero value is the prefix and "UNSPECIFIED".
      prefix_bytes_(descriptor->value(0)->name().size() - absl::string_view("UNSPECIFIED").size()) {
}

const EnumNames& EnumNames::Of(Label label) {
  static const EnumNames direction(v1::Direction_descriptor());
  static const EnumNames peer_class(v1::PeerClass_descriptor());
  static const EnumNames tls_state(v1::TlsState_descriptor());
  static const EnumNames evidence(v1::TlsEvidence_descriptor());
  static const EnumNames trust(v1::TlsTrust_descriptor());
  static const EnumNames handshake(v1::TlsHandshake_descriptor());
  switch (label) {
    case Label::kDirection:
      return direction;
    case Label::kPeerClass:
      return peer_class;
    case Label::kTlsState:
      return tls_state;
    case Label::kEvidence:
      return evidence;
    case Label::kTrust:
      return trust;
    default:
      assert(label == Label::kHandshake);
      return handshake;
  }
}

std::string EnumNames::NameOf(int number) const {
  if (number == 0) return "";
  const google::protobuf::EnumValueDescriptor* value = descriptor_.FindValueByNumber(number);
  return value == nullptr ? absl::StrCat(number) : std::string(Short(*value));
}

std::optional<int> EnumNames::NumberOf(const std::string& name) const {
  if (name.empty()) return 0;
  for (int i = 0; i < descriptor_.value_count(); ++i) {
    const google::protobuf::EnumValueDescriptor& value = *descriptor_.value(i);
    if (absl::EqualsIgnoreCase(name, Short(value)) || absl::EqualsIgnoreCase(name, value.name())) {
      return value.number();
    }
  }
  int number = 0;
  if (absl::ascii_isdigit(name[0]) && absl::SimpleAtoi(name, &number)) return number;
  return std::nullopt;
}

std::string EnumNames::All() const {
  std::string all;
  for (int i = 1; i < descriptor_.value_count(); ++i) {
    absl::StrAppend(&all, i == 1 ? "" : ", ", Short(*descriptor_.value(i)));
  }
  return all;
}

absl::string_view EnumNames::Short(const google::protobuf::EnumValueDescriptor& value) const {
  return absl::string_view(value.name()).substr(prefix_bytes_);
}

}  // namespace mxtally
