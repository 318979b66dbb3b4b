// Which lines make a session, its key, and what ends it.

#include "agent/session/assembler.h"

#include "absl/strings/str_cat.h"
#include "tests/agent/session/session_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class AssemblerTest : public SessionFixture {
 protected:
  // Puts the first line of the reading so long ago that any line is covered.
  void ReadForHours() {
    TickAt({"06:00:00", "07:00:00", "08:00:00", "09:00:00", "10:00:00", "11:00:00", "12:00:00"});
  }
};

TEST_F(AssemblerTest, SessionRunsFromConnectToDisconnect) {
  ReadForHours();
  Add(Connect());
  Advance(absl::Milliseconds(1500));
  Add(Disconnect());
  EXPECT_THAT(TakeTexts(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0 lines=2 smtpd "
                                       "PLAINTEXT/STARTTLS_COUNTER client.example[192.0.2.7] "
                                       "end=12:00:01.5 DISCONNECT"));
  EXPECT_EQ(assembler_->open_sessions(), 0);
}

TEST_F(AssemblerTest, RecordNamesItsVersionsAndDirection) {
  AddAll({Connect(), Disconnect()});
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.key().key_version(), kKeyVersion);
  EXPECT_EQ(record.rank().parser_version(), kParserVersion);
  EXPECT_EQ(record.direction(), v1::DIRECTION_INBOUND);
}

// The rule of key version 1.  A change of what is expected here gives other
// keys to sessions that are stored already: it needs a new key_version.
TEST_F(AssemblerTest, GoldenKeys) {
  options_.host = "MX1.Example.org";
  Restart();
  ReadForHours();
  // Lines before "connect from" start nothing.
  AddAll({Note(), LibraryProblem("no shared cipher")});
  Advance(absl::Seconds(1));
  AddAll({Connect(), Disconnect(), Connect()});
  Advance(absl::Microseconds(123456));
  AddAll({Tls(), Disconnect(), Connect(), Disconnect()});
  Advance(absl::Seconds(1));
  // Without "connect from" the first of these lines starts a session.
  for (EventType type :
       {EventType::kTlsEstablished, EventType::kTlsSetup, EventType::kTlsFailed,
        EventType::kTlsRefusedAfterHandshake, EventType::kTlsRefusedBeforeHandshake,
        EventType::kAbnormalEnd, EventType::kQueueIdAssigned, EventType::kMessageAccepted,
        EventType::kReject, EventType::kAuthFailed, EventType::kLimit}) {
    Add("postfix-in/submission/smtpd[23]", Of(type));
    Add("postfix-in/submission/smtpd[23]", Disconnect());
  }
  Add(Disconnect());
  // These never do.
  for (EventType type :
       {EventType::kTlsLibraryProblem, EventType::kSessionNote, EventType::kQueueIdActive,
        EventType::kQueueIdCanceled, EventType::kProcessDying, EventType::kProcessDied,
        EventType::kInstanceBoundary}) {
    Add("postfix/smtpd[7]", Of(type));
  }
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1.example.org 12:00:01 postfix/smtpd[1]#0",
                                      "mx1.example.org 12:00:01 postfix/smtpd[1]#1",
                                      "mx1.example.org 12:00:01.123456 postfix/smtpd[1]#0",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#0",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#1",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#2",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#3",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#4",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#5",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#6",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#7",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#8",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#9",
                                      "mx1.example.org 12:00:02.123456 "
                                      "postfix-in/submission/smtpd[23]#10",
                                      "mx1.example.org 12:00:02.123456 postfix/smtpd[1]#0"));
  EXPECT_EQ(assembler_->open_sessions(), 0);
  EXPECT_EQ(cut_sessions_, 0);
}

