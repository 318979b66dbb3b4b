// Makes the rows of an answer from what the store counted.  Pure.

#ifndef MXTALLY_SERVER_STATS_ROWS_H_
#define MXTALLY_SERVER_STATS_ROWS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "mxtally/v1/stats.pb.h"
#include "server/stats/request.h"
#include "storage/store.h"

namespace mxtally {

// Sessions by TLS state, and messages.
struct Counts {
  int64_t sessions = 0;
  int64_t tls = 0;
  int64_t plaintext = 0;
  int64_t failed = 0;
  int64_t unknown = 0;
  int64_t messages = 0;
  int64_t tls_messages = 0;
  int64_t unknown_messages = 0;

  void Add(int tls_state, const Measures& measures);
  Counts& operator+=(const Counts& other);

  // nullopt when nothing is known.
  std::optional<double> TlsShare() const;
  std::optional<double> MessageTlsShare() const;
};

struct Row {
  std::string host;
  absl::Time bucket;
  Labels labels;  // Only the grouped ones.
  Counts counts;
};

// One name for each cipher suite of an answer, whatever it is called in the
// logs: OpenSSL, GnuTLS and the registry spell the same suite differently.
class SuiteNames {
 public:
  // Learns from all rows before the first Unify.
  void Learn(const Labels& labels, int64_t sessions);

  // Replaces the spelling by the most common one.  A spelling whose suite an
  // older agent did not know takes the suite that another row has for it.
  void Unify(Labels& labels) const;

 private:
  struct Spelling {
    int64_t sessions = 0;
    std::string iana;
  };
  // By code point; spellings in order, so that the first of equals wins.
  absl::flat_hash_map<uint32_t, std::map<std::string, Spelling>> spellings_;
  absl::flat_hash_map<std::string, uint32_t> suite_of_;
};

// Folds what the pieces of `question` found: TLS states into counts, spellings
// of one suite into one, parts of one local day into one.  `results` has one
// for each piece.
std::vector<Row> FoldRows(const TlsStatsQuestion& question,
                          const std::vector<StatsResult>& results);

Counts TotalOf(const std::vector<Row>& rows);

// Puts the first `count` rows in the order asked for: `order_by`, then bucket,
// most sessions first, labels.  A share that is absent comes last either way.
// The others follow in no order.
void OrderRows(const std::vector<OrderKey>& order_by, size_t count, std::vector<Row>& rows);

void SetCounts(const Counts& counts, v1::TlsStatsRow& out);
v1::TlsStatsRow RowMessage(const Row& row, const StatsQuery& query);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_STATS_ROWS_H_
