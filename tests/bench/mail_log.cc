#include "tests/bench/mail_log.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally::bench {
namespace {

struct Cipher {
  const char* name;
  const char* words;  // After "TLS connection established from PEER: ".
  int weight;
};

constexpr std::array<Cipher, 8> kCiphers = {{
    {"TLS_AES_256_GCM_SHA384",
     "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
     "server-signature RSA-PSS (2048 bits) server-digest SHA256",
     48},
    {"TLS_AES_128_GCM_SHA256",
     "TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits) key-exchange ECDHE (P-256) "
     "server-signature RSA-PSS (2048 bits) server-digest SHA256",
     6},
    {"TLS_CHACHA20_POLY1305_SHA256",
     "TLSv1.3 with cipher TLS_CHACHA20_POLY1305_SHA256 (256/256 bits) key-exchange X25519", 3},
    {"ECDHE-RSA-AES256-GCM-SHA384",
     "TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)", 26},
    {"ECDHE-RSA-AES128-GCM-SHA256",
     "TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)", 9},
    {"DHE-RSA-AES256-GCM-SHA384", "TLSv1.2 with cipher DHE-RSA-AES256-GCM-SHA384 (256/256 bits)",
     3},
    {"ECDHE-RSA-AES256-SHA", "TLSv1 with cipher ECDHE-RSA-AES256-SHA (256/256 bits)", 3},
    {"AES256-SHA", "TLSv1 with cipher AES256-SHA (256/256 bits)", 2},
}};

constexpr int kPeers = 20'000;
constexpr const char* kMonitor = "monitor.example.net[198.51.100.9]";

std::string Tag(const char* program, int64_t pid) { return absl::StrCat(program, "[", pid, "]"); }

}  // namespace

MailLog::MailLog(const MailLogOptions& options)
    : options_(options), random_(options.seed), now_(options.start) {
  for (int i = 0; i < kPeers; ++i) {
    const std::string address =
        absl::StrCat(Below(2) == 0 ? "203.0." : "192.0.", Below(256), ".", 1 + Below(254));
    const std::string name = Chance(25)   ? "unknown"
                             : Chance(50) ? absl::StrCat("mail-", i, ".out.example", i % 97, ".com")
                                          : absl::StrCat("mx", i % 9, ".example", i, ".org");
    int64_t cipher = -1;
    if (name != "unknown" && Chance(85)) {
      int64_t at = Below(100);
      for (cipher = 0; at >= kCiphers[cipher].weight; ++cipher) at -= kCiphers[cipher].weight;
    }
    peers_.push_back({absl::StrCat(name, "[", address, "]"), address, cipher});
  }
  processes_.resize(options_.processes);
}

// Few peers come often, many seldom.
const MailLog::Peer& MailLog::AnyPeer() {
  const int64_t among = Chance(60) ? 300 : kPeers;
  return peers_[Below(among)];
}

// A long one: seconds and microseconds in base 52, "z", the inode in base 51.
std::string MailLog::QueueId() {
  constexpr std::string_view kDigits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
  std::string id = "4";
  for (int i = 0; i < 9; ++i) id.push_back(kDigits[Below(52)]);
  id.push_back('z');
  for (int i = 0; i < 4; ++i) id.push_back(kDigits[Below(51)]);
  return id;
}

void MailLog::StartSession(Process& process) {
  if (process.sessions_left == 0) {
    process.pid = next_pid_ = next_pid_ > 4'000'000 ? 1000 : next_pid_ + 1 + Below(9);
    process.sessions_left = 1 + Below(100);
    process.submission = Chance(10);
  }
  --process.sessions_left;
  const std::string tag =
      Tag(process.submission ? "postfix/submission/smtpd" : "postfix/smtpd", process.pid);
  if (!process.submission && Chance(8)) return Probe(process, tag);

  const Peer& peer = AnyPeer();
  ++truth_.sessions;
  if (peer.name.starts_with("unknown") && Chance(40)) {
    process.lines.push_back({tag, absl::StrCat("warning: hostname host-", Below(9999),
                                               ".example.com does not resolve to address ",
                                               peer.address, ": Name or service not known")});
  }
  process.lines.push_back({tag, absl::StrCat("connect from ", peer.name)});
  if (process.submission)
    return Chance(70) ? FailedLogin(process, tag, peer) : Mail(process, tag, peer);
  const int64_t kind = Below(100);
  if (kind < 55) return Mail(process, tag, peer);
  if (kind < 83) return Refusal(process, tag, peer);
  if (kind < 96) return Lost(process, tag, peer);
  FailedHandshake(process, tag, peer);
}