TEST_F(AssemblerTest, ProcessesDoNotMix) {
  ReadForHours();
  Add("postfix/smtpd[1]", Connect("192.0.2.1", "a.example"));
  Add("postfix/smtpd[2]", Connect("192.0.2.2", "b.example"));
  Add("postfix/submission/smtpd[1]", Connect("192.0.2.3", "c.example"));
  Add("postfix/smtpd[2]", Of(EventType::kReject));
  Add("postfix/smtpd[1]", WithPeer(EventType::kDisconnect, "a.example", "192.0.2.1"));
  Add("postfix/smtpd[2]", WithPeer(EventType::kDisconnect, "b.example", "192.0.2.2"));
  Add("postfix/submission/smtpd[1]", WithPeer(EventType::kDisconnect, "c.example", "192.0.2.3"));
  EXPECT_THAT(TakeTexts(),
              ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0 lines=2 smtpd PLAINTEXT/NO_TLS_LINE "
                          "a.example[192.0.2.1] end=12:00:00 DISCONNECT",
                          "mx1 12:00:00 postfix/smtpd[2]#0 lines=3 smtpd PLAINTEXT/NO_TLS_LINE "
                          "b.example[192.0.2.2] end=12:00:00 DISCONNECT rejects=1",
                          "mx1 12:00:00 postfix/submission/smtpd[1]#0 lines=2 submission "
                          "PLAINTEXT/NO_TLS_LINE c.example[192.0.2.3] end=12:00:00 DISCONNECT"));
}

TEST_F(AssemblerTest, HostsOfACentralLogDoNotMix) {
  options_.host = "";
  Restart();
  ReadForHours();
  Add("postfix/smtpd[1]", Connect(), "MX1");
  Add("postfix/smtpd[1]", Connect(), "mx2");
  Add("postfix/smtpd[1]", QueueId("4A1"), "mx1");
  Add("postfix/smtpd[1]", QueueId("4A1"), "mx2");
  Add("postfix/qmgr[9]", Active("4A1"), "mx2");
  Add("postfix/master[9]", ProcessDied(1), "mx1");
  Add("postfix/smtpd[1]", BareDisconnect(), "mx2");
  EXPECT_THAT(TakeTexts(),
              ElementsAre("mx2 12:00:00 postfix/smtpd[1]#0 lines=4 smtpd PLAINTEXT/NO_TLS_LINE "
                          "client.example[192.0.2.7] end=12:00:00 DISCONNECT messages=1 id=4A1"));
  assembler_->FinishHeld();
  EXPECT_THAT(TakeTexts(),
              ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0 lines=2 smtpd UNKNOWN/UNSPECIFIED "
                          "client.example[192.0.2.7] end=12:00:00 ABORTED id=4A1"));
}

TEST_F(AssemblerTest, HostOptionNamesTheRecordsOfAnyHeaderHost) {
  Add("postfix/smtpd[1]", Connect(), "mail");
  Add("postfix/smtpd[1]", Disconnect(), "mail.example.org");
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0"));
}

TEST_F(AssemblerTest, RecordOfTheFirstStampReadReplacesNoOther) {
  AddAll({Connect(), Disconnect()});
  Advance(absl::Seconds(1));
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeTexts(),
              ElementsAre(testing::HasSubstr("#0 lines=0 "), testing::HasSubstr("#0 lines=2 ")));
}

TEST_F(AssemblerTest, RecordOfTheFirstStampAfterAGapReplacesNoOther) {
  ReadForHours();
  AddAll({Connect(), Disconnect()});
  assembler_->OnGap();
  SaveAndRestore();
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeTexts(),
              ElementsAre(testing::HasSubstr("#0 lines=2 "), testing::HasSubstr("#1 lines=0 ")));
}

TEST_F(AssemblerTest, SingleLineHasNoEndTime) {
  ReadForHours();
  Add(Disconnect());
  EXPECT_THAT(TakeTexts(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0 lines=1 smtpd "
                                       "PLAINTEXT/STARTTLS_COUNTER client.example[192.0.2.7] "
                                       "DISCONNECT"));
}

// --- A session that began before the reading

TEST_F(AssemblerTest, CutSessionIsNoRecord) {
  AddAll({Tls(), QueueId("4A1"), Disconnect()});
  EXPECT_THAT(TakeTexts(), IsEmpty());
  EXPECT_EQ(cut_sessions_, 1);
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0"));
}

TEST_F(AssemblerTest, CutSessionsOnlyLineIsNoRecord) {
  Add(Disconnect());
  EXPECT_THAT(TakeTexts(), IsEmpty());
  EXPECT_EQ(cut_sessions_, 1);
}

