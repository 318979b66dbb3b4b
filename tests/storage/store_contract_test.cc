// What storage/store.h promises, for every backend.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/storage/store_fixture.h"

namespace mxtally {
namespace {

using testing::Pair;

class StoreContractTest : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(Backends, StoreContractTest, testing::ValuesIn(Backends()),
                         [](const auto& info) { return info.param.name; });

Measures Counts(int64_t sessions, int64_t messages, int64_t tls_messages) {
  return {.sessions = sessions, .messages = messages, .tls_messages = tls_messages};
}

LabelSet By(std::initializer_list<Label> labels) {
  LabelSet set;
  for (Label label : labels) set.set(static_cast<size_t>(label));
  return set;
}

// --- Identity of the database ---

TEST_P(StoreContractTest, DatabaseIdStaysAndDiffersBetweenDatabases) {
  const std::string id = store_->database_id();
  EXPECT_EQ(id.size(), 32u);
  Reopen();
  EXPECT_EQ(store_->database_id(), id);
  options_.url = GetParam().new_url();
  Reopen();
  EXPECT_NE(store_->database_id(), id);
}

// --- Sessions by key ---

TEST_P(StoreContractTest, NewSessionIsCounted) {
  const BatchOutcome outcome = CommitSessions({{.messages = 2}});
  EXPECT_EQ(outcome.inserted, 1);
  EXPECT_EQ(Counted(), Counts(1, 2, 2));
}

TEST_P(StoreContractTest, MessagesOfPlaintextSessionsAreNotTlsMessages) {
  CommitSessions({{.tls_state = v1::TLS_STATE_PLAINTEXT, .messages = 3}});
  EXPECT_EQ(Counted(), Counts(1, 3, 0));
}

TEST_P(StoreContractTest, SecondCopyChangesNothing) {
  CommitSessions({{}});
  const BatchOutcome outcome = CommitSessions({{}});
  EXPECT_EQ(outcome.inserted, 0);
  EXPECT_EQ(outcome.duplicates, 1);
  EXPECT_EQ(Counted(), Counts(1, 1, 1));
}

TEST_P(StoreContractTest, SecondCopyWithinABatchChangesNothing) {
  const BatchOutcome outcome = CommitSessions({{}, {}});
  EXPECT_EQ(outcome.inserted, 1);
  EXPECT_EQ(outcome.duplicates, 1);
  EXPECT_EQ(Counted(), Counts(1, 1, 1));
}

TEST_P(StoreContractTest, EveryPartOfTheKeyTellsSessionsApart) {
  CommitSessions({{}});
  CommitSessions({{.stamp = "2026-11-02T10:00:00.000000001Z"}});
  CommitSessions({{.tag = "postfix/smtpd[2]"}});
  CommitSessions({{.ordinal = 1}});
  CommitSessions({{}}, "mx2");
  v1::SessionBatch batch = FirstBatch(CutAt(99000, "2026-11-02T10:00:00Z"), {{}});
  batch.mutable_sessions(0)->mutable_key()->set_key_version(2);
  Commit(batch);
  EXPECT_EQ(Counted().sessions, 6);
}

TEST_P(StoreContractTest, HigherRankReplacesAndMovesTheRollups) {
  CommitSessions({{.lines_used = 3, .tls_state = v1::TLS_STATE_UNKNOWN, .messages = 1}});
  const BatchOutcome outcome = CommitSessions({{.lines_used = 4, .messages = 5}});
  EXPECT_EQ(outcome.replaced, 1);
  EXPECT_EQ(Counted(), Counts(1, 5, 5));
  const StatsResult result = Query(Always());
  ASSERT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.rows[0].labels.tls_state, v1::TLS_STATE_ESTABLISHED);
}

TEST_P(StoreContractTest, ReplacementWithinOneTransactionMovesTheRollups) {
  const BatchOutcome outcome = CommitSessions(
      {{.lines_used = 3, .tls_state = v1::TLS_STATE_UNKNOWN}, {.lines_used = 4, .messages = 5}});
  EXPECT_EQ(outcome.inserted, 1);
  EXPECT_EQ(outcome.replaced, 1);
  EXPECT_EQ(Counted(), Counts(1, 5, 5));
}

TEST_P(StoreContractTest, NewerParserOutranksMoreLines) {
  CommitSessions({{.parser_version = 1, .lines_used = 100, .messages = 1}});
  CommitSessions({{.parser_version = 2, .lines_used = 1, .messages = 2}});
  EXPECT_EQ(Counted().messages, 2);
}

TEST_P(StoreContractTest, HighestParserVersionIsHighest) {
  CommitSessions({{.parser_version = 1, .messages = 1}});
  CommitSessions({{.parser_version = 0xffffffff, .messages = 2}});
  CommitSessions({{.parser_version = 2, .messages = 3}});
  EXPECT_EQ(Counted().messages, 2);
}

TEST_P(StoreContractTest, LowerRankIsADuplicate) {
  CommitSessions({{.lines_used = 4, .messages = 5}});
  const BatchOutcome outcome = CommitSessions({{.lines_used = 3, .messages = 1}});
  EXPECT_EQ(outcome.duplicates, 1);
  EXPECT_EQ(Counted().messages, 5);
}

TEST_P(StoreContractTest, SameRankWithOtherFactsIsAConflictAndTheFirstIsKept) {
  CommitSessions({{.messages = 1}});
  const BatchOutcome outcome = CommitSessions({{.messages = 2}});
  EXPECT_EQ(outcome.key_conflicts, 1);
  EXPECT_EQ(outcome.duplicates, 0);
  EXPECT_EQ(Counted().messages, 1);
  const HostCoverage hour = Coverage("2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z");
  EXPECT_EQ(hour.exceptions.key_conflicts(), 1);
  EXPECT_EQ(Coverage("2026-11-02T11:00:00Z", "2026-11-02T12:00:00Z").exceptions.key_conflicts(), 0);
  EXPECT_EQ(Host().exceptions().key_conflicts(), 1);
}

TEST_P(StoreContractTest, FactsThatNoRollupShowsConflictToo) {
  CommitSessions({{.helo = "a"}});
  EXPECT_EQ(CommitSessions({{.helo = "b"}}).key_conflicts, 1);
}

TEST_P(StoreContractTest, ConflictThatComesAgainIsCountedOnce) {
  CommitSessions({{.messages = 1}});
  CommitSessions({{.messages = 2}});
  EXPECT_EQ(CommitSessions({{.messages = 2}}).key_conflicts, 1);
  EXPECT_EQ(Host().exceptions().key_conflicts(), 1);
  Counted();
}

TEST_P(StoreContractTest, BetterRecordEndsAConflict) {
  CommitSessions({{.messages = 1}});
  CommitSessions({{.messages = 2}});
  CommitSessions({{.lines_used = 9, .messages = 3}});
  EXPECT_EQ(Host().exceptions().key_conflicts(), 0);
  EXPECT_EQ(Counted().messages, 3);
}

// --- The same session with more or less told of its peer ---

// One session, as hosts send it that mask peers.
v1::SessionBatch BatchOf(int64_t offset, v1::PeerDetail detail, const std::string& peer,
                         SessionSpec spec = {}) {
  v1::SessionBatch batch = FirstBatch(CutAt(offset, "2026-11-02T10:00:00Z"), {std::move(spec)});
  v1::SessionRecord& record = *batch.mutable_sessions(0);
  record.set_peer_detail(detail);
  record.mutable_peer()->Clear();
  record.mutable_peer()->set_address(peer);
  if (detail == v1::PEER_DETAIL_NONE) record.clear_peer();
  if (detail != v1::PEER_DETAIL_UNSPECIFIED) return batch;
  record.mutable_tls()->set_sni("mx.example.org");
  record.mutable_tls()->set_failure_reason("error: mx.example.org");
  record.set_original_queue_id("4A1B2C3D");
  return batch;
}

TEST_P(StoreContractTest, OtherPeerDetailIsADuplicateAndTheFirstIsKept) {
  const v1::SessionBatch ways[] = {
      BatchOf(1, v1::PEER_DETAIL_UNSPECIFIED, "192.0.2.1"),
      BatchOf(2, v1::PEER_DETAIL_PREFIX, "192.0.2.0/24"),
      BatchOf(3, v1::PEER_DETAIL_HMAC, "2026q3:0123"),
      BatchOf(4, v1::PEER_DETAIL_HMAC, "2026q4:4567"),
      BatchOf(5, v1::PEER_DETAIL_NONE, ""),
  };
  Commit(ways[0]);
  const Measures first = Counted();
  for (const v1::SessionBatch& way : ways) {
    const BatchOutcome outcome = Commit(way);
    EXPECT_EQ(outcome.duplicates, 1) << way.ShortDebugString();
    EXPECT_EQ(outcome.key_conflicts, 0) << way.ShortDebugString();
  }
  EXPECT_EQ(Host().exceptions().key_conflicts(), 0);
  EXPECT_EQ(Counted(), first);
}

TEST_P(StoreContractTest, OtherFactsConflictWithAnyPeerDetail) {
  Commit(BatchOf(1, v1::PEER_DETAIL_UNSPECIFIED, "192.0.2.1"));
  for (const v1::PeerDetail detail :
       {v1::PEER_DETAIL_PREFIX, v1::PEER_DETAIL_HMAC, v1::PEER_DETAIL_NONE}) {
    EXPECT_EQ(Commit(BatchOf(2, detail, "x", {.messages = 7})).key_conflicts, 1);
  }
}

TEST_P(StoreContractTest, OtherPeersConflictWhereTheyCanBeCompared) {
  Commit(BatchOf(1, v1::PEER_DETAIL_PREFIX, "192.0.2.0/24", {.ordinal = 1}));
  EXPECT_EQ(
      Commit(BatchOf(2, v1::PEER_DETAIL_PREFIX, "198.51.100.0/24", {.ordinal = 1})).key_conflicts,
      1);
  Commit(BatchOf(3, v1::PEER_DETAIL_HMAC, "2026q3:0123", {.ordinal = 2}));
  EXPECT_EQ(Commit(BatchOf(4, v1::PEER_DETAIL_HMAC, "2026q3:4567", {.ordinal = 2})).key_conflicts,
            1);
}

TEST_P(StoreContractTest, BetterRecordBringsItsPeerDetail) {
  Commit(BatchOf(1, v1::PEER_DETAIL_UNSPECIFIED, "192.0.2.1", {.lines_used = 3}));
  EXPECT_EQ(Commit(BatchOf(2, v1::PEER_DETAIL_NONE, "", {.lines_used = 4})).replaced, 1);
  EXPECT_EQ(Commit(BatchOf(3, v1::PEER_DETAIL_NONE, "", {.lines_used = 4})).duplicates, 1);
  // A record of nobody is what is there now, and another one is no conflict with it.
  EXPECT_EQ(
      Commit(BatchOf(4, v1::PEER_DETAIL_UNSPECIFIED, "192.0.2.9", {.lines_used = 4})).key_conflicts,
      0);
}

TEST_P(StoreContractTest, UncertainRecordWithOtherPeerDetailIsFoundUnderAnotherOrdinal) {
  CommitSessions({{.ordinal = 0, .messages = 1}});
  Commit(BatchOf(2, v1::PEER_DETAIL_UNSPECIFIED, "192.0.2.1", {.ordinal = 1, .messages = 2}));
  const SessionSpec again = {.ordinal = 0, .lines_used = 0, .messages = 2};
  EXPECT_EQ(Commit(BatchOf(3, v1::PEER_DETAIL_NONE, "", again)).duplicates, 1);
  const SessionSpec other = {.ordinal = 0, .lines_used = 0, .messages = 3};
  EXPECT_EQ(Commit(BatchOf(4, v1::PEER_DETAIL_NONE, "", other)).key_conflicts, 1);
}

TEST_P(StoreContractTest, UncertainRecordNeverReplaces) {
  CommitSessions({{.parser_version = 1, .lines_used = 3, .messages = 1}});
  const BatchOutcome outcome =
      CommitSessions({{.parser_version = 2, .lines_used = 0, .messages = 2}});
  EXPECT_EQ(outcome.replaced, 0);
  EXPECT_EQ(Counted().messages, 1);
}

TEST_P(StoreContractTest, UncertainRecordWithTheFactsOfItsKeyIsADuplicate) {
  CommitSessions({{.lines_used = 3}});
  EXPECT_EQ(CommitSessions({{.lines_used = 0}}).duplicates, 1);
  CommitSessions({{.ordinal = 1, .lines_used = 0}});
  EXPECT_EQ(CommitSessions({{.ordinal = 1, .lines_used = 0}}).duplicates, 1);
  EXPECT_EQ(Host().exceptions().key_conflicts(), 0);
}

// The reading began between the two: its first session is the second one.
TEST_P(StoreContractTest, UncertainRecordWithTheFactsOfAnotherOrdinalIsADuplicate) {
  CommitSessions({{.ordinal = 0, .messages = 1}, {.ordinal = 1, .messages = 2}});
  const BatchOutcome outcome = CommitSessions({{.ordinal = 0, .lines_used = 0, .messages = 2}});
  EXPECT_EQ(outcome.duplicates, 1);
  EXPECT_EQ(outcome.key_conflicts, 0);
  EXPECT_EQ(Host().exceptions().key_conflicts(), 0);
}

TEST_P(StoreContractTest, UncertainRecordWhoseKeyIsTakenIsAConflictAndCountedOnce) {
  CommitSessions({{.messages = 1}});
  const SessionSpec lost = {.lines_used = 0, .messages = 2};
  const BatchOutcome outcome = CommitSessions({lost});
  EXPECT_EQ(outcome.duplicates, 0);
  EXPECT_EQ(outcome.key_conflicts, 1);
  EXPECT_EQ(CommitSessions({lost}).key_conflicts, 1);
  EXPECT_EQ(Counted(), Counts(1, 1, 1));
  EXPECT_EQ(Host().exceptions().key_conflicts(), 1);
  const HostCoverage hour = Coverage("2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z");
  EXPECT_EQ(hour.exceptions.key_conflicts(), 1);
}

TEST_P(StoreContractTest, TwoUncertainRecordsOfOneKeyAreAConflict) {
  CommitSessions({{.lines_used = 0, .messages = 1}});
  EXPECT_EQ(CommitSessions({{.lines_used = 0, .messages = 2}}).key_conflicts, 1);
}

TEST_P(StoreContractTest, SameFactsOfAnotherTagStampOrHostAreNoDuplicates) {
  CommitSessions({{.messages = 1},
                  {.tag = "postfix/smtpd[2]", .messages = 2},
                  {.stamp = "2026-11-02T10:00:01Z", .messages = 2}});
  CommitSessions({{.messages = 2}}, "mx2");
  EXPECT_EQ(CommitSessions({{.lines_used = 0, .messages = 2}}).key_conflicts, 1);
}

TEST_P(StoreContractTest, CertainRecordReplacesAnUncertainOne) {
  CommitSessions({{.lines_used = 0, .messages = 1}});
  EXPECT_EQ(CommitSessions({{.lines_used = 2, .messages = 2}}).replaced, 1);
  EXPECT_EQ(Counted().messages, 2);
}

// How a record came makes no difference: as message alone, serialized as well,
// or serialized by somebody who writes its fields backwards.
TEST_P(StoreContractTest, SerializedRecordsAreTheSameSessions) {
  v1::SessionBatch batch = FirstBatch(CutAt(10, "2026-11-02T10:00:00Z"), {{}});
  v1::SessionRecord facts = batch.sessions(0);
  v1::SessionRecord key;
  *key.mutable_key() = facts.key();
  *key.mutable_rank() = facts.rank();
  facts.clear_key();
  facts.clear_rank();
  for (const std::string& bytes : {batch.sessions(0).SerializeAsString(), std::string(),
                                   facts.SerializeAsString() + key.SerializeAsString()}) {
    const std::vector<std::string_view> serialized = {bytes};
    HostBatch host_batch = {.host = "mx1", .batch = &batch};
    if (!bytes.empty()) host_batch.serialized = serialized;
    const BatchOutcome outcome = Commit(host_batch);
    EXPECT_EQ(outcome.inserted + outcome.duplicates, 1);
  }
  EXPECT_EQ(Counted(), Counts(1, 1, 1));
  // Other facts are seen in every form too.
  batch.mutable_sessions(0)->set_messages(7);
  const std::string bytes = batch.sessions(0).SerializeAsString();
  const std::vector<std::string_view> serialized = {bytes};
  EXPECT_EQ(
      Commit(HostBatch{.host = "mx1", .batch = &batch, .serialized = serialized}).key_conflicts, 1);
}

TEST_P(StoreContractTest, UnknownEnumValuesAreStoredAsTheyCame) {
  CommitSessions({{.peer_class = static_cast<v1::PeerClass>(77)}});
  StatsQuery query = Always();
  query.group_by = By({Label::kPeerClass});
  EXPECT_EQ(Query(query).rows.at(0).labels.peer_class, 77);
}

// --- Transactions ---

TEST_P(StoreContractTest, BatchesOfSeveralHostsCommitTogether) {
  const v1::SessionBatch batch = FirstBatch(CutAt(10, "2026-11-02T10:00:00Z"), {{}});
  const std::vector<HostBatch> batches = {{.host = "mx1", .batch = &batch},
                                          {.host = "mx2", .batch = &batch}};
  const auto outcomes = store_->Commit(batches);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  ASSERT_EQ(outcomes->size(), 2u);
  EXPECT_EQ(outcomes->at(0).inserted, 1);
  EXPECT_EQ(outcomes->at(1).inserted, 1);
  EXPECT_EQ(Counted().sessions, 2);
}

TEST_P(StoreContractTest, CommittedSessionsAreThereAfterReopening) {
  CommitSessions({{}});
  Reopen();
  EXPECT_EQ(CommitSessions({{}}).duplicates, 1);
  EXPECT_EQ(Counted().sessions, 1);
}

TEST_P(StoreContractTest, HostNamesDifferNotByCase) {
  CommitSessions({{}}, "MX1");
  EXPECT_EQ(CommitSessions({{}}, "mx1").duplicates, 1);
  StatsQuery query = Always();
  query.hosts = {"Mx1"};
  EXPECT_EQ(Total(Query(query)).sessions, 1);
  EXPECT_EQ(Cuts("mX1").size(), 1u);
}

// --- Label sets per hour ---

TEST_P(StoreContractTest, TailOfLabelsFoldsIntoOther) {
  options_.labels_per_hour_max = 2;
  Reopen();
  const BatchOutcome outcome = CommitSessions({{.ordinal = 0, .cipher = "A"},
                                               {.ordinal = 1, .cipher = "B"},
                                               {.ordinal = 2, .cipher = "C"},
                                               {.ordinal = 3, .cipher = "A"},
                                               {.ordinal = 4, .cipher = "D"}});
  EXPECT_EQ(outcome.inserted, 5);
  EXPECT_EQ(outcome.folded, 2);
  StatsQuery query = Always();
  query.group_by = By({Label::kCipher, Label::kService});
  std::vector<std::pair<std::string, int64_t>> ciphers;
  for (const StatsRow& row : Query(query).rows) {
    ciphers.emplace_back(absl::StrCat(row.labels.service, " ", row.labels.cipher),
                         row.measures.sessions);
  }
  EXPECT_THAT(ciphers, testing::UnorderedElementsAre(Pair("smtpd A", 2), Pair("smtpd B", 1),
                                                     Pair("other other", 2)));
  EXPECT_EQ(Counted().sessions, 5);
  EXPECT_EQ(Host().exceptions().folded_sessions(), 2);
}

TEST_P(StoreContractTest, FoldingRemembersHoursAcrossReopening) {
  options_.labels_per_hour_max = 1;
  Reopen();
  CommitSessions({{.ordinal = 0, .cipher = "A"}});
  Reopen();
  EXPECT_EQ(CommitSessions({{.ordinal = 1, .cipher = "B"}}).folded, 1);
  EXPECT_EQ(CommitSessions({{.ordinal = 2, .cipher = "A"}}).folded, 0);
}

TEST_P(StoreContractTest, FoldingIsPerHostAndHour) {
  options_.labels_per_hour_max = 1;
  Reopen();
  CommitSessions({{.cipher = "A"}});
  EXPECT_EQ(CommitSessions({{.stamp = "2026-11-02T11:00:00Z", .cipher = "B"}}).folded, 0);
  EXPECT_EQ(CommitSessions({{.cipher = "C"}}, "mx2").folded, 0);
}

TEST_P(StoreContractTest, NewLabelsFoldWhenTheDatabaseHasTooMany) {
  options_.label_sets_max = 4;
  Reopen();
  std::vector<int64_t> folded;
  for (int hour = 10; hour < 18; ++hour) {
    folded.push_back(CommitSessions({{.stamp = absl::StrCat("2026-11-02T", hour, ":00:00Z"),
                                      .cipher = absl::StrCat("cipher ", hour)}})
                         .folded);
  }
  EXPECT_EQ(folded.front(), 0);
  EXPECT_EQ(folded.back(), 1);
  Reopen();
  EXPECT_EQ(CommitSessions({{.stamp = "2026-11-02T20:00:00Z", .cipher = "new"}}).folded, 1);
  EXPECT_EQ(CommitSessions({{.stamp = "2026-11-02T20:00:01Z", .cipher = "cipher 10"}}).folded, 0);
  EXPECT_EQ(Counted().sessions, 10);
}

TEST_P(StoreContractTest, ReplacingAFoldedSessionSubtractsFromOther) {
  options_.labels_per_hour_max = 1;
  Reopen();
  CommitSessions({{.ordinal = 0, .cipher = "A"}, {.ordinal = 1, .cipher = "B", .messages = 3}});
  const BatchOutcome outcome =
      CommitSessions({{.ordinal = 1, .lines_used = 9, .cipher = "A", .messages = 4}});
  EXPECT_EQ(outcome.replaced, 1);
  StatsQuery query = Always();
  query.group_by = By({Label::kCipher});
  const StatsResult result = Query(query);
  ASSERT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.rows[0].labels.cipher, "A");
  EXPECT_EQ(Counted(), Counts(2, 5, 5));
  EXPECT_EQ(Host().exceptions().folded_sessions(), 0);
}

TEST_P(StoreContractTest, ReplacementMakesRoomInItsHour) {
  options_.labels_per_hour_max = 1;
  Reopen();
  CommitSessions({{.cipher = "A"}});
  EXPECT_EQ(CommitSessions({{.lines_used = 9, .cipher = "B"}}).folded, 0);
}

TEST_P(StoreContractTest, UnknownNumbersFoldToo) {
  options_.labels_per_hour_max = 1;
  Reopen();
  CommitSessions({{}});
  CommitSessions({{.ordinal = 1, .peer_class = static_cast<v1::PeerClass>(77)},
                  {.ordinal = 2, .peer_class = static_cast<v1::PeerClass>(78)}});
  EXPECT_EQ(Query(Always()).rows.size(), 1u);
  StatsQuery query = Always();
  query.group_by = By({Label::kPeerClass});
  EXPECT_EQ(Query(query).rows.size(), 2u);
}

}  // namespace
}  // namespace mxtally