// Whether the session is encrypted from here on.
bool MailLog::Handshake(Process& process, const std::string& tag, const Peer& peer) {
  if (peer.cipher < 0) return false;
  const Cipher& cipher = kCiphers[peer.cipher];
  process.lines.push_back({tag, absl::StrCat("Anonymous TLS connection established from ",
                                             peer.name, ": ", cipher.words)});
  ++truth_.tls_sessions;
  ++truth_.by_cipher[cipher.name];
  return true;
}

void MailLog::Mail(Process& process, const std::string& tag, const Peer& peer) {
  const bool tls = Handshake(process, tag, peer);
  const int64_t messages = Chance(12) ? 2 + Below(4) : 1;
  std::vector<std::pair<std::string, int64_t>> accepted;
  for (int64_t i = 0; i < messages; ++i) {
    const std::string id = QueueId();
    const int64_t user = Below(5000);
    accepted.emplace_back(id, user);
    process.lines.push_back({tag, absl::StrCat(id, ": client=", peer.name)});
    process.lines.push_back({Tag("postfix/cleanup", process.pid + 1),
                             absl::StrCat(id, ": message-id=<", Below(1'000'000'000), ".", user,
                                          "@sender.example.com>")});
    process.lines.push_back({"opendkim[812]", absl::StrCat(id,
                                                           ": s=2026 d=sender.example.com "
                                                           "a=rsa-sha256 SSL ")});
    process.lines.push_back(
        {"postfix/qmgr[733]", absl::StrCat(id, ": from=<user", user, "@sender.example.com>, size=",
                                           1000 + Below(90'000), ", nrcpt=1 (queue active)")});
  }
  process.lines.push_back(
      {tag, absl::StrCat("disconnect from ", peer.name, tls ? " ehlo=2 starttls=1" : " ehlo=1",
                         " mail=", messages, " rcpt=", messages, " data=", messages,
                         " quit=1 commands=", 3 * messages + (tls ? 4 : 2))});
  for (const auto& [id, user] : accepted) {
    process.lines.push_back(
        {Tag("postfix/lmtp", process.pid + 3),
         absl::StrCat(id, ": to=<user", user,
                      "@example.net>, relay=mx1.example.net[private/dovecot-lmtp], "
                      "delay=0.",
                      Below(99),
                      ", delays=0.1/0/0/0.05, dsn=2.0.0, status=sent (250 2.0.0 "
                      "<user",
                      user, "@example.net> ", id, " Saved)")});
    process.lines.push_back(
        {"dovecot", absl::StrCat("lmtp(user", user, "@example.net)<", process.pid, "><", id,
                                 ">: sieve: msgid=<", Below(1'000'000'000),
                                 "@sender.example.com>: stored mail into mailbox 'INBOX'")});
    process.lines.push_back({"postfix/qmgr[733]", absl::StrCat(id, ": removed")});
  }
}

void MailLog::Refusal(Process& process, const std::string& tag, const Peer& peer) {
  const bool tls = Chance(30) && Handshake(process, tag, peer);
  const int64_t user = Below(100'000);
  process.lines.push_back(
      {tag, absl::StrCat("NOQUEUE: reject: RCPT from ", peer.name,
                         ": 554 5.7.1 Service unavailable; Client host [", peer.address,
                         "] blocked using zen.example.org; https://www.example.org/query/ip/",
                         peer.address, "; from=<bounce", user, "@bulk.example.com> to=<info",
                         user % 50, "@example.net> proto=ESMTP helo=<mail.bulk.example.com>")});
  process.lines.push_back(
      {tag, absl::StrCat("disconnect from ", peer.name, tls ? " ehlo=2 starttls=1" : " ehlo=1",
                         " mail=1 rcpt=0/1 quit=1 commands=", tls ? "5/6" : "3/4")});
}

void MailLog::Lost(Process& process, const std::string& tag, const Peer& peer) {
  static constexpr std::array<const char*, 3> kEnds = {"lost connection after CONNECT",
                                                       "lost connection after EHLO",
                                                       "timeout after END-OF-MESSAGE"};
  const int64_t end = Below(kEnds.size());
  const bool tls = end == 2 && Handshake(process, tag, peer);
  process.lines.push_back({tag, absl::StrCat(kEnds[end], " from ", peer.name)});
  process.lines.push_back({tag, absl::StrCat("disconnect from ", peer.name,
                                             tls ? " ehlo=2 starttls=1 mail=1 rcpt=0/1 commands=4/5"
                                             : end == 0 ? " commands=0/0"
                                                        : " ehlo=1 commands=1")});
}

void MailLog::FailedHandshake(Process& process, const std::string& tag, const Peer& peer) {
  ++truth_.failed_handshakes;
  process.lines.push_back({tag, absl::StrCat("SSL_accept error from ", peer.name, ": -1")});
  process.lines.push_back(
      {tag,
       "warning: TLS library problem: error:0A000102:SSL routines::unsupported protocol:"
       "../ssl/statem/statem_srvr.c:1657:"});
  process.lines.push_back({tag, absl::StrCat("lost connection after STARTTLS from ", peer.name)});
  process.lines.push_back(
      {tag, absl::StrCat("disconnect from ", peer.name, " ehlo=1 starttls=0/1 commands=1/2")});
}

void MailLog::FailedLogin(Process& process, const std::string& tag, const Peer& peer) {
  const bool tls = Handshake(process, tag, peer);
  process.lines.push_back({tag, absl::StrCat("warning: ", peer.name,
                                             ": SASL LOGIN authentication failed: "
                                             "UGFzc3dvcmQ6, sasl_username=user",
                                             Below(5000))});
  process.lines.push_back(
      {tag, absl::StrCat("disconnect from ", peer.name, tls ? " ehlo=2 starttls=1" : " ehlo=1",
                         " auth=0/1 quit=1 commands=", tls ? "4/5" : "2/3")});
}

void MailLog::Probe(Process& process, const std::string& tag) {
  ++truth_.excluded_sessions;
  process.lines.push_back({tag, absl::StrCat("connect from ", kMonitor)});
  process.lines.push_back(
      {tag, absl::StrCat("disconnect from ", kMonitor, " ehlo=1 quit=1 commands=2")});
}

void MailLog::Noise() {
  switch (Below(5)) {
    case 0:
      return others_.push_back(
          {Tag("postfix/anvil", 2000 + Below(3)),
           absl::StrCat("statistics: max connection rate ", 1 + Below(20),
                        "/60s for (smtpd:", AnyPeer().address, ") at ", stamp_.substr(0, 15))});
    case 1: {
      const std::string tag = Tag("postfix/smtp", 3000 + Below(50));
      const std::string relay =
          absl::StrCat("mx.example", Below(500), ".org[192.0.2.", Below(255), "]:25");
      others_.push_back({tag, absl::StrCat("Untrusted TLS connection established to ", relay, ": ",
                                           kCiphers[Below(4)].words)});
      return others_.push_back(
          {tag, absl::StrCat(QueueId(), ": to=<someone@example", Below(500), ".org>, relay=", relay,
                             ", delay=1.", Below(99),
                             ", delays=0.02/0.01/0.6/0.9, dsn=2.0.0, status=sent (250 2.0.0 Ok: "
                             "queued as ",
                             QueueId(), ")")});
    }
    case 2:
      return others_.push_back({"postfix/qmgr[733]", absl::StrCat(QueueId(), ": removed")});
    case 3:
      return others_.push_back(
          {"dovecot", absl::StrCat("imap-login: Login: user=<user", Below(5000),
                                   "@example.net>, method=PLAIN, rip=", AnyPeer().address,
                                   ", lip=198.51.100.2, mpid=", 5000 + Below(9000),
                                   ", TLS, session=<", QueueId(), ">")});
    default:
      return others_.push_back(
          {Tag("postfix/postscreen", 790),
           absl::StrCat("PASS OLD [", AnyPeer().address, "]:", 1024 + Below(60'000))});
  }
}

void MailLog::AppendLine(std::string& out) {
  if (Chance(12)) Noise();
  if (!others_.empty() && Chance(50)) {
    Write(others_.front(), out);
    others_.pop_front();
    return;
  }
  Process& process = processes_[Below(options_.processes)];
  if (process.lines.empty()) StartSession(process);
  Write(process.lines.front(), out);
  process.lines.pop_front();
}

void MailLog::Drain(std::string& out) {
  for (Process& process : processes_) {
    for (const Line& line : std::exchange(process.lines, {})) Write(line, out);
  }
  for (const Line& line : std::exchange(others_, {})) Write(line, out);
}

void MailLog::Write(const Line& line, std::string& out) {
  ++truth_.lines;
  now_ += absl::Microseconds(Below(static_cast<int64_t>(2e6 / options_.lines_per_second)));
  const int64_t second = absl::ToUnixSeconds(now_);
  if (second != stamp_second_) {
    stamp_second_ = second;
    stamp_ = absl::FormatTime(options_.rfc3339 ? "%Y-%m-%dT%H:%M:%S" : "%b %e %H:%M:%S", now_,
                              absl::UTCTimeZone());
  }
  out += stamp_;
  if (options_.rfc3339) {
    const std::string micros = absl::StrCat(1'000'000 + absl::ToUnixMicros(now_) % 1'000'000);
    absl::StrAppend(&out, ".", micros.substr(1), "+00:00");
  }
  absl::StrAppend(&out, " mx1 ", line.tag, ": ", line.text, "\n");
}

}  // namespace mxtally::bench
