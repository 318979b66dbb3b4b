// Lines of Postfix and what they mean, table by table.

#include "agent/parser/postfix.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/agent/parser/event_text.h"

namespace mxtally {
namespace {

struct Row {
  const char* text;
  const char* event;
};

void ExpectSmtpd(const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_EQ(Parsed("postfix/smtpd", row.text), row.event) << row.text;
}

TEST(PostfixTest, PeerNotations) {
  ExpectSmtpd({
      {"connect from mail.example.com[192.0.2.1]", "connect peer=mail.example.com[192.0.2.1]"},
      {"connect from mail.example.com[192.0.2.1]:4711",
       "connect peer=mail.example.com[192.0.2.1]:4711"},
      {"connect from unknown[192.0.2.1]", "connect peer=[192.0.2.1]"},
      {"connect from unknown[unknown]", "connect peer=[]"},
      {"connect from unknown[unknown]:0", "connect peer=[]"},
      {"connect from mail.example.com[2001:db8::1]", "connect peer=mail.example.com[2001:db8::1]"},
      {"connect from mail.example.com[2001:db8::1]:25",
       "connect peer=mail.example.com[2001:db8::1]:25"},
      {"connect from [192.0.2.1]", "connect peer=[192.0.2.1]"},
      {"connect from 1.2.3.4.example[192.0.2.1]", "connect peer=1.2.3.4.example[192.0.2.1]"},
      {"connect from a_b-c.example[192.0.2.1]", "connect peer=a_b-c.example[192.0.2.1]"},
      // Not peers.
      {"connect from mail.example.com", "unrecognized"},
      {"connect from mail.example.com[192.0.2.1", "unrecognized"},
      {"connect from mail.example.com[]", "unrecognized"},
      {"connect from mail example[192.0.2.1]", "unrecognized"},
      {"connect from x[192.0.2.1]:99999", "unrecognized"},
      {"connect from x[192.0.2.1]:12345678901", "unrecognized"},
      {"connect from x[192.0.2.1] and more", "unrecognized"},
      {"connect from ", "unrecognized"},
  });
}

TEST(PostfixTest, DisconnectCounters) {
  ExpectSmtpd({
      {"disconnect from x[192.0.2.1]", "disconnect peer=x[192.0.2.1]"},
      {"disconnect from unknown[192.0.2.1] ehlo=2 starttls=1 mail=1 rcpt=0/1 data=0/1 quit=1 "
       "commands=5/7",
       "disconnect peer=[192.0.2.1] ehlo=2/2 starttls=1/1 mail=1/1 rcpt=0/1 data=0/1 quit=1/1 "
       "commands=5/7"},
      {"disconnect from x[192.0.2.1] commands=0/0", "disconnect peer=x[192.0.2.1] commands=0/0"},
      {"disconnect from x[192.0.2.1]:4711 quit=1 commands=1",
       "disconnect peer=x[192.0.2.1]:4711 quit=1/1 commands=1/1"},
      {"disconnect from x[192.0.2.1] ehlo=1 quit=1 commands=2 notes=bare_lf",
       "disconnect peer=x[192.0.2.1] ehlo=1/1 quit=1/1 commands=2/2"},
      {"disconnect from x[192.0.2.1] frobnicate=3/4 commands=3/4",
       "disconnect peer=x[192.0.2.1] frobnicate=3/4 commands=3/4"},
      // Cut short: the counter that is missing might be starttls.
      {"disconnect from x[192.0.2.1] ehlo=1", "unrecognized"},
      {"disconnect from x[192.0.2.1] ehlo=1 quit=1 comma", "unrecognized"},
      {"disconnect from x[192.0.2.1] ehlo=1 commands=", "unrecognized"},
      {"disconnect from x[192.0.2.1] ehlo=1 commands=1/", "unrecognized"},
      {"disconnect from x[192.0.2.1] ehlo=1/2/3 commands=1", "unrecognized"},
      {"disconnect from x[192.0.2.1] ehlo=9999999999 commands=1", "unrecognized"},
      {"disconnect from x[192.0.2.1] =1 commands=1", "unrecognized"},
      {"disconnect from x[192.0.2.1], ehlo=1 commands=1", "unrecognized"},
      {"disconnect from x[192.0.2.1] ", "unrecognized"},
  });
}

TEST(PostfixTest, CountersBeyondTheLimitAreDropped) {
  std::string text = "disconnect from x[192.0.2.1]";
  for (int i = 0; i < 100; ++i) text += " c" + std::to_string(i) + "=1";
  text += " commands=100";
  FramedLine line;
  line.program = "postfix/smtpd";
  line.text = text;
  Event event;
  ASSERT_EQ(ParsePostfix(line, event), LineClass::kEvent);
  EXPECT_EQ(event.counters.size(), Event::kCountersMax);
  EXPECT_EQ(event.counters.front().command, "c0");
  EXPECT_TRUE(event.has_counters);
}

TEST(PostfixTest, AbnormalEnds) {
  ExpectSmtpd({
      {"lost connection after CONNECT from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] place=CONNECT reason=lost connection"},
      {"lost connection after STARTTLS from unknown[unknown]",
       "abnormal-end peer=[] place=STARTTLS reason=lost connection"},
      {"timeout after END-OF-MESSAGE from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] place=END-OF-MESSAGE reason=timeout"},
      {"too many errors after RCPT from x[192.0.2.1]:4711",
       "abnormal-end peer=x[192.0.2.1]:4711 place=RCPT reason=too many errors"},
      {"lost connection after DATA (19 bytes) from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] place=DATA reason=lost connection"},
      {"timeout after BDAT (1048576 bytes) from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] place=BDAT reason=timeout"},
      // Postfix 3.10.
      {"NOQUEUE: lost connection after EHLO from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] place=EHLO reason=lost connection"},
      {"B7E92E41A: lost connection after RCPT from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] queue-id=B7E92E41A place=RCPT reason=lost connection"},
      {"3Pt2mN2VXxznjll: timeout after DATA (19 bytes) from x[192.0.2.1]",
       "abnormal-end peer=x[192.0.2.1] queue-id=3Pt2mN2VXxznjll place=DATA reason=timeout"},
      // Patch releases of 2023 only.
      {"bare <LF> received after DATA from x[192.0.2.1]", "note peer=x[192.0.2.1] place=DATA"},
      {"lost connection after DATA (19 by", "unrecognized"},
      {"lost connection after  from x[192.0.2.1]", "unrecognized"},
      {"lost connection after AUTH from x[192.0.2.1] or so", "unrecognized"},
      {"lost connection with mx[192.0.2.1] while receiving the initial server greeting",
       "unrecognized"},
  });
}

TEST(PostfixTest, TlsSummaries) {
  ExpectSmtpd({
      {"Anonymous TLS connection established from julie.example.com[10.163.89.202]: TLSv1.3 with "
       "cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS "
       "(4096 bits) server-digest SHA256",
       "tls-established peer=julie.example.com[10.163.89.202] trust=Anonymous protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=X25519 signature=RSA-PSS key=4096 bits "
       "digest=SHA256"},
      {"Anonymous TLS connection established from julie.example.com[10.163.89.202]: TLSv1.2 with "
       "cipher AECDH-AES256-SHA (256/256 bits)",
       "tls-established peer=julie.example.com[10.163.89.202] trust=Anonymous protocol=TLSv1.2 "
       "cipher=AECDH-AES256-SHA bits=256/256"},
      // Postfix 2.2 to 2.4.
      {"TLS connection established from x[192.0.2.1]: TLSv1 with cipher DES-CBC3-SHA (168/168 "
       "bits)",
       "tls-established peer=x[192.0.2.1] protocol=TLSv1 cipher=DES-CBC3-SHA bits=168/168"},
      {"Trusted TLS connection established from unknown[2001:db8::1]:4711: TLSv1 with cipher "
       "EXP-RC4-MD5 (40/128 bits)",
       "tls-established peer=[2001:db8::1]:4711 trust=Trusted protocol=TLSv1 cipher=EXP-RC4-MD5 "
       "bits=40/128"},
      {"Untrusted TLS connection reused from x[192.0.2.1]: TLSv1.3 with cipher "
       "TLS_AES_128_GCM_SHA256 (128/128 bits)",
       "tls-established peer=x[192.0.2.1] reused=yes trust=Untrusted protocol=TLSv1.3 "
       "cipher=TLS_AES_128_GCM_SHA256 bits=128/128"},
      {"Verified TLS connection established from [192.0.2.1]: TLSv1.2 with cipher "
       "ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)",
       "tls-established peer=[192.0.2.1] trust=Verified protocol=TLSv1.2 "
       "cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256/256"},
      // A trust word that is not known says nothing.
      {"Dubious TLS connection established from x[192.0.2.1]: SSLv3 with cipher RC4-MD5 (128/128 "
       "bits)",
       "tls-established peer=x[192.0.2.1] protocol=SSLv3 cipher=RC4-MD5 bits=128/128"},
      {"Anonymous TLS connection established from x[192.0.2.1] to mx.example.com: TLSv1.3 with "
       "cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange ECDHE (prime256v1) "
       "server-signature ECDSA (prime256v1) server-digest SHA256",
       "tls-established peer=x[192.0.2.1] trust=Anonymous sni=mx.example.com protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=ECDHE kex-parameter=prime256v1 "
       "signature=ECDSA key=prime256v1 digest=SHA256"},
      {"Anonymous TLS connection established from x[192.0.2.1]:25 to mx.example.com: TLSv1.3 with "
       "cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange DHE (2048 bits) "
       "server-signature Ed25519",
       "tls-established peer=x[192.0.2.1]:25 trust=Anonymous sni=mx.example.com protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=DHE kex-parameter=2048 bits "
       "signature=Ed25519"},
      // Client certificates and raw public keys.
      {"Untrusted TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 "
       "bits) server-digest SHA256 client-signature ECDSA (prime256v1) client-digest SHA256",
       "tls-established peer=x[192.0.2.1] trust=Untrusted protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=X25519 signature=RSA-PSS key=2048 bits "
       "digest=SHA256 client-signature=ECDSA client-key=prime256v1 client-digest=SHA256"},
      {"Trusted TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange x25519 server-signature RSA-PSS (2048 "
       "bit raw public key) server-digest SHA256 client-signature ED25519 (raw public key)",
       "tls-established peer=x[192.0.2.1] trust=Trusted protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=x25519 signature=RSA-PSS key=2048 bit raw "
       "public key digest=SHA256 client-signature=ED25519 client-key=raw public key"},
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange x25519 server-signature ECDSA "
       "(prime256v1 raw public key) server-digest SHA256",
       "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=x25519 signature=ECDSA key=prime256v1 raw "
       "public key digest=SHA256"},
      // Resumed, before and after 3.10.
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 "
       "bits)",
       "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=X25519 signature=RSA-PSS key=2048 bits"},
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher "
       "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519MLKEM768",
       "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1.3 "
       "cipher=TLS_AES_256_GCM_SHA384 bits=256/256 kex=X25519MLKEM768"},
      // A later release.
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.4 with cipher NEW (256/256 "
       "bits) resumption full (of it) key-exchange x25519 mood good server-signature RSA-PSS "
       "server-digest SHA256",
       "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1.4 cipher=NEW "
       "bits=256/256 kex=x25519 signature=RSA-PSS digest=SHA256"},
      {"Anonymous TLS connection established from x[192.0.2.1]: unknown with cipher (NONE) (0/0 "
       "bits), whatever",
       "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=unknown cipher=(NONE) "
       "bits=0/0"},
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher TLS_AES (1/1 "
       "bits) key-exchange",
       "tls-established peer=x[192.0.2.1] trust=Anonymous protocol=TLSv1.3 cipher=TLS_AES "
       "bits=1/1"},
      // Cut short, or malformed.
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher TLS_AES",
       "unrecognized"},
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher TLS_AES "
       "(256/256",
       "unrecognized"},
      {"Anonymous TLS connection established from x[192.0.2.1]: TLSv1.3 with cipher TLS_AES (a/b "
       "bits)",
       "unrecognized"},
      {"Anonymous TLS connection established from x[192.0.2.1] to : TLSv1.3 with cipher X (1/1 "
       "bits)",
       "unrecognized"},
      {"Anonymous TLS connection established from x: TLSv1.3 with cipher X (1/1 bits)",
       "unrecognized"},
      {"Anonymous TLS connection established to x[192.0.2.1]:25: TLSv1.3 with cipher X (1/1 bits)",
       "unrecognized"},
      {"Anonymous TLS connection gone", "unrecognized"},
  });
}