TEST_F(AssemblerTest, CutSessionEndsWithTheNextConnect) {
  AddAll({Tls(), Connect(), Disconnect()});
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0"));
  EXPECT_EQ(cut_sessions_, 1);
}

TEST_F(AssemblerTest, ASlowCutSessionIsCutOnce) {
  for (int i = 0; i < 10; ++i) {
    Add(Of(EventType::kReject));
    Advance(absl::Minutes(50));
  }
  Add(Disconnect());
  EXPECT_EQ(cut_sessions_, 1);
  EXPECT_THAT(TakeTexts(), IsEmpty());
}

// Until then a tombstone of before the reading might have swallowed the line.
TEST_F(AssemblerTest, EndWithoutStartCountsOnceTwiceTheIdleLimitWasRead) {
  At("10:00:00");
  Tick();
  At("11:59:59");
  Add(Disconnect());
  EXPECT_EQ(cut_sessions_, 1);
  At("12:00:00");
  Add(Disconnect());
  EXPECT_EQ(cut_sessions_, 1);
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0"));
}

TEST_F(AssemblerTest, AGapStartsTheCoverageAnew) {
  ReadForHours();
  assembler_->OnGap();
  Add(Disconnect());
  EXPECT_EQ(cut_sessions_, 1);
  EXPECT_THAT(TakeTexts(), IsEmpty());
}

// Reading on from before, the process had one session less in this stamp.
TEST_F(AssemblerTest, CutSessionTakesNoOrdinal) {
  Tick();
  At("12:00:05");
  AddAll({Disconnect(), Connect(), Disconnect(), Connect(), Disconnect()});
  EXPECT_THAT(TakeKeys(),
              ElementsAre("mx1 12:00:05 postfix/smtpd[1]#0", "mx1 12:00:05 postfix/smtpd[1]#1"));
}

// --- What ends a session

TEST_F(AssemblerTest, ConnectSupersedesAnOpenSession) {
  ReadForHours();
  Add(Connect("192.0.2.1", "a.example"));
  Advance(absl::Seconds(1));
  AddAll({Connect("192.0.2.2", "b.example"), Disconnect()});
  EXPECT_THAT(TakeTexts(),
              ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0 lines=1 smtpd UNKNOWN/UNSPECIFIED "
                          "a.example[192.0.2.1] SUPERSEDED",
                          testing::HasSubstr("12:00:01 postfix/smtpd[1]#0 lines=2")));
}

TEST_F(AssemblerTest, AbnormalEndGivesTheReason) {
  for (const auto& [words, printed] :
       {std::pair{"lost connection", "LOST_CONNECTION"}, std::pair{"timeout", "TIMEOUT"},
        std::pair{"too many errors", "TOO_MANY_ERRORS"}}) {
    AddAll({Connect(), AbnormalEnd(words, "RCPT"), Disconnect()});
    EXPECT_THAT(TakeTexts(),
                ElementsAre(testing::EndsWith(std::string(" ") + printed + " after=RCPT")));
  }
}

TEST_F(AssemblerTest, DyingProcessAbortsItsSession) {
  AddAll({Connect(), Of(EventType::kProcessDying)});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::EndsWith(" ABORTED")));
}

TEST_F(AssemblerTest, MasterReportsTheDeathOfAProcess) {
  Add("postfix/smtpd[12]", Connect());
  Add("postfix/submission/smtpd[2]", Connect());
  Add("postfix/master[9]", ProcessDied(2));
  EXPECT_THAT(TakeTexts(),
              ElementsAre(testing::AllOf(testing::HasSubstr(" postfix/submission/smtpd[2]#0 "),
                                         testing::EndsWith(" ABORTED"))));
  Event cleanup = ProcessDied(12);
  cleanup.program_name = "cleanup";
  Add("postfix/master[9]", cleanup);
  EXPECT_THAT(TakeTexts(), IsEmpty());
}

