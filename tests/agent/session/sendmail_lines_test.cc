// From Sendmail's lines to records.  8.17.1.9 wrote the sequences.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/lines_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

#define TLS13 \
  "protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 iana=TLS_AES_256_GCM_SHA384 code_point=4866"
#define TLS13_LINE "version=TLSv1.3, verify=NO, cipher=TLS_AES_256_GCM_SHA384, bits=256/256"

class SendmailLinesTest : public LinesFixture {
 protected:
  SendmailLinesTest() {
    program_prefix_.clear();
    // Messages are of connections that may be as old.
    Read({"cron[7]: x"});
    Pass(absl::Minutes(10));
  }
  // What a report on all that was read has beside.
  std::vector<std::string> Silence() {
    std::vector<std::string> all;
    for (int i = 0; i < 3; ++i) {
      for (std::string& record : Pass(absl::Minutes(25))) all.push_back(std::move(record));
    }
    return all;
  }
};

#define QUEUE_ID(process) "6A2CA0xx" process
#define FROM(process, protocol, peer) \
  "sm-mta[" process "]: " QUEUE_ID(process) ": from=<a@a.test>, size=15, class=0, nrcpts=1, " \
  "msgid=<x@mx1>, proto=" protocol ", daemon=MTA-v4, relay=" peer
#define NO_MAIL(process, peer)                                                    \
  "sm-mta[" process "]: " QUEUE_ID(process) ": " peer                             \
                                            " did not issue MAIL/EXPN/VRFY/ETRN " \
                                            "during connection to MTA-v4"
#define TLS(process, peer) "sm-mta[" process "]: STARTTLS=server, relay=" peer ", " TLS13_LINE

TEST_F(SendmailLinesTest, WithoutMailTheEndIsLogged) {
  EXPECT_THAT(
      Read({NO_MAIL("01114", "[192.0.2.7]"), TLS("01203", "[192.0.2.8]"),
            NO_MAIL("01203", "[192.0.2.8]")}),
      ElementsAre("mx1 12:10:03 sm-mta[01114]#0 lines=1 smtpd PLAINTEXT/NO_TLS_LINE "
                  "[192.0.2.7] DISCONNECT",
                  "mx1 12:10:04 sm-mta[01203]#0 lines=2 smtpd ESTABLISHED/HANDSHAKE_LINE " TLS13
                  " bits=256/256 trust=ANONYMOUS [192.0.2.8] end=12:10:05 DISCONNECT"));
}

TEST_F(SendmailLinesTest, SilenceEndsASessionWithMail) {
  EXPECT_THAT(
      Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTPS", "[192.0.2.8]"),
            "sm-mta[01156]: 6A2CA1xx01156: from=<a@a.test>, size=15, class=0, nrcpts=1, "
            "msgid=<y@mx1>, proto=ESMTPS, daemon=MTA-v4, relay=[192.0.2.8]",
            "sm-mta[01157]: 6A2CA0xx01156: to=<root@localhost>, delay=00:00:00, xdelay=00:00:00, "
            "mailer=local, pri=30405, dsn=2.0.0, stat=Sent"}),
      IsEmpty());
  EXPECT_THAT(
      Silence(),
      ElementsAre("mx1 12:10:03 sm-mta[01156]#0 lines=3 smtpd ESTABLISHED/HANDSHAKE_LINE " TLS13
                  " bits=256/256 trust=ANONYMOUS [192.0.2.8] end=12:10:05 UNSPECIFIED messages=2 "
                  "id=6A2CA0xx01156 id=6A2CA1xx01156"));
  EXPECT_EQ(evicted_sessions(), 0);
}