TEST(PostfixTest, TlsBeginningsAndFailures) {
  ExpectSmtpd({
      {"setting up TLS connection from x[192.0.2.1]", "tls-setup peer=x[192.0.2.1]"},
      {"setting up TLS connection from x", "unrecognized"},
      {"SSL_accept error from x[192.0.2.1]: -1", "tls-failed peer=x[192.0.2.1] reason=-1"},
      {"SSL_accept error from x[192.0.2.1]:4711: 0", "tls-failed peer=x[192.0.2.1]:4711 reason=0"},
      {"SSL_accept error from x[192.0.2.1]: lost connection",
       "tls-failed peer=x[192.0.2.1] reason=lost connection"},
      {"SSL_accept error from unknown[2001:db8::1]: Connection timed out",
       "tls-failed peer=[2001:db8::1] reason=Connection timed out"},
      {"SSL_accept error from x[192.0.2.1]", "unrecognized"},
      {"SSL_accept error from x[192.0.2.1]: ", "unrecognized"},
      {"warning: TLS library problem: error:0A000102:SSL routines::unsupported protocol:"
       "ssl/statem/statem_srvr.c:1657:",
       "tls-library-problem reason=unsupported protocol"},
      {"warning: TLS library problem: 12345:error:1408A0C1:SSL "
       "routines:SSL3_GET_CLIENT_HELLO:no shared cipher:s3_srvr.c:1417:",
       "tls-library-problem reason=no shared cipher"},
      {"warning: TLS library problem: error:0A000418:SSL routines::tlsv1 alert unknown "
       "ca:../ssl/record/rec_layer_s3.c:1601:SSL alert number 48:",
       "tls-library-problem alert=48 reason=tlsv1 alert unknown ca"},
      {"warning: TLS library problem: 1:error:14094412:SSL routines:SSL3_READ_BYTES:sslv3 alert "
       "bad certificate:s3_pkt.c:1262:SSL alert number 42:",
       "tls-library-problem alert=42 reason=sslv3 alert bad certificate"},
      {"warning: TLS library problem: 1:error:14094412:SSL routines:SSL3_READ_BYTES:sslv3 alert "
       "bad certificate:s3_pkt.c:1262:SSL alert number 256:",
       "tls-library-problem reason=sslv3 alert bad certificate"},
      {"warning: TLS library problem: words", "tls-library-problem reason=words"},
      {"warning: TLS library problem: error:1:2:3", "tls-library-problem reason=error:1:2:3"},
      {"NOQUEUE: abort: TLS from x[192.0.2.1]: No client certificate presented",
       "tls-refused-after-handshake peer=x[192.0.2.1] reason=No client certificate presented"},
      {"NOQUEUE: abort: TLS from x[192.0.2.1]", "unrecognized"},
      {"warning: New TLS session rate limit exceeded: 61 from x[192.0.2.1] for service smtp",
       "tls-refused-after-handshake peer=x[192.0.2.1] reason=New TLS session rate limit exceeded"},
      {"warning: Refusing STARTTLS request from x[192.0.2.1] for service smtp",
       "tls-refused-before-handshake peer=x[192.0.2.1] reason=Refusing STARTTLS request"},
      {"warning: Refusing TLS service request from x[192.0.2.1] for service smtps",
       "tls-refused-before-handshake peer=x[192.0.2.1] reason=Refusing TLS service request"},
      {"warning: Wrapper-mode request dropped from x[192.0.2.1] for service smtps. TLS context "
       "initialization failed. For details see earlier warnings in your logs.",
       "tls-refused-before-handshake peer=x[192.0.2.1] reason=Wrapper-mode request dropped"},
      {"warning: Refusing STARTTLS request from x", "unrecognized"},
      {"TLS SNI mx.example.com from x[192.0.2.1] not matched, using default chain",
       "note peer=x[192.0.2.1]"},
      {"warning: TLS SNI from x[192.0.2.1] is invalid: a..b", "note peer=x[192.0.2.1]"},
      {"warning: cannot get RSA private key from file /etc/key: disabling TLS support", "ignored"},
      {"warning: No server certs available. TLS won't be enabled", "ignored"},
      {"warning: x[192.0.2.1]: error setting cipher grade: \"medium\"", "ignored"},
  });
}