TEST_F(AssemblerTest, InstanceBoundaryAbortsTheSessionsOfTheInstance) {
  Add("postfix-in/smtpd[1]", Connect());
  Add("postfix/smtpd[2]", Connect());
  Add("postfix-in/submission/smtpd[3]", Connect());
  Add("postfix-in/master[9]", Of(EventType::kInstanceBoundary));
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 12:00:00 postfix-in/smtpd[1]#0",
                                      "mx1 12:00:00 postfix-in/submission/smtpd[3]#0"));
  EXPECT_EQ(assembler_->open_sessions(), 1);
}

// --- Idle limit and full table

TEST_F(AssemblerTest, IdleSessionIsGivenUpByLogTime) {
  ReadForHours();
  AddAll({Connect(), Tls()});
  At("13:00:00");
  Tick();
  EXPECT_THAT(TakeTexts(), IsEmpty());
  At("13:00:10");
  Tick();
  EXPECT_THAT(TakeTexts(),
              ElementsAre(testing::AllOf(testing::HasSubstr(" ESTABLISHED/HANDSHAKE_LINE "),
                                         testing::HasSubstr(" end=12:00:00 IDLE"))));
  EXPECT_EQ(evicted_sessions_, 1);
  EXPECT_EQ(assembler_->open_sessions(), 0);
}

TEST_F(AssemblerTest, EachLineKeepsASessionAlive) {
  Add(Connect());
  for (int i = 0; i < 5; ++i) {
    Advance(absl::Minutes(59));
    Add(Note());
  }
  Add(Disconnect());
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::EndsWith("end=16:55:00 DISCONNECT")));
}

TEST_F(AssemblerTest, LateLinesOfAGivenUpSessionAreSwallowed) {
  ReadForHours();
  Add(Connect());
  TickAt({"13:00:00", "13:30:00"});
  AddAll({Tls(), QueueId("4A1"), Disconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::EndsWith(" IDLE")));
  EXPECT_EQ(cut_sessions_, 0);
  // After its end the next line without a start is a session again.
  Add(Disconnect());
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 13:30:00 postfix/smtpd[1]#0"));
}

TEST_F(AssemblerTest, ATombstoneLastsForTheIdleLimit) {
  ReadForHours();
  Add("postfix/smtpd[1]", Connect());
  Add("postfix/smtpd[2]", Connect());
  TickAt({"13:00:00", "13:00:10"});
  TakeTexts();
  At("14:00:00");
  Add("postfix/smtpd[1]", Disconnect());
  EXPECT_THAT(TakeTexts(), IsEmpty());
  At("14:00:01");
  Add("postfix/smtpd[2]", Disconnect());
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 14:00:01 postfix/smtpd[2]#0"));
}

TEST_F(AssemblerTest, OneStrayStampEndsNothingAndForgetsNoOrdinal) {
  ReadForHours();
  Add("postfix/smtpd[1]", Connect());
  AddAll({Connect(), Disconnect()});
  for (const int64_t stray : {0, 2'147'483'647}) {
    assembler_->Tick(absl::FromUnixSeconds(stray));
    Add("postfix/smtpd[1]", Note());
  }
  EXPECT_EQ(evicted_sessions_, 0);
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeKeys(),
              ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0", "mx1 12:00:00 postfix/smtpd[1]#1",
                          "mx1 12:00:00 postfix/smtpd[1]#2"));
}

TEST_F(AssemblerTest, AnOlderLogCountsFromZeroWhereverItMeetsTheMemory) {
  for (int pass = 0; pass < 2; ++pass) {
    At("12:00:00");
    for (int minute = 0; minute <= 150; ++minute) {
      AddAll({Connect(), Disconnect()});
      Advance(absl::Minutes(1));
    }
  }
  const std::vector<v1::SessionRecord> records = TakeRecords();
  ASSERT_EQ(records.size(), 302);
  for (const v1::SessionRecord& record : records) EXPECT_EQ(record.key().ordinal(), 0);
}

TEST_F(AssemblerTest, ASessionOfAStrayStampForgetsNoOrdinal) {
  At("12:00:00");
  AddAll({Connect(), Disconnect()});
  At("12:00:05");
  AddAll({Connect(), Disconnect()});
  now_ += absl::Hours(24 * 365 * 12);
  AddAll({Connect()});
  At("12:00:05");
  AddAll({Connect(), Disconnect()});
  EXPECT_EQ(TakeRecords().back().key().ordinal(), 1);
}

