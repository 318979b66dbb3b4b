// Lines of OpenSMTPD and what they mean, table by table.  Those of 6.8 and 7.6 were
// written by these releases.

#include <gtest/gtest.h>

#include <vector>

#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

struct Row {
  const char* text;
  const char* event;
};

#define ID "9fcdefbc9afc45da"

void ExpectAll(const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_EQ(Parsed("smtpd", row.text), row.event) << row.text;
}

TEST(OpensmtpdTest, Inbound) {
  ExpectAll({
      // Reverse names are not verified.
      {ID " smtp connected address=127.0.0.1 host=localhost",
       "connect connection=" ID " peer=[127.0.0.1]"},
      {ID " smtp connected address=[::1] host=<unknown>", "connect connection=" ID " peer=[::1]"},
      {ID " smtp connected address=IPv6:::1 host=localhost",
       "connect connection=" ID " peer=[::1]"},
      {ID " smtp connected address=local host=mx1", "connect connection=" ID " local=yes peer=[]"},
      {ID " smtp event=proxy address=192.0.2.7", "note connection=" ID " peer=[192.0.2.7]"},
      {ID " smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
       "tls-established connection=" ID
       " protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256"},
      {ID " smtp tls ciphers=TLSv1.3:AEAD-AES256-GCM-SHA384:256",
       "tls-established connection=" ID
       " protocol=TLSv1.3 cipher=AEAD-AES256-GCM-SHA384 bits=256/256"},
      {ID " smtp tls ciphers=TLSv1.3", "unrecognized"},
      {ID " smtp cert-check result=\"verified\" fingerprint=\"SHA256:737b\"",
       "certificate-checked connection=" ID " trust=Trusted"},
      {ID " smtp cert-check result=\"unchecked\" fingerprint=\"SHA256:737b\"",
       "certificate-checked connection=" ID " trust=Untrusted"},
      {ID " smtp client-cert-check result=\"success\"",
       "certificate-checked connection=" ID " trust=Trusted"},
      {ID " smtp client-cert-check result=\"failure\"",
       "certificate-checked connection=" ID " trust=Untrusted"},
      {ID " smtp authentication user=u result=ok", "auth-accepted connection=" ID},
      {ID " smtp authentication user=u\\040x result=permfail", "auth-failed connection=" ID},
      {ID " smtp authentication user=u result=tempfail", "auth-failed connection=" ID},
      {ID " smtp message msgid=009b4fb2 size=252 nrcpt=1 proto=ESMTP",
       "proxy-accept connection=" ID " queue-id=009b4fb2"},
      {ID " smtp envelope evpid=009b4fb25120febf from=<a@a.test> to=<u@out.test>", "ignored"},
      {ID " smtp failed-command command=\"RCPT TO:<x@refused.test>\" result=\"550 Invalid "
          "recipient: <x@refused.test>\"",
       "reject connection=" ID " place=RCPT"},
      {ID " smtp failed-command command=\"FOO\" result=\"500 5.5.1 Invalid command\"",
       "reject connection=" ID},
      {ID " smtp failed-command command=\"STARTTLS\" result=\"503 5.5.1 Invalid command: Command "
          "not supported\"",
       "tls-refused-before-handshake connection=" ID " place=STARTTLS reason=STARTTLS"},
      {ID " smtp failed-command command=\"AUTH PLAIN (...)\" result=\"535 Authentication failed\"",
       "auth-failed connection=" ID},
      {ID " smtp bad-input result=\"500 5.0.0 Line too long\"", "reject connection=" ID},
      {ID " filters session-begin", "ignored"},
      {ID " smtp something new", "unrecognized"},
  });
}

