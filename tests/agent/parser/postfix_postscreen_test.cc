// Lines of postscreen and tlsproxy, one row each.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

struct Row {
  const char* text;
  std::string event;
};

// Of "[192.0.2.7]:40000": what all its events have in common.
std::string On(std::string_view type, std::string_view rest = "", bool may_be_handed_on = false) {
  return std::string(type) + " connection=[192.0.2.7]:40000 service=postscreen" +
         (may_be_handed_on ? " may-be-handed-on=yes" : "") + " peer=[192.0.2.7]:40000" +
         std::string(rest);
}
std::string Screened(std::string_view type, std::string_view rest = "") {
  return On(type, rest, true);
}

TEST(PostscreenTest, EachLine) {
  const Row kRows[] = {
      {"CONNECT from [192.0.2.7]:40000 to [198.51.100.1]:25", Screened("connect")},
      // Postfix 2.8.
      {"CONNECT from [192.0.2.7]:40000", Screened("connect")},
      {"CONNECT from [2001:db8::7]:40000 to [2001:db8::1]:25",
       "connect connection=[2001:db8::7]:40000 service=postscreen may-be-handed-on=yes "
       "peer=[2001:db8::7]:40000"},
      {"PASS OLD [192.0.2.7]:40000", Screened("handed-on")},
      {"PASS NEW [192.0.2.7]:40000", Screened("handed-on")},
      {"ALLOWLISTED [192.0.2.7]:40000", Screened("handed-on")},
      {"WHITELISTED [192.0.2.7]:40000", Screened("handed-on")},
      {"ALLOWLIST VETO [192.0.2.7]:40000", On("note")},
      {"WHITELIST VETO [192.0.2.7]:40000", On("note")},
      {"DENYLISTED [192.0.2.7]:40000", Screened("note")},
      {"BLACKLISTED [192.0.2.7]:40000", Screened("note")},
      {"DNSBL rank 3 for [192.0.2.7]:40000", Screened("note")},
      {"PREGREET 17 after 0.02 from [192.0.2.7]:40000: EHLO early.test\\r\\n", Screened("note")},
      {"PREGREET 11 after 0 from [192.0.2.7]:40000: \\026\\003\\001", Screened("note")},
      {"HANGUP after 0.3 from [192.0.2.7]:40000 in tests before SMTP handshake",
       On("abnormal-end", " place=CONNECT reason=lost connection")},
      {"HANGUP after 3 from [192.0.2.7]:40000 in tests after SMTP handshake",
       On("abnormal-end", " reason=lost connection")},
      {"COMMAND TIME LIMIT from [192.0.2.7]:40000 after RCPT",
       On("abnormal-end", " place=RCPT reason=timeout")},
      {"COMMAND TIME LIMIT from [192.0.2.7]:40000", On("abnormal-end", " reason=timeout")},
      {"COMMAND COUNT LIMIT from [192.0.2.7]:40000 after NOOP",
       On("limit", " reason=COMMAND COUNT LIMIT")},
      {"COMMAND LENGTH LIMIT from [192.0.2.7]:40000 after EHLO",
       On("limit", " reason=COMMAND LENGTH LIMIT")},
      {"COMMAND PIPELINING from [192.0.2.7]:40000 after MAIL: RCPT TO:<b@b.test>\\r\\n",
       On("note")},
      {"BARE NEWLINE from [192.0.2.7]:40000 after NOOP", On("note")},
      {"NON-SMTP COMMAND from [192.0.2.7]:40000 after CONNECT: GET / HTTP/1.1", On("note")},
      {"DATA without valid RCPT from [192.0.2.7]:40000", On("note")},
      {"BDAT without valid RCPT from [192.0.2.7]:40000", On("note")},
      {"NOQUEUE: reject: RCPT from [192.0.2.7]:40000: 450 4.3.2 Service currently unavailable; "
       "from=<a@a.test>, to=<b@b.test>, proto=ESMTP, helo=<client.test>",
       On("reject", " place=RCPT helo=client.test")},
      {"NOQUEUE: reject: RCPT from [192.0.2.7]:40000: 550 5.5.1 Protocol error; "
       "from=<a@a.test>, to=<b@b.test>, proto=SMTP, helo=<>",
       On("reject", " place=RCPT")},
      {"NOQUEUE: reject: CONNECT from [192.0.2.7]:40000: too many connections",
       On("reject", " place=CONNECT")},
      {"NOQUEUE: reject: CONNECT from [192.0.2.7]:40000: all server ports busy",
       On("reject", " place=CONNECT")},
      {"reject: connect from [192.0.2.7]:40000: all screening ports busy",
       On("reject", " place=CONNECT")},
      {"DISCONNECT [192.0.2.7]:40000", On("disconnect")},
      {"entering STRESS mode with 90 connections", "ignored"},
      {"leaving STRESS mode with 70 connections", "ignored"},
      {"warning: getpeername: Transport endpoint is not connected -- dropping this connection",
       "ignored"},
      {"warning: haproxy read: EOF", "ignored"},
      {"warning: dnsblog reply timeout 10s for zen.example", "ignored"},
      {"cache btree:/var/lib/postfix/postscreen_cache full cleanup: retained=4 dropped=1 entries",
       "ignored"},
      {"[192.0.2.7]:40000: discarding EHLO keywords: CHUNKING", "ignored"},
      {"fatal: btree:/var/lib/postfix/postscreen_cache: unable to get exclusive lock", "ignored"},
      {"", "ignored"},
      {"SOMETHING NEW [192.0.2.7]:40000", "unrecognized"},
      {"CONNECT from unknown", "unrecognized"},
      {"CONNECT from name[192.0.2.7]:40000", "unrecognized"},
      {"DISCONNECT [192.0.2.7]", "unrecognized"},
      {"PASS NEW [192.0.2.7]:40000 more", "unrecognized"},
  };
  for (const Row& row : kRows) EXPECT_EQ(Parsed("postfix/postscreen", row.text), row.event);
}