TEST_F(SendmailLinesTest, SilentSessionIsToldAfterTenMinutesAndOnce) {
  takes_silent_ = true;
  Read({FROM("01156", "ESMTPS", "[192.0.2.8]")});
  EXPECT_THAT(Pass(absl::Minutes(9)), IsEmpty());
  EXPECT_THAT(Pass(absl::Minutes(2)),
              ElementsAre("silent: mx1 12:10:03 sm-mta[01156]#0 lines=1 smtpd "
                          "ESTABLISHED/DELIVERY_FIELD [192.0.2.8] UNSPECIFIED messages=1 "
                          "id=6A2CA0xx01156"));
  EXPECT_EQ(assembler().open_sessions(), 0);
  SaveAndRestore();
  EXPECT_THAT(Silence(), IsEmpty());
  EXPECT_EQ(assembler().remembered(), 0);
  EXPECT_EQ(evicted_sessions(), 0);
}

// Messages of one connection, up to an hour apart.
TEST_F(SendmailLinesTest, LaterMessageMakesABetterRecordOfTheSameSession) {
  takes_silent_ = true;
  Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTPS", "[192.0.2.8]")});
  std::vector<std::string> ranks;
  for (const char* id : {"6A2CA1xx01156", "6A2CA2xx01156", "6A2CA3xx01156"}) {
    const std::vector<std::string> told = Pass(absl::Minutes(45));
    ASSERT_THAT(told, testing::SizeIs(1));
    ranks.push_back(told[0].substr(0, told[0].find(" smtpd ")));
    SaveAndRestore();
    EXPECT_THAT(Read({absl::StrCat("sm-mta[01156]: ", id,
                                   ": from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<y@mx1>, "
                                   "proto=ESMTPS, daemon=MTA-v4, relay=[192.0.2.8]")}),
                IsEmpty());
  }
  EXPECT_THAT(ranks, ElementsAre("silent: mx1 12:10:03 sm-mta[01156]#0 lines=2",
                                 "silent: mx1 12:10:03 sm-mta[01156]#0 lines=3",
                                 "silent: mx1 12:10:03 sm-mta[01156]#0 lines=4"));
  EXPECT_THAT(Silence(),
              ElementsAre(testing::AllOf(
                  testing::StartsWith("silent: mx1 12:10:03 sm-mta[01156]#0 lines=5 smtpd "),
                  testing::HasSubstr(" messages=4 "))));
}

TEST_F(SendmailLinesTest, ToldSessionOfAnotherClientIsNotToldAgain) {
  takes_silent_ = true;
  Read({FROM("01156", "ESMTP", "[192.0.2.8]")});
  EXPECT_THAT(Pass(absl::Minutes(20)), testing::SizeIs(1));
  EXPECT_THAT(Read({NO_MAIL("01156", "[192.0.2.9]")}),
              ElementsAre(testing::AllOf(testing::HasSubstr(" lines=1 smtpd PLAINTEXT"),
                                         testing::HasSubstr("[192.0.2.9] DISCONNECT"))));
  EXPECT_THAT(Silence(), IsEmpty());
}

// Its records have one rank, whatever more is read: the first would stay.
TEST_F(SendmailLinesTest, UncertainSessionIsNotToldEarly) {
  takes_silent_ = true;
  Restart();
  Read({"cron[7]: x",
        "sm-mta[01156]: 6A2CA9xx01156: from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<x@mx1>, "
        "proto=ESMTP, daemon=MTA-v4, relay=[192.0.2.8]"});
  EXPECT_THAT(Pass(absl::Minutes(20)), IsEmpty());
  EXPECT_THAT(Silence(), ElementsAre(testing::HasSubstr(" lines=0 smtpd ")));
}

TEST_F(SendmailLinesTest, TheNextSessionOfTheProcessIdEndsTheOneBefore) {
  Read({FROM("01156", "ESMTP", "[192.0.2.8]")});
  EXPECT_THAT(Read({NO_MAIL("01156", "[192.0.2.8]")}),
              ElementsAre("mx1 12:10:03 sm-mta[01156]#0 lines=1 smtpd PLAINTEXT/NO_TLS_LINE "
                          "[192.0.2.8] UNSPECIFIED messages=1 id=6A2CA0xx01156",
                          "mx1 12:10:04 sm-mta[01156]#0 lines=1 smtpd PLAINTEXT/NO_TLS_LINE "
                          "[192.0.2.8] DISCONNECT"));
  Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTPS", "[192.0.2.8]")});
  EXPECT_THAT(Read({FROM("01156", "ESMTP", "[192.0.2.9]")}), testing::SizeIs(1));
  EXPECT_THAT(Read({TLS("01156", "[192.0.2.9]")}), testing::SizeIs(1));
}

