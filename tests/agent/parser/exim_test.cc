// What Exim's lines mean; tests/testdata/shapes has one of each shape.

#include "agent/parser/exim.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "agent/parser/dialect.h"
#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

#define STAMP "2026-11-02 04:02:01 "
#define X13 "X=TLS1.3:TLS_AES_256_GCM_SHA384:256"
#define TLS13 "tls=established protocol=TLS1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256"

using Rows = std::vector<std::pair<std::string, std::string>>;

void Expect(const Rows& rows) {
  for (const auto& [line, event] : rows) EXPECT_EQ(ParsedLine(line), event) << line;
}

TEST(EximTest, ProtocolTellsTlsWhereXIsNotLogged) {
  const auto tls_of = [](const std::string& protocol) {
    const std::string text =
        ParsedLine(STAMP "1xVUV7-0000BY-1m <= a@a.test H=m [192.0.2.7] P=" + protocol + " S=1");
    const std::string from = text.substr(text.find("tls="));
    return from.substr(0, from.find(' '));
  };
  for (const char* protocol : {"smtp", "esmtp", "esmtpa", "utf8esmtp", "utf8esmtpa", "asmtp"}) {
    EXPECT_EQ(tls_of(protocol), "tls=plaintext") << protocol;
  }
  for (const char* protocol : {"smtps", "esmtps", "esmtpsa", "utf8esmtps", "utf8esmtpsa", "ssmtp",
                               "essmtp", "essmtpa", "local-esmtps"}) {
    EXPECT_EQ(tls_of(protocol), "tls=established") << protocol;
  }
  // What a local user called it.
  for (const char* protocol : {"spam-scanned", "scans", "local-bsmtp", "x"}) {
    EXPECT_EQ(tls_of(protocol), "tls=unknown") << protocol;
  }
}

// X= is in lines of success and of final failure, never in those of what is tried again.
TEST(EximTest, WhereADeliveryHasNoXAndNoneIsExpected) {
  const auto tls_of = [](const std::string& line) {
    const std::string text = ParsedLine(STAMP "1xVUVh-0000Hg-1N " + line);
    const std::string from = text.substr(text.find("tls="));
    return from.substr(0, from.find(' '));
  };
  const std::string host = "H=mx.example [192.0.2.7]";
  const std::string error = ": SMTP error from remote mail server after ";
  EXPECT_EQ(tls_of("** u R=r T=t " + host + error + "RCPT TO:<u>: 550 no"), "tls=not-shown");
  EXPECT_EQ(tls_of("== u R=r T=t defer (-44) " + host + error + "RCPT TO:<u>: 450 later"),
            "tls=unknown");
  EXPECT_EQ(tls_of(host + error + "RCPT TO:<u>: 450 later"), "tls=unknown");
  for (const char* kind : {"** u R=r T=t ", "== u R=r T=t defer (-46) ", ""}) {
    EXPECT_EQ(tls_of(kind + host + error + "initial connection: 421 busy"), "tls=not-shown");
  }
}

