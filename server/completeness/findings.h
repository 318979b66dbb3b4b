// What is wrong with a host, and what to do about it.  Pure.

#ifndef MXTALLY_SERVER_COMPLETENESS_FINDINGS_H_
#define MXTALLY_SERVER_COMPLETENESS_FINDINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "mxtally/v1/completeness.pb.h"
#include "storage/store.h"

namespace mxtally {

// Not heard of since `last_seen`.  `collected`: a collector tells of the host.
v1::HostFinding SilentFinding(const std::string& host, absl::Time last_seen, bool collected);

// Heard of, but not read far enough.
v1::HostFinding LaggingFinding(const std::string& host, bool collected);

// Named as expected, and no agent has come.
v1::HostFinding NeverReportedFinding(const std::string& host);

// The host's clock, or the stamps in its log, are `ahead` of the server's clock.
v1::HostFinding ClockSkewFinding(const std::string& host, absl::Duration ahead);

// smtpd_tls_loglevel is 0, whatever the log has shown so far.
v1::HostFinding TlsLogLevelFinding(const std::string& host);

// Postfix writes to `path`, which is not among the logs that are read.
v1::HostFinding LogElsewhereFinding(const std::string& host, const std::string& path);

// Two agents call themselves by this host's name.  `times`: life signs seen.
v1::HostFinding TwoAgentsFinding(const std::string& host, const std::string& addresses,
                                 int64_t times, absl::Time last);

// An agent, or a collector, at `where` was refused because it reads another kind of
// source than the host's.
v1::HostFinding OtherSourceFinding(const std::string& host, const std::string& where, int64_t times,
                                   absl::Time last);

// What the lines of the host's logs show: TLS_NOT_LOGGED when sessions ended
// with neither TLS lines nor counters, CIPHERS_NOT_LOGGED when sessions used TLS
// of which no line tells more, OUTBOUND_TLS_NOT_LOGGED, FOREIGN_HOST, SUPPRESSED_LINES.
std::vector<v1::HostFinding> LogFindings(const HostCoverage& host);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_COMPLETENESS_FINDINGS_H_
