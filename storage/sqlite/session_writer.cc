#include "storage/sqlite/session_writer.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "storage/peer_detail.h"
#include "storage/sqlite/tiers.h"
#include "storage/sqlite/times.h"

namespace mxtally::sqlite {

namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

uint64_t RankOf(const v1::Rank& rank) {
  return static_cast<uint64_t>(rank.parser_version()) << 32 | rank.lines_used();
}

// Finds the record without key and rank, its first two fields, in `serialized`.
// False where fields do not stand in the order of their numbers, in which every
// protobuf library writes them.
bool FindFacts(std::string_view serialized, std::string_view& facts) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(serialized.data()),
                      static_cast<int>(serialized.size()));
  int skipped = 0;
  int last_number = 0;
  while (const uint32_t tag = in.ReadTag()) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    if (number < last_number || !WireFormatLite::SkipField(&in, tag)) return false;
    if (number <= v1::SessionRecord::kRankFieldNumber) skipped = in.CurrentPosition();
    last_number = number;
  }
  facts = serialized.substr(static_cast<size_t>(skipped));
  return true;
}

// Serializes the same.
void SerializeFacts(const v1::SessionRecord& record, std::string& facts) {
  v1::SessionRecord copy = record;
  copy.clear_key();
  copy.clear_rank();
  copy.SerializeToString(&facts);
}

// Stays the same across releases: stored hashes are compared with new ones.
// FNV-1a by words of eight bytes, each step mixed downwards; by bytes it was a
// tenth of a commit's time.
int64_t StableHash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](uint64_t word) {
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 29;
  };
  uint64_t word = 0;
  size_t at = 0;
  for (; at + sizeof(word) <= bytes.size(); at += sizeof(word)) {
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    mix(word);
  }
  if (at < bytes.size()) {
    word = 0;
    std::memcpy(&word, bytes.data() + at, bytes.size() - at);
    mix(word);
  }
  return static_cast<int64_t>((hash ^ bytes.size()) * 0x9e3779b97f4a7c15);
}

}  // namespace

SessionWriter::SessionWriter(Connection& db, LabelSetTable& label_sets, RollupWriter& rollups,
                             const StoreOptions& options)
    : db_(db),
      label_sets_(label_sets),
      rollups_(rollups),
      labels_per_hour_max_(options.labels_per_hour_max),
      label_sets_max_(options.label_sets_max) {}

void SessionWriter::Put(int64_t host_id, const v1::SessionRecord& record,
                        std::string_view serialized, BatchOutcome& outcome) {
  const Row row = RowOf(host_id, record, serialized);
  const Counted counted = Choose(row);
  const v1::SessionKey& key = record.key();
  insert_.Run(host_id, row.stamp_ns, key.tag(), key.ordinal(), key.key_version(), row.rank,
              counted.labels.full, counted.folded, counted.measures.messages,
              counted.measures.tls_messages, row.facts_hash, row.end_ns, record.peer().address(),
              record.peer().name(), Blob{row.detail});
  if (!db_.ok()) return;
  if (db_.changes() == 0) {
    PutExisting(row, outcome);
    return;
  }
  ++outcome.inserted;
  Count(row, counted, outcome);
}

SessionWriter::Row SessionWriter::RowOf(int64_t host_id, const v1::SessionRecord& record,
                                        std::string_view serialized) {
  Row row;
  row.host_id = host_id;
  row.record = &record;
  row.stamp_ns = NanosOf(record.key().stamp());
  row.hour = FloorDivide(row.stamp_ns, kNanosPerHour);
  row.rank = RankOf(record.rank());
  if (serialized.empty() || !FindFacts(serialized, row.detail)) {
    SerializeFacts(record, serialized_);
    row.detail = serialized_;
  }
  row.facts_hash = StableHash(row.detail);
  if (record.has_end_time()) row.end_ns = NanosOf(record.end_time());
  row.measures = MeasuresOf(record);
  return row;
}

