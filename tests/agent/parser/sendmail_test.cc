// Lines of Sendmail and what they mean, table by table.  8.17.1.9 wrote most of them.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

struct Row {
  const char* text;
  const char* event;
};

#define QID "6ANDxP7B001156"

void ExpectAll(const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_EQ(Parsed("sm-mta", row.text), row.event) << row.text;
}

TEST(SendmailTest, Tags) {
  for (const char* program :
       {"sm-mta", "sendmail", "sm-acceptingconnections", "sendmail-in",
        // Debian's.
        "sm-mta-queue", "sm-mta-runq", "sm-msp", "sm-msp-queue", "sm-que", "sm-que-runq",
        // FreeBSD's.
        "sm-queue"}) {
    EXPECT_EQ(Parsed(program, "NOQUEUE: connect from host.example [192.0.2.7]"),
              "connect connection=" + std::string(program) +
                  "[123] one-connection=yes peer=host.example[192.0.2.7]")
        << program;
  }
  for (const char* program : {"sm-mtaX", "sm-", "sm-notify", "sendmailx"}) {
    EXPECT_EQ(Parsed(program, "NOQUEUE: connect from host.example [192.0.2.7]"), "not mine")
        << program;
  }
  EXPECT_EQ(Parsed("postfix/sendmail", "NOQUEUE: connect from host.example [192.0.2.7]"),
            "ignored");
}

TEST(SendmailTest, Handshakes) {
  ExpectAll({
      {"STARTTLS=server, relay=localhost [127.0.0.1], version=TLSv1.3, verify=NO, "
       "cipher=TLS_AES_256_GCM_SHA384, bits=256/256",
       "tls-established connection=sm-mta[123] one-connection=yes peer=localhost[127.0.0.1] "
       "trust=Anonymous protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256 age=0"},
      {"STARTTLS=server, relay=[IPv6:2001:DB8:0:0:0:0:0:1], version=TLSv1.2, verify=FAIL, "
       "cipher=ECDHE-RSA-AES256-GCM-SHA384, bits=256/256, pubkey_fp=x",
       "tls-established connection=sm-mta[123] one-connection=yes peer=[2001:DB8:0:0:0:0:0:1] "
       "trust=Untrusted protocol=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256/256 age=0"},
      {"STARTTLS=server, relay=h.example [192.0.2.1] (may be forged), version=TLSv1.2, verify=OK, "
       "cipher=AES128-SHA, bits=128/128",
       "tls-established connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] trust=Trusted "
       "protocol=TLSv1.2 cipher=AES128-SHA bits=128/128 age=0"},
      // With a queue id in some releases.
      {QID ": STARTTLS=server, relay=h.example [192.0.2.1], version=TLSv1.3, verify=NOT, "
           "cipher=TLS_AES_256_GCM_SHA384, bits=256/256",
       "tls-established connection=sm-mta[123] one-connection=yes peer=h.example[192.0.2.1] "
       "trust=Anonymous protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256 age=0 "
       "queue-id=" QID},
      {"STARTTLS=client, relay=mx.example., version=TLSv1.3, verify=TRUSTED, "
       "cipher=TLS_AES_256_GCM_SHA384, bits=256/256",
       "tls-established outbound=yes service=smtp peer=mx.example[] trust=Verified "
       "protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256 age=0"},
      {"STARTTLS=client, relay=[192.0.2.1], version=TLSv1.3, verify=OK, "
       "cipher=TLS_AES_256_GCM_SHA384, bits=256/256",
       "tls-established outbound=yes service=smtp peer=[192.0.2.1] trust=Trusted protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 age=0"},
  });
}

