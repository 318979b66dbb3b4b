// Thousands of random batches against a plain model in memory: the same
// sessions must be kept and every query must count them the same.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

// Host, stamp, tag, ordinal, key version.
using Key = std::tuple<std::string, absl::Time, std::string, uint32_t, uint32_t>;

// What a store should be, slowly.
class Model {
 public:
  explicit Model(int labels_per_hour_max) : labels_per_hour_max_(labels_per_hour_max) {}

  void Put(const std::string& host, const v1::SessionRecord& record, BatchOutcome& outcome) {
    const v1::SessionKey& k = record.key();
    const Key key = {host, StampOf(record), k.tag(), k.ordinal(), k.key_version()};
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) {
      ++outcome.inserted;
      Add(host, key, record, outcome);
      return;
    }
    const auto rank = [](const v1::SessionRecord& r) {
      return std::pair(r.rank().parser_version(), r.rank().lines_used());
    };
    const v1::SessionRecord& old = found->second.record;
    const bool certain = record.rank().lines_used() > 0;
    if (certain && rank(record) > rank(old)) {
      ++outcome.replaced;
      sessions_.erase(found);
      Add(host, key, record, outcome);
    } else if (FactsOf(old) == FactsOf(record) || (certain && rank(record) < rank(old)) ||
               (!certain && KnowsFacts(key, record))) {
      ++outcome.duplicates;
    } else {
      ++outcome.key_conflicts;
      found->second.conflict = true;
    }
  }

  // Rows as QueryStats should return them.
  std::map<std::tuple<std::string, absl::Time, std::string>, Measures> Query(
      const StatsQuery& query) const;

  int64_t Count(bool folded) const {
    return std::count_if(sessions_.begin(), sessions_.end(), [folded](const auto& entry) {
      return folded ? entry.second.folded : entry.second.conflict;
    });
  }

  static absl::Time StampOf(const v1::SessionRecord& record) {
    return absl::FromUnixSeconds(record.key().stamp().seconds()) +
           absl::Nanoseconds(record.key().stamp().nanos());
  }

 private:
  struct Stored {
    v1::SessionRecord record;
    Labels labels;
    bool folded = false;
    bool conflict = false;
  };

  static std::string FactsOf(v1::SessionRecord record) {
    record.clear_key();
    record.clear_rank();
    return record.SerializeAsString();
  }

  // Whether a session has these facts and this key but for the ordinal.
  bool KnowsFacts(Key key, const v1::SessionRecord& record) const {
    return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
      std::get<3>(key) = std::get<3>(entry.first);
      return entry.first == key && FactsOf(entry.second.record) == FactsOf(record);
    });
  }

  void Add(const std::string& host, const Key& key, const v1::SessionRecord& record,
           BatchOutcome& outcome) {
    std::vector<Labels> of_hour;
    for (const auto& [other, stored] : sessions_) {
      if (std::get<0>(other) != host || HourOf(stored.record) != HourOf(record)) continue;
      if (std::find(of_hour.begin(), of_hour.end(), stored.labels) == of_hour.end()) {
        of_hour.push_back(stored.labels);
      }
    }
    Stored stored = {.record = record, .labels = LabelsOf(record)};
    const bool known = std::find(of_hour.begin(), of_hour.end(), stored.labels) != of_hour.end();
    if (!known && static_cast<int>(of_hour.size()) >= labels_per_hour_max_) {
      stored.labels = Folded(stored.labels);
      stored.folded = true;
      ++outcome.folded;
    }
    sessions_[key] = stored;
  }

  const int labels_per_hour_max_;
  std::map<Key, Stored> sessions_;
};

std::string Text(const Labels& l) {
  return absl::StrCat(absl::StrCat(l.direction, "|", l.service, "|", l.peer_class, "|", l.tls_state,
                                   "|", l.evidence, "|", l.protocol, "|", l.cipher),
                      absl::StrCat("|", l.cipher_iana, "|", l.cipher_code_point, "|", l.kex_group,
                                   "|", l.signature, "|", l.trust, "|", l.handshake));
}