TEST(PostfixTest, MessageLines) {
  ExpectSmtpd({
      {"8FBDA2AD: client=localhost[127.0.0.1]",
       "queue-id-assigned peer=localhost[127.0.0.1] queue-id=8FBDA2AD"},
      {"3Pt2mN2VXxznjll: client=x[192.0.2.1]:4711",
       "queue-id-assigned peer=x[192.0.2.1]:4711 queue-id=3Pt2mN2VXxznjll"},
      {"NOQUEUE: client=x[192.0.2.1]", "queue-id-assigned peer=x[192.0.2.1]"},
      {"8FBDA2AD: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=me@example.com",
       "queue-id-assigned peer=x[192.0.2.1] queue-id=8FBDA2AD auth=PLAIN"},
      {"0B7FB2B6: client=localhost[127.0.0.1], orig_queue_id=ABC123, "
       "orig_client=host.example[192.0.2.77]",
       "queue-id-assigned peer=localhost[127.0.0.1] queue-id=0B7FB2B6 original-queue-id=ABC123"},
      {"8FBDA2AD: client=x[192.0.2.1] and more", "unrecognized"},
      {"8FBDA2AD: client=x", "unrecognized"},
      {"proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 1234; from=<a@a.test> "
       "to=<b@b.test> proto=ESMTP helo=<x>",
       "proxy-accept place=END-OF-MESSAGE"},
      {"proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a@a.test> to=<b@b.test> proto=SMTP",
       "reject place=END-OF-MESSAGE"},
      {"NOQUEUE: reject: RCPT from foo[192.51.100.65]: 554 5.7.1 <bad.domain>: Helo command "
       "rejected: match bad.domain; from=<foo@good.domain> to=<foo@porcupine.org> proto=SMTP "
       "helo=<bad.domain>",
       "reject peer=foo[192.51.100.65] place=RCPT helo=bad.domain"},
      {"8FBDA2AD: reject: RCPT from x[192.0.2.1]: 450 4.1.1 <b@b.test>: no; from=<a@a.test> "
       "to=<b@b.test> proto=ESMTP helo=<h> sasl_method=PLAIN sasl_username=me",
       "reject peer=x[192.0.2.1] queue-id=8FBDA2AD place=RCPT helo=h"},
      {"NOQUEUE: reject: CONNECT from x[192.0.2.1]: 554 5.7.1 no; proto=SMTP",
       "reject peer=x[192.0.2.1] place=CONNECT"},
      {"NOQUEUE: reject: EHLO from x[192.0.2.1]: bare <LF> received; proto=ESMTP helo=<h>",
       "reject peer=x[192.0.2.1] place=EHLO helo=h"},
      {"NOQUEUE: reject: MAIL from x[192.0.2.1]: 421 4.3.0 <a@a.test> Server local data error",
       "reject peer=x[192.0.2.1] place=MAIL"},
      {"NOQUEUE: milter-reject: CONNECT from x[192.0.2.1]: 451 4.7.1 later; proto=SMTP",
       "reject peer=x[192.0.2.1] place=CONNECT"},
      {"NOQUEUE: reject_warning: RCPT from x[192.0.2.1]: 554 no; proto=SMTP",
       "note peer=x[192.0.2.1] place=RCPT"},
      {"NOQUEUE: permit: RCPT from x[192.0.2.1]: action=x; proto=SMTP",
       "note peer=x[192.0.2.1] place=RCPT"},
      {"8FBDA2AD: hold: END-OF-MESSAGE from x[192.0.2.1]: why; proto=SMTP",
       "note peer=x[192.0.2.1] queue-id=8FBDA2AD place=END-OF-MESSAGE"},
      {"NOQUEUE: reject: RCPT to x[192.0.2.1]: 554", "unrecognized"},
      {"8FBDA2AD: something else", "unrecognized"},
      {"8FBDA2AD: removed", "unrecognized"},
  });
}