TEST(SendmailTest, FailedHandshakes) {
  ExpectAll({
      {"STARTTLS=server, error: accept failed=-1, reason=unexpected eof while reading, "
       "SSL_error=1, errno=0, retry=-1, relay=localhost [127.0.0.1]",
       "tls-failed connection=sm-mta[123] one-connection=yes peer=localhost[127.0.0.1] age=0 "
       "tls-error=unexpected eof while reading"},
      {"STARTTLS=server, error: accept failed=-1, reason=tlsv1 alert unknown ca, SSL_error=1, "
       "errno=0, retry=-1, relay=localhost [127.0.0.1]",
       "tls-failed connection=sm-mta[123] one-connection=yes peer=localhost[127.0.0.1] age=0 "
       "alert=48 tls-error=tlsv1 alert unknown ca"},
      {"STARTTLS=server, error: accept failed=-1, reason=unknown, SSL_error=5, errno=0, retry=-1, "
       "relay=[192.0.2.1]",
       "tls-failed connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] age=0 reason=lost "
       "connection"},
      {"STARTTLS=server, error: accept failed=-1, reason=unknown, SSL_error=5, errno=110, "
       "retry=-1, relay=[192.0.2.1]",
       "tls-failed connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] age=0 "
       "reason=Connection timed out"},
      // FreeBSD's ETIMEDOUT.
      {"STARTTLS=server, error: accept failed=-1, reason=unknown, SSL_error=5, errno=60, "
       "retry=-1, relay=[192.0.2.1]",
       "tls-failed connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] age=0 "
       "reason=Connection timed out"},
      // Before 8.14.6.
      {"STARTTLS=server, error: accept failed=-1, SSL_error=1, errno=0, retry=-1",
       "tls-failed connection=sm-mta[123] one-connection=yes age=0 reason=-1"},
      // 8.12 and 8.13.
      {"STARTTLS=server, error: accept failed=-1, SSL_error=1, timedout=0, errno=0",
       "tls-failed connection=sm-mta[123] one-connection=yes age=0 reason=-1"},
      {"STARTTLS=server, error: accept failed=0, SSL_error=5, timedout=0, errno=104",
       "tls-failed connection=sm-mta[123] one-connection=yes age=0 reason=lost connection"},
      {"STARTTLS=server, error: accept failed=-1, SSL_error=2, timedout=1, errno=11",
       "tls-failed connection=sm-mta[123] one-connection=yes age=0 reason=Connection timed out"},
      {"STARTTLS=client, error: connect failed=0, SSL_error=5",
       "tls-failed outbound=yes service=smtp age=0 reason=lost connection"},
      {"STARTTLS=client, error: connect failed=-1, reason=wrong version number, SSL_error=1, "
       "errno=0, retry=-1",
       "tls-failed outbound=yes service=smtp age=0 tls-error=wrong version number"},
      {"STARTTLS=server, error: load verify locs /etc/mail/tls, x failed: 0", "ignored"},
      {"ruleset=tls_server, arg1=SOFTWARE, relay=[192.0.2.1], reject=454 4.7.0 TLS handshake "
       "failed.",
       "ignored"},
      {"STARTTLS: read error=syscall error (-1), errno=104, retry=1, ssl_err=5", "ignored"},
  });
}

TEST(SendmailTest, MessagesThatComeIn) {
  ExpectAll({
      {QID ": from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<x@mx1>, proto=ESMTPS, "
           "daemon=MTA-v4, relay=localhost [127.0.0.1]",
       "proxy-accept connection=sm-mta[123] service=smtpd one-connection=yes "
       "peer=localhost[127.0.0.1] tls=established queue-id=" QID},
      {QID ": from=<a@a.test>, size=15, class=0, nrcpts=2, msgid=<x@mx1>, bodytype=8BITMIME, "
           "proto=ESMTPA, daemon=MSA, relay=user@h.example [192.0.2.1]",
       "proxy-accept connection=sm-mta[123] service=submission one-connection=yes "
       "peer=h.example[192.0.2.1] tls=not-shown queue-id=" QID},
      // Before 8.12.
      {QID ": from=a@a.test, size=15, class=0, pri=30015, nrcpts=1, msgid=<x@mx1>, proto=SMTP, "
           "relay=h.example [192.0.2.1]",
       "proxy-accept connection=sm-mta[123] one-connection=yes peer=h.example[192.0.2.1] "
       "tls=not-shown queue-id=" QID},
      // All recipients were refused; given up before DATA, or in it.
      {QID ": from=<a@a.test>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA-v4, "
           "relay=[192.0.2.1]",
       "transaction connection=sm-mta[123] service=smtpd one-connection=yes peer=[192.0.2.1] "
       "tls=not-shown queue-id=" QID},
      {QID ": from=<a@a.test>, size=12, class=0, nrcpts=1, proto=ESMTP, daemon=MTA-v4, "
           "relay=[192.0.2.1]",
       "transaction connection=sm-mta[123] service=smtpd one-connection=yes peer=[192.0.2.1] "
       "tls=not-shown queue-id=" QID},
      // As some are built.
      {QID ": from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<x@mx1>, proto=ESMTPS, "
           "daemon=MTA-v4, tls_verify=NO, auth=NONE, relay=[192.0.2.1]",
       "proxy-accept connection=sm-mta[123] service=smtpd one-connection=yes peer=[192.0.2.1] "
       "tls=established queue-id=" QID},
      // "sendmail -bs".
      {QID ": from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<x@mx1>, proto=ESMTP, "
           "relay=u@localhost",
       "proxy-accept connection=sm-mta[123] local=yes one-connection=yes tls=not-shown "
       "queue-id=" QID},
      // Submitted on this host.
      {QID ": from=root, size=15, class=0, nrcpts=1, msgid=<x@mx1>, relay=root@localhost",
       "ignored"},
      {QID ": from=<a@a.test>, nrcpts=1, proto=ESMTP, daemon=MTA, relay=[192.0.2.1]",
       "unrecognized"},
  });
}