TEST_F(AssemblerTest, AJumpCountsFromItsSecondLine) {
  ReadForHours();
  Add("postfix/smtpd[1]", Connect());
  TickAt({"16:00:00"});
  EXPECT_EQ(evicted_sessions_, 0);
  TickAt({"16:00:00"});
  EXPECT_EQ(evicted_sessions_, 1);
}

// Lines of others, by which the clock moves on, must not decide.
TEST_F(AssemblerTest, IdleLimitIsExactWhateverOtherLinesStandBesideIt) {
  for (const bool others : {false, true}) {
    Restart();
    ReadForHours();
    if (others) TickAt({"12:00:08"});
    At("12:00:12");
    Add(Connect());
    for (const char* time : {"12:50:00", "13:00:05", "13:00:12"}) TickAt({time});
    At("13:00:13");
    AddAll({Tls(), Disconnect()});
    EXPECT_THAT(TakeTexts(), ElementsAre(testing::EndsWith(" IDLE"))) << others;
  }
}

TEST_F(AssemblerTest, ConfirmationThatComesTooLateIsNone) {
  AddAll({Connect(), QueueId("4A1"), Disconnect({{"bdat", 2, 2}})});
  Advance(absl::Minutes(5) + absl::Seconds(-5));
  Tick();
  Advance(absl::Seconds(6));
  Add("postfix/qmgr[9]", Active("4A1"));
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::Not(testing::HasSubstr(" messages="))));
}

TEST_F(AssemblerTest, LogThatBeginsAgainMakesTheSameKeys) {
  const auto copy = [this] {
    At("12:00:00");
    AddAll({Connect(), Disconnect(), Connect(), Disconnect()});
    At("12:00:07");
    AddAll({Connect(), Tls()});
  };
  copy();
  const std::vector<std::string> keys = TakeKeys();
  EXPECT_EQ(keys.size(), 2u);
  At("12:00:00");
  assembler_->OnLogBeginsAgain(now_);
  copy();
  EXPECT_EQ(TakeKeys(), keys);
  EXPECT_EQ(assembler_->open_sessions(), 1);
}

TEST_F(AssemblerTest, FullTableGivesUpTheLeastRecentlyUsed) {
  options_.open_sessions_max = 3;
  Restart();
  ReadForHours();
  for (const char* tag : {"a/smtpd[1]", "a/smtpd[2]", "a/smtpd[3]"}) Add(tag, Connect());
  Add("a/smtpd[1]", Note());
  Add("a/smtpd[4]", Connect());
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::AllOf(testing::HasSubstr(" a/smtpd[2]#0 "),
                                                      testing::EndsWith(" EVICTED"))));
  EXPECT_EQ(evicted_sessions_, 1);
  EXPECT_EQ(assembler_->open_sessions(), 3);
}

TEST_F(AssemblerTest, FullTableForgetsTombstonesFirst) {
  options_.open_sessions_max = 2;
  Restart();
  Add("a/smtpd[1]", Tls());
  Add("a/smtpd[2]", Connect());
  Add("a/smtpd[3]", Connect());
  EXPECT_EQ(evicted_sessions_, 0);
  EXPECT_EQ(assembler_->open_sessions(), 2);
}

TEST_F(AssemblerTest, CountersThatContradictThemselvesMakeNoNumberNegative) {
  AddAll({Connect(), Disconnect({{"auth", 3, 1}})});
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.auth_accepted(), 3);
  EXPECT_EQ(record.auth_failed(), 0);
}

// No server takes a record whose end is a day before its start.
TEST_F(AssemblerTest, EndOfASessionWhoseClockWasADayAheadIsNotKnown) {
  for (const auto& [back, known] : {std::pair(absl::Hours(24), true), {absl::Hours(25), false}}) {
    Restart();
    Add(Connect());
    Advance(-back);
    Add(Disconnect());
    const v1::SessionRecord record = TakeOnlyRecord();
    EXPECT_EQ(record.end_reason(), v1::END_REASON_DISCONNECT);
    EXPECT_EQ(record.has_end_time(), known) << back;
  }
}

