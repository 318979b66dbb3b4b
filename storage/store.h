// The contract that every storage backend keeps; tests/storage/store_contract_*
// is its test suite.
//
// Sessions are known by their key: a second copy changes nothing, a higher rank
// replaces, and the rollups move by the difference in the same transaction.
// Queries of statistics read rollups only.
//
// Threads: the methods that are not const belong to one writing thread.  All
// const methods may be called from any thread, also while it writes.

#ifndef MXTALLY_STORAGE_STORE_H_
#define MXTALLY_STORAGE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "mxtally/v1/completeness.pb.h"
#include "mxtally/v1/fleet.pb.h"
#include "mxtally/v1/ingest.pb.h"
#include "mxtally/v1/stats.pb.h"
#include "storage/rollup.h"

namespace mxtally {

// How long things are kept, counted from the end of their UTC day.  Infinite:
// forever.  `sessions` <= `hours` <= `days`.
struct Retention {
  // Rows of sessions.  They go by whole days of a host, which are sealed then:
  // records that come later are acknowledged and not counted.
  absl::Duration sessions = absl::InfiniteDuration();
  // Counts by hour.
  absl::Duration hours = absl::InfiniteDuration();
  // Counts by day, seals, coverage and gaps.
  absl::Duration days = absl::InfiniteDuration();

  // A day that took a session within this time is not sealed yet.
  absl::Duration quiet = absl::Hours(24);
};

struct StoreOptions {
  // "sqlite:/var/lib/mxtally/mxtally.db".
  std::string url;

  // Distinct label tuples per host and hour; the tail folds into "other".
  int labels_per_hour_max = 500;

  // Distinct label tuples of all hosts and hours; new ones beyond fold too.
  // Each query looks at all of them, a microsecond each.
  int label_sets_max = 100'000;

  // Readers open at a time; a query beyond waits for one.
  int readers_max = 4;

  // Rows of one statistics query.  A hundred thousand take about 30 MB.
  int stats_rows_max = 200'000;

  Retention retention = {};

  std::function<absl::Time()> now = absl::Now;
};

// Sessions that were taken out of a batch.
struct RejectedCount {
  // Of their key stamp, where they have one.
  absl::Time hour;
  int64_t sessions = 0;
  std::string host = {};  // Empty: the batch's.
};

// One validated batch of one agent, as the ingest service hands it on.
struct HostBatch {
  // The agent's host.
  std::string host;
  // Borrowed during the call.  Rejected sessions are already taken out.
  const v1::SessionBatch* batch = nullptr;
  // The sessions of `batch` as they came, serialized, one for each; borrowed as
  // well.  May be empty; else it saves the store to serialize them anew.
  absl::Span<const std::string_view> serialized = {};
  std::vector<RejectedCount> rejected = {};
  // A collector's: each session is of the host that its key names, and
  // `host_parts` of those they name.  Else all is of `host`.
  bool collected = false;
};

// What became of a batch.
struct BatchOutcome {
  int64_t inserted = 0;
  int64_t replaced = 0;
  // Known already, perhaps with more or less of the peer told, or a lower rank:
  // nothing changed.
  int64_t duplicates = 0;
  // Same key and rank, different facts: the first was kept.  Also a session
  // without a certain rank whose key is another's.
  int64_t key_conflicts = 0;
  // The day is sealed: acknowledged, not counted.
  int64_t sealed = 0;
  // Folded into "other".
  int64_t folded = 0;
  // Of hosts that another kind of source is known for, which a collector told
  // of: not counted, and their lines are those of foreign hosts.
  int64_t other_source = 0;
  std::vector<std::string> other_source_hosts = {};
  // Whether the batch began at the stored cut, so that its counts were applied.
  bool counts_applied = false;
};

// What an agent's hello and statuses tell.
struct HostSighting {
  std::string host;
  std::string agent_version = {};  // Empty: unchanged.
  std::string mta = {};            // Empty: unchanged.
  std::vector<v1::LogStatus> logs = {};
  // Of the agent's clock, to the server's.
  std::optional<absl::Duration> clock_ahead = {};
  // The first one told stands until the host is retired.
  v1::SourceKind source_kind = v1::SOURCE_KIND_UNSPECIFIED;
  std::optional<v1::MtaConfig> mta_config = {};  // Absent: unchanged.
};

// One statistics query, names resolved.  Filters: an empty list permits all.
struct StatsQuery {
  absl::Time start;  // Whole hours, UTC.
  absl::Time end;    // Excluded.
  std::vector<std::string> hosts;
  LabelFilter filter;
  // Labels to group by.
  LabelSet group_by;
  bool group_by_host = false;
  // Zero: the whole window.  Else a divisor or multiple of a day, in whole hours.
  absl::Duration bucket = absl::ZeroDuration();
  // Offset of the buckets' zone; a query that spans a change of offset is split by the caller.
  absl::Duration bucket_offset = absl::ZeroDuration();
};

struct StatsRow {
  std::string host;   // Only with group_by_host.
  absl::Time bucket;  // Only with a bucket.
  Labels labels;      // Only the grouped ones.
  Measures measures;  // Sums over the group.
};

// Rows are grouped by (host, bucket, group_by labels, TLS state): the TLS
// state is always split, because shares need it.
struct StatsResult {
  std::vector<StatsRow> rows;
  // Tiers read, "fleet_day" and so on; for tests and `EXPLAIN`-like logging.
  std::vector<std::string> tiers;
};

// Asked between rows; a query stops with CANCELLED or DEADLINE_EXCEEDED as soon
// as it returns not OK.  Must be thread-safe and cheap.
using QueryGuard = std::function<absl::Status()>;

// One host as completeness sees it, cut to a window.
struct HostCoverage {
  std::string host;
  // From the registration, or the first log time read, to the retirement;
  // sorted, disjoint, not cut to the window.  InfiniteFuture: still expected.
  std::vector<std::pair<absl::Time, absl::Time>> expected;
  absl::Time last_seen;  // InfinitePast: never, only named as expected.
  // What was read, in log time: merged, sorted, disjoint, per log.
  struct Log {
    // A collector's log is named "COLLECTOR:LOG".
    std::string log;
    std::vector<std::pair<absl::Time, absl::Time>> covered;
    std::optional<absl::Time> caught_up;
    std::optional<absl::Time> oldest_open;
  };
  std::vector<Log> logs;
  std::vector<v1::HostGap> gaps;
  v1::ExceptionCounts exceptions;
  // Whether a session is counted in the window.
  bool any_session = false;
  // Sessions ended in the window, and no line of it tells TLS from plaintext.
  bool tls_not_logged = false;
  // The same of sessions that Postfix opened to EXTERNAL servers.
  bool outbound_tls_not_logged = false;
  std::vector<v1::TlsLoggingGap> tls_logging_gaps;
  std::optional<v1::MtaConfig> mta_config;
  std::vector<v1::HostClockSkew> clock_skews;
  // Whether a collector tells of it, so that silence of the host itself, and not
  // only of an agent, keeps it from being read.
  bool collected = false;
  // UTC days that were dropped to be read again, from any log of the host.
  std::vector<std::pair<absl::Time, absl::Time>> reopened;
};

// Counts before these times may be gone.  InfinitePast: nothing is.
struct KeptSince {
  absl::Time hours = absl::InfinitePast();
  absl::Time days = absl::InfinitePast();
};

class Store {
 public:
  virtual ~Store() = default;