TEST(OpensmtpdTest, InboundEnds) {
  ExpectAll({
      {ID " smtp disconnected reason=quit", "disconnect connection=" ID},
      {ID " smtp disconnected  reason=cert-check-failed", "disconnect connection=" ID},
      {ID " smtp disconnected reason=timeout", "disconnect connection=" ID " reason=timeout"},
      {ID " smtp disconnected reason=disconnect",
       "disconnect connection=" ID " reason=lost connection"},
      {ID " smtp disconnected reason=tls-accept-failed",
       "disconnect connection=" ID " tls-error=tls-accept-failed"},
      {ID " smtp disconnected reason=\"io-error: Connection reset by peer\"",
       "disconnect connection=" ID " reason=lost connection"},
      {ID " smtp disconnected reason=\"io-error: handshake failed: Connection reset by peer\"",
       "disconnect connection=" ID " reason=lost connection tls-error=Connection reset by peer"},
      {ID " smtp disconnected reason=\"io-error: handshake failed: error:0A000126:SSL "
          "routines::unexpected eof while reading\"",
       "disconnect connection=" ID
       " reason=lost connection tls-error=unexpected eof while reading"},
      {ID " smtp disconnected reason=\"io-error: handshake failed: error:0A000418:SSL "
          "routines::tlsv1 alert unknown ca\"",
       "disconnect connection=" ID
       " alert=48 reason=lost connection tls-error=tlsv1 alert unknown ca"},
      // After the handshake.
      {ID " smtp disconnected reason=\"io-error: read failed: error:0A000126:SSL "
          "routines::unexpected eof while reading\"",
       "disconnect connection=" ID " reason=lost connection"},
      // 6.8, in the handshake or after it.
      {ID " smtp disconnected reason=\"io-error: error:0A000126:SSL routines::unexpected eof while "
          "reading\"",
       "disconnect connection=" ID
       " reason=lost connection tls-error=unexpected eof while reading"},
  });
}

