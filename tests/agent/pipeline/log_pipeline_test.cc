#include "agent/pipeline/log_pipeline.h"

#include <filesystem>

#include "proto/timestamps/timestamps.h"
#include "tests/agent/pipeline/pipeline_fixture.h"

namespace mxtally {
namespace {

using Batches = std::vector<v1::SessionBatch>;

bool SameCut(const v1::Cut& a, const v1::Cut& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

TEST_F(PipelineTest, FirstReadingHasNoStartAndIsCounted) {
  Session(10, 100);
  const Batches batches = OpenAndDeliver();
  ASSERT_EQ(batches.size(), 1);
  EXPECT_FALSE(batches[0].has_start());
  EXPECT_EQ(batches[0].end().offset(), std::filesystem::file_size(Path("mail.log")));
  EXPECT_EQ(GetTimestamp(batches[0].end().log_time()), At(11));
  EXPECT_EQ(GetTimestamp(batches[0].caught_up_time()), now_);
  EXPECT_EQ(batches[0].log(), Path("mail.log"));
  EXPECT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.total().read(), 2);
  EXPECT_EQ(server_.total().parsed(), 2);
  EXPECT_EQ(server_.total().bytes(), batches[0].end().offset());
  EXPECT_EQ(server_.total().sessions(), 1);
  EXPECT_EQ(server_.total().counter_lines(), 1);
}

TEST_F(PipelineTest, EachBatchBeginsWhereTheOneBeforeEnded) {
  Session(10, 100);
  Open();
  const Batches first = Deliver();
  Session(20, 100);
  const Batches second = Deliver();
  ASSERT_EQ(first.size(), 1);
  ASSERT_EQ(second.size(), 1);
  EXPECT_TRUE(SameCut(second[0].start(), first[0].end()));
  EXPECT_EQ(server_.total().read(), 4);
}

TEST_F(PipelineTest, NothingNewIsNoBatch) {
  Session(10, 100);
  OpenAndDeliver();
  EXPECT_EQ(Next(), std::nullopt);
  EXPECT_EQ(GetTimestamp(pipeline_->Status().caught_up_time()), now_);
  now_ += absl::Seconds(30);
  EXPECT_EQ(Next(), std::nullopt);
  EXPECT_EQ(GetTimestamp(pipeline_->Status().caught_up_time()), now_);
}

TEST_F(PipelineTest, FirstCaughtUpBatchComesThoughEmpty) {
  Session(10, 100);
  OpenAndDeliver();
  const v1::Cut stored = *server_.stored();
  const Batches again = OpenAndDeliver();
  ASSERT_EQ(again.size(), 1);
  EXPECT_TRUE(again[0].has_caught_up_time());
  EXPECT_EQ(again[0].counts_size(), 0);
  EXPECT_TRUE(SameCut(again[0].start(), stored));
  EXPECT_TRUE(SameCut(again[0].end(), stored));
}

TEST_F(PipelineTest, MissingLogIsNotCaughtUpUntilItAppears) {
  Open();
  EXPECT_TRUE(Deliver().empty());
  EXPECT_FALSE(pipeline_->Status().has_caught_up_time());
  Session(10, 100);
  EXPECT_EQ(Deliver().size(), 1);
  EXPECT_EQ(server_.sessions().size(), 1);
}

TEST_F(PipelineTest, LinesCountToTheirHour) {
  Session(10, 100);
  Session(3 * 3600, 100);
  Append("garbage without a stamp");
  OpenAndDeliver();
  ASSERT_EQ(server_.by_hour().size(), 2);
  EXPECT_EQ(server_.by_hour().begin()->first, absl::ToUnixSeconds(At(0)));
  EXPECT_EQ(server_.by_hour().rbegin()->first, absl::ToUnixSeconds(At(3 * 3600)));
  EXPECT_EQ(server_.by_hour().rbegin()->second.read(), 3);
  EXPECT_EQ(server_.by_hour().rbegin()->second.ignored(), 1);
}

TEST_F(PipelineTest, LinesBeforeAnyStampCountToTheFirstHour) {
  Append("garbage without a stamp");
  Session(10, 100);
  OpenAndDeliver();
  ASSERT_EQ(server_.by_hour().size(), 1);
  EXPECT_EQ(server_.by_hour().begin()->first, absl::ToUnixSeconds(At(0)));
  EXPECT_EQ(server_.total().read(), 3);
}

TEST_F(PipelineTest, OversizedLinesAreCounted) {
  options_.follower.line_bytes_max = 1000;
  Session(10, 100);
  Append(Line(20, std::string(5000, 'x')));
  Session(30, 100);
  OpenAndDeliver();
  EXPECT_EQ(server_.total().oversized(), 1);
  EXPECT_EQ(server_.total().read(), 5);
  EXPECT_EQ(server_.total().bytes(), std::filesystem::file_size(Path("mail.log")));
  EXPECT_EQ(server_.sessions().size(), 2);
}

TEST_F(PipelineTest, LinesOfOtherHostsAreCountedAndLeftOut) {
  Session(10, 100);
  Append(Line(12, "postfix/smtpd[7]: connect from b.example[192.0.2.2]", "mx2"));
  Append(Line(13, "postfix/smtpd[7]: disconnect from b.example[192.0.2.2]", "mx2"));
  Append(Line(14, "postfix/smtpd[8]: connect from b.example[192.0.2.2]", "MX1.example.org"));
  Append(Line(15, "postfix/smtpd[8]: disconnect from b.example[192.0.2.2]", "MX1.example.org"));
  OpenAndDeliver();
  EXPECT_EQ(server_.total().foreign_host(), 2);
  EXPECT_EQ(server_.total().ignored(), 2);
  EXPECT_EQ(server_.sessions().size(), 2);
}

TEST_F(PipelineTest, LinesThatALoggerLostAreCountedInTheirHour) {
  Append(Line(10, "rsyslogd: imjournal: 9337 messages lost due to rate-limiting (20000 allowed)"));
  Append(Line(3700, "systemd-journald[300]: Suppressed 12 messages from postfix@-.service"));
  Append(Line(3800,
              "postfix/smtpd[1]: warning: rsyslogd: imjournal: 5 messages lost due to "
              "rate-limiting"));
  const auto batches = OpenAndDeliver();
  EXPECT_EQ(server_.total().suppressed(), 9349);
  EXPECT_EQ(server_.total().read(), 3) << "what was lost was not read";
  ASSERT_EQ(batches[0].counts_size(), 2);
  EXPECT_EQ(batches[0].counts(0).lines().suppressed(), 9337);
  EXPECT_EQ(batches[0].counts(1).lines().suppressed(), 12);
}

TEST_F(PipelineTest, LinesOfTlsproxyDoNotSayThatSmtpdLogsTls) {
  Append(Line(10, "postfix/postscreen[7]: CONNECT from [192.0.2.1]:5 to [198.51.100.1]:25"));
  Append(Line(11, "postfix/tlsproxy[8]: CONNECT from [192.0.2.1]:5"));
  Append(Line(12, "postfix/postscreen[7]: DISCONNECT [192.0.2.1]:5"));
  OpenAndDeliver();
  EXPECT_EQ(server_.total().sessions(), 1);
  EXPECT_EQ(server_.total().tls_lines(), 0);
}

TEST_F(PipelineTest, OpensmtpdAndSendmailLogTlsWhetherOrNotAnybodyUsesIt) {
  Append(Line(10, "smtpd[9]: 9fcdefbc9afc45da smtp connected address=192.0.2.1 host=a.example"));
  Append(Line(11, "smtpd[9]: 9fcdefbc9afc45da smtp disconnected reason=quit"));
  OpenAndDeliver();
  EXPECT_EQ(server_.total().sessions(), 1);
  EXPECT_EQ(server_.total().tls_lines(), 1);
}

TEST_F(PipelineTest, SessionsOfWhichOnlyCountersTellTlsAreCounted) {
  const std::string peer = "a.example[192.0.2.1]";
  const auto connect = [&](int pid) {
    Append(Line(10, absl::StrCat("postfix/smtpd[", pid, "]: connect from ", peer)));
  };
  const auto disconnect = [&](int pid, const std::string& counters) {
    Append(Line(20, absl::StrCat("postfix/smtpd[", pid, "]: disconnect from ", peer, counters)));
  };
  for (const int pid : {1, 2, 3}) connect(pid);
  Append(Line(11, "postfix/smtpd[1]: Anonymous TLS connection established from " + peer +
                      ": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"));
  disconnect(1, " ehlo=2 starttls=1 quit=1 commands=4");
  disconnect(2, " ehlo=2 starttls=1 quit=1 commands=4");
  disconnect(3, " ehlo=1 quit=1 commands=2");
  OpenAndDeliver();
  EXPECT_EQ(server_.total().sessions(), 3);
  EXPECT_EQ(server_.total().tls_lines(), 1);
  EXPECT_EQ(server_.total().tls_unlogged_sessions(), 1);
}

TEST_F(PipelineTest, SessionsOfPostfixClientsThatLogNoTlsAreCounted) {
  const auto deliver = [this](int second, const std::string& program) {
    Append(Line(second, "postfix/" + program +
                            ": 4A1B2: to=<u@a.test>, relay=a.test[192.0.2.1]:25, delay=0.6, "
                            "delays=0.1/0.02/0.2/0.3, dsn=2.0.0, status=sent (250 Ok)"));
  };
  Append(Line(0,
              "postfix/smtp[8]: Untrusted TLS connection reused to a.test[192.0.2.1]:25: "
              "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"));
  deliver(10, "smtp[9]");
  deliver(11, "lmtp[9]");
  // Sessions end when they have rested.
  Append(Line(1000, "postfix/smtpd[1]: connect from a.example[192.0.2.1]"));
  OpenAndDeliver();
  EXPECT_EQ(server_.total().sessions(), 2);
  EXPECT_EQ(server_.total().outbound_tls_lines(), 1);
  EXPECT_EQ(server_.total().outbound_unlogged_sessions(), 1);
}

TEST_F(PipelineTest, SessionsThatEndInSilenceAreSentAfterTenMinutesAndReplacedWhenTheyGoOn) {
  const auto from = [this](int second, const std::string& id) {
    Append(Line(second, "sm-mta[01156]: " + id +
                            ": from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<x@mx1>, "
                            "proto=ESMTPS, daemon=MTA-v4, relay=[192.0.2.8]"));
  };
  const auto mark = [this](int second) { Append(Line(second, "cron[1]: x")); };
  mark(0);
  // Queue ids hold the time.
  from(1000, "6A10Gexx01156");
  mark(1700);
  OpenAndDeliver();
  ASSERT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.sessions().begin()->second.messages(), 1);
  EXPECT_EQ(server_.total().sessions(), 1);
  from(3000, "6A10o0xx01156");
  mark(3700);
  OpenAndDeliver();
  ASSERT_EQ(server_.sessions().size(), 1) << "one connection";
  EXPECT_EQ(server_.sessions().begin()->second.messages(), 2);
  mark(10'000);
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.total().evicted_sessions(), 0);
  EXPECT_EQ(server_.key_conflicts(), 0);
}

TEST_F(PipelineTest, ReadingOnceIsTold) {
  Session(10, 100);
  EXPECT_FALSE(OpenAndDeliver().back().once());
  Session(20, 100);
  options_.once = true;
  EXPECT_TRUE(OpenAndDeliver().back().once());
  EXPECT_TRUE(pipeline_->Status().once());
}

TEST_F(PipelineTest, FirstHeaderHostIsTheLogsOwnAlsoAfterARestart) {
  options_.assembler.host = "renamed.example.org";
  Session(10, 100);
  OpenAndDeliver();
  Session(20, 100);
  Append(Line(25, "cron[1]: hello", "other"));
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().foreign_host(), 1);
  EXPECT_EQ(server_.sessions().begin()->second.key().host(), "renamed.example.org");
}

