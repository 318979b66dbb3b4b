// Text that peers choose stays text: whatever stands in a field of theirs, no session but its
// own changes, and of its own only what the field itself is about.

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"
#include "agent/session/assembler.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

// Sessions of each kind, several at a time.  "{NAME}" is a field that a peer fills with
// anything, "{\"NAME}" one in quotes, where the MTA escapes quotes and backslashes, and
// "{*NAME}" one that names something of its own session, which it may change.
// A recipient without quotes may be one that needed them and got none (Postfix before 3.5),
// so that nobody can tell where it ends: those here have them.
constexpr std::string_view kLog = R"log(
Nov  2 04:00:00 mx1 postfix/anvil[9]: statistics: max cache size 1 at Nov  2 04:00:00
Nov  2 04:02:01 mx1 postfix/smtpd[1]: warning: hostname {hostname} does not resolve to address 192.0.2.1: Name or service not known
Nov  2 04:02:02 mx1 postfix/smtpd[1]: connect from one.example[192.0.2.1]
Nov  2 04:02:03 mx1 postfix/smtpd[2]: connect from two.example[192.0.2.2]
Nov  2 04:02:04 mx1 postfix/smtpd[1]: Anonymous TLS connection established from one.example[192.0.2.1]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256
Nov  2 04:02:05 mx1 postfix/smtpd[1]: TLS SNI {*unknown-sni} from one.example[192.0.2.1] not matched, using default chain
Nov  2 04:02:06 mx1 postfix/smtpd[1]: 4ABC01: client=one.example[192.0.2.1], sasl_method=PLAIN, sasl_username={user}
Nov  2 04:02:07 mx1 postfix/cleanup[3]: 4ABC01: message-id=<{message-id}>
Nov  2 04:02:08 mx1 postfix/cleanup[3]: 4ABC01: warning: header Subject: {subject} from one.example[192.0.2.1]; from=<{header-from}> to=<{header-to}> proto=ESMTP helo=<{header-helo}>
Nov  2 04:02:09 mx1 postfix/qmgr[4]: 4ABC01: from=<{sender}>, size=302, nrcpt=1 (queue active)
Nov  2 04:02:10 mx1 postfix/smtpd[2]: NOQUEUE: reject: RCPT from two.example[192.0.2.2]: 554 5.7.1 <{reject-text}>: Relay access denied; from=<{reject-from}> to=<{reject-to}> proto=ESMTP helo=<{helo}>
Nov  2 04:02:11 mx1 postfix/smtpd[2]: NOQUEUE: milter-reject: END-OF-MESSAGE from two.example[192.0.2.2]: 5.7.1 {milter-text}; from=<a> to=<b> proto=ESMTP helo=<{milter-helo}>
Nov  2 04:02:12 mx1 postfix/smtpd[2]: warning: two.example[192.0.2.2]: SASL LOGIN authentication failed: {sasl-text}
Nov  2 04:02:13 mx1 postfix/smtpd[2]: warning: non-SMTP command from two.example[192.0.2.2]: {command}
Nov  2 04:02:14 mx1 postfix/smtpd[2]: warning: Illegal address syntax from two.example[192.0.2.2] in MAIL command: {address}
Nov  2 04:02:15 mx1 postfix/smtpd[2]: improper command pipelining after EHLO from two.example[192.0.2.2]: {pipelined}
Nov  2 04:02:16 mx1 postfix/smtpd[2]: proxy-accept: END-OF-MESSAGE: 250 {proxy-text}; from=<{proxy-from}> to=<b> proto=ESMTP helo=<x>
Nov  2 04:02:17 mx1 postfix/smtpd[1]: disconnect from one.example[192.0.2.1] ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8
Nov  2 04:02:18 mx1 postfix/smtpd[2]: disconnect from two.example[192.0.2.2] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4
Nov  2 04:02:19 mx1 postfix/smtpd[1]: connect from three.example[192.0.2.3]
Nov  2 04:02:20 mx1 postfix/smtpd[2]: connect from unknown[192.0.2.4]
Nov  2 04:02:21 mx1 postfix/smtpd[1]: 4ABC02: client=three.example[192.0.2.3], orig_queue_id={original-id}, orig_client=x[192.0.2.9]
Nov  2 04:02:22 mx1 postfix/smtpd[2]: SSL_accept error from unknown[192.0.2.4]: -1
Nov  2 04:02:23 mx1 postfix/smtpd[2]: warning: TLS library problem: error:14094412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:s3_pkt.c:1092:SSL alert number 42:
Nov  2 04:02:24 mx1 postfix/smtpd[2]: lost connection after STARTTLS from unknown[192.0.2.4]
Nov  2 04:02:25 mx1 postfix/smtpd[2]: disconnect from unknown[192.0.2.4] ehlo=1 starttls=0/1 commands=1/2
Nov  2 04:02:26 mx1 postfix/qmgr[4]: 4ABC02: from=<{sender-2}>, size=302, nrcpt=1 (queue active)
Nov  2 04:02:27 mx1 postfix/smtp[5]: 4ABC02: to=<"{"recipient}"@example.net>, relay=mx.example.net[198.51.100.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 {relay-text})
Nov  2 04:02:27 mx1 postfix/smtp[5]: 4ABC03: to=<"b"@example.net>, orig_to=<"{"original-recipient}"@example.org>, relay=mx2.example.net[198.51.100.2]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (host mx2.example.net[198.51.100.2] said: 450 {deferred-text} (in reply to RCPT TO command))
Nov  2 04:02:28 mx1 postfix/smtp[5]: 4ABC04: host mx3.example.net[198.51.100.3] refused to talk to me: 554 {greeting}
Nov  2 04:02:28 mx1 postfix/local[6]: 4ABC01: to=<{local-recipient}>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (delivered to command: {local-text})
Nov  2 04:02:29 mx1 postfix/submission/smtpd[7]: connect from five.example[192.0.2.5]
Nov  2 04:02:30 mx1 postfix/bounce[8]: 4ABC02: sender non-delivery notification: {bounce-text}
Nov  2 04:02:31 mx1 postfix/smtpd[1]: disconnect from three.example[192.0.2.3]
Nov  2 04:02:32 mx1 dovecot: imap-login: Login: user=<{login}>, method=PLAIN, rip=192.0.2.1
Nov  2 04:02:33 mx1 postfix/postscreen[10]: CONNECT from [192.0.2.10]:4000 to [198.51.100.9]:25
Nov  2 04:02:34 mx1 postfix/postscreen[10]: PREGREET 17 after 0 from [192.0.2.10]:4000: {pregreet}
Nov  2 04:02:35 mx1 postfix/postscreen[10]: CONNECT from [192.0.2.11]:4001 to [198.51.100.9]:25
Nov  2 04:02:36 mx1 postfix/postscreen[10]: NOQUEUE: reject: RCPT from [192.0.2.10]:4000: 450 4.3.2 Service currently unavailable; from=<{screen-from}>, to=<{screen-to}>, proto=ESMTP, helo=<{screen-helo}>
Nov  2 04:02:37 mx1 postfix/postscreen[10]: COMMAND PIPELINING from [192.0.2.11]:4001 after EHLO: {screen-pipelined}
Nov  2 04:02:38 mx1 postfix/postscreen[10]: DISCONNECT [192.0.2.10]:4000
Nov  2 04:02:39 mx1 postfix/postscreen[10]: DISCONNECT [192.0.2.11]:4001
Nov  2 04:02:40 mx1 smtpd[20]: 9fcdefbc9afc45da smtp connected address=192.0.2.20 host={*reverse-name}
Nov  2 04:02:41 mx1 smtpd[20]: 9fcdefbc9afc45db smtp connected address=192.0.2.21 host=b.example
Nov  2 04:02:42 mx1 smtpd[20]: 9fcdefbc9afc45db smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256
Nov  2 04:02:43 mx1 smtpd[20]: 9fcdefbc9afc45da smtp failed-command command="{"opensmtpd-command}" result="500 5.5.1 Invalid command"
Nov  2 04:02:44 mx1 smtpd[20]: 9fcdefbc9afc45db smtp message msgid=009b4fb2 size=252 nrcpt=1 proto=ESMTP
Nov  2 04:02:45 mx1 smtpd[20]: 9fcdefbc9afc45db smtp envelope evpid=009b4fb25120febf from=<{opensmtpd-from}> to=<{opensmtpd-to}>
Nov  2 04:02:46 mx1 smtpd[20]: 9fcdefbc9afc45da smtp disconnected reason=quit
Nov  2 04:02:47 mx1 smtpd[20]: 9fcdefbc9afc45db smtp disconnected reason=quit
Nov  2 04:02:48 mx1 exim[31]: 2026-11-02 04:02:48 1xVUVl-0000JK-36 <= "{"exim-sender}"@a.test H=(c.test) [192.0.2.30] P=esmtps X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no S=266 T="{"exim-subject}"
Nov  2 04:02:49 mx1 exim[32]: 2026-11-02 04:02:49 1xVUVl-0000JK-37 <= a@a.test H=(d.test) [192.0.2.31] P=esmtp S=266 id={exim-id}
Nov  2 04:02:50 mx1 exim[33]: 2026-11-02 04:02:50 H=(e.test) [192.0.2.32] F=<a@a.test> rejected RCPT <b@b.test>: {exim-reject}
Nov  2 04:02:51 mx1 exim[34]: 2026-11-02 04:02:51 1xVUVl-0000JK-36 => u@out.test R=out T=smtp H=mx.example [192.0.2.33] X=TLS1.3:ECDHE_SECP256R1__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no C="{"exim-answer}"
Nov  2 04:02:52 mx1 exim[34]: 2026-11-02 04:02:52 1xVUVl-0000JK-36 Completed
Nov  2 04:02:52 mx1 exim[35]: 2026-11-02 04:02:52 SMTP connection from [192.0.2.35]:4000 I=[192.0.2.99]:25 (TCP/IP connection count = 1)
Nov  2 04:02:52 mx1 exim[35]: 2026-11-02 04:02:52 rejected EHLO from [192.0.2.35]:4000 I=[192.0.2.99]:25: syntactically invalid argument(s): {exim-helo}
Nov  2 04:02:52 mx1 exim[35]: 2026-11-02 04:02:52 plain authenticator failed for (x) [192.0.2.35]:4000 I=[192.0.2.99]:25: 535 Incorrect authentication data (set_id={exim-set-id})
Nov  2 04:02:52 mx1 exim[35]: 2026-11-02 04:02:52 H=(x) [192.0.2.35]:4000 I=[192.0.2.99]:25 F=<"{"exim-reject-from"}"@a.test> rejected RCPT <b@b.test>: no
Nov  2 04:02:52 mx1 exim[35]: 2026-11-02 04:02:52 (x) [192.0.2.35]:4000 I=[192.0.2.99]:25 incomplete transaction (QUIT) from <{exim-incomplete}>
Nov  2 04:02:52 mx1 exim[35]: 2026-11-02 04:02:52 SMTP call from (x) [192.0.2.35]:4000 I=[192.0.2.99]:25 dropped: too many syntax or protocol errors (last command was "{exim-command}", C=EHLO)
Nov  2 04:02:52 mx1 exim[36]: 2026-11-02 04:02:52 SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from H=[192.0.2.36]:4000 input="{"exim-input}"
Nov  2 04:02:52 mx1 exim[37]: 2026-11-02 04:02:52 1xVUVl-0000JK-38 <= a@a.test H=(g.test) [192.0.2.37] P=esmtpsa X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no DN="{"exim-certificate}" SNI={*exim-sni} A=plain:{exim-auth-id} S=266
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dc smtp connected address=192.0.2.22 host=c.example
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dc smtp authentication user={opensmtpd-user} result=permfail
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dc smtp disconnected reason=quit
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dd mta connecting address=smtp://192.0.2.23:25 host={*server-name}
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dd mta connected
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dd mta delivery evpid=009b4fb25120febf from=<{opensmtpd-sender}> to=<{opensmtpd-recipient}> rcpt=<{opensmtpd-original}> source="192.0.2.99" relay="192.0.2.23 (mx.example)" delay=0s result="Ok" stat="250 {opensmtpd-answer}"
Nov  2 04:02:52 mx1 smtpd[20]: 9fcdefbc9afc45dd mta error reason=421 {opensmtpd-error}
Nov  2 04:02:53 mx1 sm-mta[40]: STARTTLS=server, relay=f.example [192.0.2.40], version=TLSv1.3, verify=NO, cipher=TLS_AES_256_GCM_SHA384, bits=256/256
Nov  2 04:02:53 mx1 sm-mta[40]: AUTH=server, relay=f.example [192.0.2.40], authid={sendmail-user}, mech=PLAIN, bits=0
Nov  2 04:02:54 mx1 sm-mta[40]: 6A242rxx00040: Milter change: header Subject: from x to {sendmail-subject}
Nov  2 04:02:54 mx1 sm-mta[40]: 6A242rxx00040: from=<"{"sendmail-sender}"@a.test>, size=15, class=0, nrcpts=1, msgid=<{sendmail-message-id}>, proto=ESMTPSA, daemon=MSA, relay=f.example [192.0.2.40]
Nov  2 04:02:55 mx1 sm-mta[40]: 6A242sxx00040: from=<a@a.test>, size=15, class=0, nrcpts=1, msgid={sendmail-bare-id}, proto=ESMTPSA, daemon=MSA, relay=f.example [192.0.2.40]
Nov  2 04:02:55 mx1 sm-mta[40]: 6A242sxx00040: to=<"{"sendmail-refused}"@b.test>, delay=00:00:00, pri=30375, stat={sendmail-refusal}
Nov  2 04:02:55 mx1 sm-mta[41]: 6A242txx00041: ruleset=check_rcpt, arg1=<"{"sendmail-rcpt}"@b.test>, relay=g.example [192.0.2.41], reject=550 5.7.1 <"{"sendmail-rcpt-2}"@b.test>... Relaying denied
Nov  2 04:02:55 mx1 sm-mta[41]: 6A242txx00041: <"{"sendmail-unknown}"@b.test>... User unknown
Nov  2 04:02:56 mx1 sm-mta[41]: 6A242txx00041: lost input channel from g.example [192.0.2.41] to MTA-v4 after rcpt
Nov  2 04:02:56 mx1 sm-mta[41]: 6A242txx00041: from="{"sendmail-bare-sender}"@a.test, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA-v4, relay=g.example [192.0.2.41]
Nov  2 04:02:56 mx1 sm-mta[42]: STARTTLS=client, relay=mx.example., version=TLSv1.2, verify=FAIL, cipher=ECDHE-RSA-AES256-GCM-SHA384, bits=256/256
Nov  2 04:02:57 mx1 sm-mta[42]: 6A242rxx00040: to=<"{"sendmail-recipient}"@b.test>, delay=00:00:03, xdelay=00:00:01, mailer=esmtp, pri=30375, relay=mx.example. [192.0.2.42], dsn=2.0.0, stat=Sent ({sendmail-answer})
Nov  2 04:02:57 mx1 sm-mta[42]: 6A242rxx00040: to="{"sendmail-bare-recipient}"@c.test, ctladdr=<"{"sendmail-owner}"@b.test> (1/1), delay=00:00:03, xdelay=00:00:01, mailer=esmtp, pri=30375, relay=mx2.example. [192.0.2.43], dsn=5.1.1, reply=550 {sendmail-reply}, stat=User unknown
Nov  2 04:02:58 mx1 sm-mta[43]: 6A242vxx00043: [192.0.2.44]: probable open proxy: command={sendmail-command}
Nov  2 04:02:58 mx1 sm-mta[43]: 6A242vxx00043: [192.0.2.44] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA-v4
)log";