std::map<std::tuple<std::string, absl::Time, std::string>, Measures> Model::Query(
    const StatsQuery& query) const {
  std::map<std::tuple<std::string, absl::Time, std::string>, Measures> rows;
  LabelSet kept = query.group_by;
  kept.set(static_cast<size_t>(Label::kTlsState));
  for (const auto& [key, stored] : sessions_) {
    const std::string& host = std::get<0>(key);
    const absl::Time stamp = std::get<1>(key);
    if (stamp < query.start || stamp >= query.end) continue;
    if (!query.hosts.empty() &&
        std::find(query.hosts.begin(), query.hosts.end(), host) == query.hosts.end()) {
      continue;
    }
    if (!query.filter.Matches(stored.labels)) continue;
    absl::Time bucket;
    if (query.bucket != absl::ZeroDuration()) {
      const absl::Duration local = stamp - absl::UnixEpoch() + query.bucket_offset;
      bucket = absl::UnixEpoch() + absl::Floor(local, query.bucket) - query.bucket_offset;
    }
    rows[{query.group_by_host ? host : "", bucket, Text(Projected(stored.labels, kept))}] +=
        MeasuresOf(stored.record);
  }
  return rows;
}

std::vector<v1::SessionRecord> InKeyOrder(const v1::SessionBatch& batch) {
  std::vector<v1::SessionRecord> records(batch.sessions().begin(), batch.sessions().end());
  const auto key_of = [](const v1::SessionRecord& record) {
    return std::tuple(Model::StampOf(record), record.key().tag(), record.key().ordinal());
  };
  std::stable_sort(records.begin(), records.end(),
                   [&](const auto& a, const auto& b) { return key_of(a) < key_of(b); });
  return records;
}

class StoreRandomTest : public StoreTest {
 protected:
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  bool OneIn(int n) { return Below(n) == 0; }
  template <typename T>
  T Pick(std::initializer_list<T> values) {
    return *(values.begin() + Below(static_cast<int>(values.size())));
  }
  std::string RandomHost() { return absl::StrCat("mx", Below(3)); }

  // Few keys, so that many records meet.
  v1::SessionRecord RandomRecord() {
    v1::SessionRecord record = Session({
        .tag = absl::StrCat("postfix/smtpd[", Below(2), "]"),
        .ordinal = static_cast<uint32_t>(Below(2)),
        .parser_version = static_cast<uint32_t>(1 + Below(2)),
        .lines_used = static_cast<uint32_t>(Below(4)),
        .direction = Pick({v1::DIRECTION_INBOUND, v1::DIRECTION_OUTBOUND}),
        .service = Pick<const char*>({"smtpd", "submission"}),
        .peer_class = Pick({v1::PEER_CLASS_EXTERNAL, v1::PEER_CLASS_LOOPBACK}),
        .tls_state = Pick({v1::TLS_STATE_ESTABLISHED, v1::TLS_STATE_PLAINTEXT, v1::TLS_STATE_FAILED,
                           v1::TLS_STATE_UNKNOWN}),
        .protocol = Pick<const char*>({"TLSv1.2", "TLSv1.3"}),
        .cipher = Pick<const char*>({"A", "B", "C", "D", ""}),
        .messages = Below(3),
    });
    record.mutable_key()->set_key_version(OneIn(10) ? 2 : 1);
    SetTime(At("2026-10-30T20:00:00Z") + absl::Minutes(200) * Below(100),
            record.mutable_key()->mutable_stamp());
    return record;
  }