TEST(OpensmtpdTest, Outbound) {
  ExpectAll({
      {ID " mta connecting address=smtp://192.0.2.1:25 host=mx.example",
       "connecting outbound=yes connection=" ID " service=smtp peer=[192.0.2.1]:25"},
      {ID " mta connecting address=smtp+tls://127.0.0.1:26 host=localhost",
       "connecting outbound=yes connection=" ID " service=smtp peer=[127.0.0.1]:26"},
      {ID " mta connecting address=smtps://[2001:db8::1]:465 host=<unknown>",
       "connecting outbound=yes connection=" ID " service=smtps peer=[2001:db8::1]:465"},
      {ID " mta connecting address=lmtp://127.0.0.1:24 host=localhost",
       "connecting outbound=yes connection=" ID " service=lmtp peer=[127.0.0.1]:24"},
      {ID " mta connecting address=smtp://IPv6:2001:db8::1:25 host=mx.example",
       "connecting outbound=yes connection=" ID " service=smtp peer=[2001:db8::1]:25"},
      {ID " mta connecting address=127.0.0.1", "unrecognized"},
      {ID " mta connected", "connected outbound=yes connection=" ID},
      {ID " mta tls ciphers=TLSv1.2:AES256-GCM-SHA384:256",
       "tls-established outbound=yes connection=" ID
       " protocol=TLSv1.2 cipher=AES256-GCM-SHA384 bits=256/256"},
      {ID " mta cert-check result=\"valid\" fingerprint=\"SHA256:737b\"",
       "certificate-checked outbound=yes connection=" ID " trust=Verified"},
      {ID " mta cert-check result=\"unverified\" fingerprint=\"SHA256:737b\"",
       "certificate-checked outbound=yes connection=" ID " trust=Untrusted"},
      {ID " mta server-cert-check result=\"success\"",
       "certificate-checked outbound=yes connection=" ID " trust=Trusted"},
      {ID " mta server-cert-check result=\"failure\"",
       "certificate-checked outbound=yes connection=" ID " trust=Untrusted"},
      {ID " mta delivery evpid=009b4fb25120febf from=<a@a.test> to=<u@out.test> rcpt=<-> "
          "source=\"127.0.0.1\" relay=\"127.0.0.1 (localhost)\" delay=0s result=\"Ok\" "
          "stat=\"250 2.0.0 f5742c52 Message accepted for delivery\"",
       "delivery outbound=yes connection=" ID " tls=not-shown sent=yes queue-id=009b4fb2"},
      {ID " mta delivery evpid=009b4fb25120febf from=<a@a.test> to=<u@out.test> rcpt=<-> "
          "source=\"127.0.0.1\" relay=\"127.0.0.1 (localhost)\" delay=0s result=\"PermFail\" "
          "stat=\"550 5.1.1 result=\"Ok\"\"",
       "delivery outbound=yes connection=" ID " tls=not-shown trouble=other queue-id=009b4fb2"},
      // No connection was made.
      {"0000000000000000 mta delivery evpid=825528a2e2fdbecd from=<a@a.test> to=<u@out2.test> "
       "rcpt=<-> source=\"-\" relay=\"127.0.0.1\" delay=0s result=\"TempFail\" stat=\"Network "
       "error on destination MXs\"",
       "ignored"},
      {ID " mta host-rejects-all-mails", "note outbound=yes connection=" ID},
      {ID " mta disconnected reason=quit messages=3", "disconnect outbound=yes connection=" ID},
      {ID " mta closing reason=tls-failure",
       "disconnect outbound=yes connection=" ID " tls-error=tls-failure"},
      {ID " mta error reason=Connection closed unexpectedly",
       "disconnect outbound=yes connection=" ID " reason=lost connection"},
      {ID " mta error reason=IO Error: error:0A000438:SSL routines::tlsv1 alert internal error",
       "disconnect outbound=yes connection=" ID
       " alert=80 reason=lost connection tls-error=tlsv1 alert internal error"},
      {ID " mta error reason=IO Error: name `127.0.0.1' not present in server certificate",
       "disconnect outbound=yes connection=" ID
       " reason=lost connection tls-error=name `127.0.0.1' not present in server certificate"},
      {ID " mta error reason=BANNER rejected: 554 IO Error: error:1:2:3:4",
       "disconnect outbound=yes connection=" ID},
      {"smtp-out: Error on session " ID ": opportunistic TLS failed, downgrading to plain",
       "disconnect outbound=yes connection=" ID " tls-error=opportunistic TLS failed"},
      {"smtp-out: TLS Error on session " ID ": TLS failed, downgrading to plain",
       "disconnect outbound=yes connection=" ID " tls-error=opportunistic TLS failed"},
      {"smtp-out: Error on session " ID ": IO Error: No SSL error",
       "disconnect outbound=yes connection=" ID " reason=lost connection tls-error=No SSL error"},
      {"smtp-out: Disconnecting session " ID ": CA failure",
       "disconnect outbound=yes connection=" ID " tls-error=CA failure"},
      {"smtp-out: Error on session " ID " after 1 message sent: Connection closed unexpectedly",
       "disconnect outbound=yes connection=" ID " data=1/1 reason=lost connection"},
      {"smtp-out: Enabling route [] <-> 192.0.2.1 (mx.example)", "ignored"},
  });
}

TEST(OpensmtpdTest, OtherLines) {
  ExpectAll({
      {"info: OpenSMTPD 7.6.0-portable starting",
       "instance-boundary program=OpenSMTPD version=7.6.0-portable"},
      {"info: OpenSMTPD 7.6.0-portable starting and more", "ignored"},
      {"warn: purge_task: opendir: No such file or directory", "ignored"},
      {"pam_unix(smtpd:auth): authentication failure; user=x", "ignored"},
      {ID " mda delivery evpid=009b4fb25120febf from=<a@a.test> to=<u@a.test> user=u delay=0s "
          "result=Ok stat=Delivered",
       "ignored"},
      {"9fcdefbc9afc45d smtp connected address=127.0.0.1 host=localhost", "ignored"},
      {"9FCDEFBC9AFC45DA smtp connected address=127.0.0.1 host=localhost", "ignored"},
      {"", "ignored"},
  });
}