TEST(EximTest, UpTo480TheTextOfAFailureNamesTheServer) {
  const std::string id = STAMP "1xVUVh-0000Hg-1N ";
  const std::string server =
      "delivery outbound=yes connection=1xVUVh-0000Hg-1N service=smtp peer=mx.example[192.0.2.7] ";
  const std::string end = " queue-id=1xVUVh-0000Hg-1N";
  Expect({
      {id + "** u@x.test R=r T=t: SMTP error from remote mail server after RCPT TO:<u@x.test>: "
            "host mx.example [192.0.2.7]: 550 5.1.1 no such user",
       server + "tls=unknown trouble=other" + end},
      {id + "== u@x.test <v@x.test> R=r T=t defer (-44): SMTP error from remote mail server after "
            "end of data: host mx.example [192.0.2.7]: 451 later",
       server + "tls=unknown trouble=other" + end},
      {id + "== u@x.test R=r T=t defer (-46): SMTP error from remote mail server after initial "
            "connection: host mx.example [192.0.2.7]: 421 busy",
       server + "tls=not-shown trouble=refused-to-talk" + end},
      {id + "== u@x.test R=r T=t defer (-18): Remote host mx.example [192.0.2.7] closed connection "
            "in response to RCPT TO:<u@x.test>",
       server + "tls=unknown trouble=lost-connection" + end},
      {id + "** u@x.test R=r T=t: SMTP timeout while connected to mx.example [192.0.2.7] after "
            "RCPT TO:<u@x.test>",
       server + "tls=unknown trouble=timeout" + end},
      // No connection.
      {id + "** u@x.test R=r T=t: retry time not reached for any host after a long failure period",
       "ignored"},
      {id + "** u@x.test R=r: Unrouteable address", "ignored"},
      // Whose words the fields are, nobody can tell.
      {id + "** u R=r T=t: SMTP error from remote mail server after initial connection: host h "
            "[1.2.3.4]: @x.test R=r T=t: Remote host mx.example [192.0.2.7] closed connection",
       "unrecognized"},
  });
}

TEST(EximTest, FailedHandshakesAsOpenSslReleasesSpellThem) {
  const std::string from = STAMP "TLS error on connection from [192.0.2.7]";
  const std::string failed = "tls-failed service=smtpd peer=[192.0.2.7] reason=";
  Expect({
      {from + " (SSL_accept): timed out", failed + "timed out"},
      {from + " SSL_accept: TCP connection closed by peer",
       failed + "TCP connection closed by peer"},
      {from + " (SSL_accept (TLSv1)): error:0A000102:SSL routines::unsupported protocol",
       failed + "error:0A000102:SSL routines::unsupported protocol"},
      {from + ":4711 I=[192.0.2.1]:25 SSL_accept: TCP connection closed by peer",
       "tls-failed connection=[192.0.2.7]:4711 service=smtpd peer=[192.0.2.7]:4711 reason=TCP "
       "connection closed by peer"},
  });
}

TEST(EximTest, MessageIdsTellTheReceivingProcess) {
  const auto pid_of = [](const std::string& id) {
    const std::string text = ParsedLine(STAMP + id + " <= a@a.test H=m [192.0.2.7] P=smtp S=1");
    const size_t at = text.find("pid=");
    return at == std::string::npos ? "none" : text.substr(at + 4);
  };
  EXPECT_EQ(pid_of("1xVUVl-0000JK-36"), "1198");
  EXPECT_EQ(pid_of("1xVUWL-0000PO-0M"), "1574");
  EXPECT_EQ(pid_of("1xVUde-0000000033z-2N8Z"), "11779");
  EXPECT_EQ(pid_of("1xVUde-zzzzzzzzzzz-2N8Z"), "none");
}

TEST(EximTest, WhatIsNoFieldOfTls) {
  for (const char* value : {"", "TLS1.3", "TLS1.3:", "TLS1.3:AES", "TLS1.3:AES:", "TLS1.3::256",
                            ":AES:256", "TLS1.3:AES:x", "TLS1.3:AES:256x", "*"}) {
    TlsSummary summary;
    EXPECT_FALSE(ParseEximTls(value, summary)) << value;
  }
}

// The selector dnssec, which "+all" includes.
TEST(EximTest, NamesThatDnssecVouchesFor) {
  const std::string id = STAMP "1xVUV7-0000BY-1m ";
  Expect({{id + "<= a@a.test DS H=m [192.0.2.7] P=esmtp S=1",
           "proxy-accept service=smtpd peer=m[192.0.2.7] tls=plaintext queue-id=1xVUV7-0000BY-1m "
           "helo=m pid=716"},
          {id + "=> b@b.test R=r T=t H=m DS [192.0.2.7]:25 " X13,
           "delivery outbound=yes connection=1xVUV7-0000BY-1m service=smtp peer=m[192.0.2.7]:25 "
           "tls=established trust=Untrusted protocol=TLS1.3 cipher=TLS_AES_256_GCM_SHA384 "
           "bits=256/256 sent=yes queue-id=1xVUV7-0000BY-1m"},
          {STAMP "[9]  DSH=m [192.0.2.7] F=<a@a.test> rejected RCPT <b@b.test>: no",
           "reject service=smtpd peer=m[192.0.2.7] tls=not-shown place=RCPT helo=m"},
          {id + " DSH=m [192.0.2.7] F=<a@a.test> rejected after DATA: no",
           "reject service=smtpd peer=m[192.0.2.7] tls=not-shown place=DATA helo=m pid=716"}});
}

