// Checks what agents send against the comments of session.proto, cut.proto and
// ingest.proto.  Pure.
//
// A message that breaks the contract of the stream ends it.  A record that
// breaks the contract of a record is rejected alone, with the field, what was
// expected and what was found.  Enumeration numbers that this server does not
// know are no error: a newer agent means something by them.

#ifndef MXTALLY_SERVER_INGEST_VALIDATE_H_
#define MXTALLY_SERVER_INGEST_VALIDATE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/timestamp.pb.h"
#include "mxtally/v1/ingest.pb.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// Highest `key_version` that this server knows.
inline constexpr uint32_t kKeyVersionMax = 1;

inline constexpr int kBatchSessionsMax = 10'000;
inline constexpr int kBatchHostPartsMax = 1'000;

// What is wrong with a record, in kinds few enough for a metric's label.
enum class RejectKind {
  kMissing,     // A field that must be there is not.
  kHost,        // Another host's record.
  kText,        // Too long, or characters that do not belong there.
  kTime,        // No such time, or an end before the start.
  kOutOfRange,  // A number, or the length of a list.
};
inline constexpr int kRejectKindCount = 5;

// "missing", "host", "text", "time", "out_of_range".
absl::string_view RejectKindName(RejectKind kind);

// In the years 1970 to 9999, with nanoseconds below a second.
bool IsValidTime(const google::protobuf::Timestamp& time);

struct Rejection {
  RejectKind kind;
  // "end_time: expected not before key.stamp, found ...".  Holds no more than
  // 64 bytes of what was found, and only printable ASCII.
  std::string reason;
};

// Whether sessions of another host than the stream's may come.
using HostFilter = absl::FunctionRef<bool(const std::string& host)>;

// Says why `record`, sent on the stream of `host`, can never be accepted;
// nullopt when it can.  Its key version must be known, see CheckKeyVersions().
std::optional<Rejection> CheckRecord(
    const v1::SessionRecord& record, absl::string_view host,
    HostFilter others = [](const std::string&) { return false; });

//   FAILED_PRECONDITION  a record of the batch has a key that only a newer server knows
absl::Status CheckKeyVersions(const v1::SessionBatch& batch);

//   INVALID_ARGUMENT  names the field, what was expected and what was found
absl::Status CheckHello(const v1::AgentHello& hello);
absl::Status CheckStatus(const v1::AgentStatus& status);

// All of the batch but its records.  `collects`: whether it may hold parts of
// other hosts than `host`; which ones is not checked.
absl::Status CheckBatch(const v1::SessionBatch& batch, int64_t sequence_expected,
                        absl::string_view host, bool collects);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_INGEST_VALIDATE_H_