TEST_F(AssemblerTest, AStepBackOfTheClockEndsNothing) {
  At("12:00:00");
  Add(Connect());
  At("09:00:00");
  AddAll({Tls(), Disconnect()});
  EXPECT_THAT(TakeTexts(),
              ElementsAre(testing::AllOf(testing::HasSubstr(" 12:00:00 postfix/smtpd[1]#0 "),
                                         testing::EndsWith(" end=09:00:00 DISCONNECT"))));
}

TEST_F(AssemblerTest, OpenSessionsAreCountedAndDated) {
  EXPECT_EQ(assembler_->oldest_open(), std::nullopt);
  Add("a/smtpd[1]", Connect());
  const absl::Time first = now_;
  Advance(absl::Minutes(1));
  Add("a/smtpd[2]", Connect());
  Add("a/smtpd[1]", Note());
  EXPECT_EQ(assembler_->open_sessions(), 2);
  EXPECT_THAT(assembler_->oldest_open(), Optional(first));
}

// --- Ordinals

TEST_F(AssemblerTest, StepBackWithinTheMemoryGoesOnCounting) {
  ReadForHours();
  AddAll({Connect(), Disconnect(), Connect(), Disconnect()});
  At("13:30:00");
  AddAll({Connect(), Disconnect()});
  At("12:00:00");
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeKeys(),
              ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0", "mx1 12:00:00 postfix/smtpd[1]#1",
                          "mx1 13:30:00 postfix/smtpd[1]#0", "mx1 12:00:00 postfix/smtpd[1]#2"));
}

TEST_F(AssemblerTest, AnOlderLogReadAgainCountsFromZero) {
  ReadForHours();
  for (int pass = 0; pass < 2; ++pass) {
    At("12:00:00");
    AddAll({Connect(), Disconnect(), Connect(), Disconnect()});
    At("18:00:00");
    AddAll({Connect(), Disconnect()});
    EXPECT_THAT(TakeKeys(),
                ElementsAre("mx1 12:00:00 postfix/smtpd[1]#0", "mx1 12:00:00 postfix/smtpd[1]#1",
                            "mx1 18:00:00 postfix/smtpd[1]#0"));
  }
}

TEST_F(AssemblerTest, OrdinalsBeyondTheBoundAreForgottenAndReported) {
  options_.ordinals_max = 2;
  Restart();
  for (int i = 0; i < 4; ++i) {
    AddAll({Connect(), Disconnect()});
    Advance(absl::Seconds(1));
  }
  EXPECT_EQ(forgotten_ordinals_, 2);
}

// --- Messages

TEST_F(AssemblerTest, DataCounterCountsMessages) {
  AddAll({Connect(), QueueId("4A1"), QueueId("4A2"),
          Disconnect({{"mail", 2, 2}, {"data", 1, 2}, {"quit", 1, 1}})});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=1 id=4A1 id=4A2")));
}

TEST_F(AssemblerTest, ChunksAreNotMessages) {
  AddAll({Connect(), QueueId("4A1"), Active("4A1"), Disconnect({{"bdat", 7, 7}})});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=1 ")));
}

TEST_F(AssemblerTest, SessionWaitsUntilItsChunkedMessagesAreConfirmed) {
  AddAll({Connect(), QueueId("4A1"), QueueId("4A2"), Disconnect({{"bdat", 2, 2}})});
  EXPECT_THAT(TakeTexts(), IsEmpty());
  EXPECT_EQ(assembler_->open_sessions(), 1);
  // Its process does not wait.
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeKeys(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#1"));

  SaveAndRestore();
  Add("postfix/qmgr[9]", Active("4A1"));
  EXPECT_THAT(TakeTexts(), IsEmpty());
  Add("postfix/cleanup[8]", Canceled("4A2"));
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=1 id=4A1 id=4A2")));
  EXPECT_EQ(assembler_->open_sessions(), 0);
}

TEST_F(AssemblerTest, ConfirmationsRaiseTheRankWhereTheyDecide) {
  ReadForHours();
  AddAll({Connect(), QueueId("4A1"), Active("4A1"), Disconnect({{"bdat", 2, 2}})});
  AddAll({Connect(), QueueId("4A2"), Active("4A2"), Disconnect({{"data", 1, 1}})});
  EXPECT_THAT(TakeTexts(),
              ElementsAre(testing::HasSubstr(" lines=4 "), testing::HasSubstr(" lines=3 ")));
}

TEST_F(AssemblerTest, WaitingForConfirmationIsBounded) {
  AddAll({Connect(), QueueId("4A1"), Disconnect({{"bdat", 2, 2}})});
  Advance(absl::Minutes(5));
  Tick();
  EXPECT_THAT(TakeTexts(), IsEmpty());
  Advance(absl::Seconds(10));
  Tick();
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::Not(testing::HasSubstr(" messages="))));
}