  StatsQuery RandomQuery() {
    StatsQuery query;
    query.start = At("2026-10-30T20:00:00Z") + absl::Hours(Below(300) - 10);
    query.end = query.start + absl::Hours(Below(350));
    query.group_by = LabelSet(random_()) & LabelSet(random_());
    query.group_by_host = OneIn(3);
    for (int i = OneIn(3) ? 2 : 0; i > 0; --i) query.hosts.push_back(RandomHost());
    if (OneIn(3)) query.filter.services = {"smtpd"};
    if (OneIn(3)) query.filter.peer_classes = {v1::PEER_CLASS_EXTERNAL};
    if (OneIn(4)) query.filter.ciphers = {"A", "B"};
    if (OneIn(2)) query.bucket = absl::Hours(Pick({1, 6, 24, 48}));
    if (OneIn(3)) query.bucket_offset = absl::Hours(Below(27) - 12);
    return query;
  }

  // The same batches to both.
  void CommitRandomBatches(int batches, Model& model) {
    std::vector<v1::SessionBatch> sent(static_cast<size_t>(1 + Below(batches)));
    std::vector<HostBatch> host_batches;
    std::vector<BatchOutcome> expected;
    std::deque<std::string> bytes;
    std::deque<std::vector<std::string_view>> serialized;
    for (v1::SessionBatch& batch : sent) {
      offset_ += 1000;
      batch = FirstBatch(CutAt(offset_, "2026-11-02T10:00:00Z"));
      const std::string host = RandomHost();
      BatchOutcome& outcome = expected.emplace_back();
      for (int i = Below(20); i > 0; --i) *batch.add_sessions() = RandomRecord();
      for (const v1::SessionRecord& record : InKeyOrder(batch)) model.Put(host, record, outcome);
      // In one form or in both.
      std::vector<std::string_view>& views = serialized.emplace_back();
      if (OneIn(2)) {
        for (const v1::SessionRecord& record : batch.sessions()) {
          views.push_back(bytes.emplace_back(record.SerializeAsString()));
        }
      }
      host_batches.push_back({.host = host, .batch = &batch, .serialized = views});
    }
    const absl::StatusOr<std::vector<BatchOutcome>> outcomes = store_->Commit(host_batches);
    ASSERT_TRUE(outcomes.ok()) << outcomes.status();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(outcomes->at(i).inserted, expected[i].inserted);
      EXPECT_EQ(outcomes->at(i).replaced, expected[i].replaced);
      EXPECT_EQ(outcomes->at(i).duplicates, expected[i].duplicates);
      EXPECT_EQ(outcomes->at(i).key_conflicts, expected[i].key_conflicts);
      EXPECT_EQ(outcomes->at(i).folded, expected[i].folded);
    }
  }

  void ExpectSameAnswer(const StatsQuery& query, const Model& model) {
    std::map<std::tuple<std::string, absl::Time, std::string>, Measures> rows;
    for (const StatsRow& row : Query(query).rows) {
      rows[{row.host, row.bucket, Text(row.labels)}] += row.measures;
    }
    EXPECT_EQ(rows, model.Query(query));
  }

  std::mt19937 random_{20261102};
};
INSTANTIATE_TEST_SUITE_P(Backends, StoreRandomTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

TEST_P(StoreRandomTest, StoreAndModelAgree) {
  options_.labels_per_hour_max = 2;
  Reopen();
  Model model(options_.labels_per_hour_max);
  for (int round = 0; round < 25 && !HasFailure(); ++round) {
    for (int i = 0; i < 8; ++i) CommitRandomBatches(4, model);
    if (OneIn(4)) Reopen();
    for (int i = 0; i < 25; ++i) ExpectSameAnswer(RandomQuery(), model);
    Counted();
    int64_t folded = 0;
    int64_t conflicts = 0;
    const auto hosts = store_->ListHosts({}, {});
    ASSERT_TRUE(hosts.ok());
    for (const v1::Host& host : *hosts) {
      folded += host.exceptions().folded_sessions();
      conflicts += host.exceptions().key_conflicts();
    }
    EXPECT_EQ(folded, model.Count(/*folded=*/true));
    EXPECT_EQ(conflicts, model.Count(/*folded=*/false));
  }
}

}  // namespace
}  // namespace mxtally
