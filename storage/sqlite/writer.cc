#include "storage/sqlite/writer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "storage/sqlite/tiers.h"
#include "storage/sqlite/times.h"

namespace mxtally::sqlite {

namespace {

// The first keeps readers fast and a restart short; from the second on waiting
// for readers is better than growing.
constexpr int64_t kCheckpointBytes = int64_t{16} << 20;
constexpr int64_t kTruncateBytes = int64_t{64} << 20;

int64_t PageBytes(Connection& db) {
  Statement statement(db, "PRAGMA page_size");
  statement.Query();
  const int64_t bytes = statement.Step() ? statement.Int(0) : 0;
  statement.Reset();
  return bytes;
}

int OnCommit(void* wal_pages, sqlite3* /*db*/, const char* /*schema*/, int pages) {
  *static_cast<int*>(wal_pages) = pages;
  return SQLITE_OK;
}

struct Session {
  const v1::SessionRecord* record;
  std::string_view serialized;
};

// Records come in the order of the sessions' ends.  In the order of their keys
// they fill page after page instead of splitting them.
std::vector<Session> InKeyOrder(const HostBatch& batch) {
  std::vector<Session> sessions;
  sessions.reserve(static_cast<size_t>(batch.batch->sessions_size()));
  const bool has_serialized = !batch.serialized.empty();
  for (int i = 0; i < batch.batch->sessions_size(); ++i) {
    sessions.push_back({.record = &batch.batch->sessions(i),
                        .serialized = has_serialized ? batch.serialized[static_cast<size_t>(i)]
                                                     : std::string_view()});
  }
  const auto key_of = [collected = batch.collected](const Session& session) {
    const v1::SessionKey& key = session.record->key();
    return std::tuple(collected ? std::string_view(key.host()) : std::string_view(),
                      key.stamp().seconds(), key.stamp().nanos(), std::string_view(key.tag()),
                      key.ordinal());
  };
  // Stable: of two records with one key the first is stored.
  std::stable_sort(sessions.begin(), sessions.end(),
                   [&key_of](const Session& a, const Session& b) { return key_of(a) < key_of(b); });
  return sessions;
}

// The lines as the log of another host counts them.
v1::HourCounts AsForeign(const v1::HourCounts& counts) {
  v1::HourCounts foreign;
  *foreign.mutable_hour() = counts.hour();
  v1::LineCounts& lines = *foreign.mutable_lines();
  lines.set_read(counts.lines().read());
  lines.set_bytes(counts.lines().bytes());
  lines.set_ignored(counts.lines().read());
  lines.set_foreign_host(counts.lines().read());
  return foreign;
}

}  // namespace

Writer::Writer(std::unique_ptr<Connection> db, const StoreOptions& options)
    : db_(std::move(db)),
      now_(options.now),
      page_bytes_(PageBytes(*db_)),
      retainer_(*db_, seals_, options.retention),
      sessions_(*db_, label_sets_, rollups_, options) {
  // Takes the place of automatic checkpoints.
  sqlite3_wal_hook(db_->handle(), &OnCommit, &wal_pages_);
}

absl::StatusOr<std::vector<BatchOutcome>> Writer::Commit(absl::Span<const HostBatch> batches) {
  const absl::Time now = now_();
  Transaction transaction(*db_, Transaction::kWrite);
  std::vector<BatchOutcome> outcomes;
  outcomes.reserve(batches.size());
  for (const HostBatch& batch : batches) outcomes.push_back(Apply(batch, now));
  rollups_.Flush(now);
  if (absl::Status s = Finish(transaction); !s.ok()) return s;
  return outcomes;
}

absl::Status Writer::Touch(absl::Span<const HostSighting> sightings) {
  const absl::Time now = now_();
  Transaction transaction(*db_, Transaction::kWrite);
  for (const HostSighting& sighting : sightings) {
    const int64_t host_id = hosts_.Intern(absl::AsciiStrToLower(sighting.host), now);
    host_writer_.Note(host_id, sighting, now);
    for (const v1::LogStatus& log : sighting.logs) logs_.Note(host_id, log);
    host_writer_.Seen(host_id, std::nullopt, now);
  }
  return Finish(transaction);
}

absl::Status Writer::ExpectHosts(absl::Span<const std::string> hosts) {
  Transaction transaction(*db_, Transaction::kWrite);
  host_writer_.Expect(hosts, now_());
  return Finish(transaction);
}

absl::StatusOr<absl::Time> Writer::RetireHost(const std::string& host, absl::Time time) {
  Transaction transaction(*db_, Transaction::kWrite);
  absl::StatusOr<absl::Time> retired = host_writer_.Retire(host, time);
  if (!retired.ok()) return retired;
  if (absl::Status s = Finish(transaction); !s.ok()) return s;
  return retired;
}

absl::StatusOr<bool> Writer::Maintain(absl::Duration budget) {
  const absl::StatusOr<bool> more = MaintainOnce(budget);
  if (!more.ok()) {
    ++maintain_failures_;
  } else if (!*more) {
    oldest_session_day_ = retainer_.OldestSessionDay().value_or(INT64_MAX);
    if (!db_->ok()) return db_->TakeStatus();
    maintained_seconds_ = absl::ToUnixSeconds(now_());
  }
  return more;
}

std::vector<std::pair<std::string, double>> Writer::RetentionGauges() const {
  std::vector<std::pair<std::string, double>> gauges = {
      {"retention_sessions_removed", static_cast<double>(sessions_removed_)},
      {"retention_rows_removed", static_cast<double>(others_removed_)},
      {"retention_failures", static_cast<double>(maintain_failures_)},
      {"retention_last_run_timestamp_seconds", static_cast<double>(maintained_seconds_)}};
  const auto kept_since = [&gauges](const char* what, absl::Time time) {
    gauges.emplace_back(absl::StrCat(what, "_kept_since_timestamp_seconds"),
                        absl::ToDoubleSeconds(time - absl::UnixEpoch()));
  };
  if (const int64_t day = oldest_session_day_; day != INT64_MAX) {
    kept_since("sessions", absl::UnixEpoch() + absl::Hours(kHoursPerDay * day));
  }
  const KeptSince kept = retainer_.kept_since();
  if (kept.hours != absl::InfinitePast()) kept_since("hour_counts", kept.hours);
  if (kept.days != absl::InfinitePast()) kept_since("day_counts", kept.days);
  return gauges;
}

absl::StatusOr<bool> Writer::MaintainOnce(absl::Duration budget) {
  const absl::Time now = now_();
  const bool work = retainer_.HasWork(now);
  if (!db_->ok()) return db_->TakeStatus();
  if (!work) return false;
  Transaction transaction(*db_, Transaction::kWrite);
  const bool more = retainer_.Bite(now, budget);
  if (absl::Status s = Finish(transaction); !s.ok()) return s;
  sessions_removed_ += retainer_.removed().sessions;
  others_removed_ += retainer_.removed().others;
  rollups_.Forget();
  return more;
}

absl::Status Writer::ReopenDay(const std::string& host, absl::CivilDay day) {
  Transaction transaction(*db_, Transaction::kWrite);
  if (absl::Status s = retainer_.Reopen(host, day); !s.ok()) return s;
  if (absl::Status s = Finish(transaction); !s.ok()) return s;
  rollups_.Forget();
  return absl::OkStatus();
}

Writer::Targets Writer::TargetsOf(const HostBatch& host_batch, absl::Time now) {
  Targets targets;
  const std::string own = absl::AsciiStrToLower(host_batch.host);
  targets[own] = {.host_id = hosts_.Intern(own, now), .told = true};
  if (!host_batch.collected) return targets;
  const auto add = [&](const std::string& name, bool told) {
    const auto [target, added] = targets.try_emplace(name);
    target->second.told = target->second.told || told;
    if (!added) return;
    target->second.host_id = hosts_.Intern(name, now);
    target->second.taken = host_writer_.TakeFromCollector(target->second.host_id);
  };
  for (const v1::HostPart& part : host_batch.batch->host_parts()) add(part.host(), true);
  for (const v1::SessionRecord& session : host_batch.batch->sessions()) {
    add(session.key().host(), false);
  }
  return targets;
}

void Writer::PutSessions(const HostBatch& host_batch, Targets& targets, BatchOutcome& outcome,
                         std::map<std::pair<int64_t, int64_t>, int64_t>& sealed_by_hour) {
  Target* target = &targets.at(absl::AsciiStrToLower(host_batch.host));
  const std::string* name = nullptr;
  for (const Session& session : InKeyOrder(host_batch)) {
    if (!db_->ok()) return;
    const v1::SessionKey& key = session.record->key();
    if (host_batch.collected && (name == nullptr || *name != key.host())) {
      name = &key.host();
      target = &targets.at(*name);
    }
    if (!target->taken) {
      ++outcome.other_source;
      continue;
    }
    const int64_t stamp_ns = NanosOf(key.stamp());
    const int64_t hour = FloorDivide(stamp_ns, kNanosPerHour);
    if (seals_.IsSealed(target->host_id, FloorDivide(hour, kHoursPerDay))) {
      ++outcome.sealed;
      ++sealed_by_hour[{target->host_id, hour}];
      continue;
    }
    sessions_.Put(target->host_id, *session.record, session.serialized, outcome);
    target->told = true;
    target->last_session_ns = std::max(target->last_session_ns.value_or(stamp_ns), stamp_ns);
  }
}

BatchOutcome Writer::Apply(const HostBatch& host_batch, absl::Time now) {
  const v1::SessionBatch& batch = *host_batch.batch;
  BatchOutcome outcome;
  Targets targets = TargetsOf(host_batch, now);
  const int64_t own_id = targets.at(absl::AsciiStrToLower(host_batch.host)).host_id;
  std::map<std::pair<int64_t, int64_t>, int64_t> sealed_by_hour;
  PutSessions(host_batch, targets, outcome, sealed_by_hour);

  std::vector<v1::HourCounts> foreign;
  for (const v1::HostPart& part : batch.host_parts()) {
    if (targets.at(part.host()).taken) continue;
    outcome.other_source_hosts.push_back(part.host());
    for (const v1::HourCounts& counts : part.counts()) foreign.push_back(AsForeign(counts));
  }
  const LogWriter::Reading reading = logs_.Apply(own_id, batch, foreign);
  outcome.counts_applied = reading == LogWriter::Reading::kFirst;
  for (const v1::HostPart& part : batch.host_parts()) {
    const Target& target = targets.at(part.host());
    if (!target.taken) continue;
    logs_.ApplyPart(target.host_id, own_id, host_batch.host, batch, part, reading);
    if (outcome.counts_applied) host_writer_.NotePart(target.host_id, part, now);
  }
  if (outcome.counts_applied) {
    for (const RejectedCount& rejected : host_batch.rejected) {
      const auto target = targets.find(rejected.host);
      rollups_.AddCounts(target == targets.end() ? own_id : target->second.host_id,
                         FloorDivide(absl::ToUnixSeconds(rejected.hour), 3600),
                         {.rejected = rejected.sessions});
    }
    // Lines that are read again were counted before their day was sealed.
    for (const auto& [hour_of_host, sealed] : sealed_by_hour) {
      rollups_.AddCounts(hour_of_host.first, hour_of_host.second, {.sealed = sealed});
    }
  }
  for (const auto& [name, target] : targets) {
    if (target.taken && target.told) host_writer_.Seen(target.host_id, target.last_session_ns, now);
  }
  return outcome;
}

absl::Status Writer::Finish(Transaction& transaction) {
  if (absl::Status s = transaction.Commit(); !s.ok()) {
    // They remember rows that are gone.
    hosts_.Forget();
    label_sets_.Forget();
    rollups_.Forget();
    seals_.Forget();
    retainer_.Load();
    return s;
  }
  CheckpointIfLarge();
  return absl::OkStatus();
}

void Writer::CheckpointIfLarge() {
  const int64_t wal_bytes = wal_pages_ * page_bytes_;
  if (wal_bytes < checkpointed_bytes_) checkpointed_bytes_ = 0;  // It has begun anew.
  if (wal_bytes - checkpointed_bytes_ < kCheckpointBytes) return;
  checkpointed_bytes_ = wal_bytes;
  const int mode =
      wal_bytes < kTruncateBytes ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
  int in_wal = 0;
  int moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(db_->handle(), nullptr, mode, &in_wal, &moved);
  // The commit is durable all the same.
  if (code != SQLITE_OK || in_wal != moved) ++checkpoints_failed_;
}

}  // namespace mxtally::sqlite
