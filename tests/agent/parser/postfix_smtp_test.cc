// Lines of Postfix's smtp and lmtp and what they mean, table by table.

#include <gtest/gtest.h>

#include <vector>

#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

struct Row {
  const char* text;
  const char* event;
};

void ExpectSmtp(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(Parsed("postfix/smtp", row.text), row.event) << row.text;
    EXPECT_EQ(Parsed("postfix-out/relay/smtp", row.text), row.event) << row.text;
    EXPECT_EQ(Parsed("postfix/lmtp", row.text), row.event) << row.text;
  }
}

TEST(PostfixSmtpTest, TlsLines) {
  ExpectSmtp({
      {"Untrusted TLS connection established to 127.0.0.1[127.0.0.1]:2526: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 "
       "bits) server-digest SHA256",
       "tls-established outbound=yes peer=127.0.0.1[127.0.0.1]:2526 trust=Untrusted "
       "protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=X25519 signature=RSA-PSS "
       "key=2048 bits digest=SHA256"},
      {"Verified TLS connection established to mx.example[2001:db8::1]:25: TLSv1.2 with cipher "
       "ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)",
       "tls-established outbound=yes peer=mx.example[2001:db8::1]:25 trust=Verified "
       "protocol=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256/256"},
      {"Trusted TLS connection reused to mx.example[192.0.2.1]:25: TLSv1.2 with cipher AES128-SHA "
       "(128/128 bits)",
       "tls-established outbound=yes peer=mx.example[192.0.2.1]:25 reused=yes trust=Trusted "
       "protocol=TLSv1.2 cipher=AES128-SHA bits=128/128"},
      // Postfix 2.2 to 2.4.
      {"TLS connection established to mx.example[192.0.2.1]:25: TLSv1 with cipher AES256-SHA "
       "(256/256 bits)",
       "tls-established outbound=yes peer=mx.example[192.0.2.1]:25 protocol=TLSv1 "
       "cipher=AES256-SHA bits=256/256"},
      {"TLS connection established to mx.example: TLSv1 with cipher AES256-SHA (256/256 bits)",
       "tls-established outbound=yes peer=mx.example[] protocol=TLSv1 cipher=AES256-SHA "
       "bits=256/256"},
      {"SSL_connect error to mx.example: -1",
       "tls-failed outbound=yes peer=mx.example[] reason=-1"},
      // A server that a setting names by its address.
      {"Trusted TLS connection established to 2001:db8::1[2001:db8::1]:25: TLSv1.2 with cipher "
       "AES128-SHA (128/128 bits)",
       "tls-established outbound=yes peer=[2001:db8::1]:25 trust=Trusted protocol=TLSv1.2 "
       "cipher=AES128-SHA bits=128/128"},
      {"Trusted TLS connection established to 2001:db8::2[2001:db8::1]:25: TLSv1.2 with cipher "
       "AES128-SHA (128/128 bits)",
       "unrecognized"},
      // smtpd's words are not smtp's.
      {"Untrusted TLS connection established from mx.example[192.0.2.1]:25: TLSv1 with cipher "
       "AES256-SHA (256/256 bits)",
       "unrecognized"},
      {"SSL_connect error to mx.example[192.0.2.1]:25: lost connection",
       "tls-failed outbound=yes peer=mx.example[192.0.2.1]:25 reason=lost connection"},
      {"SSL_connect error to mx.example[192.0.2.1]:25: -1",
       "tls-failed outbound=yes peer=mx.example[192.0.2.1]:25 reason=-1"},
      {"SSL_connect error to mx.example[192.0.2.1]:25: Connection timed out",
       "tls-failed outbound=yes peer=mx.example[192.0.2.1]:25 reason=Connection timed out"},
      {"warning: TLS library problem: error:0A000102:SSL routines::unsupported "
       "protocol:ssl/statem/statem_lib.c:1986:",
       "tls-library-problem outbound=yes reason=unsupported protocol"},
      {"warning: TLS library problem: error:0A000410:SSL routines::sslv3 alert handshake "
       "failure:ssl/record/rec_layer_s3.c:1600:SSL alert number 40:",
       "tls-library-problem outbound=yes alert=40 reason=sslv3 alert handshake failure"},
      {"setting up TLS connection to mx.example[192.0.2.1]:25", "ignored"},
      {"certificate verification failed for mx.example[192.0.2.1]:25: self-signed certificate",
       "ignored"},
      {"server certificate verification failed for mx.example[192.0.2.1]:25: num=62:hostname "
       "mismatch",
       "ignored"},
      {"mx.example[192.0.2.1]:25: re-using session with untrusted certificate, look for details "
       "earlier in the log",
       "ignored"},
      {"warning: mx.example[192.0.2.1]:25: all TLSA records unusable, fallback to unauthenticated "
       "TLS",
       "ignored"},
      {"warning: TLS policy lookup for example.com/mx.example.com: no TLSA records found",
       "ignored"},
      // TLS log levels above 1, and "smtp -v".
      {"initializing the client-side TLS engine", "ignored"},
      {"reloaded session smtp&x&mx.example&192.0.2.1&&A1B2 from smtp cache", "ignored"},
      {"SSL_connect:SSLv3/TLS write client hello", "ignored"},
      {"using DANE RR: _25._tcp.mx.example IN TLSA 3 1 1 AA:BB", "ignored"},
      {"certificate peer name verification failed for mx.example[192.0.2.1]:25: CommonName "
       "mis-match",
       "ignored"},
      {"begin example address list", "ignored"},
      {"host name lookup methods: dns", "ignored"},
      {"connect to subsystem private/defer", "ignored"},
      {"Using ESMTP PIPELINING, TCP send buffer size is 87040, PIPELINING buffer size is 4096",
       "ignored"},
      {"starting new SASL client", "ignored"},
      {"disposing SASL state information", "ignored"},
      {"MX name 'mx.example.net' does not match STS MX pattern for '*.example.com'", "ignored"},
      {"Host offered STARTTLS: [mx.example]", "ignored"},
      {"connect to mx.example[192.0.2.1]:25: Connection timed out", "ignored"},
      {"fatal: watchdog timeout", "process-dying outbound=yes reason=watchdog timeout"},
  });
}

