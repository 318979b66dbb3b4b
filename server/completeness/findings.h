// What is wrong with a host, and what to do about it.  Pure.

#ifndef MXTALLY_SERVER_COMPLETENESS_FINDINGS_H_
#define MXTALLY_SERVER_COMPLETENESS_FINDINGS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "mxtally/v1/completeness.pb.h"
#include "storage/store.h"

namespace mxtally {

// Not heard of since `last_seen`.
v1::HostFinding SilentFinding(const std::string& host, absl::Time last_seen);

// Heard of, but not read far enough.
v1::HostFinding LaggingFinding(const std::string& host);

// The log holds stamps `ahead` of now.
v1::HostFinding ClockSkewFinding(const std::string& host, absl::Duration ahead);

// What the lines of the host's logs show: TLS_NOT_LOGGED when sessions ended
// with neither TLS lines nor counters, FOREIGN_HOST.
std::vector<v1::HostFinding> LogFindings(const HostCoverage& host);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_COMPLETENESS_FINDINGS_H_