constexpr std::string_view kUsual = "usual";

// What a field may be told to hold.
std::vector<std::string> HostileValues() {
  std::vector<std::string> values = {
      "",
      " ",
      "]: ",
      ": ",
      "[",
      "[192.0.2.66]",
      ">",
      "<",
      ">, ",
      "\"",
      "\\",
      "\\\"",
      "(",
      ")",
      "@",
      ";",
      " connect from evil[192.0.2.66]",
      " disconnect from one.example[192.0.2.1] ehlo=1 starttls=1 data=9 commands=11",
      "Nov  2 04:02:17 mx1 postfix/smtpd[1]: disconnect from one.example[192.0.2.1] data=9 "
      "commands=9",
      "postfix/smtpd[2]: fatal: out of memory",
      "lost connection after DATA from two.example[192.0.2.2]",
      "x> to=<y> proto=ESMTP helo=<z>",
      "x; from=<a> to=<b> proto=ESMTP helo=<z>",
      "a>, size=1, nrcpt=1 (queue active)",
      "(queue active)",
      " (queue active)",
      "removed (canceled)",
      "removed",
      "Anonymous TLS connection established from two.example[192.0.2.2]: TLSv1.3 with cipher "
      "TLS_AES_256_GCM_SHA384 (256/256 bits)",
      ">, relay=evil.example[192.0.2.66]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250",
      " relay=evil.example[192.0.2.66]:25, conn_use=2, status=sent (250 Ok)",
      ", sasl_method=LOGIN, sasl_username=x",
      "lost connection with mx.example.net[198.51.100.1] while sending end of data",
      "conversation with mx.example.net[198.51.100.1] timed out while sending MAIL FROM",
      "Cannot start TLS: handshake failure",
      "TLS is required, but was not offered by host x[192.0.2.66]",
      "SSL alert number 48",
      ":SSL alert number 999999:",
      "message repeated 3 times: [ connect from evil[192.0.2.66]]",
      "last message repeated 9 times",
      "DISCONNECT [192.0.2.11]:4001",
      " after 3 from [192.0.2.11]:4001 in tests after SMTP handshake",
      "PASS NEW [192.0.2.10]:4000",
      "9fcdefbc9afc45db smtp disconnected reason=quit",
      "x\" result=\"250 ok smtp connected\" result=\"",
      " smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
      " H=evil [192.0.2.66] P=esmtps X=TLS1.3:x:256 CV=no",
      "\" H=evil [192.0.2.66] X=TLS1.2:x:128 \"",
      " => x@y R=r T=smtp H=evil [192.0.2.66] X=TLS1.3:x:256",
      "Completed",
      " S=1 A=login:x P=esmtp",
      "\" SNI=x A=login:x",
      " SMTP connection from [192.0.2.35]:4000 closed by QUIT",
      "dropped: SMTP call from [192.0.2.35]:4000 dropped: x",
      " result=ok",
      ", relay=evil [192.0.2.66], stat=Sent",
      ", relay=evil [192.0.2.66], reject=550 no",
      ", proto=ESMTPS, daemon=MTA, relay=evil [192.0.2.66]",
      ", size=1, class=0, nrcpts=9, msgid=<x>",
      ", delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=1, relay=evil. [192.0.2.66], dsn=2.0.0",
      " did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA",
      "... User unknown",
      ", mech=LOGIN, bits=0",
      "\x1b[31mred\x1b[0m",
      "\x1b]0;title\x07",
      "\xff\xfe\x80",
      "\xc0\xaf",
      "\xe2\x80\xae",
      "#012",
      std::string(3000, 'x'),
      std::string(500, '['),
  };
  // And any mixture of what has a meaning somewhere.
  constexpr std::string_view kPieces[] = {
      " ",       ": ",    "[",     "]",     "<",    ">",        ", ",
      "=",       "\"",    "\\",    "from ", "to=<", "relay",    "smtpd[1]: ",
      "connect", "(250 ", "bits)", "QUIT)", "@x.y", "4ABC01: ",
  };
  std::mt19937 random(1);  // NOLINT: the same values in every run.
  for (int i = 0; i < 100; ++i) {
    std::string& value = values.emplace_back();
    for (int pieces = 1 + static_cast<int>(random() % 8); pieces > 0; --pieces) {
      value.append(kPieces[random() % std::size(kPieces)]);
    }
  }
  return values;
}