TEST_F(PipelineTest, OpenSessionsGoOnAfterARestart) {
  Append(Line(5, "cron[1]: the first stamp of a reading is uncertain"));
  Connect(10, 100);
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 0);
  EXPECT_EQ(pipeline_->Status().open_sessions(), 1);
  EXPECT_EQ(GetTimestamp(pipeline_->Status().oldest_open_time()), At(10));
  Disconnect(20, 100);
  OpenAndDeliver();
  ASSERT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.sessions().begin()->second.rank().lines_used(), 2);
}

TEST_F(PipelineTest, MaskChangesNothingButThePeer) {
  const auto mask = PeerMask::Create(v1::PEER_DETAIL_NONE, {});
  ASSERT_TRUE(mask.ok()) << mask.status();
  Session(10, 1);
  const v1::SessionBatch told = OpenAndDeliver().at(0);
  checkpoint_.reset();
  server_ = CountingServer();
  options_.mask = mask->get();
  v1::SessionBatch masked = OpenAndDeliver().at(0);
  ASSERT_EQ(masked.sessions_size(), 1);
  EXPECT_FALSE(masked.sessions(0).has_peer());
  EXPECT_EQ(masked.sessions(0).peer_detail(), v1::PEER_DETAIL_NONE);
  *masked.mutable_sessions(0)->mutable_peer() = told.sessions(0).peer();
  masked.mutable_sessions(0)->clear_peer_detail();
  EXPECT_EQ(masked.DebugString(), told.DebugString());
}

