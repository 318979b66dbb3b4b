// The log of a busy mail host, made up: Postfix 3.7 with its daemons, an IMAP
// server, a milter and cron.  Sessions of many smtpd processes are interleaved;
// the mix of mail, probes, refusals and failures is that of a small provider.

#ifndef MXTALLY_TESTS_BENCH_MAIL_LOG_H_
#define MXTALLY_TESTS_BENCH_MAIL_LOG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace mxtally::bench {

struct MailLogOptions {
  uint64_t seed = 1;
  absl::Time start;
  bool rfc3339 = false;  // Else RFC 3164: "Nov  2 04:02:01".
  double lines_per_second = 60;
  int processes = 40;  // Of smtpd at a time.
};

// What a right count of the log gives.  Inbound; peers that the operator
// excludes (kMonitoringHost) and the loopback are counted apart.
struct Truth {
  int64_t lines = 0;
  int64_t sessions = 0;
  int64_t tls_sessions = 0;
  int64_t failed_handshakes = 0;
  int64_t excluded_sessions = 0;
  std::map<std::string, int64_t> by_cipher;
};

inline constexpr std::string_view kMonitoringHost = "monitor.example.net";

class MailLog {
 public:
  explicit MailLog(const MailLogOptions& options);

  // Appends some lines to `out`.
  void AppendLine(std::string& out);
  // Ends all sessions.
  void Drain(std::string& out);

  const Truth& truth() const { return truth_; }
  absl::Time now() const { return now_; }

 private:
  struct Line {
    std::string tag;
    std::string text;
  };
  struct Peer {
    std::string name;  // "host[address]"
    std::string address;
    int64_t cipher;  // Index of what it negotiates; -1: never uses TLS.
  };
  struct Process {
    int64_t pid = 0;
    int64_t sessions_left = 0;
    bool submission = false;
    std::deque<Line> lines;  // Of its session, not written yet.
  };

  int64_t Below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
  bool Chance(int percent) { return Below(100) < percent; }
  std::string QueueId();
  const Peer& AnyPeer();

  void StartSession(Process& process);
  void Mail(Process& process, const std::string& tag, const Peer& peer);
  void Refusal(Process& process, const std::string& tag, const Peer& peer);
  void Lost(Process& process, const std::string& tag, const Peer& peer);
  void FailedHandshake(Process& process, const std::string& tag, const Peer& peer);
  void FailedLogin(Process& process, const std::string& tag, const Peer& peer);
  void Probe(Process& process, const std::string& tag);
  bool Handshake(Process& process, const std::string& tag, const Peer& peer);
  void Noise();

  void Write(const Line& line, std::string& out);

  const MailLogOptions options_;
  std::mt19937_64 random_;
  std::vector<Peer> peers_;
  std::vector<Process> processes_;
  std::deque<Line> others_;  // Of other daemons, in a hurry.
  absl::Time now_;
  int64_t stamp_second_ = -1;
  std::string stamp_;
  int64_t next_pid_ = 1000;
  Truth truth_;
};

}  // namespace mxtally::bench

#endif  // MXTALLY_TESTS_BENCH_MAIL_LOG_H_