struct Field {
  std::string marker;  // "{NAME}"
  bool quoted() const { return marker[1] == '"'; }
  bool names_peer() const { return marker[1] == '*'; }
};

std::vector<Field> Fields() {
  std::vector<Field> fields;
  for (size_t at = kLog.find('{'); at != kLog.npos; at = kLog.find('{', at + 1)) {
    fields.push_back({std::string(kLog.substr(at, kLog.find('}', at) + 1 - at))});
  }
  return fields;
}

// The log with `value` in `field` and the usual in all others.
std::string LogWith(const Field& field, std::string_view value) {
  std::string log(kLog);
  for (const Field& each : Fields()) {
    std::string text(each.marker == field.marker ? value : kUsual);
    if (each.quoted()) text = absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}});
    log.replace(log.find(each.marker), each.marker.size(), text);
  }
  return log;
}

// What a session counts as, by its key.
struct Counted : AssemblerObserver {
  void OnSession(const Session& session) override {
    const auto& tls = session.tls;
    std::string& text = sessions[absl::StrCat(session.key.tag, "#", session.key.ordinal, " ",
                                              absl::FormatTime(session.key.stamp))];
    EXPECT_EQ(text, "") << "two sessions of one key";
    text = absl::StrCat(static_cast<int>(session.direction), " ", session.service, " ",
                        static_cast<int>(session.peer_class), " ", session.peer.address, " ",
                        static_cast<int>(tls.state), " ", static_cast<int>(tls.evidence), " ",
                        static_cast<int>(tls.failure), " ",
                        tls.facts != nullptr ? tls.facts->cipher : "",
                        " messages=", session.messages, " rejects=", session.rejects,
                        " auth=", session.auth_accepted, "/", session.auth_failed,
                        " end=", static_cast<int>(session.end_reason), " ", session.end_place);
  }
  void OnCutSession() override { ++cut; }
  void OnEvictedSession() override { ++evicted; }