TEST_F(AssemblerTest, WithoutCountersConfirmedQueueIdsAreMessages) {
  AddAll(
      {Connect(), QueueId("4A1"), Active("4A1"), QueueId("4A2"), BareDisconnect(), Active("4A2")});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=2 ")));
}

TEST_F(AssemblerTest, WithoutCountersAProxysAcceptancesAreMessages) {
  AddAll({Connect(), QueueId(""), Of(EventType::kMessageAccepted), BareDisconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::EndsWith(" DISCONNECT messages=1")));
}

TEST_F(AssemblerTest, AMessageIsConfirmedOnce) {
  AddAll({Connect(), QueueId("4A1"), QueueId("4A1"), Active("4A1"), Active("4A1"), QueueId("4A1"),
          BareDisconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=1 id=4A1")));
}

TEST_F(AssemblerTest, AQueueIdBelongsToTheLastSessionThatGotIt) {
  AddAll({Connect(), QueueId("4A1"), BareDisconnect()});
  EXPECT_THAT(TakeTexts(), IsEmpty());
  AddAll({Connect(), QueueId("4A1")});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::Not(testing::HasSubstr(" messages="))));
  AddAll({Active("4A1"), BareDisconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=1 ")));
}

TEST_F(AssemblerTest, RecordHoldsTheFirstEightQueueIds) {
  Add(Connect());
  for (int i = 0; i < 10; ++i) {
    const std::string id = absl::StrCat("4A", i);
    Add(QueueId(id));
    Add(Active(id));
  }
  Add(BareDisconnect());
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.messages(), 10);
  EXPECT_EQ(record.queue_ids_size(), 8);
  EXPECT_EQ(record.queue_ids(7), "4A7");
}

TEST_F(AssemblerTest, QueueIdsBeyondTheBoundAreNotRemembered) {
  options_.queue_ids_max = 1;
  Restart();
  AddAll(
      {Connect(), QueueId("4A1"), QueueId("4A2"), Active("4A1"), Active("4A2"), BareDisconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" messages=1 id=4A1 id=4A2")));
}

TEST_F(AssemblerTest, QueueIdsOfOneSessionAreBounded) {
  Add(Connect());
  for (int i = 0; i < 3000; ++i) Add(QueueId(absl::StrCat("4A", i)));
  EXPECT_EQ(Saved().open_sessions(0).open_queue_ids_size(), 1000);
}

// --- Peer and peer-chosen text

TEST_F(AssemblerTest, LastPeerWins) {
  AddAll({Connect("10.0.0.1", "proxy.example"),
          WithPeer(EventType::kDisconnect, "Client.Example", "192.0.2.77")});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" client.example[192.0.2.77] ")));
}

TEST_F(AssemblerTest, ForwardedClientIsNotThePeer) {
  AddAll({Connect("10.0.0.1", "proxy.example"),
          WithPeer(EventType::kQueueIdAssigned, "origin.example", "192.0.2.77"),
          Of(EventType::kProcessDying)});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr(" proxy.example[10.0.0.1] ")));
}

TEST_F(AssemblerTest, PeerClassComesFromTheLastPeer) {
  const auto peers = PeerClassifier::Create({"192.0.2.0/24"});
  ASSERT_TRUE(peers.ok());
  options_.peers = &*peers;
  Restart();
  AddAll({Connect("127.0.0.1", "localhost"),
          WithPeer(EventType::kDisconnect, "monitor.example", "192.0.2.77")});
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.peer_class(), v1::PEER_CLASS_EXCLUDED);
  EXPECT_EQ(record.exclusion_list_hash(), peers->list_hash());
}