// The mask is chosen anew with each start; what is on this host's disk is what its log says.
TEST_F(PipelineTest, OpenSessionsAreKeptWithoutTheMask) {
  const auto mask = PeerMask::Create(v1::PEER_DETAIL_NONE, {});
  ASSERT_TRUE(mask.ok()) << mask.status();
  options_.mask = mask->get();
  Connect(10, 1);
  OpenAndDeliver();
  ASSERT_EQ(checkpoint_->assembler().open_sessions_size(), 1);
  options_.mask = nullptr;
  Disconnect(11, 1);
  OpenAndDeliver();
  ASSERT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.sessions().begin()->second.peer().address(), "192.0.2.1");
}

// A name that is masked still decides whose session it was.
TEST_F(PipelineTest, PeerClassIsDecidedBeforeTheMask) {
  const auto mask = PeerMask::Create(v1::PEER_DETAIL_NONE, {});
  ASSERT_TRUE(mask.ok()) << mask.status();
  options_.mask = mask->get();
  const auto peers = PeerClassifier::Create({"192.0.2.1"});
  ASSERT_TRUE(peers.ok()) << peers.status();
  options_.assembler.peers = &*peers;
  Session(10, 1);
  OpenAndDeliver();
  ASSERT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.sessions().begin()->second.peer_class(), v1::PEER_CLASS_EXCLUDED);
}