  // Names this database; a new one for each created.
  virtual const std::string& database_id() const = 0;

  // Commits batches, in order, in one transaction; the sessions of a batch in
  // the order of their keys, those of one key as they stand.  Durable when it
  // returns OK; nothing has changed when it does not.
  //   RESOURCE_EXHAUSTED  disk full: try again later
  //   DATA_LOSS           the database is damaged: stop and alert
  virtual absl::StatusOr<std::vector<BatchOutcome>> Commit(absl::Span<const HostBatch> batches) = 0;

  // Notes that hosts were heard of.  Registers new ones.
  virtual absl::Status Touch(absl::Span<const HostSighting> sightings) = 0;

  // Makes `hosts` the list of those that are expected whether they were heard
  // of or not.  New ones are registered; one that was retired is expected
  // again; one that is no longer listed and was never heard of is retired.
  virtual absl::Status ExpectHosts(absl::Span<const std::string> hosts) = 0;

  // Ends the expectation of a host at `time`; returns that end.
  //   NOT_FOUND         no such host
  //   INVALID_ARGUMENT  before the host was expected
  virtual absl::StatusOr<absl::Time> RetireHost(const std::string& host, absl::Time time) = 0;

  // Applies the retention, for about `budget`; true if there is more to do.
  virtual absl::StatusOr<bool> Maintain(absl::Duration budget) = 0;

  // Drops what was counted of a sealed day, so that it can be read again.
  //   NOT_FOUND            no such host
  //   FAILED_PRECONDITION  the day is not sealed
  virtual absl::Status ReopenDay(const std::string& host, absl::CivilDay day) = 0;

  // Where the counts of each log of `host` end.
  virtual absl::StatusOr<std::vector<v1::StoredCut>> StoredCuts(const std::string& host) const = 0;

  //   INVALID_ARGUMENT  more than `stats_rows_max` rows
  virtual absl::StatusOr<StatsResult> QueryStats(const StatsQuery& query,
                                                 const QueryGuard& guard) const = 0;

  // Newest hour that holds a session for this filter; nullopt when none does.
  virtual absl::StatusOr<std::optional<absl::Time>> NewestHour(
      const std::vector<std::string>& hosts, const LabelFilter& filter,
      const QueryGuard& guard) const = 0;

  // Completeness of `hosts` (empty: all known) in a window, by name.
  virtual absl::StatusOr<std::vector<HostCoverage>> QueryCoverage(
      const std::vector<std::string>& hosts, absl::Time start, absl::Time end,
      const QueryGuard& guard) const = 0;

  // What the agent of `host` reads; UNSPECIFIED: not known.
  virtual absl::StatusOr<v1::SourceKind> SourceKindOf(const std::string& host) const = 0;

  // UTC days of `host` that are sealed, oldest first.
  virtual absl::StatusOr<std::vector<absl::CivilDay>> SealedDays(const std::string& host,
                                                                 const QueryGuard& guard) const = 0;

  virtual KeptSince kept_since() const = 0;

  // Inventory by name; `state`, `findings`, `lag_seconds` and `connected` are
  // the service's to fill.
  virtual absl::StatusOr<std::vector<v1::Host>> ListHosts(const std::vector<std::string>& hosts,
                                                          const QueryGuard& guard) const = 0;

  // Recounts every rollup from the sessions it still has.
  //   DATA_LOSS  names the first tier, host and hour that differ
  virtual absl::Status VerifyRollups(const QueryGuard& guard) const = 0;

  // Figures for /metrics: name without prefix -> value, such as "wal_bytes".
  virtual std::vector<std::pair<std::string, double>> Gauges() const = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_STORAGE_STORE_H_
