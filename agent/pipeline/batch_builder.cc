#include "agent/pipeline/batch_builder.h"

#include <algorithm>
#include <utility>

#include "agent/pipeline/timestamps.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// The contract's bound is 10,000.
constexpr int kSessionsMax = 8'000;
// A sparse log has few lines in an hour, and a log of many hosts few of each;
// without a bound the counts alone would outgrow a batch.  An hour is about 60
// bytes, and that of a host as many more as its name and times have.
constexpr size_t kHoursMax = 500;
constexpr size_t kGapsMax = 100;
// Room for what is not sessions: two cuts, a name, hours and gaps at their bounds.
constexpr int64_t kOverheadBytes = 64 * 1024;

// Tag and length in front of an embedded message of less than 2 MiB.
constexpr size_t kFieldBytesMax = 4;
constexpr uint32_t kSessionsTag = google::protobuf::internal::WireFormatLite::MakeTag(
    v1::SessionBatch::kSessionsFieldNumber,
    google::protobuf::internal::WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

void AddPart(HostPartBuilder& host, absl::Time now, v1::SessionBatch& batch) {
  if (host.lines.empty()) return;
  v1::HostPart& part = *batch.add_host_parts();
  part.set_host(host.host);
  *part.mutable_start_time() = ToTimestamp(host.start.value_or(now));
  *part.mutable_end_time() = ToTimestamp(host.end.value_or(now));
  host.lines.MoveTo(*part.mutable_counts(), now);
  part.set_open_sessions(host.open_sessions);
  if (host.oldest_open) *part.mutable_oldest_open_time() = ToTimestamp(*host.oldest_open);
  part.set_mta(host.mta);
  host.start = host.end;
}

}  // namespace

BatchBuilder::BatchBuilder(std::string log, int64_t bytes_max)
    : log_(std::move(log)),
      bytes_max_(static_cast<size_t>(std::max(bytes_max - kOverheadBytes, kOverheadBytes))) {}

void BatchBuilder::SetTime(absl::Time time) {
  lines_.SetTime(time);
  if (!gaps_.empty()) CloseGaps(time);
}

HostPartBuilder& BatchBuilder::AddHost(const std::string& host) {
  return hosts_.emplace_back(host, hours_);
}

void BatchBuilder::RemoveHost(HostPartBuilder& host) {
  const auto place = std::find_if(hosts_.begin(), hosts_.end(),
                                  [&](const HostPartBuilder& other) { return &other == &host; });
  removed_hosts_.splice(removed_hosts_.end(), hosts_, place);
}

void BatchBuilder::AddSession(const v1::SessionRecord& record) {
  using google::protobuf::io::CodedOutputStream;
  const size_t bytes = record.ByteSizeLong();
  if (portions_.empty() || last_portion_sessions_ >= kSessionsMax ||
      portions_.back().size() + bytes + kFieldBytesMax > bytes_max_) {
    portions_.emplace_back().reserve(bytes_max_);
    last_portion_sessions_ = 0;
  }
  std::string& portion = portions_.back();
  const size_t used = portion.size();
  portion.resize(used + kFieldBytesMax + bytes);
  uint8_t* const begin = reinterpret_cast<uint8_t*>(portion.data());
  uint8_t* end = CodedOutputStream::WriteTagToArray(kSessionsTag, begin + used);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(bytes), end);
  end = record.SerializeWithCachedSizesToArray(end);
  portion.resize(end - begin);
  ++last_portion_sessions_;
}

void BatchBuilder::AddGap(v1::GapReason reason, std::optional<absl::Time> start,
                          int64_t bytes_min) {
  v1::Gap& gap = gaps_.emplace_back();
  gap.set_reason(reason);
  gap.set_bytes_min(bytes_min);
  if (start) *gap.mutable_start_time() = ToTimestamp(*start);
}

bool BatchBuilder::full() const {
  return portions_.size() > 1 || last_portion_sessions_ >= kSessionsMax ||
         (!portions_.empty() && portions_.back().size() >= bytes_max_ - bytes_max_ / 16) ||
         hours_ >= kHoursMax || gaps_.size() >= kGapsMax;
}

std::vector<PipelineBatch> BatchBuilder::Finish(const std::optional<v1::Cut>& start,
                                                const v1::Cut& end, absl::Time now) {
  CloseGaps(now);

  std::vector<PipelineBatch> batches(std::max<size_t>(1, portions_.size()));
  for (size_t i = 0; i < batches.size(); ++i) {
    batches[i].batch.set_log(log_);
    *batches[i].batch.mutable_start() = end;
    *batches[i].batch.mutable_end() = end;
    if (i < portions_.size()) batches[i].sessions = std::move(portions_[i]);
  }
  v1::SessionBatch& first = batches.front().batch;
  first.clear_start();
  if (start) *first.mutable_start() = *start;
  lines_.MoveTo(*first.mutable_counts(), now);
  for (std::list<HostPartBuilder>* hosts : {&removed_hosts_, &hosts_}) {
    for (HostPartBuilder& host : *hosts) AddPart(host, now, first);
  }
  removed_hosts_.clear();
  for (v1::Gap& gap : gaps_) *first.add_gaps() = std::move(gap);

  portions_.clear();
  last_portion_sessions_ = 0;
  gaps_.clear();
  return batches;
}

void BatchBuilder::CloseGaps(absl::Time end) {
  for (v1::Gap& gap : gaps_) {
    if (gap.has_end_time()) continue;
    if (!gap.has_start_time()) *gap.mutable_start_time() = ToTimestamp(end);
    // A clock may have stepped back; an interval never ends before it begins.
    *gap.mutable_end_time() = ToTimestamp(std::max(end, GetTimestamp(gap.start_time())));
  }
}

}  // namespace mxtally