TEST(OpensmtpdTest, Release64) {
  ExpectAll({
      {ID " smtp starttls address=192.0.2.7 host=client.example ciphers=\"version=TLSv1.2, "
          "cipher=ECDHE-RSA-AES256-GCM-SHA384, bits=256\"",
       "tls-established connection=" ID
       " peer=[192.0.2.7] protocol=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256/256"},
      {ID " smtp message address=192.0.2.7 host=client.example msgid=009b4fb2 from=<a@a.test> "
          "to=<u@out.test> size=252 ndest=1 proto=ESMTP",
       "proxy-accept connection=" ID " peer=[192.0.2.7] queue-id=009b4fb2"},
      {ID " smtp disconnected address=192.0.2.7 host=client.example reason=quit",
       "disconnect connection=" ID " peer=[192.0.2.7]"},
      {ID " mta starttls ciphers=\"version=TLSv1.2, cipher=AES128-SHA, bits=128\"",
       "tls-established outbound=yes connection=" ID
       " protocol=TLSv1.2 cipher=AES128-SHA bits=128/128"},
  });
}

TEST(OpensmtpdTest, Release59) {
  ExpectAll({
      {ID " smtp event=connected address=192.0.2.7 host=client.example",
       "connect connection=" ID " peer=[192.0.2.7]"},
      {ID " smtp event=starttls address=192.0.2.7 host=client.example ciphers=\"version=TLSv1.2, "
          "cipher=AES128-SHA, bits=128\"",
       "tls-established connection=" ID
       " peer=[192.0.2.7] protocol=TLSv1.2 cipher=AES128-SHA bits=128/128"},
      {ID " smtp event=message address=192.0.2.7 host=client.example msgid=009b4fb2 "
          "from=<a@a.test> to=<u@out.test> size=252 ndest=1 proto=ESMTP",
       "proxy-accept connection=" ID " peer=[192.0.2.7] queue-id=009b4fb2"},
      {ID " smtp event=closed address=192.0.2.7 host=client.example reason=quit",
       "disconnect connection=" ID " peer=[192.0.2.7]"},
      {ID " mta event=connecting address=smtp://192.0.2.1:25 host=mx.example",
       "connecting outbound=yes connection=" ID " service=smtp peer=[192.0.2.1]:25"},
      {ID " mta event=connected", "connected outbound=yes connection=" ID},
      {ID " mta event=closed reason=quit messages=1", "disconnect outbound=yes connection=" ID},
  });
}

TEST(OpensmtpdTest, Release57) {
  ExpectAll({
      {"smtp-in: session " ID ": connection from host client.example [192.0.2.7] established",
       "connect connection=" ID " peer=[192.0.2.7]"},
      {"smtp-in: session " ID ": TLS started version=TLSv1.2 (TLSv1/SSLv3), cipher=AES128-SHA, "
       "bits=128",
       "tls-established connection=" ID " protocol=TLSv1.2 cipher=AES128-SHA bits=128/128"},
      {"smtp-in: session " ID ": closed (client sent QUIT)", "disconnect connection=" ID},
  });
}