// Releases up to 8.15 at least say "ESMTP" whether there was TLS or not.
TEST_F(SendmailLinesTest, EsmtpIsNoContradictionToAHandshake) {
  Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTP", "[192.0.2.8]")});
  EXPECT_THAT(Silence(), ElementsAre("mx1 12:10:03 sm-mta[01156]#0 lines=2 smtpd "
                                     "ESTABLISHED/HANDSHAKE_LINE " TLS13
                                     " bits=256/256 trust=ANONYMOUS [192.0.2.8] end=12:10:04 "
                                     "UNSPECIFIED messages=1 id=6A2CA0xx01156"));
}

TEST_F(SendmailLinesTest, EsmtpBehindEsmtpsIsAnotherConnection) {
  Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTPS", "[192.0.2.8]")});
  EXPECT_THAT(Read({FROM("01156", "ESMTP", "[192.0.2.8]")}), testing::SizeIs(1));
}

TEST_F(SendmailLinesTest, FailedHandshakes) {
  EXPECT_THAT(
      Read({"sm-mta[01246]: STARTTLS=server, error: accept failed=-1, reason=tlsv1 alert unknown "
            "ca, SSL_error=1, errno=0, retry=-1, relay=[192.0.2.8]",
            NO_MAIL("01246", "[192.0.2.8]"),
            "sm-mta[01247]: STARTTLS=server, error: accept failed=-1, reason=unknown, SSL_error=5, "
            "errno=0, retry=-1, relay=[192.0.2.8]",
            NO_MAIL("01247", "[192.0.2.8]")}),
      ElementsAre("mx1 12:10:03 sm-mta[01246]#0 lines=2 smtpd FAILED/HANDSHAKE_LINE failure=ALERT "
                  "alert=48 failure_reason=tlsv1 alert unknown ca [192.0.2.8] end=12:10:04 "
                  "DISCONNECT",
                  "mx1 12:10:05 sm-mta[01247]#0 lines=2 smtpd FAILED/HANDSHAKE_LINE "
                  "failure=LOST_CONNECTION [192.0.2.8] end=12:10:06 DISCONNECT"));
}

TEST_F(SendmailLinesTest, LostInTheTransaction) {
  EXPECT_THAT(
      Read(
          {"sm-mta[01377]: 6A2CA0xx01377: lost input channel from [192.0.2.8] to MTA-v4 after mail",
           "sm-mta[01377]: 6A2CA0xx01377: from=<a@a.test>, size=0, class=0, nrcpts=0, proto=ESMTP, "
           "daemon=MTA-v4, relay=[192.0.2.8]"}),
      ElementsAre("mx1 12:10:03 sm-mta[01377]#0 lines=2 smtpd PLAINTEXT/NO_TLS_LINE [192.0.2.8] "
                  "end=12:10:04 LOST_CONNECTION after=MAIL"));
}

TEST_F(SendmailLinesTest, RefusedRecipients) {
  Read({"sm-mta[01467]: 6A2CA0xx01467: <nouser@localhost>... User unknown",
        "sm-mta[01467]: 6A2CA0xx01467: from=<a@a.test>, size=0, class=0, nrcpts=0, proto=ESMTP, "
        "daemon=MTA-v4, relay=[192.0.2.8]"});
  EXPECT_THAT(Silence(),
              ElementsAre("mx1 12:10:03 sm-mta[01467]#0 lines=2 smtpd PLAINTEXT/NO_TLS_LINE "
                          "[192.0.2.8] end=12:10:04 UNSPECIFIED rejects=1"));
}