TEST_F(PipelineTest, BatchesKeepTheirLimit) {
  options_.batch_bytes_max = 200 * 1024;
  for (int i = 0; i < 3000; ++i) Session(i, 100 + i);
  const Batches batches = OpenAndDeliver();
  EXPECT_GT(batches.size(), 2);
  for (const v1::SessionBatch& batch : batches) {
    EXPECT_LE(static_cast<int64_t>(batch.ByteSizeLong()), options_.batch_bytes_max);
  }
  EXPECT_EQ(server_.sessions().size(), 3000);
  EXPECT_EQ(server_.total().read(), 6000);
  EXPECT_EQ(server_.beginnings(), 1);
}

TEST_F(PipelineTest, OneLineThatEndsManySessionsMakesSeveralBatches) {
  options_.batch_bytes_max = 200 * 1024;
  for (int i = 0; i < 5000; ++i) Connect(10, 100 + i);
  Append(Line(20, "postfix/master[1]: terminating on signal 15"));
  const Batches batches = OpenAndDeliver();
  EXPECT_GT(batches.size(), 2);
  for (const v1::SessionBatch& batch : batches) {
    EXPECT_LE(static_cast<int64_t>(batch.ByteSizeLong()), options_.batch_bytes_max);
  }
  EXPECT_EQ(server_.sessions().size(), 5000);
  EXPECT_EQ(server_.total().read(), 5001);
  EXPECT_EQ(server_.beginnings(), 1);
}