TEST(PostfixTest, AuthenticationFailures) {
  ExpectSmtpd({
      {"warning: x[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
       "auth-failed peer=x[192.0.2.1] auth=LOGIN"},
      {"warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: generic failure, "
       "sasl_username=a",
       "auth-failed peer=[192.0.2.1] auth=PLAIN"},
      {"warning: x[192.0.2.1]:4711: SASL CRAM-MD5 authentication aborted",
       "auth-failed peer=x[192.0.2.1]:4711 auth=CRAM-MD5"},
      {"warning: x[192.0.2.1]: SASL PLAIN something new", "unrecognized"},
      {"warning: SASL authentication failure: Password verification failed", "ignored"},
  });
}

TEST(PostfixTest, LimitsAndAnnotations) {
  ExpectSmtpd({
      {"warning: Connection concurrency limit exceeded: 51 from x[192.0.2.1] for service smtp",
       "limit peer=x[192.0.2.1] reason=Connection concurrency"},
      {"warning: Connection rate limit exceeded: 61 from x[192.0.2.1] for service smtp",
       "limit peer=x[192.0.2.1] reason=Connection rate"},
      {"warning: Message delivery request rate limit exceeded: 7 from x[192.0.2.1] for service s",
       "limit peer=x[192.0.2.1] reason=Message delivery request rate"},
      {"warning: Recipient address rate limit exceeded: 7 from x[192.0.2.1] for service smtp",
       "limit peer=x[192.0.2.1] reason=Recipient address rate"},
      {"warning: AUTH command rate limit exceeded: 7 from x[192.0.2.1] for service smtp",
       "limit peer=x[192.0.2.1] reason=AUTH command rate"},
      {"warning: Connection rate limit exceeded: many from x[192.0.2.1]", "unrecognized"},
      {"improper command pipelining after CONNECT from x[192.0.2.1]: \\026\\003\\001\\001$\\001",
       "note peer=x[192.0.2.1] place=CONNECT"},
      {"improper command pipelining after EHLO from x[192.0.2.1]",
       "note peer=x[192.0.2.1] place=EHLO"},
      {"improper command pipelining after from x[192.0.2.1]", "unrecognized"},
      {"warning: non-SMTP command from x[192.0.2.1]: GET / HTTP/1.1", "note peer=x[192.0.2.1]"},
      {"warning: Illegal address syntax from x[192.0.2.1] in MAIL command: <>x",
       "note peer=x[192.0.2.1]"},
      {"discarding EHLO keywords: CHUNKING", "note"},
  });
}