TEST(SendmailTest, LongSendersAreCutAtTwoHundredCharacters) {
  const std::string rest =
      ", size=15, class=0, nrcpts=1, msgid=<x@mx1>, proto=ESMTP, daemon=MTA-v4, relay=[192.0.2.1]";
  for (const std::string start : {"<", "<\"x, size=1"}) {
    const std::string sender = start + std::string(200 - start.size(), 'a');
    EXPECT_EQ(Parsed("sm-mta", QID ": from=" + sender + rest),
              "proxy-accept connection=sm-mta[123] service=smtpd one-connection=yes "
              "peer=[192.0.2.1] tls=not-shown queue-id=" QID);
    EXPECT_EQ(Parsed("sm-mta", QID ": from=" + sender + "a" + rest), "unrecognized");
  }
}

TEST(SendmailTest, OtherLinesOfSessions) {
  ExpectAll({
      {"NOQUEUE: [192.0.2.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA",
       "disconnect connection=sm-mta[123] service=smtpd one-connection=yes peer=[192.0.2.1]"},
      {QID ": to=<b@b.test>, delay=00:00:00, pri=30375, stat=Message refused",
       "transaction connection=sm-mta[123] only-continues=yes one-connection=yes queue-id=" QID},
      {QID ": localhost [127.0.0.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA-v4",
       "disconnect connection=sm-mta[123] service=smtpd one-connection=yes "
       "peer=localhost[127.0.0.1] queue-id=" QID},
      {QID ": [192.0.2.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to MSSL",
       "disconnect connection=sm-mta[123] service=MSSL one-connection=yes peer=[192.0.2.1] "
       "queue-id=" QID},
      {QID ": lost input channel from localhost [127.0.0.1] to MTA-v4 after mail",
       "abnormal-end connection=sm-mta[123] service=smtpd one-connection=yes "
       "peer=localhost[127.0.0.1] queue-id=" QID " place=MAIL reason=lost connection"},
      {QID ": timeout waiting for input from localhost during server cmd read",
       "abnormal-end connection=sm-mta[123] one-connection=yes queue-id=" QID " reason=timeout"},
      {QID ": timeout waiting for input from mx.example. during client greeting", "ignored"},
      {QID ": collect: premature EOM: unexpected close",
       "abnormal-end connection=sm-mta[123] one-connection=yes queue-id=" QID
       " place=DATA reason=lost connection"},
      {QID ": collect: premature EOM: Connection timed out with mx.example",
       "abnormal-end connection=sm-mta[123] one-connection=yes queue-id=" QID
       " place=DATA reason=timeout"},
      {QID ": collect: relay=[192.0.2.1], from=<a@a.test>, info=unexpected close", "ignored"},
      {QID ": <nouser@localhost>... User unknown",
       "reject connection=sm-mta[123] one-connection=yes queue-id=" QID " place=RCPT"},
      {QID ": ruleset=check_rcpt, arg1=<x@example.org>, relay=h.example [192.0.2.133], reject=550 "
           "5.7.1 <x@example.org>... Relaying denied",
       "reject connection=sm-mta[123] one-connection=yes peer=h.example[192.0.2.133] queue-id=" QID
       " place=RCPT"},
      {"ruleset=check_relay, arg1=[192.0.2.1], arg2=192.0.2.1, relay=[192.0.2.1], reject=550 5.7.1 "
       "Access denied",
       "reject connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] age=0 place=CONNECT"},
      {QID ": ruleset=check_compat, arg1=<a@a.test> $| <b@b.test>, relay=h.example [192.0.2.1], "
           "reject=550 5.7.1 no",
       "ignored"},
      {QID ": rejecting commands from [192.0.2.1] due to pre-greeting traffic after 0 seconds",
       "reject connection=sm-mta[123] one-connection=yes queue-id=" QID " place=CONNECT"},
      {"AUTH=server, relay=h.example [192.0.2.1], authid=u, mech=NTLM, mech=PLAIN, bits=0",
       "auth-accepted connection=sm-mta[123] one-connection=yes peer=h.example[192.0.2.1] "
       "auth=PLAIN"},
      {QID ": AUTH failure (LOGIN): authentication failure (-13) SASL(-13), user=u, relay=h",
       "auth-failed connection=sm-mta[123] one-connection=yes queue-id=" QID " auth=LOGIN"},
      {QID ": Milter: data, reject=550 5.7.1 Command rejected",
       "reject connection=sm-mta[123] one-connection=yes queue-id=" QID},
      {QID ": [192.0.2.1]: probable open proxy: command=GET / HTTP/1.1\\r\\n", "ignored"},
      {QID ": Authentication-Warning: mx1: [192.0.2.1] didn't use HELO protocol", "ignored"},
      {"starting daemon (8.17.1.9): SMTP+queueing@00:01:00", "ignored"},
      {"NOQUEUE: SYSERR(root): opendaemonsocket: cannot bind", "ignored"},
      {"", "ignored"},
  });
}