TEST(PostfixSmtpTest, Deliveries) {
  ExpectSmtp({
      {"0FFEF2B9: to=<u@out2.test>, relay=127.0.0.1[127.0.0.1]:2526, delay=0.02, "
       "delays=0/0.01/0.01/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 14B272BC)",
       "delivery outbound=yes peer=127.0.0.1[127.0.0.1]:2526 queue-delays=0/0.01 setup-delay=0.01 "
       "age=0 sent=yes queue-id=0FFEF2B9"},
      {"519313AF: to=<u3@out2.test>, orig_to=<u3>, relay=mx.example[192.0.2.1]:25, conn_use=182, "
       "delay=0.22, delays=0.04/0.13/0/0.04, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
       "delivery outbound=yes peer=mx.example[192.0.2.1]:25 uses=182 queue-delays=0.04/0.13 "
       "setup-delay=0 age=0 sent=yes queue-id=519313AF"},
      // Postfix 2.2, without delays, dsn and port.
      {"519313AF: to=<u3@out2.test>, relay=mx.example[192.0.2.1], delay=10, status=sent (250 Ok)",
       "delivery outbound=yes peer=mx.example[192.0.2.1] age=9000 sent=yes queue-id=519313AF"},
      {"519313AF: to=<u@example.net>, relay=::1[::1]:10026, delay=1, delays=0/0/1/0, dsn=4.3.0, "
       "status=deferred (host ::1[::1] said: 451 4.3.0 later)",
       "delivery outbound=yes peer=[::1]:10026 queue-delays=0/0 setup-delay=1 age=0 "
       "trouble=other queue-id=519313AF"},
      // To a socket of this host: no TCP connection.
      {"519313AF: to=<u@example.net>, relay=mx1.example.net[private/dovecot-lmtp], delay=0.2, "
       "delays=0.1/0/0/0.05, dsn=2.0.0, status=sent (250 2.0.0 <u@example.net> Saved)",
       "ignored"},
      {"Trusted TLS connection established to mx1.example.net[private/lmtp-tls]: TLSv1.3 with "
       "cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
       "ignored"},
      {"SSL_connect error to mx1.example.net[private/lmtp-tls]: lost connection", "ignored"},
      // A probe is no message.
      {"519313AF: to=<u@example.net>, relay=mx.example[192.0.2.1]:25, delay=0.2, "
       "delays=0.1/0/0/0.05, dsn=2.1.5, status=deliverable (250 2.1.5 Ok)",
       "delivery outbound=yes peer=mx.example[192.0.2.1]:25 queue-delays=0.1/0 setup-delay=0 "
       "age=0 trouble=other queue-id=519313AF"},
      // No connection.
      {"519313AF: to=<u@example.net>, relay=none, delay=30, delays=0.1/0/30/0, dsn=4.4.1, "
       "status=deferred (connect to mx.example[192.0.2.1]:25: Connection timed out)",
       "ignored"},
      {"519313AF: to=<u@example.net>, relay=mx.example[192.0.2.1]:25, delay=, dsn=2",
       "unrecognized"},
      {"519313AF: to=<u@example.net>, relay=mx.example[192.0.2.1]:25, delay=0.2, delays=0.1/0/0/",
       "unrecognized"},
      {"519313AF: to=<u@example.net>, relay=mx.example[192.0.2.1]:25", "unrecognized"},
      {"519313AF: to=<u@exam", "unrecognized"},
  });
}