TEST(PostfixTest, KnownLinesWithoutMeaningAreIgnored) {
  ExpectSmtpd({
      {"warning: hostname a.example does not resolve to address 192.0.2.1", "ignored"},
      {"warning: hostname a.example does not resolve to address 192.0.2.1: Name or service not "
       "known",
       "ignored"},
      {"warning: 192.0.2.1: hostname a.example verification failed: Host not found", "ignored"},
      {"warning: haproxy read: short protocol header: EHLO x\\r\\n", "ignored"},
      {"warning: 8FBDA2AD: queue file size limit exceeded", "ignored"},
      {"warning: x[192.0.2.1]: request longer than 2048: EHLO aaaa...", "ignored"},
      {"warning: x[192.0.2.1]: malformed BDAT command syntax from x: BDAT", "ignored"},
      {"warning: words that no one has seen before", "ignored"},
      {"warning: ", "ignored"},
      {"error: open database /etc/aliases.db: No such file or directory", "ignored"},
      {"table hash:/etc/postfix/access(0,lock|fold_fix) has changed -- restarting", "ignored"},
      {"initializing the server-side TLS engine", "ignored"},
      {"using backwards-compatible default setting smtputf8_enable=no", "ignored"},
      {"x[192.0.2.1]: replacing command \"a\" with \"b\"", "ignored"},
      {"", "ignored"},
      // TLS log levels above 1.
      {"x[192.0.2.1]: TLS cipher list \"aNULL:-aNULL:HIGH\"", "ignored"},
      {"SSL_accept:before SSL initialization", "ignored"},
      {"SSL3 alert read:fatal:unknown CA", "ignored"},
      {"x[192.0.2.1]: looking up session 0A&s=smtp&l=1 in smtpd cache", "ignored"},
      {"x[192.0.2.1]: Reusing old session (RFC 5077 session ticket)", "ignored"},
      {"x[192.0.2.1]: Issuing session ticket, key expiration: 1762052521", "ignored"},
      {"subject=/CN=x", "ignored"},
      {"issuer=/CN=x", "ignored"},
      {"x[192.0.2.1]: subject_CN=x, issuer=y, cert fingerprint=AA", "ignored"},
      {"x[192.0.2.1]: depth=0 verify=1 subject=/CN=x", "ignored"},
      {"Unverified: subject_CN=x, issuer=y", "ignored"},
      {"verify error:num=18:self signed certificate", "ignored"},
      {"save session 0A&s=smtp to smtpd cache", "ignored"},
      {"x[192.0.2.1]: Untrusted: subject_CN=x, issuer=y, fingerprint=z", "ignored"},
      {"certificate verification failed for x[192.0.2.1]: untrusted issuer /CN=y", "ignored"},
      {"client certificate verification failed for x[192.0.2.1]: certificate has expired",
       "ignored"},
      {"read from 5581C0 [5581C8] (5 bytes => 5 (0x5))", "ignored"},
      {"0000 16 03 01 02 00                                ....", "ignored"},
      // smtpd -v.
      {"< x[192.0.2.1]: STARTTLS", "ignored"},
      {"> x[192.0.2.1]: 250-STARTTLS", "ignored"},
      {">>> START Client host RESTRICTIONS <<<", "ignored"},
      {"smtpd_check_addr: addr=a@a.test", "ignored"},
      {"match_hostname: smtpd_client_event_limit_exceptions: x ~? 127.0.0.0/8", "ignored"},
      {"private/anvil socket: wanted attribute: status", "ignored"},
      {"send attr request = connect", "ignored"},
      {"input attribute name: status", "ignored"},
      {"connect to subsystem public/cleanup", "ignored"},
      {"proxymap stream disconnect", "ignored"},
      {"connection closed", "ignored"},
      {"report helo to all milters", "ignored"},
      {"query milter states for other event", "ignored"},
      {"skipping reply for event SMFIC_HELO from milter inet:localhost:11332", "ignored"},
      {"abort all milters", "ignored"},
      {"disconnect event to all milters", "ignored"},
      {"free all milters", "ignored"},
      {"free milter inet:localhost:11332", "ignored"},
  });
}