TEST(OpensmtpdTest, Release573) {
  ExpectAll({
      {"smtp-in: session " ID
       ": connection from host client.example [IPv6:2001:db8::7] established",
       "connect connection=" ID " peer=[2001:db8::7]"},
      {"smtp-in: session " ID ": TLS started version=TLSv1/SSLv3 (TLSv1.2), cipher=AES128-SHA, "
       "bits=128",
       "tls-established connection=" ID " protocol=TLSv1.2 cipher=AES128-SHA bits=128/128"},
      {"smtp-in: session " ID ": client certificate verification failed ",
       "certificate-checked connection=" ID " trust=Untrusted"},
      {"smtp-in: session " ID ": authentication successful for user u ",
       "auth-accepted connection=" ID},
      {"smtp-in: session " ID ": authentication failure for user u", "auth-failed connection=" ID},
      {"smtp-in: session " ID ": msgid=88d01c66, status=Ok, from=<a@a.test>, to=<u@out.test>, "
       "size=341, ndest=1, proto=ESMTP",
       "proxy-accept connection=" ID " queue-id=88d01c66"},
      {"smtp-in: session " ID ": connection from host client.example [192.0.2.7] closed (client "
       "sent QUIT)",
       "disconnect connection=" ID " peer=[192.0.2.7]"},
      {"smtp-in: session " ID ": connection from host x [192.0.2.7] closed (session timeout)",
       "disconnect connection=" ID " peer=[192.0.2.7] reason=timeout"},
      {"smtp-in: session " ID ": connection from host x [192.0.2.7] closed (client disconnected)",
       "disconnect connection=" ID " peer=[192.0.2.7] reason=lost connection"},
      {"smtp-in: session " ID
       ": connection from host x [192.0.2.7] closed (IO error: No SSL error)",
       "disconnect connection=" ID
       " peer=[192.0.2.7] reason=lost connection tls-error=No SSL error"},
      {"smtp-in: session " ID ": connection from host x [192.0.2.7] closed (TLS failure: no PKI "
       "suitable for mx1)",
       "disconnect connection=" ID
       " peer=[192.0.2.7] tls-error=TLS failure: no PKI suitable for mx1"},
      {"smtp-out: session " ID ": connecting to smtp+tls://192.0.2.1:25 (mx.example)",
       "connecting outbound=yes connection=" ID " service=smtp peer=[192.0.2.1]:25"},
      {"smtp-out: session " ID ": TLS started version=TLSv1/SSLv3 (TLSv1.2), cipher=AES128-SHA, "
       "bits=128",
       "tls-established outbound=yes connection=" ID
       " protocol=TLSv1.2 cipher=AES128-SHA bits=128/128"},
      {"smtp-out: session " ID ": server certificate verification succeeded",
       "certificate-checked outbound=yes connection=" ID " trust=Trusted"},
      {"smtp-out: session " ID ": connection closed, 2 messages sent.",
       "disconnect outbound=yes connection=" ID " data=2/2"},
      {"smtp-out: session " ID ": error: TLS failed, downgrading to plain",
       "disconnect outbound=yes connection=" ID " tls-error=opportunistic TLS failed"},
      {"smtp-out: session " ID ": error: opportunistic TLS failed, downgrading to plain",
       "disconnect outbound=yes connection=" ID " tls-error=opportunistic TLS failed"},
      {"smtp-out: session " ID ": disconnected (CA failure)",
       "disconnect outbound=yes connection=" ID " tls-error=CA failure"},
      {"smtp-out: session " ID ": error: IO Error: Connection refused",
       "disconnect outbound=yes connection=" ID " reason=lost connection"},
      {"smtp-out: session " ID ": error after 1 message sent: Connection closed unexpectedly",
       "disconnect outbound=yes connection=" ID " data=1/1 reason=lost connection"},
      {"smtp-out: session " ID "remote host seems to reject all mails", "ignored"},
  });
}