TEST_F(PipelineTest, SparseLogKeepsTheBatchLimitToo) {
  options_.batch_bytes_max = 128 * 1024;
  for (int i = 0; i < 2000; ++i) Append(Line(i * 3600, "cron[1]: hourly"));
  for (const v1::SessionBatch& batch : OpenAndDeliver()) {
    EXPECT_LE(static_cast<int64_t>(batch.ByteSizeLong()), options_.batch_bytes_max);
  }
  EXPECT_EQ(server_.by_hour().size(), 2000);
  EXPECT_EQ(server_.total().read(), 2000);
}

TEST_F(PipelineTest, LogWithoutSessionsMovesItsCut) {
  options_.batch_log_bytes_max = 1000;
  for (int i = 0; i < 100; ++i) Append(Line(i, "cron[1]: nothing of interest"));
  EXPECT_GT(OpenAndDeliver().size(), 4);
  EXPECT_EQ(server_.total().read(), 100);
}

TEST_F(PipelineTest, SnapshotsAreTakenAtTheEndAndNowAndThen) {
  options_.batch_log_bytes_max = 1000;
  options_.snapshot_interval_min = absl::Seconds(1);
  for (int i = 0; i < 100; ++i) Append(Line(i, "cron[1]: nothing of interest"));
  Open();
  int batches = 0;
  int snapshots = 0;
  while (std::optional<PipelineBatch> batch = Next()) {
    ++batches;
    snapshots += batch->checkpoint.has_value();
    if (batch->batch.has_caught_up_time()) {
      EXPECT_TRUE(batch->checkpoint.has_value());
    }
  }
  EXPECT_GT(batches, 4);
  EXPECT_EQ(snapshots, 2);  // The first, and the one at the end: the clock stood still.
}

TEST_F(PipelineTest, SnapshotLeftOutAtTheEndComesWhenTheLogRests) {
  options_.end_snapshot_interval_min = absl::Seconds(5);
  Session(10, 100);
  Open();
  EXPECT_TRUE(Next()->checkpoint.has_value());
  now_ += absl::Seconds(1);
  Connect(20, 200);
  const std::optional<PipelineBatch> busy = Next();
  EXPECT_FALSE(busy->checkpoint.has_value());
  EXPECT_TRUE(busy->batch.has_caught_up_time());
  now_ += absl::Seconds(3);
  EXPECT_EQ(Next(), std::nullopt);

  now_ += absl::Seconds(1);
  const std::optional<PipelineBatch> rest = Next();
  ASSERT_TRUE(rest.has_value());
  EXPECT_TRUE(SameCut(rest->batch.start(), busy->batch.end()));
  EXPECT_TRUE(SameCut(rest->batch.end(), busy->batch.end()));
  EXPECT_EQ(rest->batch.counts_size(), 0);
  EXPECT_TRUE(rest->sessions.empty());
  ASSERT_TRUE(rest->checkpoint.has_value());
  EXPECT_TRUE(SameCut(rest->checkpoint->cut(), busy->batch.end()));
  EXPECT_EQ(rest->checkpoint->assembler().open_sessions_size(), 1);
  now_ += absl::Seconds(30);
  EXPECT_EQ(Next(), std::nullopt);  // Once.
}