TEST(PostfixSmtpTest, TroubleOfDeliveries) {
  struct {
    const char* text;
    const char* trouble;
  } const rows[] = {
      {"host mx.example[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)",
       "trouble=other"},
      {"lost connection with mx.example[192.0.2.1] while sending end of data -- message may be "
       "sent more than once",
       "trouble=lost-connection place=END-OF-MESSAGE"},
      {"lost connection with mx.example[192.0.2.1] while receiving the initial server greeting",
       "trouble=lost-connection place=CONNECT"},
      {"conversation with mx.example[192.0.2.1] timed out while performing the EHLO handshake",
       "trouble=timeout place=EHLO"},
      {"conversation with mx.example[192.0.2.1] timed out while sending RCPT TO",
       "trouble=timeout place=RCPT"},
      {"host mx.example[192.0.2.1] refused to talk to me: 554 5.7.1 go away",
       "trouble=refused-to-talk"},
      {"Cannot start TLS: handshake failure", "trouble=handshake-failed"},
      {"delivery via mx.example[192.0.2.1]: Cannot start TLS: handshake failure",
       "trouble=handshake-failed"},
      {"TLS is required, but was not offered by host mx.example[192.0.2.1]",
       "trouble=tls-not-offered"},
      {"TLS is required, but host mx.example[192.0.2.1] refused to start TLS: 454 4.7.0 later",
       "trouble=tls-refused"},
      {"TLS is required, but our TLS engine is unavailable", "trouble=tls-refused"},
      {"TLS is required, but unavailable", "trouble=tls-refused"},
      {"client TLS configuration problem", "trouble=tls-refused"},
      {"Server certificate not trusted", "trouble=certificate-refused"},
      {"Server certificate not verified", "trouble=certificate-refused"},
      {"local data error while talking to mx.example[192.0.2.1]", "trouble=other"},
  };
  for (const auto& row : rows) {
    std::string trouble = row.trouble;
    std::string place;
    if (const size_t blank = trouble.find(" place="); blank != std::string::npos) {
      place = trouble.substr(blank);
      trouble.resize(blank);
    }
    EXPECT_EQ(Parsed("postfix/smtp",
                     std::string("8C3E947B: to=<u@a.test>, relay=mx.example[192.0.2.1]:25, "
                                 "delay=0.03, delays=0.01/0.01/0.01/0, dsn=4.7.5, "
                                 "status=deferred (") +
                         row.text + ")"),
              "delivery outbound=yes peer=mx.example[192.0.2.1]:25 queue-delays=0.01/0.01 "
              "setup-delay=0.01 age=0 " +
                  trouble + " queue-id=8C3E947B" + place)
        << row.text;
  }
}

TEST(PostfixSmtpTest, ServersGivenUp) {
  ExpectSmtp({
      {"8C3E947B: host mx.example[192.0.2.1] said: 450 4.2.0 later (in reply to RCPT TO command)",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] trouble=other queue-id=8C3E947B"},
      {"8C3E947B: host mx.example[192.0.2.1]:99999 said: 421 4.3.2 busy", "ignored"},
      {"8C3E947B: host mx.example[192.0.2.1] refused to talk to me: 421 4.3.2 busy",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] age=299000 "
       "trouble=refused-to-talk queue-id=8C3E947B"},
      {"8C3E947B: lost connection with mx.example[192.0.2.1] while sending MAIL FROM",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] trouble=lost-connection "
       "queue-id=8C3E947B place=MAIL"},
      {"8C3E947B: conversation with mx.example[192.0.2.1] timed out while receiving the initial "
       "server greeting",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] age=299000 trouble=timeout "
       "queue-id=8C3E947B place=CONNECT"},
      {"8C3E947B: Cannot start TLS: handshake failure",
       "server-given-up outbound=yes trouble=handshake-failed queue-id=8C3E947B"},
      {"8C3E947B: TLS is required, but was not offered by host mx.example[192.0.2.1]",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] age=0 trouble=tls-not-offered "
       "queue-id=8C3E947B"},
      {"8C3E947B: Server certificate not verified",
       "server-given-up outbound=yes trouble=certificate-refused queue-id=8C3E947B"},
      {"8C3E947B: SASL authentication failed; server mx.example[192.0.2.1] said: 535 5.7.8 no",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] trouble=other queue-id=8C3E947B"},
      {"8C3E947B: SASL [CACHED] authentication failed; server mx.example[192.0.2.1] said: 535 no",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] trouble=other queue-id=8C3E947B"},
      {"8C3E947B: SASL authentication failed; cannot authenticate to server "
       "mx.example[192.0.2.1]: no mechanism available",
       "server-given-up outbound=yes peer=mx.example[192.0.2.1] trouble=other queue-id=8C3E947B"},
      {"8C3E947B: SASL authentication failed; server said: mx.example[192.0.2.1]", "ignored"},
      {"8C3E947B: enabling PIX workarounds: disable_esmtp delay_dotcrlf for "
       "mx.example[192.0.2.1]:25",
       "ignored"},
      {"8C3E947B: Host or domain name not found. Name service error for name=a.test type=MX",
       "ignored"},
  });
}