TEST(OpensmtpdTest, Release54) {
  ExpectAll({
      {"smtp-in: New session " ID " from host client.example [192.0.2.7]",
       "connect connection=" ID " peer=[192.0.2.7]"},
      {"smtp-in: New session " ID " from host mx1 [local]",
       "connect connection=" ID " local=yes peer=[]"},
      {"smtp-in: Started TLS on session " ID
       ": version=TLSv1/SSLv3, cipher=DHE-RSA-AES256-SHA, bits=256",
       "tls-established connection=" ID
       " protocol=TLSv1/SSLv3 cipher=DHE-RSA-AES256-SHA bits=256/256"},
      {"smtp-in: Accepted message 009b4fb2 on session " ID
       ": from=<a@a.test>, to=<u@out.test>, size=252, ndest=1, proto=ESMTP",
       "proxy-accept connection=" ID " queue-id=009b4fb2"},
      // The user's name is the peer's word.
      {"smtp-in: Authentication failed for user x on session 0000000000000000 on session " ID,
       "auth-failed connection=" ID},
      {"smtp-in: Closing session " ID, "disconnect connection=" ID},
      {"smtp-in: Client certificate verification succeeded on session " ID,
       "certificate-checked connection=" ID " trust=Trusted"},
      {"smtp-out: Server certificate verification failed on session " ID,
       "certificate-checked outbound=yes connection=" ID " trust=Untrusted"},
      {"smtp-in: Disconnecting session " ID ": rejected by filter", "disconnect connection=" ID},
      {"smtp-in: Disconnecting session " ID ": session timeout",
       "disconnect connection=" ID " reason=timeout"},
      {"smtp-in: Disconnecting session " ID ": CA failure",
       "disconnect connection=" ID " tls-error=CA failure"},
      {"smtp-in: Disconnecting session " ID ": IO error: No SSL error",
       "disconnect connection=" ID " reason=lost connection tls-error=No SSL error"},
      {"smtp-in: Disconnecting session " ID ": IO error: Connection reset by peer",
       "disconnect connection=" ID " reason=lost connection"},
      {"smtp-in: Disconnecting session " ID
       ": IO error: error:14094418:SSL routines:SSL3_READ_BYTES:tlsv1 alert unknown ca",
       "disconnect connection=" ID
       " alert=48 reason=lost connection tls-error=tlsv1 alert unknown ca"},
      {"smtp-in: Received disconnect from session " ID,
       "disconnect connection=" ID " reason=lost connection"},
      {"smtp-out: Connecting to smtp://192.0.2.1:25 (mx.example) on session " ID "...",
       "connecting outbound=yes connection=" ID " service=smtp peer=[192.0.2.1]:25"},
      {"smtp-out: Connected on session " ID, "connected outbound=yes connection=" ID},
      {"smtp-out: Started TLS on session " ID ": version=TLSv1/SSLv3, cipher=AES128-SHA, bits=128",
       "tls-established outbound=yes connection=" ID
       " protocol=TLSv1/SSLv3 cipher=AES128-SHA bits=128/128"},
      {"smtp-out: Closing session " ID ": 1 message sent.",
       "disconnect outbound=yes connection=" ID " data=1/1"},
  });
}

TEST(OpensmtpdTrapTest, TheProcessOfABareTagIsOpensmtpd) {
  EXPECT_EQ(Parsed("smtpd", "connect from x[192.0.2.1]"), "ignored");
  EXPECT_EQ(Parsed("postfix/smtpd", ID " smtp connected address=192.0.2.1 host=x"), "unrecognized");
}

TEST(OpensmtpdTrapTest, NoCertificatePresentedBelongsToAnOutboundSession) {
  EXPECT_EQ(Parsed("smtpd", ID " smtp cert-check result=\"no certificate presented\""),
            "certificate-checked outbound=yes connection=" ID " trust=Anonymous");
}

TEST(OpensmtpdTrapTest, QuotesInACommandAreNotEscaped) {
  EXPECT_EQ(Parsed("smtpd", ID " smtp failed-command command=\"FOO\" result=\"250 ok smtp "
                               "connected\" result=\"500 5.5.1 Invalid command\""),
            "reject connection=" ID);
  EXPECT_EQ(Parsed("smtpd", ID " smtp failed-command command=\"STARTTLS\" result=\"454\" "
                               "result=\"500 5.5.1 Invalid command\""),
            "reject connection=" ID);
  EXPECT_EQ(Parsed("smtpd", ID " smtp failed-command command=\"MAIL FROM:<x> " ID
                               " smtp tls ciphers=TLSv1.3:A:1\" result=\"550 no\""),
            "reject connection=" ID " place=MAIL");
}

TEST(OpensmtpdTrapTest, ReadFailedIsNoFailedHandshake) {
  EXPECT_EQ(Parsed("smtpd", ID " smtp disconnected reason=\"io-error: read failed: "
                               "error:0A000126:SSL routines::unexpected eof while reading\""),
            "disconnect connection=" ID " reason=lost connection");
}

TEST(OpensmtpdTrapTest, DisconnectedHasNoAddress) {
  EXPECT_EQ(Parsed("smtpd", ID " smtp disconnected reason=quit"), "disconnect connection=" ID);
}

}  // namespace
}  // namespace mxtally