TEST(PostfixTest, UnknownInformationIsUnrecognized) {
  ExpectSmtpd({
      {"something that no release writes", "unrecognized"},
      {"TLS handshake weird for x[192.0.2.1]", "unrecognized"},
      {"x", "unrecognized"},
  });
}

TEST(PostfixTest, ProcessesThatDie) {
  ExpectSmtpd({
      {"fatal: watchdog timeout", "process-dying reason=watchdog timeout"},
      {"panic: myfree: corrupt or unallocated memory block",
       "process-dying reason=myfree: corrupt or unallocated memory block"},
  });
  const std::vector<Row> master = {
      {"warning: process /usr/lib/postfix/sbin/smtpd pid 123 exit status 1",
       "process-died pid=123 program=smtpd"},
      {"warning: process /usr/lib/postfix/sbin/smtpd pid 1 killed by signal 9",
       "process-died pid=1 program=smtpd"},
      {"warning: process smtpd pid 1 killed by signal 11", "process-died pid=1 program=smtpd"},
      {"warning: process /usr/lib/postfix/sbin/smtpd pid x killed by signal 9", "ignored"},
      {"warning: /usr/lib/postfix/sbin/smtpd: bad command startup -- throttling", "ignored"},
      {"daemon started -- version 3.7.11, configuration /etc/postfix",
       "instance-boundary version=3.7.11"},
      {"terminating on signal 15", "instance-boundary"},
      {"reload -- version 3.7.11, configuration /etc/postfix", "ignored"},
      {"fatal: open lock file /var/lib/postfix/master.lock", "ignored"},
  };
  for (const Row& row : master) EXPECT_EQ(Parsed("postfix/master", row.text), row.event);
}

