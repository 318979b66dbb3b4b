#include "server/completeness/findings.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

v1::HostFinding Finding(const std::string& host, const char* name, std::string advice) {
  v1::HostFinding finding;
  finding.set_host(host);
  finding.set_finding(name);
  finding.set_advice(std::move(advice));
  return finding;
}

}  // namespace

v1::HostFinding SilentFinding(const std::string& host, absl::Time last_seen) {
  return Finding(
      host, "SILENT",
      absl::StrCat("The agent was last heard of at ",
                   absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", last_seen, absl::UTCTimeZone()),
                   ": check that it runs and reaches the server.  Nothing is lost "
                   "while the log stays on the host's disk."));
}

v1::HostFinding LaggingFinding(const std::string& host) {
  return Finding(host, "LAGGING",
                 "The agent has not read this far yet: wait until it has caught up, and look at "
                 "`mxtally-agent status` on the host when it does not.");
}

v1::HostFinding ClockSkewFinding(const std::string& host, absl::Duration ahead) {
  return Finding(host, "CLOCK_SKEW",
                 absl::StrCat("The log holds stamps ", absl::FormatDuration(ahead),
                              " ahead of the server's clock: check both clocks and the agent's "
                              "--time-zone."));
}

std::vector<v1::HostFinding> LogFindings(const HostCoverage& host) {
  std::vector<v1::HostFinding> findings;
  if (host.ended_sessions > 0 && host.tls_lines == 0 && host.counter_lines == 0) {
    findings.push_back(Finding(host.host, "TLS_NOT_LOGGED",
                               "Sessions ended, but no line shows TLS or its absence: set "
                               "smtpd_tls_loglevel = 1 in Postfix's main.cf."));
  }
  if (const int64_t lines = host.exceptions.foreign_host_lines(); lines > 0) {
    findings.push_back(Finding(host.host, "FOREIGN_HOST",
                               absl::StrCat(lines,
                                            " lines of the log belong to other hosts and "
                                            "are not counted: run an agent on those hosts.")));
  }
  return findings;
}

}  // namespace mxtally