TEST(EximTest, InterfacesOfDeliveries) {
  const std::string id = STAMP "1xVUV7-0000BY-1m ";
  const std::string sent =
      "delivery outbound=yes connection=1xVUV7-0000BY-1m service=smtp peer=m[192.0.2.7]:25 "
      "tls=established trust=Untrusted protocol=TLS1.3 cipher=TLS_AES_256_GCM_SHA384 "
      "bits=256/256 ";
  Expect({{id + "=> b@b.test R=r T=t H=m [192.0.2.7]:25 I=[192.0.2.1]:4000 " X13,
           sent + "sent=yes queue-id=1xVUV7-0000BY-1m"},
          {id + "=> b@b.test R=r T=t H=m [192.0.2.7]:25 I=[192.0.2.1]4000 " X13,
           sent + "sent=yes queue-id=1xVUV7-0000BY-1m"},
          {id + "=> b@b.test R=r T=t H=m [192.0.2.7]:25* I=[192.0.2.1]:4000 " X13,
           sent + "uses=0 sent=yes queue-id=1xVUV7-0000BY-1m"},
          {id + "=> b@b.test R=r T=t H=m [192.0.2.7]:25 I=[192.0.2.1]4000* " X13,
           sent + "uses=0 sent=yes queue-id=1xVUV7-0000BY-1m"}});
}

// A name may hold anything, but nothing of the line behind its end is lost.
TEST(EximTest, SniWithQuotesAndWithout) {
  const auto sni_of = [](const std::string& field) {
    const std::string text = ParsedLine(STAMP
                                        "1xVUV7-0000BY-1m <= a@a.test H=m [192.0.2.7] "
                                        "P=esmtpsa " X13 " " +
                                        field + " A=plain:u S=1");
    EXPECT_NE(text.find("auth=plain"), std::string::npos) << text;
    const std::string from = text.substr(text.find("sni="));
    return from.substr(0, from.find(' '));
  };
  EXPECT_EQ(sni_of("SNI=mx.test"), "sni=mx.test");
  EXPECT_EQ(sni_of("SNI=\"mx.test\""), "sni=mx.test");
}

TEST(EximTest, ConnectionsByInetdHaveTheirWordBehindTheHost) {
  Expect({{STAMP "[9] SMTP connection from [192.0.2.7] (via inetd)",
           "connect service=smtpd peer=[192.0.2.7]"},
          {STAMP "[9] SMTP connection from (x) [192.0.2.7] (via inetd) closed by QUIT",
           "closed service=smtpd peer=[192.0.2.7] helo=x"},
          {STAMP "no MAIL in TFO* SMTP connection from [192.0.2.7] D=1s C=QUIT",
           "disconnect service=smtpd peer=[192.0.2.7] tls=plaintext age=2000"}});
}

TEST(EximTest, RefusalsOfClientsThatAuthenticated) {
  Expect({{STAMP "[9] H=m [192.0.2.7] " X13
                 " F=<a@a.test> A=plain:u@a.test rejected RCPT <b@b.test>: no",
           "reject service=smtpd peer=m[192.0.2.7] " TLS13 " place=RCPT helo=m"},
          {STAMP "[9] H=m [192.0.2.7] F=<> A=login temporarily rejected RCPT <b@b.test>: later",
           "reject service=smtpd peer=m[192.0.2.7] tls=not-shown place=RCPT helo=m"},
          {STAMP "1xVUV7-0000BY-1m H=m [192.0.2.7] F=<a@a.test> A=login:u rejected after DATA: no",
           "reject service=smtpd peer=m[192.0.2.7] tls=not-shown place=DATA helo=m pid=716"}});
}