TEST(PostfixTest, OtherProcessesThatDecideAboutMessages) {
  const struct {
    const char* program;
    const char* text;
    const char* event;
  } kTable[] = {
      {"postfix/qmgr", "8FBDA2AD: from=<a@a.test>, size=302, nrcpt=2 (queue active)",
       "queue-id-active queue-id=8FBDA2AD"},
      {"postfix-in/qmgr", "3Pt2mN2VXxznjll: from=<>, size=302, nrcpt=2 (queue active)",
       "queue-id-active queue-id=3Pt2mN2VXxznjll"},
      {"postfix/qmgr", "8FBDA2AD: from=<a@a.test>, status=expired, returned to sender", "ignored"},
      {"postfix/qmgr", "8FBDA2AD: removed", "ignored"},
      {"postfix/qmgr", "warning: x (queue active)", "ignored"},
      {"postfix/cleanup", "8FBDA2AD: removed (canceled)", "queue-id-canceled queue-id=8FBDA2AD"},
      {"postfix/cleanup", "8FBDA2AD: removed (discarded)", "queue-id-canceled queue-id=8FBDA2AD"},
      {"postfix/cleanup", "8FBDA2AD: message-id=<removed (canceled)", "ignored"},
      {"postfix/cleanup", "8FBDA2AD: message-id=<20261123135124.8FBDA2AD@mx1.example.test>",
       "ignored"},
      {"postfix/relay/smtp", "8FBDA2AD: to=<b@b.test>, relay=none", "ignored"},
      {"postfix/trivial-rewrite", "table x has changed -- restarting", "ignored"},
      {"postfix/postfix-script", "starting the Postfix mail system", "ignored"},
      {"postfix-script", "stopping the Postfix mail system", "ignored"},
      {"dovecot", "connect from x[192.0.2.1]", "not mine"},
      {"dovecot/imap", "connect from x[192.0.2.1]", "not mine"},
      {"kernel", "x", "not mine"},
      {"", "last message repeated 3 times", "not mine"},
  };
  for (const auto& row : kTable) EXPECT_EQ(Parsed(row.program, row.text), row.event) << row.text;
}