TEST(PostfixSmtpTest, TlsFieldOfPostfix311) {
  struct {
    const char* field;
    const char* tls;
  } const rows[] = {
      {"none", "plaintext"},
      {"may", "established"},
      {"may:none", "plaintext"},
      {"may?", "unknown"},
      {"encrypt", "established"},
      {"!encrypt", "failed"},
      {"!encrypt:none", "failed"},
      {"dane", "established"},
      {"dane:halfdane", "established"},
      {"dane:encrypt", "established"},
      {"dane-only", "established"},
      {"verify", "established"},
      {"secure", "established"},
      {"fingerprint", "established"},
      {"unknown", "unknown"},
      {"quantum", "unknown"},
      {"dane/requiretls", "established"},
      {"dane/requiretls?", "established"},
      {"dane?/requiretls?", "unknown"},
      {"dane/!requiretls:nocertmatch", "established"},
      {"dane/!requiretls:nostarttls", "plaintext"},
      {"dane/!requiretls:noencryption", "plaintext"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Parsed("postfix/smtp",
                     std::string("8C3E947B: to=<u@a.test>, relay=mx.example[192.0.2.1]:25, "
                                 "delay=0.03, delays=0.01/0.01/0.01/0, tls=") +
                         row.field + ", dsn=2.0.0, status=sent (250 Ok)"),
              std::string("delivery outbound=yes peer=mx.example[192.0.2.1]:25 "
                          "queue-delays=0.01/0.01 setup-delay=0.01 age=0 tls=") +
                  row.tls + " sent=yes queue-id=8C3E947B")
        << row.field;
  }
}

TEST(PostfixSmtpTest, TlsReportsOfPostfix310) {
  ExpectSmtp({
      {"TLSRPT: status=success, domain=a.test, receiving_mx=mx.example[192.0.2.1]", "ignored"},
      {"TLSRPT: status=failure, domain=a.test, receiving_mx=mx.example[192.0.2.1], "
       "failure_type=certificate_expired",
       "tls-report outbound=yes reason=certificate_expired"},
      {"TLSRPT: status=failure, domain=a.test, receiving_mx=mx.example[192.0.2.1], "
       "failure_type=validation_failure, failure_reason=tls-handshake, failed",
       "tls-report outbound=yes reason=tls-handshake, failed"},
      {"TLSRPT: status=failure, domain=a.test", "unrecognized"},
      {"TLSRPT: nonsense", "unrecognized"},
  });
}

// What a sender, or a server, says can be no field of the line.
TEST(PostfixSmtpTest, HostileText) {
  const std::string delivery =
      "delivery outbound=yes peer=mx.example[192.0.2.1]:25 queue-delays=0/0 setup-delay=0 "
      "age=0 sent=yes queue-id=8C3E947B";
  const std::string tail =
      ", relay=mx.example[192.0.2.1]:25, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok";
  const std::string forged =
      ", relay=bank.example[198.51.100.7]:25, delay=0, delays=0/0/0/0, tls=dane, dsn=2.0.0, "
      "status=sent (250 ok)";
  const auto parsed = [](const std::string& text) {
    return Parsed("postfix/smtp", "8C3E947B: to=<" + text);
  };
  EXPECT_EQ(parsed("\"x>" + forged + "\"@a.test>" + tail + ")"), delivery);
  EXPECT_EQ(parsed("\"x\\\">" + forged + "\"@a.test>" + tail + ")"), delivery);
  EXPECT_EQ(parsed("u@a.test>" + tail + " status=deferred dsn=5.0.0 relay=none, tls=none)"),
            delivery);
  // Before Postfix 3.5 addresses have no quotes: nobody can tell.
  EXPECT_EQ(parsed("x>" + forged + "@a.test>" + tail + ")"), "unrecognized");
  EXPECT_EQ(parsed("u@a.test>" + tail + " <a>" + forged + ")"), "unrecognized");
  // A server's answer is no reason of Postfix's.
  EXPECT_EQ(parsed("u@a.test>, relay=mx.example[192.0.2.1]:25, delay=0, delays=0/0/0/0, "
                   "dsn=5.0.0, status=bounced (host mx.example[192.0.2.1] said: 550 Cannot start "
                   "TLS: handshake failure)"),
            "delivery outbound=yes peer=mx.example[192.0.2.1]:25 queue-delays=0/0 setup-delay=0 "
            "age=0 trouble=other queue-id=8C3E947B");
}

}  // namespace
}  // namespace mxtally