// A filter, say, looked at it: the line of a message comes before, those of all recipients after.
TEST_F(SendmailLinesTest, AMessageThatIsRefusedAtItsEndIsNone) {
  const auto refused = [](const std::string& id) {
    return "sm-mta[01467]: " + id + ": to=<b@b.test>, delay=00:00:00, pri=30375, stat=no";
  };
  Read({FROM("01467", "ESMTP", "[192.0.2.8]"),
        "sm-mta[01467]: 6A2CA0xx01467: Milter: data, reject=550 5.7.1 no", refused("6A2CA0xx01467"),
        refused("6A2CA0xx01467"), refused("6A2CA0xx01467"),
        "sm-mta[01467]: 6A2CA1xx01467: from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<y@mx1>, "
        "proto=ESMTP, daemon=MTA-v4, relay=[192.0.2.8]",
        // Of another message.
        refused("6A2CA0xx01467"), refused("6A2CA9xx01467"),
        // Of another process.
        "sm-mta[01468]: 6A2CA1xx01467: to=<b@b.test>, delay=00:00:00, pri=30375, stat=no"});
  EXPECT_THAT(Silence(), ElementsAre(testing::HasSubstr(" UNSPECIFIED messages=1 rejects=1 ")));
}

TEST_F(SendmailLinesTest, Outbound) {
  Read({"sm-mta[01500]: STARTTLS=client, relay=mx.example., " TLS13_LINE,
        "sm-mta[01500]: 6A2CA0xx01156: to=<b@b.test>,<c@b.test>, delay=00:00:00, xdelay=00:00:00, "
        "mailer=esmtp, pri=30014, relay=mx.example. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)",
        // Another connection.
        "sm-mta[01500]: 6A2CA0xx01156: to=<b@c.test>, delay=00:00:00, xdelay=00:00:00, "
        "mailer=esmtp, pri=30014, relay=c.example. [192.0.2.10], dsn=2.0.0, stat=Sent (ok)",
        // A queue runner goes on with the first.
        "sm-mta[01500]: 6A2CA0xx01157: to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, "
        "mailer=esmtp, pri=30014, relay=mx.example. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)"});
  const std::vector<std::string> records = Silence();
  EXPECT_THAT(
      records,
      testing::UnorderedElementsAre(
          "mx1 12:10:03 sm-mta[01500]#0 lines=3 smtp ESTABLISHED/HANDSHAKE_LINE " TLS13
          " bits=256/256 trust=ANONYMOUS mx.example[192.0.2.9] end=12:10:06 UNSPECIFIED messages=2 "
          "id=6A2CA0xx01156 id=6A2CA0xx01157",
          "mx1 12:10:05 sm-mta[01500]#0 lines=1 smtp PLAINTEXT/NO_TLS_LINE "
          "c.example[192.0.2.10] UNSPECIFIED messages=1 id=6A2CA0xx01156"));
}

TEST_F(SendmailLinesTest, OutboundFailures) {
  Read(
      {"sm-mta[01500]: STARTTLS=client, error: connect failed=-1, reason=wrong version number, "
       "SSL_error=1, errno=0, retry=-1",
       "sm-mta[01500]: ruleset=tls_server, arg1=SOFTWARE, relay=[192.0.2.9], reject=454 4.7.0 TLS "
       "handshake failed.",
       "sm-mta[01500]: 6A2CA0xx01156: to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, "
       "mailer=esmtp, pri=30014, relay=mx.example. [192.0.2.9], dsn=4.7.0, stat=Deferred: 454 "
       "4.7.0 TLS handshake failed.",
       // No connection.
       "sm-mta[01501]: 6A2CA0xx01156: to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, "
       "mailer=esmtp, pri=30014, relay=mx.example. [192.0.2.11], dsn=4.4.1, stat=Deferred: "
       "Connection refused by mx.example."});
  EXPECT_THAT(Silence(),
              ElementsAre("mx1 12:10:03 sm-mta[01500]#0 lines=2 smtp FAILED/HANDSHAKE_LINE "
                          "failure=PROTOCOL failure_reason=wrong version number "
                          "mx.example[192.0.2.9] end=12:10:05 UNSPECIFIED id=6A2CA0xx01156"));
}

