#include "server/completeness/findings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

v1::HostFinding Finding(const std::string& host, const char* name, std::string advice) {
  v1::HostFinding finding;
  finding.set_host(host);
  finding.set_finding(name);
  finding.set_advice(std::move(advice));
  return finding;
}

constexpr char kCiphersNotLogged[] = "CIPHERS_NOT_LOGGED";

constexpr int kLevelUnknown = -1;

v1::HostFinding TlsNotLogged(const std::string& host, int level) {
  std::string advice =
      "Sessions ended, but no line shows TLS or its absence.  Postfix needs smtpd_tls_loglevel = 1 "
      "in main.cf, Exim tls_cipher in log_selector, Sendmail LogLevel 9: each logs TLS then.";
  if (level == 0) {
    advice = absl::StrCat("smtpd_tls_loglevel is 0 on ", host,
                          ": TLS unknown, every session looks like plaintext; set it to 1.");
  } else if (level > 0) {
    advice = absl::StrCat("Sessions ended and no line shows TLS, although smtpd_tls_loglevel is ",
                          level, " on ", host, " now: nobody used TLS, or it was set later.");
  }
  return Finding(host, "TLS_NOT_LOGGED", std::move(advice));
}

v1::HostFinding CiphersNotLogged(const std::string& host, int level,
                                 const google::protobuf::Timestamp& until) {
  if (level == 0) return TlsLogLevelFinding(host);
  std::string advice =
      absl::StrCat("Sessions of ", host, " used TLS and no line tells protocol and cipher: ");
  if (level < 0) {
    absl::StrAppend(&advice, "set smtpd_tls_loglevel = 1 in Postfix's main.cf.");
  } else {
    absl::StrAppend(&advice, "smtpd_tls_loglevel was 0 up to ",
                    absl::FormatTime("%Y-%m-%dT%H:%MZ", absl::FromUnixSeconds(until.seconds()),
                                     absl::UTCTimeZone()),
                    " and is ", level, " now: nothing more is to be done.");
  }
  return Finding(host, kCiphersNotLogged, std::move(advice));
}

v1::HostFinding OutboundTlsNotLogged(const HostCoverage& host) {
  std::string advice = absl::StrCat("Of what Postfix on ", host.host,
                                    " sends no line shows TLS or its absence, so that it is "
                                    "UNKNOWN: ");
  const v1::MtaConfig config = host.mta_config.value_or(v1::MtaConfig());
  const bool uses_tls =
      !config.has_smtp_tls_security_level() ||
      (!config.smtp_tls_security_level().empty() && config.smtp_tls_security_level() != "none");
  if (!uses_tls) {
    absl::StrAppend(&advice,
                    "smtp_tls_security_level is empty or none there, so it uses no TLS now; set it "
                    "to may, and smtp_tls_loglevel to 1.");
  } else if (config.has_smtp_tls_loglevel() && config.smtp_tls_loglevel() > 0) {
    absl::StrAppend(&advice, "smtp_tls_loglevel is ", config.smtp_tls_loglevel(),
                    " there now: it was set later, or no server offered TLS.");
  } else {
    absl::StrAppend(&advice, config.has_smtp_tls_loglevel() ? "smtp_tls_loglevel is 0 there; " : "",
                    "set smtp_tls_loglevel = 1 in main.cf (lmtp_tls_loglevel for lmtp).");
  }
  return Finding(host.host, "OUTBOUND_TLS_NOT_LOGGED", std::move(advice));
}

}  // namespace

v1::HostFinding SilentFinding(const std::string& host, absl::Time last_seen, bool collected) {
  const std::string time = UtcText(last_seen);
  if (collected) {
    return Finding(
        host, "SILENT",
        absl::StrCat("No line of the host has come through the collector since ", time,
                     ": check that the collector runs, and that the host still sends its log to "
                     "it.  After an hour without a line nothing tells a quiet host from a "
                     "broken way: let quiet hosts log a mark now and then."));
  }
  return Finding(host, "SILENT",
                 absl::StrCat("The agent was last heard of at ", time,
                              ": check that it runs and reaches the server.  Nothing is lost "
                              "while the log stays on the host's disk."));
}

v1::HostFinding LaggingFinding(const std::string& host, bool collected) {
  if (collected) {
    return Finding(host, "LAGGING",
                   "The collector has not read this far yet, or the host's lines reach its log "
                   "late, or their stamps are behind: wait until it has caught up, else look at "
                   "`mxtally-agent status` there, and at the host's clock.");
  }
  return Finding(host, "LAGGING",
                 "The agent has not read this far yet: wait until it has caught up, and look at "
                 "`mxtally-agent status` on the host when it does not.");
}