// A message that is under way has its id in lines of the connection.
TEST(EximTest, ConnectionsThatAreLostWithinAMessage) {
  const std::string id = STAMP "1xVUV7-0000BY-1m ";
  Expect({{id + "SMTP data timeout (message abandoned) on connection from (x) [192.0.2.7] F=<a@b>",
           "closed service=smtpd peer=[192.0.2.7] place=DATA helo=x pid=716 reason=timeout"},
          {id + "SMTP connection from (x) [192.0.2.7] lost while reading message data",
           "closed service=smtpd peer=[192.0.2.7] place=DATA helo=x pid=716 "
           "reason=lost connection"},
          {id + "SMTP connection lost after final dot H=(x) [192.0.2.7] P=esmtp", "ignored"},
          {id + "exim 4.96 daemon started: pid=1", "ignored"}});
}

// As older releases tell of them.
TEST(EximTest, HandshakesWithServersThatFailed) {
  const std::string id = STAMP "1xVUV7-0000BY-1m ";
  const std::string failed =
      "delivery outbound=yes connection=1xVUV7-0000BY-1m service=smtp peer=m[192.0.2.7] "
      "trouble=handshake-failed queue-id=1xVUV7-0000BY-1m";
  Expect({{id + "TLS error on connection to m [192.0.2.7] (SSL_connect): error:14077410:SSL "
                "routines:SSL23_GET_SERVER_HELLO:sslv3 alert handshake failure",
           failed},
          {id + "TLS error on connection to m [192.0.2.7] (gnutls_handshake): timed out", failed},
          {id + "TLS error on connection to m [192.0.2.7] (recv): timed out", "ignored"},
          {id + "TLS session failure: delivering unencrypted to m [192.0.2.7] (not in "
                "hosts_require_tls)",
           "ignored"},
          {id + "== b@b.test R=r T=t defer (-38) H=m [192.0.2.7]: a TLS session is required for m "
                "[192.0.2.7], but an attempt to start TLS failed",
           failed},
          {id + "== b@b.test R=r T=t defer (-38) H=m [192.0.2.7]: a TLS session is required for m "
                "[192.0.2.7], but the server did not offer TLS support",
           "delivery outbound=yes connection=1xVUV7-0000BY-1m service=smtp peer=m[192.0.2.7] "
           "trouble=tls-not-offered queue-id=1xVUV7-0000BY-1m"}});
}

TEST(EximTest, LinesWithAHeaderOfAnotherFormAreNoticed) {
  EXPECT_TRUE(MentionsMta("1762052521.123456 mx1 exim[9]: 2026-11-02 04:02:01 x"));
  EXPECT_FALSE(MentionsMta("1762052521.123456 mx1 cron[9]: exim"));
}

// ---- Traps, by their numbers in tests/testdata/traps.txt.

TEST(EximTrapsTest, Trap24TlsErrorAfterASuccessfulSessionIsNoFailure) {
  Expect({{STAMP "[9] TLS error on connection from h [192.0.2.7] (recv): The TLS connection was "
                 "non-properly terminated.",
           "note service=smtpd peer=h[192.0.2.7] tls=established helo=h"},
          {STAMP "[9] TLS error on connection from h [192.0.2.7] (gnutls_handshake): The TLS "
                 "connection was non-properly terminated.",
           "tls-failed service=smtpd peer=h[192.0.2.7] helo=h reason=The TLS connection was "
           "non-properly terminated."}});
}