// ---- Where to begin

TEST_F(PipelineTest, KilledBetweenAcknowledgementAndCheckpointGoesOnExactly) {
  options_.batch_log_bytes_max = 300;
  for (int i = 0; i < 10; ++i) Session(10 * i, 100);
  Open();
  checkpoint_ = Next()->checkpoint;  // Not committed: see below.
  Open();
  std::optional<PipelineBatch> first = Next();
  server_.Commit(first->Whole());
  checkpoint_ = first->checkpoint;
  for (int i = 0; i < 3; ++i) server_.Commit(Next()->Whole());  // No checkpoint of these.
  const v1::Cut stored = *server_.stored();

  Open();
  bool met = false;
  while (std::optional<PipelineBatch> batch = Next()) {
    const bool counted = server_.Commit(batch->Whole());
    EXPECT_EQ(counted, met);
    if (SameCut(batch->batch.end(), stored)) met = true;
  }
  EXPECT_TRUE(met);
  EXPECT_EQ(server_.total().read(), 20);
  EXPECT_EQ(server_.sessions().size(), 10);
  EXPECT_EQ(server_.key_conflicts(), 0);
}

TEST_F(PipelineTest, LostStateReadsAgainAndCountsFromTheStoredCut) {
  Session(10, 100);
  Session(20, 100);
  OpenAndDeliver();
  checkpoint_.reset();
  Session(30, 100);
  Session(40, 100);
  const Batches batches = OpenAndDeliver();
  ASSERT_EQ(batches.size(), 2);
  EXPECT_TRUE(batches[0].has_start());
  EXPECT_EQ(batches[0].sessions_size(), 2);
  EXPECT_EQ(batches[1].sessions_size(), 2);
  EXPECT_EQ(server_.sessions().size(), 4);
  EXPECT_EQ(server_.total().read(), 8);
  EXPECT_EQ(server_.beginnings(), 1);
}

TEST_F(PipelineTest, LostStateAlsoReadsRotatedFiles) {
  Session(10, 100);
  OpenAndDeliver();
  Rename("mail.log", "mail.log.1");
  Session(20, 100);
  checkpoint_.reset();
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().read(), 4);
}

TEST_F(PipelineTest, OlderDatabaseRestoredReadsAgain) {
  Session(10, 100);
  OpenAndDeliver();
  CountingServer backup = server_;
  Session(20, 100);
  OpenAndDeliver();
  Rename("mail.log", "mail.log.1");
  Session(30, 100);
  OpenAndDeliver();
  server_ = backup;
  Session(40, 100);
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 4);
  EXPECT_EQ(server_.total().read(), 8);
  EXPECT_EQ(server_.beginnings(), 1);
  EXPECT_EQ(server_.key_conflicts(), 0);
  EXPECT_TRUE(server_.gaps().empty());
}

TEST_F(PipelineTest, AnotherDatabaseGetsAllThatIsOnDisk) {
  Session(10, 100);
  OpenAndDeliver();
  Rename("mail.log", "mail.log.1");
  Session(20, 100);
  OpenAndDeliver();
  server_ = CountingServer();
  OpenAndDeliver(/*same_database=*/false);
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().read(), 4);
}

TEST_F(PipelineTest, AnotherDatabaseThatKnowsTheLogCountsFromItsOwnCut) {
  Session(10, 100);
  OpenAndDeliver();
  CountingServer other = server_;
  Session(20, 100);
  OpenAndDeliver();
  server_ = other;
  OpenAndDeliver(/*same_database=*/false);
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().read(), 4);
}