v1::HostFinding NeverReportedFinding(const std::string& host) {
  return Finding(host, "NEVER_REPORTED",
                 "The host is in the list of expected hosts and no agent has come from it: install "
                 "one there, or take the name out of the list.");
}

v1::HostFinding ClockSkewFinding(const std::string& host, absl::Duration ahead) {
  const bool behind = ahead < absl::ZeroDuration();
  return Finding(
      host, "CLOCK_SKEW",
      absl::StrCat("The clock of the host, or the stamps in its log, are ",
                   absl::FormatDuration(absl::Trunc(absl::AbsDuration(ahead), absl::Seconds(1))),
                   behind ? " behind" : " ahead of",
                   " the server's clock: check the time service of both machines and the agent's "
                   "--time-zone.  Sessions count under the hours that the log says."));
}

v1::HostFinding TlsLogLevelFinding(const std::string& host) {
  return Finding(host, kCiphersNotLogged,
                 absl::StrCat("smtpd_tls_loglevel is 0 on ", host,
                              ": ciphers unknown; set it to 1 (postconf -e smtpd_tls_loglevel=1 && "
                              "postfix reload)."));
}

v1::HostFinding LogElsewhereFinding(const std::string& host, const std::string& path) {
  return Finding(
      host, "LOG_ELSEWHERE",
      absl::StrCat("Postfix on ", host, " writes its log to ", path,
                   " (maillog_file), which the agent does not follow: add --log ", path, "."));
}

v1::HostFinding TwoAgentsFinding(const std::string& host, const std::string& addresses,
                                 int64_t times, absl::Time last) {
  return Finding(
      host, "TWO_AGENTS",
      absl::StrCat("Two agents call themselves by this name, at ", addresses, " (seen ", times,
                   " times, last at ", UtcText(last),
                   "): give each a name, and a certificate, of its own, or stop one.  Sessions are "
                   "counted once where both read the same log; where they read two, this host's "
                   "figures are those of both."));
}

v1::HostFinding OtherSourceFinding(const std::string& host, const std::string& where, int64_t times,
                                   absl::Time last) {
  return Finding(
      host, "OTHER_SOURCE",
      absl::StrCat("A second kind of source was refused, from ", where, " (", times,
                   " times, last at ", UtcText(last),
                   "): a host is read from log files, or the journal, or by a collector.  Stop the "
                   "second; or, to switch, stop the first, retire the host "
                   "(FleetService.RetireHost) and start the second."));
}

std::vector<v1::HostFinding> LogFindings(const HostCoverage& host) {
  std::vector<v1::HostFinding> findings;
  const int level = host.mta_config && host.mta_config->has_smtpd_tls_loglevel()
                        ? host.mta_config->smtpd_tls_loglevel()
                        : kLevelUnknown;
  if (host.tls_not_logged) findings.push_back(TlsNotLogged(host.host, level));
  if (host.outbound_tls_not_logged) findings.push_back(OutboundTlsNotLogged(host));
  const auto no_ciphers =
      std::find_if(host.tls_logging_gaps.rbegin(), host.tls_logging_gaps.rend(),
                   [](const v1::TlsLoggingGap& gap) { return gap.shows() == "NO_CIPHERS"; });
  if (no_ciphers != host.tls_logging_gaps.rend()) {
    findings.push_back(CiphersNotLogged(host.host, level, no_ciphers->end_time()));
  }
  if (const int64_t lines = host.exceptions.foreign_host_lines(); lines > 0) {
    findings.push_back(Finding(host.host, "FOREIGN_HOST",
                               absl::StrCat(lines,
                                            " lines of the log belong to other hosts and "
                                            "are not counted: run an agent on those hosts, or on "
                                            "a central log host a collector that the server's "
                                            "access list names for them.")));
  }
  if (const int64_t lines = host.exceptions.suppressed_lines(); lines > 0) {
    findings.push_back(Finding(
        host.host, "SUPPRESSED_LINES",
        absl::StrCat("The logger says that it lost ", lines,
                     " lines: raise its limit, in rsyslog imjournal's ratelimit.burst or "
                     "imuxsock's SysSock.RateLimit.Burst, in journald.conf RateLimitBurst.")));
  }
  return findings;
}

}  // namespace mxtally