TEST(EximTrapsTest, Trap25XIsInboundOutboundOrWithoutAMessage) {
  Expect({{STAMP "1xVUV7-0000BY-1m <= a@a.test H=m [192.0.2.7] P=esmtps " X13 " S=1",
           "proxy-accept service=smtpd peer=m[192.0.2.7] " TLS13
           " queue-id=1xVUV7-0000BY-1m helo=m pid=716"},
          {STAMP "1xVUV7-0000BY-1m => b@b.test R=r T=t H=m [192.0.2.7] " X13 " C=\"250 ok\"",
           "delivery outbound=yes connection=1xVUV7-0000BY-1m service=smtp peer=m[192.0.2.7] "
           "tls=established trust=Untrusted protocol=TLS1.3 cipher=TLS_AES_256_GCM_SHA384 "
           "bits=256/256 sent=yes queue-id=1xVUV7-0000BY-1m"},
          {STAMP "[9] H=m [192.0.2.7] " X13 " F=<a@a.test> rejected RCPT <b@b.test>: no",
           "reject service=smtpd peer=m[192.0.2.7] " TLS13 " place=RCPT helo=m"}});
}

TEST(EximTrapsTest, Trap33GnutlsBytesAreNotBits) {
  TlsSummary summary;
  ASSERT_TRUE(ParseEximTls("TLS-1.0:RSA_AES_256_CBC_SHA1:32", summary));
  EXPECT_EQ(summary.bits_used, 256);
  ASSERT_TRUE(ParseEximTls("TLS1.0:EXP-RC4-MD5:40", summary));
  EXPECT_EQ(summary.bits_used, 40);
}

