#include "server/ingest/serialized_sessions.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

#include "mxtally/v1/ingest.pb.h"

namespace mxtally {
namespace {

using google::protobuf::internal::WireFormatLite;

// Appends the values of a field that holds messages.  False when `bytes` are not
// a message.
bool AppendField(std::string_view bytes, int number, std::vector<std::string_view>& values) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  const uint32_t wanted =
      WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  while (const uint32_t tag = in.ReadTag()) {
    if (tag != wanted) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      continue;
    }
    uint32_t size = 0;
    if (!in.ReadVarint32(&size)) return false;
    const auto start = static_cast<size_t>(in.CurrentPosition());
    if (!in.Skip(static_cast<int>(size))) return false;
    values.push_back(bytes.substr(start, size));
  }
  return true;
}

}  // namespace

std::vector<std::string_view> SerializedSessions(std::string_view request) {
  std::vector<std::string_view> batches;
  std::vector<std::string_view> sessions;
  if (!AppendField(request, v1::StreamSessionsRequest::kBatchFieldNumber, batches)) return {};
  // Several would be merged, or the last one taken.
  if (batches.size() != 1) return {};
  if (!AppendField(batches[0], v1::SessionBatch::kSessionsFieldNumber, sessions)) return {};
  return sessions;
}

}  // namespace mxtally