TEST_F(SendmailLinesTest, ServerAndClientLinesOfOneProcessAreTwoSessions) {
  Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTPS", "[192.0.2.8]"),
        "sm-mta[01156]: STARTTLS=client, relay=mx.example., " TLS13_LINE,
        "sm-mta[01156]: 6A2CA0xx01156: to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, "
        "mailer=esmtp, pri=30014, relay=mx.example. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)"});
  EXPECT_THAT(Silence(), testing::SizeIs(2));
}

TEST_F(SendmailLinesTest, SessionsOfBeforeTheReadingAreCut) {
  Restart();
  // The queue id is older than the reading.
  Read({"cron[7]: x",
        "sm-mta[01114]: 6A2CA0xx01114: [192.0.2.7] did not issue "
        "MAIL/EXPN/VRFY/ETRN during connection to MTA-v4"});
  EXPECT_EQ(cut_sessions(), 1);
}

TEST_F(SendmailLinesTest, AMessageRightAfterTheLogsBeginningIsTakenForTheFirst) {
  Restart();
  // Its queue id is of the second in which the reading began.
  Read({"cron[7]: x",
        absl::StrReplaceAll(FROM("01156", "ESMTP", "[192.0.2.8]"), {{"6A2CA0", "6A2CA3"}})});
  EXPECT_EQ(cut_sessions(), 0);
  // Without lines that make one certain: another reading may know better.
  EXPECT_THAT(Silence(), ElementsAre(testing::HasSubstr(" lines=0 ")));
}

// Year and zone of stamps may be guesses; what zones have in common is not.
TEST_F(SendmailLinesTest, QueueIdsOfAnyZoneAndYearTellWhatBeganInTheReading) {
  const auto cut_after = [this](const std::string& id) {
    const int64_t before = cut_sessions();
    Restart();
    Read({"cron[7]: x",
          absl::StrReplaceAll(FROM("01156", "ESMTP", "[192.0.2.8]"), {{"6A2CA0", id}})});
    return cut_sessions() - before;
  };
  EXPECT_EQ(cut_after("6A2CA3"), 0);
  EXPECT_EQ(cut_after("6A2AA5"), 0) << "two hours off";
  EXPECT_EQ(cut_after("6A2Be7"), 0) << "half an hour off";
  EXPECT_EQ(cut_after("lA2CA9"), 0) << "of 2007";
  EXPECT_EQ(cut_after("6A2CA0"), 1) << "before the reading";
  EXPECT_EQ(cut_after("6A2AA0"), 1) << "before the reading, two hours off";
}

// Its line has no queue id: the message's tells when the connection began.
TEST_F(SendmailLinesTest, AnAuthenticationBeforeItsMessageIsNotCut) {
  Restart();
  Read({"cron[7]: x"});
  Read({"sm-mta[01156]: AUTH=server, relay=[192.0.2.8], authid=u, mech=PLAIN, bits=0",
        absl::StrReplaceAll(FROM("01156", "ESMTPA", "[192.0.2.8]"), {{"6A2CA0", "6A2CA4"}})});
  EXPECT_EQ(cut_sessions(), 0);
  EXPECT_THAT(Silence(), testing::SizeIs(1));
}

TEST_F(SendmailLinesTest, ARestartChangesNothing) {
  Read({TLS("01156", "[192.0.2.8]"), FROM("01156", "ESMTPS", "[192.0.2.8]")});
  SaveAndRestore();
  EXPECT_THAT(Read({FROM("01156", "ESMTPS", "[192.0.2.8]")}), IsEmpty());
  EXPECT_THAT(Silence(), testing::SizeIs(1));
}

}  // namespace
}  // namespace mxtally