TEST(TlsProxyTest, EachLine) {
  const std::string kOn = " connection=[192.0.2.7]:40000 only-continues=yes peer=[192.0.2.7]:40000";
  const Row kRows[] = {
      {"CONNECT from [192.0.2.7]:40000", "tls-setup" + kOn},
      {"Anonymous TLS connection established from [192.0.2.7]:40000: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS "
       "(2048 bits) server-digest SHA256",
       "tls-established" + kOn +
           " trust=Anonymous protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256 "
           "kex=X25519 signature=RSA-PSS key=2048 bits digest=SHA256"},
      {"TLS handshake failed for service=smtpd peer=[192.0.2.7]:40000", "tls-failed" + kOn},
      {"DISCONNECT [192.0.2.7]:40000", "ignored"},
      // TLS log level 2.
      {"setting up TLS connection from [192.0.2.7]:40000", "ignored"},
      {"setting up TLS connection to mx.example[192.0.2.7]:25", "ignored"},
      {"TLS SNI mx.example from [192.0.2.7]:40000 not matched, using default chain", "ignored"},
      {"warning: TLS library problem: error:0A00009C:SSL routines::http "
       "request:../ssl/record/ssl3_record.c:341:",
       "ignored"},
      {"warning: ciphertext read/write timeout for [192.0.2.7]:40000", "ignored"},
      // What smtp says as well.
      {"CONNECT to [192.0.2.9]:25", "ignored"},
      {"Untrusted TLS connection established to mx.example[192.0.2.9]:25: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits)",
       "ignored"},
      {"TLS handshake failed for service=smtp peer=mx.example[192.0.2.9]:25", "ignored"},
      {"TLSRPT: status=success, domain=x.example, receiving_mx=mx.example[192.0.2.9]", "ignored"},
      {"initializing the server-side TLS engine", "ignored"},
      {"", "ignored"},
      {"CONNECT from [192.0.2.7]", "unrecognized"},
      {"Anonymous TLS connection established from name[192.0.2.7]: TLSv1.3 with cipher X (1/1 "
       "bits)",
       "unrecognized"},
      {"something new", "unrecognized"},
  };
  for (const Row& row : kRows) EXPECT_EQ(Parsed("postfix/tlsproxy", row.text), row.event);
}

// Text that a peer chose.

TEST(PostscreenHostileTextTest, TextBehindTheConnectionForgesNothing) {
  const char* const kForgery = "DISCONNECT [192.0.2.9]:1 PASS NEW [192.0.2.9]:1";
  for (const char* start : {"PREGREET 17 after 0 from [192.0.2.7]:40000: ",
                            "COMMAND PIPELINING from [192.0.2.7]:40000 after EHLO: ",
                            "COMMAND PIPELINING from [192.0.2.7]:40000 after ",
                            "BARE NEWLINE from [192.0.2.7]:40000 after ",
                            "NON-SMTP COMMAND from [192.0.2.7]:40000 after EHLO: "}) {
    const std::string text = Parsed("postfix/postscreen", std::string(start) + kForgery);
    EXPECT_TRUE(text == On("note") || text == Screened("note")) << text;
  }
}

TEST(PostscreenHostileTextTest, AddressesForgeNoHelo) {
  EXPECT_EQ(Parsed("postfix/postscreen",
                   "NOQUEUE: reject: RCPT from [192.0.2.7]:40000: 450 4.3.2 no; "
                   "from=<x, proto=ESMTP, helo=<forged>>, to=<b@b.test>, proto=ESMTP, helo=<true>"),
            On("reject", " place=RCPT helo=true"));
  EXPECT_EQ(Parsed("postfix/postscreen",
                   "NOQUEUE: reject: RCPT from [192.0.2.7]:40000: 450 4.3.2 no; "
                   "from=<a@a.test>, to=<x, proto=ESMTP, helo=<forged>>, proto=ESMTP, helo"),
            On("reject", " place=RCPT"));
}

}  // namespace
}  // namespace mxtally