TEST_F(PipelineTest, CheckpointWithoutStoredCutReadsAgain) {
  Session(10, 100);
  OpenAndDeliver();
  server_ = CountingServer();
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(server_.total().read(), 2);
}

TEST_F(PipelineTest, RotatedFilesAreNotReadAtFirstUnlessNamed) {
  Session(10, 100);
  Rename("mail.log", "mail.log.1");
  Session(20, 100);
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 1);
}

// ---- Gaps

TEST_F(PipelineTest, GoneFileIsAGapBetweenTheLinesAroundIt) {
  Session(10, 100);
  OpenAndDeliver();
  Rename("mail.log", "gone");
  Session(500, 100);
  OpenAndDeliver();
  ASSERT_EQ(server_.gaps().size(), 1);
  EXPECT_EQ(server_.gaps()[0].reason(), v1::GAP_REASON_FILE_GONE);
  EXPECT_EQ(GetTimestamp(server_.gaps()[0].start_time()), At(11));
  EXPECT_EQ(GetTimestamp(server_.gaps()[0].end_time()), At(500));
  EXPECT_EQ(server_.total().read(), 4);
  EXPECT_EQ(server_.beginnings(), 1);
}

TEST_F(PipelineTest, TruncationBeforeTheEndIsAGap) {
  Session(10, 100);
  Open();
  Deliver();
  std::filesystem::resize_file(Path("mail.log"), 0);
  Session(500, 100);
  Deliver();
  ASSERT_EQ(server_.gaps().size(), 1);
  EXPECT_EQ(server_.gaps()[0].reason(), v1::GAP_REASON_TRUNCATED);
  EXPECT_EQ(GetTimestamp(server_.gaps()[0].start_time()), At(11));
  EXPECT_EQ(GetTimestamp(server_.gaps()[0].end_time()), At(500));
  EXPECT_EQ(server_.sessions().size(), 2);
}

TEST_F(PipelineTest, StoredCutThatIsGoneBeginsAnewWithAGap) {
  Session(10, 100);
  OpenAndDeliver();
  checkpoint_.reset();
  Rename("mail.log", "gone");
  Session(500, 100);
  const Batches batches = OpenAndDeliver();
  ASSERT_EQ(batches.size(), 2);
  EXPECT_TRUE(batches[0].has_start());
  EXPECT_FALSE(batches[1].has_start());
  EXPECT_TRUE(batches[1].has_caught_up_time());
  ASSERT_EQ(server_.gaps().size(), 1);
  EXPECT_EQ(GetTimestamp(server_.gaps()[0].start_time()), At(11));
  EXPECT_EQ(GetTimestamp(server_.gaps()[0].end_time()), At(501));
  EXPECT_EQ(server_.sessions().size(), 2);
  Session(600, 100);
  Deliver();
  EXPECT_EQ(server_.total().read(), 4);  // The two lines within the gap are not counted.
}

// ---- Time

TEST_F(PipelineTest, YearComesFromTheReferenceTime) {
  options_.reference_time = absl::FromCivil(absl::CivilDay(2019, 3, 1), absl::UTCTimeZone());
  Append("Feb 28 10:00:00 mx1 postfix/smtpd[1]: connect from a.example[192.0.2.1]");
  Append("Feb 28 10:00:01 mx1 postfix/smtpd[1]: disconnect from a.example[192.0.2.1]");
  const Batches batches = OpenAndDeliver();
  EXPECT_EQ(GetTimestamp(batches[0].end().log_time()),
            absl::FromCivil(absl::CivilSecond(2019, 2, 28, 10, 0, 1), absl::UTCTimeZone()));
}

