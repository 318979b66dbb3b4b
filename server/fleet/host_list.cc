#include "server/fleet/host_list.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/completeness/completeness.h"
#include "server/completeness/findings.h"

namespace mxtally {
namespace {

constexpr int kNamesMax = 1000;
constexpr absl::Duration kFindingsWindow = absl::Hours(24);
constexpr absl::Duration kQuietAfter = absl::Hours(1);

absl::Time ToTime(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

std::vector<std::string> LowerCase(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<std::string> lower;
  for (const std::string& name : names) lower.push_back(absl::AsciiStrToLower(name));
  return lower;
}

v1::HostState StateOf(const v1::Host& host, absl::Time now, const CompletenessOptions& options) {
  if (!host.has_last_seen_time() || ToTime(host.last_seen_time()) < now - options.silent_after) {
    return v1::HOST_STATE_SILENT;
  }
  if (!host.has_caught_up_time() || ToTime(host.caught_up_time()) < now - options.lag_max) {
    return v1::HOST_STATE_LAGGING;
  }
  if (!host.has_last_session_time() || ToTime(host.last_session_time()) < now - kQuietAfter) {
    return v1::HOST_STATE_QUIET;
  }
  return v1::HOST_STATE_REPORTING;
}

// How far the newest line is ahead of now, where that is more than clocks may differ.
std::optional<absl::Duration> Ahead(const v1::Host& host, absl::Time now,
                                    const CompletenessOptions& options) {
  absl::Duration ahead = absl::ZeroDuration();
  for (const v1::HostLog& log : host.logs()) {
    if (log.has_log_time()) ahead = std::max(ahead, ToTime(log.log_time()) - now);
  }
  if (ahead <= options.lag_max) return std::nullopt;
  return absl::Trunc(ahead, absl::Seconds(1));
}

void AddFindings(const HostCoverage* coverage, absl::Time now, const CompletenessOptions& options,
                 v1::Host& host) {
  if (host.state() == v1::HOST_STATE_SILENT) {
    *host.add_findings() = SilentFinding(host.host(), ToTime(host.last_seen_time()));
  } else if (host.state() == v1::HOST_STATE_LAGGING) {
    *host.add_findings() = LaggingFinding(host.host());
  }
  if (const std::optional<absl::Duration> ahead = Ahead(host, now, options)) {
    *host.add_findings() = ClockSkewFinding(host.host(), *ahead);
  }
  if (coverage == nullptr) return;
  for (v1::HostFinding& finding : LogFindings(*coverage)) {
    *host.add_findings() = std::move(finding);
  }
}

}  // namespace

absl::StatusOr<v1::ListHostsResponse> AnswerListHosts(
    const Store& store, const v1::ListHostsRequest& request, absl::Time now,
    const std::function<bool(const std::string&)>& connected, const QueryGuard& guard) {
  if (request.hosts_size() > kNamesMax) {
    return absl::InvalidArgumentError(absl::StrCat("hosts has ", request.hosts_size(),
                                                   " names: expected at most ", kNamesMax,
                                                   ", or none for all hosts"));
  }
  const std::vector<std::string> names = LowerCase(request.hosts());
  absl::StatusOr<std::vector<v1::Host>> hosts = store.ListHosts(names, guard);
  if (!hosts.ok()) return hosts.status();
  absl::StatusOr<std::vector<HostCoverage>> coverage =
      store.QueryCoverage(names, now - kFindingsWindow, now, guard);
  if (!coverage.ok()) return coverage.status();
  absl::flat_hash_map<std::string, const HostCoverage*> coverage_of;
  for (const HostCoverage& host : *coverage) coverage_of[host.host] = &host;

  const CompletenessOptions options;
  v1::ListHostsResponse response;
  int64_t reporting = 0;
  for (v1::Host& host : *hosts) {
    const v1::HostState state = StateOf(host, now, options);
    if (state == v1::HOST_STATE_REPORTING || state == v1::HOST_STATE_QUIET) ++reporting;
    host.set_state(state);
    host.set_connected(connected(host.host()));
    if (host.has_caught_up_time()) {
      const absl::Duration lag = now - ToTime(host.caught_up_time());
      host.set_lag_seconds(std::max(0.0, absl::ToDoubleSeconds(lag)));
    }
    const auto known = coverage_of.find(host.host());
    AddFindings(known == coverage_of.end() ? nullptr : known->second, now, options, host);
    *response.add_hosts() = std::move(host);
  }
  response.set_hosts_expected(response.hosts_size());
  response.set_hosts_reporting(reporting);
  return response;
}

}  // namespace mxtally