TEST_F(AssemblerTest, LoopbackNeedsNoList) {
  AddAll({Connect("::1", "localhost"), WithPeer(EventType::kDisconnect, "localhost", "::1")});
  EXPECT_EQ(TakeOnlyRecord().peer_class(), v1::PEER_CLASS_LOOPBACK);
}

TEST_F(AssemblerTest, UnknownPeerIsExternal) {
  AddAll({Connect("", ""), WithPeer(EventType::kDisconnect, "", "")});
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.peer_class(), v1::PEER_CLASS_EXTERNAL);
  EXPECT_TRUE(record.has_peer());
}

TEST_F(AssemblerTest, PeerChosenTextIsMadeHarmless) {
  Event reject = Of(EventType::kReject);
  const std::string helo = "a@b\x1b[1m\xff" + std::string(400, 'x');
  reject.helo = helo;
  AddAll({Connect(), reject, Disconnect()});
  const std::string stored = TakeOnlyRecord().peer().helo();
  EXPECT_EQ(stored, "a?b?[1m?" + std::string(247, 'x'));
}

TEST_F(AssemblerTest, LongTagKeepsItsProcessId) {
  const std::string tag = std::string(200, 'x') + "/smtpd[1]";
  Add(tag, Connect());
  Add(tag, Disconnect());
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.key().tag(), std::string(119, 'x') + "/smtpd[1]");
}

// --- Other facts

TEST_F(AssemblerTest, FactsOfASessionAreGathered) {
  ReadForHours();
  Event reject = Of(EventType::kReject);
  reject.helo = "helo.example";
  Event client = QueueId("4A1");
  client.auth_mechanism = "PLAIN";
  client.original_queue_id = "3B2";
  AddAll({Connect(), reject, Of(EventType::kAuthFailed), Of(EventType::kLimit), client, Note(),
          Disconnect({{"ehlo", 1, 1}, {"auth", 1, 3}, {"data", 1, 1}})});
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(RecordText(record),
            "mx1 12:00:00 postfix/smtpd[1]#0 lines=7 smtpd PLAINTEXT/STARTTLS_COUNTER "
            "client.example[192.0.2.7] helo=helo.example end=12:00:00 DISCONNECT messages=1 "
            "rejects=1 auth=1 auth_failed=2 mechanism=PLAIN id=4A1 original_id=3B2 limits=1");
  ASSERT_EQ(record.commands_size(), 4);
  EXPECT_EQ(record.commands(1).command(), "auth");
  EXPECT_EQ(record.commands(1).accepted(), 1);
  EXPECT_EQ(record.commands(1).total(), 3);
}

TEST_F(AssemblerTest, WithoutCountersAuthenticationIsCountedByLines) {
  Event client = QueueId("");
  client.auth_mechanism = "LOGIN";
  AddAll({Connect(), Of(EventType::kAuthFailed), Of(EventType::kAuthFailed), client,
          BareDisconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre(testing::HasSubstr("auth=1 auth_failed=2 mechanism=LOGIN")));
}

TEST_F(AssemblerTest, ASessionLeavesNothingToTheNext) {
  ReadForHours();
  Event client = QueueId("4A1");
  client.auth_mechanism = "PLAIN";
  AddAll({Connect(), Tls(), TlsFailed("-1"), LibraryProblem("x", 48), client,
          AbnormalEnd("timeout", "DATA"), Disconnect({{"bdat", 1, 1}, {"auth", 1, 2}}),
          Active("4A1")});
  TakeTexts();
  AddAll({Connect(), Disconnect()});
  EXPECT_THAT(TakeTexts(), ElementsAre("mx1 12:00:00 postfix/smtpd[1]#1 lines=2 smtpd "
                                       "PLAINTEXT/STARTTLS_COUNTER client.example[192.0.2.7] "
                                       "end=12:00:00 DISCONNECT"));
}

}  // namespace
}  // namespace mxtally