TEST(PostfixTest, TagTellsInstanceServiceAndWrapperMode) {
  const struct {
    const char* program;
    const char* instance;
    const char* service;
    bool wrapper_mode;
  } kTable[] = {
      {"postfix/smtpd", "postfix", "smtpd", false},
      {"postfix/submission/smtpd", "postfix", "submission", false},
      {"postfix/smtps/smtpd", "postfix", "smtps", true},
      {"postfix/submissions/smtpd", "postfix", "submissions", true},
      {"postfix-in/smtpd", "postfix-in", "smtpd", false},
      {"postfix-smo/submission/smtpd", "postfix-smo", "submission", false},
      {"postfix/10025/smtpd", "postfix", "10025", false},
      {"postfix/465/smtpd", "postfix", "465", true},
      {"postfix/mx-smtps/smtpd", "postfix", "mx-smtps", true},
      {"postfix/smtps-haproxy/smtpd", "postfix", "smtps-haproxy", true},
      {"postfix/submissions-proxyprotocol/smtpd", "postfix", "submissions-proxyprotocol", true},
      {"postfix/submission-haproxy/smtpd", "postfix", "submission-haproxy", false},
      {"postfix/smtpsend/smtpd", "postfix", "smtpsend", false},
      {"smtp-in/smtpd", "smtp-in", "smtpd", false},
      {"submissions/smtpd", "", "submissions", true},
      {"submission/smtpd", "", "submission", false},
      {"a/b/c/smtpd", "a/b", "c", false},
      {"smtpd", "", "smtpd", false},
  };
  for (const auto& row : kTable) {
    const SessionTag tag = ParsePostfixTag(row.program);
    EXPECT_EQ(tag.instance, row.instance) << row.program;
    EXPECT_EQ(tag.service, row.service) << row.program;
    EXPECT_EQ(tag.wrapper_mode, row.wrapper_mode) << row.program;
  }
}

}  // namespace
}  // namespace mxtally