TEST(SendmailTest, Deliveries) {
  ExpectAll({
      {QID ": to=<b1@b.test>,<b0@b.test>, delay=00:00:00, xdelay=00:00:01, mailer=esmtp, "
           "pri=60021, relay=mx.example. [192.0.2.9], dsn=2.0.0, stat=Sent (2.0.0 Ok: queued as X)",
       "delivery outbound=yes service=smtp peer=mx.example[192.0.2.9] uses=0 age=1000 "
       "tls=not-shown sent=yes "
       "queue-id=" QID},
      {QID ": to=<b@b.test>, ctladdr=<a@a.test> (1/2), delay=1+00:00:00, xdelay=00:00:00, "
           "mailer=relay, pri=30014, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent (ok)",
       "delivery outbound=yes service=smtp peer=[127.0.0.1] uses=0 age=0 tls=not-shown sent=yes "
       "queue-id=" QID},
      {QID ": to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30014, "
           "relay=mx.example. [192.0.2.9], dsn=5.1.1, reply=550 5.1.1 no, stat=Sent, stat=User "
           "unknown",
       "delivery outbound=yes service=smtp peer=mx.example[192.0.2.9] uses=0 age=0 tls=not-shown "
       "trouble=other queue-id=" QID},
      {QID
       ": to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30014, "
       "relay=[192.0.2.9] [192.0.2.9], dsn=4.4.2, stat=Deferred: Connection reset by [192.0.2.9]",
       "delivery outbound=yes service=smtp peer=[192.0.2.9] uses=0 age=0 tls=not-shown "
       "trouble=lost-connection queue-id=" QID},
      {QID ": to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30014, "
           "relay=[192.0.2.9] [192.0.2.9], dsn=4.4.1, stat=Deferred: Connection refused by "
           "[192.0.2.9]",
       "delivery outbound=yes service=smtp only-continues=yes peer=[192.0.2.9] uses=0 age=0 "
       "tls=not-shown "
       "trouble=other queue-id=" QID},
      {QID
       ": to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30014, "
       "relay=b.test., dsn=4.0.0, stat=Deferred: Name server: b.test.: host name lookup failure",
       "ignored"},
      {QID ": to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30014, "
           "relay=[192.0.2.9] [192.0.2.9], dsn=4.4.2, reply=451 4.4.1 reply: read error from "
           "[192.0.2.9], stat=Deferred: Connection reset by [192.0.2.9]",
       "delivery outbound=yes service=smtp peer=[192.0.2.9] uses=0 age=0 tls=not-shown "
       "trouble=lost-connection queue-id=" QID},
      {QID ": to=<b@b.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30014, "
           "relay=[192.0.2.9], dsn=4.4.2, stat=Deferred: Connection reset by [192.0.2.9]",
       "ignored"},
      {QID ": to=root, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=31038, dsn=2.0.0, "
           "stat=Sent",
       "ignored"},
  });
}