SessionWriter::Counted SessionWriter::Choose(const Row& row) {
  Counted counted = {.labels = {}, .folded = false, .measures = row.measures};
  const Labels labels = LabelsOf(*row.record);
  const std::optional<LabelSetIds> known = label_sets_.Find(labels);
  const bool hour_is_full = rollups_.LabelSets(row.host_id, row.hour) >= labels_per_hour_max_;
  if (known && (!hour_is_full || rollups_.Counts(row.host_id, row.hour, known->full))) {
    counted.labels = *known;
  } else if (!known && !hour_is_full && label_sets_.size() < label_sets_max_) {
    counted.labels = label_sets_.Intern(labels);
  } else {
    counted.labels = label_sets_.Intern(Folded(labels));
    counted.folded = true;
  }
  return counted;
}

void SessionWriter::Count(const Row& row, const Counted& counted, BatchOutcome& outcome) {
  rollups_.Add(row.host_id, row.hour, counted.labels, counted.measures);
  rollups_.AddCounts(row.host_id, row.hour, {.sessions = 1, .folded = counted.folded});
  outcome.folded += counted.folded;
}

void SessionWriter::TakeBack(const Row& row, const Stored& stored) {
  rollups_.Subtract(row.host_id, row.hour, stored.counted.labels, stored.counted.measures);
  rollups_.AddCounts(row.host_id, row.hour,
                     {.sessions = -1,
                      .folded = -static_cast<int64_t>(stored.counted.folded),
                      .key_conflicts = -static_cast<int64_t>(stored.key_conflict)});
}

void SessionWriter::PutExisting(const Row& row, BatchOutcome& outcome) {
  const std::optional<Stored> stored = Find(row);
  if (!stored) return;
  const bool certain = row.record->rank().lines_used() > 0;
  if (certain && row.rank > stored->rank) {
    Replace(row, *stored, outcome);
    ++outcome.replaced;
  } else if (row.facts_hash == stored->facts_hash || (certain && row.rank < stored->rank) ||
             IsStored(row, /*any_ordinal=*/!certain)) {
    ++outcome.duplicates;
  } else {
    ++outcome.key_conflicts;
    if (stored->key_conflict) return;
    const v1::SessionKey& key = row.record->key();
    mark_conflict_.Run(row.host_id, row.stamp_ns, key.tag(), key.ordinal(), key.key_version());
    rollups_.AddCounts(row.host_id, row.hour, {.key_conflicts = 1});
  }
}

bool SessionWriter::IsStored(const Row& row, bool any_ordinal) {
  const v1::SessionKey& key = row.record->key();
  bool found = false;
  select_facts_.Query(row.host_id, row.stamp_ns, key.tag(), key.key_version());
  while (!found && select_facts_.Step()) {
    if (!any_ordinal && select_facts_.Int(0) != key.ordinal()) continue;
    v1::SessionRecord stored;
    found = select_facts_.Int(1) == row.facts_hash ||
            (stored.ParseFromString(std::string(select_facts_.Text(2))) &&
             DifferInPeerDetailOnly(stored, *row.record));
  }
  select_facts_.Reset();
  return found;
}

std::optional<SessionWriter::Stored> SessionWriter::Find(const Row& row) {
  const v1::SessionKey& key = row.record->key();
  select_.Query(row.host_id, row.stamp_ns, key.tag(), key.ordinal(), key.key_version());
  if (!select_.Step()) {
    db_.Fail(absl::DataLossError("a session's labels are missing"));
    return std::nullopt;
  }
  Stored stored = {
      .rank = static_cast<uint64_t>(select_.Int(0)),
      .facts_hash = select_.Int(1),
      .key_conflict = select_.Int(2) != 0,
      .counted = {.labels = {.full = select_.Int(3), .narrow = select_.Int(4)},
                  .folded = select_.Int(5) != 0,
                  .measures = {.sessions = 1,
                               .messages = select_.Int(6),
                               .tls_messages = select_.Int(7)}},
  };
  select_.Reset();
  return stored;
}

void SessionWriter::Replace(const Row& row, const Stored& stored, BatchOutcome& outcome) {
  TakeBack(row, stored);
  // Chosen anew: what was taken back may have made room.
  const Counted counted = Choose(row);
  const v1::SessionKey& key = row.record->key();
  update_.Run(row.host_id, row.stamp_ns, key.tag(), key.ordinal(), key.key_version(), row.rank,
              counted.labels.full, counted.folded, counted.measures.messages,
              counted.measures.tls_messages, row.facts_hash, row.end_ns,
              row.record->peer().address(), row.record->peer().name(), Blob{row.detail});
  Count(row, counted, outcome);
}

}  // namespace mxtally::sqlite
