// Names that requests and rows use: of what rows are grouped and ordered by,
// and of the values of enumerations.  Pure.

#ifndef MXTALLY_SERVER_STATS_FIELDS_H_
#define MXTALLY_SERVER_STATS_FIELDS_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"
#include "storage/rollup.h"

namespace mxtally {

// What a row holds.  First the labels, in the order of TlsLabels.
enum class Field {
  kHost,
  kService,
  kDirection,
  kPeerClass,
  kProtocol,
  kCipher,
  kKexGroup,
  kSignature,
  kTrust,
  kTlsState,
  kEvidence,
  kHandshake,
  kBucket,
  kSessions,
  kTlsSessions,
  kPlaintextSessions,
  kFailedHandshakes,
  kUnknownSessions,
  kTlsShare,
  kMessages,
  kTlsMessages,
  kMessageTlsShare,
};

struct NamedField {
  const char* name;
  Field field;
};

// What `group_by` takes, and what `order_by` takes.
absl::Span<const NamedField> GroupFields();
absl::Span<const NamedField> OrderFields();

// "host, service, direction".
std::string NamesOf(absl::Span<const NamedField> fields);

// The rollup label of a label field; nullopt for the host, which is none.
std::optional<Label> RollupLabel(Field field);

// Values of one enumeration without its prefix: "ESTABLISHED".
class EnumNames {
 public:
  // Of a label that is an enumeration.
  static const EnumNames& Of(Label label);

  // Empty for UNSPECIFIED; the number of a value that this release does not know.
  std::string NameOf(int number) const;

  // Takes what NameOf returns, in either case, with or without prefix, also "UNSPECIFIED".
  std::optional<int> NumberOf(const std::string& name) const;

  // "ESTABLISHED, FAILED, PLAINTEXT, UNKNOWN".
  std::string All() const;

  const google::protobuf::EnumDescriptor& descriptor() const { return descriptor_; }

 private:
  explicit EnumNames(const google::protobuf::EnumDescriptor* descriptor);

  absl::string_view Short(const google::protobuf::EnumValueDescriptor& value) const;

  const google::protobuf::EnumDescriptor& descriptor_;
  size_t prefix_bytes_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_FIELDS_H_