TEST_F(PipelineTest, YearComesFromTheDateInTheName) {
  options_.follower.older_paths = {Path("mail.log-20150102")};
  Append("Jan  2 03:00:00 mx1 postfix/smtpd[1]: connect from a.example[192.0.2.1]",
         "mail.log-20150102");
  Append("Jan  2 03:00:01 mx1 postfix/smtpd[1]: disconnect from a.example[192.0.2.1]",
         "mail.log-20150102");
  OpenAndDeliver();
  ASSERT_EQ(server_.sessions().size(), 1);
  EXPECT_EQ(GetTimestamp(server_.sessions().begin()->second.key().stamp()),
            absl::FromCivil(absl::CivilSecond(2015, 1, 2, 3, 0, 0), absl::UTCTimeZone()));
}

TEST_F(PipelineTest, MtaIsToldOnceTheLogTold) {
  Session(10, 100);
  Open();
  Deliver();
  EXPECT_EQ(pipeline_->mta(), "");
  Append(
      Line(20, "postfix/master[1]: daemon started -- version 3.7.11, configuration /etc/postfix"));
  Deliver();
  EXPECT_EQ(pipeline_->mta(), "Postfix 3.7.11");
}

TEST_F(PipelineTest, LogRotatedBeforeTheFirstWelcomeIsReadWhole) {
  Append(Line(1, "cron[1]: long ago"), "mail.log.2");
  Session(10, 100);
  checkpoint_ = *MeetLog(options_.follower, absl::Now());
  Rename("mail.log", "mail.log.1");
  Session(20, 101);
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 2);
  EXPECT_EQ(server_.total().read(), 4);
}

TEST_F(PipelineTest, LogThatAppearedAndWasRotatedBeforeTheFirstWelcomeIsReadWhole) {
  checkpoint_ = *MeetLog(options_.follower, absl::Now() - absl::Seconds(1));
  EXPECT_FALSE(checkpoint_->has_cut());
  Session(10, 100);
  Rename("mail.log", "mail.log.1");
  Session(20, 101);
  OpenAndDeliver();
  EXPECT_EQ(server_.sessions().size(), 2);
}

TEST_F(PipelineTest, NamedFileThatCannotBeReadIsAGapOfTheFirstReading) {
  // LZ4 is not read; of a gzip file cut short in its first block nothing can be.
  Append("\x04\x22\x4d\x18", "mail.log.2.lz4");
  const std::string gzip = Compress("gzip", std::string(100, 'x')).substr(0, 15);
  Append(gzip, "mail.log.1.gz");
  options_.follower.older_paths = {Path("mail.log.1.gz"), Path("mail.log.2.lz4")};
  Session(10, 100);
  checkpoint_ = *MeetLog(options_.follower, absl::Now());
  Open();  // Whatever was told on a stream that ended is told again.
  OpenAndDeliver();
  ASSERT_EQ(server_.gaps().size(), 1);
  EXPECT_EQ(server_.gaps()[0].reason(), v1::GAP_REASON_FILE_GONE);
  EXPECT_EQ(server_.gaps()[0].bytes_min(), 5 + 16);
  EXPECT_EQ(server_.sessions().size(), 1);
}

TEST_F(PipelineTest, OneStrayStampCoversNothing) {
  Session(10, 100);
  Append("1970-01-01T00:00:01Z mx1 postfix/smtpd[1]: connect from x[192.0.2.1]");
  Session(20, 101);
  Append("2038-01-19T03:14:07Z mx1 postfix/smtpd[2]: connect from x[192.0.2.1]");
  OpenAndDeliver();
  ASSERT_EQ(server_.by_hour().size(), 1u);
  EXPECT_EQ(server_.stored()->log_time().seconds(), absl::ToUnixSeconds(At(21)));
}

TEST_F(PipelineTest, LinesOfPostfixInAnUnknownFrameAreUnrecognized) {
  Append("1 2026-11-01T00:00:01Z mx1 postfix 123 - -  connect from unknown[192.0.2.1]");
  Append("garbage");
  OpenAndDeliver();
  EXPECT_EQ(server_.total().unrecognized(), 1);
  EXPECT_EQ(server_.total().ignored(), 1);
}

}  // namespace
}  // namespace mxtally
