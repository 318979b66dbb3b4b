// Measures the SQLite store against its budgets: not a test.
//
//   sqlite_bench ingest SESSIONS   commits of 4,000 sessions, beside a bare loop
//                                  of prepared inserts of the same rows
//   sqlite_bench query FILE        statistics over 1,000 hosts and 90 days; FILE is
//                                  made when missing

#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/open.h"
#include "tests/storage/records.h"

namespace mxtally {
namespace {

constexpr int kBatchSessions = 4000;
constexpr int kHosts = 20;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  absl::FPrintF(stderr, "%s\n", status.ToString());
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): there is one thread.
}

void Check(sqlite3* db, int code) {
  if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
  absl::FPrintF(stderr, "%s\n", sqlite3_errmsg(db));
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): there is one thread.
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Time since construction.
class Stopwatch {
 public:
  double seconds() const { return absl::ToDoubleSeconds(absl::Now() - start_); }
  double cpu_seconds() const { return CpuSeconds() - cpu_start_; }

 private:
  const absl::Time start_ = absl::Now();
  const double cpu_start_ = CpuSeconds();
};

// A fleet's labels: most sessions have few of them.
class RandomSessions {
 public:
  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  v1::SessionRecord Next(absl::Time stamp, int number) {
    static constexpr const char* kCiphers[] = {
        "TLS_AES_256_GCM_SHA384",       "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",  "ECDHE-ECDSA-AES256-GCM-SHA384",
        "DHE-RSA-AES256-GCM-SHA384",    "AES256-SHA"};
    static constexpr const char* kGroups[] = {"x25519", "X25519MLKEM768", "secp256r1"};
    const int cipher = std::min(Below(8), Below(8));
    const bool plain = Below(5) == 0;
    v1::SessionRecord record = Session({
        .tag = absl::StrCat("postfix/smtpd[", 1000 + number % 90000, "]"),
        .lines_used = 5,
        .service = Below(10) == 0 ? "submission" : "smtpd",
        .tls_state = plain ? v1::TLS_STATE_PLAINTEXT : v1::TLS_STATE_ESTABLISHED,
        .protocol = cipher < 3 ? "TLSv1.3" : "TLSv1.2",
        .cipher = kCiphers[cipher],
        .messages = Below(3),
        .helo = absl::StrCat("mail-out-", Below(1000), ".provider.example"),
    });
    SetTime(stamp, record.mutable_key()->mutable_stamp());
    SetTime(stamp + absl::Seconds(2), record.mutable_end_time());
    if (!plain) {
      v1::TlsFacts& tls = *record.mutable_tls();
      tls.set_cipher_iana("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
      tls.set_cipher_code_point(0xC030);
      tls.set_bits_used(256);
      tls.set_bits_algorithm(256);
      tls.set_kex_group(kGroups[Below(3)]);
      tls.set_signature(Below(4) == 0 ? "ECDSA" : "RSA-PSS");
      tls.set_trust(v1::TLS_TRUST_ANONYMOUS);
    }
    record.mutable_peer()->set_address(absl::StrCat("192.0.2.", Below(256)));
    record.mutable_peer()->set_name(absl::StrCat("mail-out-", Below(1000), ".provider.example"));
    for (const char* command : {"ehlo", "starttls", "mail", "rcpt", "data", "quit"}) {
      v1::CommandCount& count = *record.add_commands();
      count.set_command(command);
      count.set_accepted(1);
      count.set_total(1);
    }
    record.add_queue_ids("4Wkzqn1Xyzz9vKz");
    return record;
  }

 private:
  std::mt19937 random_{1};
};

// A backlog: each host's log in batches of a few hours, hosts taking turns.
std::vector<v1::SessionBatch> Backlog(int round, RandomSessions& random) {
  std::vector<v1::SessionBatch> batches;
  for (int host = 0; host < kHosts; ++host) {
    v1::SessionBatch& batch = batches.emplace_back();
    batch.set_log("/var/log/mail.log");
    const absl::Time from = At("2026-01-01T00:00:00Z") + absl::Hours(2) * round;
    *batch.mutable_start() = CutAt(round * 1000, "");
    *batch.mutable_end() = CutAt((round + 1) * 1000, "");
    SetTime(from, batch.mutable_start()->mutable_log_time());
    SetTime(from + absl::Hours(2), batch.mutable_end()->mutable_log_time());
    for (int i = 0; i < kBatchSessions; ++i) {
      const absl::Time stamp = from + absl::Milliseconds(1800) * i;
      *batch.add_sessions() = random.Next(stamp, round * kBatchSessions + i);
    }
  }
  return batches;
}

// What a row of `session` holds, ready to bind.
struct BareRow {
  int64_t stamp_ns;
  std::string tag;
  std::string address;
  std::string name;
  std::string detail;
};

// The bare loop: one prepared INSERT for each session, nothing else.
class BareInserts {
 public:
  // `path`: made by a store, so that the tables are the same.
  explicit BareInserts(const std::string& path) {
    Check(db_, sqlite3_open(path.c_str(), &db_));
    Exec("PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4096");
    Check(db_, sqlite3_prepare_v2(
                   db_, "INSERT INTO session VALUES (?,?,?,0,1,4294967301,?,0,?,?,0,?,?,?,?,?)", -1,
                   &insert_, nullptr));
  }
  ~BareInserts() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }

  void Commit(int host_id, const std::vector<BareRow>& rows) {
    Exec("BEGIN IMMEDIATE");
    for (const BareRow& row : rows) {
      sqlite3_bind_int64(insert_, 1, host_id);
      sqlite3_bind_int64(insert_, 2, row.stamp_ns);
      BindText(3, row.tag);
      sqlite3_bind_int64(insert_, 4, 17);
      sqlite3_bind_int64(insert_, 5, 1);
      sqlite3_bind_int64(insert_, 6, 1);
      sqlite3_bind_int64(insert_, 7, row.stamp_ns * 31);
      sqlite3_bind_int64(insert_, 8, row.stamp_ns + 2'000'000'000);
      BindText(9, row.address);
      BindText(10, row.name);
      sqlite3_bind_blob(insert_, 11, row.detail.data(), static_cast<int>(row.detail.size()),
                        SQLITE_STATIC);
      Check(db_, sqlite3_step(insert_));
      sqlite3_reset(insert_);
    }
    Exec("COMMIT");
  }

 private:
  void Exec(const char* sql) { Check(db_, sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }
  void BindText(int index, const std::string& text) {
    sqlite3_bind_text(insert_, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

std::vector<BareRow> RowsOf(const v1::SessionBatch& batch) {
  std::vector<BareRow> rows;
  for (v1::SessionRecord record : batch.sessions()) {
    BareRow& row = rows.emplace_back();
    row.stamp_ns = record.key().stamp().seconds() * 1'000'000'000 + record.key().stamp().nanos();
    row.tag = record.key().tag();
    row.address = record.peer().address();
    row.name = record.peer().name();
    record.clear_key();
    record.clear_rank();
    row.detail = record.SerializeAsString();
  }
  return rows;
}

void Ingest(int64_t sessions) {
  const std::string folder = absl::StrCat("/tmp/mxtally_bench_", getpid());
  std::filesystem::create_directories(folder);
  const std::string bare_path = folder + "/bare.db";
  { Check(OpenStore({.url = "sqlite:" + bare_path}).status()); }
  BareInserts bare(bare_path);
  auto store = OpenStore({.url = absl::StrCat("sqlite:", folder, "/store.db")});
  Check(store.status());

  absl::PrintF("%12s %12s %12s %12s %12s %8s\n", "sessions", "store/s", "store cpu/s", "bare/s",
               "bare cpu/s", "ratio");
  RandomSessions random;
  double store_seconds = 0, store_cpu = 0, bare_seconds = 0, bare_cpu = 0;
  int64_t done = 0, reported = 0;
  const int64_t step = std::max<int64_t>(sessions / 10, kHosts * kBatchSessions);
  for (int round = 0; done < sessions; ++round) {
    const std::vector<v1::SessionBatch> batches = Backlog(round, random);
    for (int host = 0; host < kHosts; ++host) {
      const auto index = static_cast<size_t>(host);
      {
        const HostBatch batch = {.host = absl::StrCat("mx", host), .batch = &batches[index]};
        const Stopwatch watch;
        Check((*store)->Commit({&batch, 1}).status());
        store_seconds += watch.seconds();
        store_cpu += watch.cpu_seconds();
      }
      const std::vector<BareRow> rows = RowsOf(batches[index]);
      const Stopwatch watch;
      bare.Commit(host + 1, rows);
      bare_seconds += watch.seconds();
      bare_cpu += watch.cpu_seconds();
      done += kBatchSessions;
    }
    if (done - reported < step && done < sessions) continue;
    const auto count = static_cast<double>(done - reported);
    absl::PrintF("%12d %12.0f %12.0f %12.0f %12.0f %8.2f\n", done, count / store_seconds,
                 count / store_cpu, count / bare_seconds, count / bare_cpu,
                 bare_seconds / store_seconds);
    std::fflush(stdout);
    store_seconds = store_cpu = bare_seconds = bare_cpu = 0;
    reported = done;
  }
  for (const auto& [name, value] : (*store)->Gauges()) absl::PrintF("%s %.0f\n", name, value);
  std::filesystem::remove_all(folder);
}

constexpr int kFleetHosts = 1000;
constexpr int kFleetDays = 90;
constexpr int kSessionsPerHostDay = 48;
constexpr char kFleetStart[] = "2026-01-01T00:00:00Z";

// Some sessions of every host on every day, as different as a busy host's are;
// and the worst case of completeness, exceptions of each kind on every day.
void FillFleet(Store& store) {
  RandomSessions random;
  for (int first = 0; first < kFleetHosts; first += 20) {
    std::vector<v1::SessionBatch> batches(20);
    std::vector<HostBatch> host_batches;
    for (int i = 0; i < 20; ++i) {
      v1::SessionBatch& batch = batches[static_cast<size_t>(i)];
      batch.set_log("/var/log/mail.log");
      *batch.mutable_start() = CutAt(0, kFleetStart);
      *batch.mutable_end() = CutAt(1000, "2026-04-01T00:00:00Z");
      for (int n = 0; n < kFleetDays * kSessionsPerHostDay; ++n) {
        const absl::Time stamp = At(kFleetStart) + absl::Hours(24) / kSessionsPerHostDay * n;
        v1::SessionRecord& record = *batch.add_sessions();
        record = random.Next(stamp, n);
        if (random.Below(10) == 0) record.set_peer_class(v1::PEER_CLASS_LOOPBACK);
        if (random.Below(20) == 0) record.mutable_tls()->set_state(v1::TLS_STATE_FAILED);
        if (random.Below(3) == 0) {
          record.set_direction(v1::DIRECTION_OUTBOUND);
          record.set_service("smtp");
        }
      }
      HostBatch& host_batch = host_batches.emplace_back();
      host_batch.host = absl::StrCat("mx", first + i);
      host_batch.batch = &batch;
      for (int day = 0; day < kFleetDays; ++day) {
        const absl::Time hour = At(kFleetStart) + absl::Hours(24 * day + random.Below(24));
        v1::HourCounts& counts = *batch.add_counts();
        SetTime(hour, counts.mutable_hour());
        counts.mutable_lines()->set_read(1000);
        counts.mutable_lines()->set_unrecognized(1 + random.Below(3));
        host_batch.rejected.push_back({.hour = hour, .sessions = 1, .host = host_batch.host});
      }
    }
    Check(store.Commit(host_batches).status());
  }
}

template <typename Query>
void Measure(const std::string& name, const Query& query) {
  std::vector<double> milliseconds;
  double cpu_milliseconds = 1e9;
  std::string answer;
  for (int i = 0; i < 7; ++i) {
    const Stopwatch watch;
    answer = query();
    milliseconds.push_back(watch.seconds() * 1000);
    cpu_milliseconds = std::min(cpu_milliseconds, watch.cpu_seconds() * 1000);
  }
  const double first = milliseconds[0];
  std::sort(milliseconds.begin(), milliseconds.end());
  absl::PrintF("%-28s %8.1f %8.1f %8.1f  %s\n", name, first, milliseconds[3], cpu_milliseconds,
               answer);
}

void MeasureStats(const Store& store, const std::string& name, const StatsQuery& query) {
  Measure(name, [&] {
    const absl::StatusOr<StatsResult> result = store.QueryStats(query, {});
    Check(result.status());
    std::string tiers;
    for (const std::string& tier : result->tiers) absl::StrAppend(&tiers, " ", tier);
    return absl::StrCat(result->rows.size(), " rows from", tiers);
  });
}

void Query(const std::string& path) {
  const bool fill = !std::filesystem::exists(path);
  auto store = OpenStore({.url = "sqlite:" + path});
  Check(store.status());
  if (fill) FillFleet(**store);

  constexpr const char* kLabelNames[kLabelCount] = {
      "direction", "service",   "peer_class", "tls_state", "evidence", "protocol",
      "cipher",    "kex_group", "signature",  "trust",     "handshake"};
  absl::PrintF("%-28s %8s %8s %8s\n", "90 days, by", "first ms", "median", "cpu ms");
  StatsQuery query;
  query.start = At(kFleetStart);
  query.end = query.start + absl::Hours(24) * kFleetDays;
  query.filter.peer_classes = {v1::PEER_CLASS_EXTERNAL};
  MeasureStats(**store, "nothing", query);
  for (size_t i = 0; i < kLabelCount; ++i) {
    query.group_by.reset();
    query.group_by.set(i);
    MeasureStats(**store, kLabelNames[i], query);
  }
  query.group_by.set();
  MeasureStats(**store, "all labels", query);
  query.group_by.reset();
  query.bucket = absl::Hours(24);
  MeasureStats(**store, "day", query);
  query.bucket = absl::Hours(1);
  MeasureStats(**store, "hour", query);
  query.bucket = absl::ZeroDuration();
  query.group_by_host = true;
  MeasureStats(**store, "host", query);
  query.group_by.set(static_cast<size_t>(Label::kService));
  MeasureStats(**store, "host, service", query);
  query.group_by.set(static_cast<size_t>(Label::kCipher));
  MeasureStats(**store, "host, service, cipher", query);
  query.group_by.reset();
  query.start += absl::Hours(7);
  query.end -= absl::Hours(5);
  MeasureStats(**store, "host, odd hours", query);
  query.end = At(kFleetStart) + absl::Hours(24) * kFleetDays;
  query.start = query.end - absl::Hours(24);
  MeasureStats(**store, "host, last day", query);
  query.group_by_host = false;
  query.hosts = {"mx1", "mx17"};
  query.group_by.set(static_cast<size_t>(Label::kCipher));
  query.start = At(kFleetStart);
  MeasureStats(**store, "cipher, of two hosts", query);
  Measure("completeness of 90 days", [&] {
    const auto coverage = (*store)->QueryCoverage({}, query.start, query.end, {});
    Check(coverage.status());
    return absl::StrCat(coverage->size(), " hosts");
  });
  Measure("inventory", [&] {
    const auto hosts = (*store)->ListHosts({}, {});
    Check(hosts.status());
    return absl::StrCat(hosts->size(), " hosts");
  });
}

}  // namespace
}  // namespace mxtally

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "ingest" && argc == 3) {
    mxtally::Ingest(std::atoll(argv[2]));
    return 0;
  }
  if (mode == "query" && argc == 3) {
    mxtally::Query(argv[2]);
    return 0;
  }
  absl::FPrintF(stderr, "usage: sqlite_bench ingest SESSIONS | query FILE\n");
  return 2;
}