  std::map<std::string, std::string> sessions;
  int cut = 0;
  int evicted = 0;
};

Counted Read(std::string_view log) {
  Counted counted;
  Assembler assembler({.host = "mx1"}, counted);
  Framer framer({.reference_time = absl::FromUnixSeconds(1793620800)});
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(log.data(), log.size()), '\n', absl::SkipEmpty())) {
    FramedLine frame;
    if (!framer.Split(std::string_view(line.data(), line.size()), frame)) continue;
    Event event;
    if (ParseDialect(frame, event) == LineClass::kEvent) {
      assembler.Add(frame, event);
    } else {
      assembler.Tick(frame.time);
    }
  }
  assembler.GiveUpAll();
  return counted;
}

// The tag of the line that holds the field.
std::string TagOf(const Field& field) {
  const size_t at = kLog.find(field.marker);
  const size_t start = kLog.rfind('\n', at) + 1;
  const std::vector<std::string> words =
      absl::StrSplit(absl::string_view(kLog.data() + start, at - start), absl::MaxSplits(' ', 5));
  return words.at(5).substr(0, words.at(5).find(':'));  // "Nov", "", "2", time, host, tag.
}

TEST(PeerTextTest, TheLogHoldsSessionsOfEveryKind) {
  const Counted usual = Read(LogWith(Fields().at(0), kUsual));
  EXPECT_EQ(usual.cut, 0);
  EXPECT_GE(usual.sessions.size(), 25);
  EXPECT_GE(Fields().size(), 75);
}

TEST(PeerTextTest, NoValueOfAFieldChangesWhatIsCounted) {
  const std::vector<std::string> values = HostileValues();
  const Counted usual = Read(LogWith(Fields().at(0), kUsual));
  for (const Field& field : Fields()) {
    const std::string own = TagOf(field);
    for (const std::string& value : values) {
      Counted found = Read(LogWith(field, value));
      SCOPED_TRACE(absl::StrCat(field.marker, " holds ", value));
      EXPECT_EQ(found.cut, 0);
      auto expected = usual.sessions;
      if (field.names_peer()) {
        const auto is_own = [&](const auto& session) {
          return absl::StartsWith(session.first, own + "#");
        };
        std::erase_if(expected, is_own);
        std::erase_if(found.sessions, is_own);
      }
      for (const auto& [key, text] : expected) EXPECT_EQ(found.sessions[key], text) << key;
      EXPECT_EQ(found.sessions.size(), expected.size());
    }
  }
}

}  // namespace
}  // namespace mxtally