TEST(EximTrapsTest, Trap35AFourthFieldIsTheGroup) {
  TlsSummary summary;
  ASSERT_TRUE(ParseEximTls("TLS1.3:TLS_AES_256_GCM_SHA384:256:X25519", summary));
  EXPECT_EQ(summary.cipher, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(summary.kex, "X25519");
}

TEST(EximTrapsTest, Trap38NoClientCertificateIsNotUntrusted) {
  for (const char* verified : {" CV=no", ""}) {
    EXPECT_EQ(
        ParsedLine(std::string(STAMP "1xVUV7-0000BY-1m <= a@a.test H=m [192.0.2.7] P=esmtps " X13)
                       .append(verified)
                       .append(" S=1")),
        "proxy-accept service=smtpd peer=m[192.0.2.7] " TLS13
        " queue-id=1xVUV7-0000BY-1m helo=m pid=716");
  }
}

TEST(EximTrapsTest, Trap66SyslogLinesHaveTwoStamps) {
  Expect(
      {{"Nov  2 04:02:01 mx1 exim[9]: 2026-11-02 03:02:00.123 +0000 1xVUV7-0000BY-1m <= a@a.test "
        "H=m [192.0.2.7] P=smtp S=1",
        "proxy-accept service=smtpd peer=m[192.0.2.7] tls=plaintext queue-id=1xVUV7-0000BY-1m "
        "helo=m"}});
}

// Subjects, certificates, SNI, addresses, HELO: what a peer says in one field is not read as
// another.
TEST(EximTrapsTest, Trap79TextOfThePeer) {
  const std::string accepted =
      "proxy-accept service=smtpd peer=m[192.0.2.7] tls=plaintext queue-id=1xVUV7-0000BY-1m helo=m "
      "pid=716";
  const std::string id = STAMP "1xVUV7-0000BY-1m ";
  Expect({
      {id + "<= a@a.test H=m [192.0.2.7] P=esmtp S=1 T=\"=> x@y R=r T=t H=h [1.2.3.4] "
            "X=TLS1.3:A:1\"",
       accepted},
      {id + "<= \"x H=h [1.2.3.4] P=esmtps X=TLS1.3:A:1\"@a.test H=m [192.0.2.7] P=esmtp S=1",
       accepted},
      {id + "<= x\\ H=h\\ [1.2.3.4]\\ P=esmtps@a.test H=m [192.0.2.7] P=esmtp S=1", accepted},
      {id + "<= \"x\\\" H=h [1.2.3.4] P=esmtps \"@a.test H=m [192.0.2.7] P=esmtp S=1", accepted},
      {id + "<= a@a.test H=m [192.0.2.7] P=esmtps " X13 " DN=\"CN=a\\\" SNI=b X=c:d:1\" SNI=e S=1",
       "proxy-accept service=smtpd peer=m[192.0.2.7] tls=established trust=Untrusted sni=e "
       "protocol=TLS1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256 queue-id=1xVUV7-0000BY-1m "
       "helo=m pid=716"},
      // A HELO that can look like all that follows (helo_accept_junk_hosts).
      {id + "<= a@a.test H=(x) [1.2.3.4] P=esmtps X=TLS1.3:A:1 (y) [192.0.2.7] P=esmtp S=1",
       "unrecognized"},
      {id + "<= a@a.test H=(x y) [192.0.2.7] P=esmtp S=1", "unrecognized"},
      // What an ident server says.
      {id + "<= a@a.test H=m [192.0.2.7] U=x P=esmtps X=TLS1.3:A:1 S=1 P=esmtp S=1",
       "proxy-accept service=smtpd peer=m[192.0.2.7] tls=unknown queue-id=1xVUV7-0000BY-1m helo=m "
       "pid=716"},
      {STAMP "[9] H=m [192.0.2.7] F=<\"x> rejected DATA\"@a.test> rejected RCPT <b@b.test>: no",
       "reject service=smtpd peer=m[192.0.2.7] tls=not-shown place=RCPT helo=m"},
      {STAMP "[9] SMTP syntax error in \"x SMTP connection from [1.2.3.4] closed by QUIT\" "
             "H=[192.0.2.7] unrecognized command",
       "ignored"},
      {STAMP "[9] SMTP connection from (closed.by.QUIT) [192.0.2.7] lost",
       "closed service=smtpd peer=[192.0.2.7] helo=closed.by.QUIT reason=lost connection"},
  });
}

TEST(EximTrapsTest, Trap79TextOfRecipientsAndServers) {
  const std::string id = STAMP "1xVUVh-0000Hg-1N ";
  const std::string sent =
      "delivery outbound=yes connection=1xVUVh-0000Hg-1N service=smtp peer=mx.example[192.0.2.7] "
      "tls=not-shown sent=yes queue-id=1xVUVh-0000Hg-1N";
  const std::string fields = "R=r T=t H=mx.example [192.0.2.7]";
  Expect({
      {id + "=> u@x.test " + fields + " C=\"250 R=a T=b H=h [1.2.3.4] X=TLS1.3:A:1 C=\\\"x\\\"\"",
       sent},
      {id +
           "=> x@y R=a T=b H=h [1.2.3.4] X=TLS1.3:A:1 C=\"@x.test <\"x@y R=a T=b H=h [1.2.3.4] "
           "X=TLS1.3:A:1 C=\\\"\"@x.test> " +
           fields + " C=\"250 ok\"",
       sent},
      {id + "=> u R=a T=b H=h [1.2.3.4]@x.test <\"u R=a T=b H=h [1.2.3.4]\"@x.test> " + fields,
       sent},
      {id + "** x@y R=a T=b H=h [1.2.3.4]: z@x.test <\"x@y R=a T=b H=h [1.2.3.4]: z\"@x.test> " +
           fields + ": SMTP error from remote mail server after RCPT TO:<x>: 550 no",
       "unrecognized"},
      {id + "** u@x.test " + fields +
           ": SMTP error from remote mail server after RCPT TO:<u>: 550 R=a T=b H=h [1.2.3.4]",
       "unrecognized"},
      {id + "== u@x.test R=r T=t defer (-44) H=mx.example [192.0.2.7]: SMTP error from remote mail "
            "server after RCPT TO:<u>: 450 H=h [1.2.3.4] X=TLS1.3:A:1",
       "delivery outbound=yes connection=1xVUVh-0000Hg-1N service=smtp peer=mx.example[192.0.2.7] "
       "tls=unknown trouble=other queue-id=1xVUVh-0000Hg-1N"},
  });
}

}  // namespace
}  // namespace mxtally