std::string SmMta(std::string_view text) { return Parsed("sm-mta", text); }

TEST(SendmailTrapTest, CertificateRemarksAreNoHandshakes) {
  EXPECT_EQ(SmMta("STARTTLS=server, relay=h.example [192.0.2.1], field=CN, status=CN too long"),
            "ignored");
  EXPECT_EQ(SmMta("STARTTLS=server, relay=h.example [192.0.2.1], AltName=mx.example"), "ignored");
  EXPECT_EQ(SmMta("STARTTLS=server, cert-subject=/CN=x, cert-issuer=/CN=x, verifymsg=ok"),
            "ignored");
}

TEST(SendmailTrapTest, VerifyNoAndFailAreTls) {
  for (const std::string verify : {"NO", "NOT", "FAIL", "TEMP"}) {
    EXPECT_TRUE(SmMta("STARTTLS=server, relay=[192.0.2.1], version=TLSv1.2, verify=" + verify +
                      ", cipher=AES128-SHA, bits=128/128")
                    .starts_with("tls-established "))
        << verify;
  }
}

// Before 8.15.1.
TEST(SendmailTrapTest, OldReleasesDoNotTellTheVersion) {
  EXPECT_EQ(SmMta("STARTTLS=server, relay=[192.0.2.1], version=TLSv1/SSLv3, verify=NO, "
                  "cipher=DHE-RSA-AES256-SHA, bits=256/256"),
            "tls-established connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] "
            "trust=Anonymous protocol=TLSv1/SSLv3 cipher=DHE-RSA-AES256-SHA bits=256/256 age=0");
}

TEST(SendmailTrapTest, BitsAreAlgorithmThenUsed) {
  EXPECT_EQ(SmMta("STARTTLS=server, relay=[192.0.2.1], version=TLSv1, verify=NOT, "
                  "cipher=DES-CBC3-SHA, bits=168/112"),
            "tls-established connection=sm-mta[123] one-connection=yes peer=[192.0.2.1] "
            "trust=Anonymous protocol=TLSv1 cipher=DES-CBC3-SHA bits=112/168 age=0");
}

TEST(SendmailTrapTest, SenderChosenTextStandsBeforeTheFields) {
  EXPECT_EQ(SmMta(QID ": from=<\"x, relay=y [1.2.3.4], stat=Sent\"@a.test>, size=42, class=0, "
                      "nrcpts=1, msgid=<a, proto=ESMTPS, relay=z>, proto=ESMTP, daemon=MTA-v4, "
                      "relay=localhost [127.0.0.1]"),
            "proxy-accept connection=sm-mta[123] service=smtpd one-connection=yes "
            "peer=localhost[127.0.0.1] tls=not-shown queue-id=" QID);
  EXPECT_EQ(SmMta(QID ": from=<\", size=1, class=0, nrcpts=9, msgid=\"@a.test>, size=42, class=0, "
                      "nrcpts=0, proto=ESMTP, daemon=MTA-v4, relay=localhost [127.0.0.1]"),
            "transaction connection=sm-mta[123] service=smtpd one-connection=yes "
            "peer=localhost[127.0.0.1] tls=not-shown queue-id=" QID);
}

// Sendmail takes them so.
TEST(SendmailTrapTest, AddressesWithoutBrackets) {
  EXPECT_TRUE(SmMta(QID ": from=\", size=1, class=0, nrcpts=9, msgid=\"@a.test, size=42, class=0, "
                        "nrcpts=0, proto=ESMTP, daemon=MTA-v4, relay=[192.0.2.1]")
                  .starts_with("transaction "));
  EXPECT_EQ(SmMta(QID ": to=\"x, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, relay=x. "
                      "[1.2.3.4], dsn=2.0.0, stat=Sent\"@b.test, delay=00:00:00, xdelay=00:00:00, "
                      "mailer=local, pri=31038, dsn=2.0.0, stat=Sent"),
            "ignored");
}

TEST(SendmailTrapTest, RelayCutAtAHundredCharactersHasNoAddress) {
  const std::string name(100, 'a');
  EXPECT_EQ(SmMta("STARTTLS=server, relay=" + name +
                  ", version=TLSv1.2, verify=NO, cipher=AES128-SHA, bits=128/128"),
            "tls-established connection=sm-mta[123] one-connection=yes trust=Anonymous "
            "protocol=TLSv1.2 cipher=AES128-SHA bits=128/128 age=0");
}

TEST(SendmailTrapTest, AHeaderThatLooksLikeALineChangesNothing) {
  const std::string words = " did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA";
  for (const std::string before :
       {"Milter change: header Subject: from x to [1.2.3.4]", "Milter insert (0): header: X-Y: x",
        "<-- EHLO [1.2.3.4]", "x y [1.2.3.4]"}) {
    EXPECT_EQ(SmMta(QID ": " + before + words), "ignored") << before;
  }
  for (const std::string client : {"x", "x [1.2.3.4]", "x [1.2.3.4] (may be forged)", "x [1.2",
                                   "[IPv6:2001:db8:0:0:0:0:0:1]", "localhost [UNIX: /dev/log]"}) {
    EXPECT_TRUE(SmMta(QID ": " + client + words).starts_with("disconnect ")) << client;
  }
}

TEST(SendmailTrapTest, ARecipientThatLooksLikeALineChangesNothing) {
  EXPECT_EQ(SmMta(QID ": <x@a.test did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA>... "
                      "User unknown"),
            "reject connection=sm-mta[123] one-connection=yes queue-id=" QID " place=RCPT");
}

TEST(SendmailTest, QueueIdsBefore812) {
  ExpectAll({
      {"e6FFBLP22398: from=<a@a.test>, size=15, class=0, nrcpts=1, msgid=<x@mx1>, proto=SMTP, "
       "daemon=MTA, relay=h.example [192.0.2.1]",
       "proxy-accept connection=sm-mta[123] service=smtpd one-connection=yes "
       "peer=h.example[192.0.2.1] tls=not-shown queue-id=e6FFBLP22398"},
      {"PAA22398: from=<a@a.test>, size=15, class=0, pri=30015, nrcpts=1, msgid=<x@mx1>, "
       "proto=ESMTP, relay=h.example [192.0.2.1]",
       "proxy-accept connection=sm-mta[123] one-connection=yes peer=h.example[192.0.2.1] "
       "tls=not-shown queue-id=PAA22398"},
      {"PAAA2398: lost input channel from [192.0.2.1]", "ignored"},
      {"e6FFBLP2239: lost input channel from [192.0.2.1]", "ignored"},
  });
}

TEST(SendmailTest, TheQueueIdTellsWhenTheConnectionWasMade) {
  Framer framer({});
  FramedLine line;
  Event event;
  ASSERT_TRUE(framer.Split("2026-11-23T13:59:35Z mx1 sm-mta[1156]: " QID ": localhost [127.0.0.1] "
                           "did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA-v4",
                           line));
  line.time = absl::Time();  // Which is not known yet where a scan parses.
  ASSERT_EQ(ParseDialect(line, event), LineClass::kEvent);
  ASSERT_TRUE(event.connection_time.has_value());
  EXPECT_EQ(absl::FormatTime(*event.connection_time, absl::UTCTimeZone()),
            "2026-11-23T13:59:25+00:00");
}

}  // namespace
}  // namespace mxtally
