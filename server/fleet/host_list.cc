#include "server/fleet/host_list.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"
#include "server/completeness/completeness.h"
#include "server/completeness/findings.h"
#include "server/grpc_status/quoted.h"

namespace mxtally {
namespace {

constexpr int kNamesMax = 1000;
constexpr absl::Duration kFindingsWindow = absl::Hours(24);
constexpr absl::Duration kQuietAfter = absl::Hours(1);

// Bound of GetHostResponse.
constexpr size_t kListMax = 1000;

// Stamps of a clock that is wrong may lie so far ahead.
constexpr absl::Duration kFarAhead = absl::Hours(24 * 365 * 10);

std::vector<std::string> LowerCase(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<std::string> lower;
  for (const std::string& name : names) lower.push_back(absl::AsciiStrToLower(name));
  return lower;
}

v1::HostState StateOf(const v1::Host& host, absl::Time now, const CompletenessOptions& options) {
  if (host.has_retired_time()) return v1::HOST_STATE_RETIRED;
  if (!host.has_last_seen_time() ||
      GetTimestamp(host.last_seen_time()) < now - options.silent_after) {
    return v1::HOST_STATE_SILENT;
  }
  if (!host.has_caught_up_time() || GetTimestamp(host.caught_up_time()) < now - options.lag_max) {
    return v1::HOST_STATE_LAGGING;
  }
  if (!host.has_last_session_time() || GetTimestamp(host.last_session_time()) < now - kQuietAfter) {
    return v1::HOST_STATE_QUIET;
  }
  return v1::HOST_STATE_REPORTING;
}

// How far the host's clock, or the newest stamp of its logs, is off, where that
// is more than clocks may differ.
std::optional<absl::Duration> Ahead(const v1::Host& host, absl::Time now,
                                    const CompletenessOptions& options) {
  absl::Duration ahead = absl::Seconds(host.clock_ahead_seconds());
  for (const v1::HostLog& log : host.logs()) {
    if (!log.has_log_time()) continue;
    const absl::Duration stamps = GetTimestamp(log.log_time()) - now;
    if (stamps > absl::AbsDuration(ahead)) ahead = stamps;
  }
  if (absl::AbsDuration(ahead) <= options.lag_max) return std::nullopt;
  return absl::Trunc(ahead, absl::Seconds(1));
}

bool HasFinding(const v1::Host& host, absl::string_view name) {
  return std::any_of(host.findings().begin(), host.findings().end(),
                     [name](const v1::HostFinding& f) { return f.finding() == name; });
}

// What the MTA's configuration says, where no line has shown it yet.
void AddConfigFindings(v1::Host& host) {
  if (!host.has_mta_config()) return;
  const v1::MtaConfig& config = host.mta_config();
  if (config.has_smtpd_tls_loglevel() && config.smtpd_tls_loglevel() == 0 &&
      !HasFinding(host, "CIPHERS_NOT_LOGGED") && !HasFinding(host, "TLS_NOT_LOGGED")) {
    *host.add_findings() = TlsLogLevelFinding(host.host());
  }
  const std::string& path = config.maillog_file();
  const bool is_file = absl::StartsWith(path, "/") && !absl::StartsWith(path, "/dev/");
  const bool followed = std::any_of(host.logs().begin(), host.logs().end(),
                                    [&path](const v1::HostLog& log) { return log.log() == path; });
  if (is_file && !followed && host.source_kind() == v1::SOURCE_KIND_FILES) {
    *host.add_findings() = LogElsewhereFinding(host.host(), path);
  }
}

void AddFindings(const HostCoverage* coverage, absl::Time now, const CompletenessOptions& options,
                 v1::Host& host) {
  if (host.state() == v1::HOST_STATE_RETIRED) return;
  const bool collected = coverage != nullptr && coverage->collected;
  if (!host.has_last_seen_time()) {
    *host.add_findings() = NeverReportedFinding(host.host());
  } else if (host.state() == v1::HOST_STATE_SILENT) {
    *host.add_findings() =
        SilentFinding(host.host(), GetTimestamp(host.last_seen_time()), collected);
  } else if (host.state() == v1::HOST_STATE_LAGGING) {
    *host.add_findings() = LaggingFinding(host.host(), collected);
  }
  if (const std::optional<absl::Duration> ahead = Ahead(host, now, options)) {
    *host.add_findings() = ClockSkewFinding(host.host(), *ahead);
  }
  if (coverage != nullptr) {
    for (v1::HostFinding& finding : LogFindings(*coverage)) {
      *host.add_findings() = std::move(finding);
    }
  }
  AddConfigFindings(host);
}

// `names` in lower case; none for all hosts.
absl::StatusOr<std::vector<v1::Host>> DescribeHosts(const Store& store,
                                                    const std::vector<std::string>& names,
                                                    absl::Time now, const IsConnected& connected,
                                                    const QueryGuard& guard) {
  absl::StatusOr<std::vector<v1::Host>> hosts = store.ListHosts(names, guard);
  if (!hosts.ok()) return hosts.status();
  absl::StatusOr<std::vector<HostCoverage>> coverage =
      store.QueryCoverage(names, now - kFindingsWindow, now, guard);
  if (!coverage.ok()) return coverage.status();
  absl::flat_hash_map<std::string, const HostCoverage*> coverage_of;
  for (const HostCoverage& host : *coverage) coverage_of[host.host] = &host;

  const CompletenessOptions options;
  for (v1::Host& host : *hosts) {
    host.set_state(StateOf(host, now, options));
    host.set_connected(connected(host.host()));
    if (host.has_caught_up_time()) {
      const absl::Duration lag = now - GetTimestamp(host.caught_up_time());
      host.set_lag_seconds(std::max(0.0, absl::ToDoubleSeconds(lag)));
    }
    const auto known = coverage_of.find(host.host());
    AddFindings(known == coverage_of.end() ? nullptr : known->second, now, options, host);
  }
  return hosts;
}

// The last thousand of `items`.
template <typename Item, typename Field>
void AddNewest(const std::vector<Item>& items, Field* field) {
  const size_t skipped = items.size() > kListMax ? items.size() - kListMax : 0;
  for (size_t i = skipped; i < items.size(); ++i) *field->Add() = items[i];
}

void AddIntervals(const HostCoverage& coverage, v1::GetHostResponse& response) {
  for (const auto& [start, end] : coverage.expected) {
    v1::TimeInterval& interval = *response.add_expected();
    SetTimestamp(start, *interval.mutable_start_time());
    if (end != absl::InfiniteFuture()) SetTimestamp(end, *interval.mutable_end_time());
  }
  std::vector<v1::LogInterval> covered;
  for (const HostCoverage::Log& log : coverage.logs) {
    for (const auto& [start, end] : log.covered) {
      v1::LogInterval& interval = covered.emplace_back();
      interval.set_log(log.log);
      SetTimestamp(start, *interval.mutable_start_time());
      SetTimestamp(end, *interval.mutable_end_time());
    }
  }
  std::stable_sort(covered.begin(), covered.end(), [](const auto& a, const auto& b) {
    return GetTimestamp(a.start_time()) < GetTimestamp(b.start_time());
  });
  AddNewest(covered, response.mutable_covered());
}

}  // namespace

absl::Status NoHostNamed() {
  return absl::InvalidArgumentError("host: expected the name of a host, found none");
}

absl::Status UnknownHost(const std::string& name) {
  return absl::NotFoundError(
      absl::StrCat("host: expected one that is known, found ", Quoted(name)));
}

absl::StatusOr<v1::ListHostsResponse> AnswerListHosts(const Store& store,
                                                      const v1::ListHostsRequest& request,
                                                      absl::Time now, const IsConnected& connected,
                                                      const QueryGuard& guard) {
  if (request.hosts_size() > kNamesMax) {
    return absl::InvalidArgumentError(absl::StrCat("hosts has ", request.hosts_size(),
                                                   " names: expected at most ", kNamesMax,
                                                   ", or none for all hosts"));
  }
  absl::StatusOr<std::vector<v1::Host>> hosts =
      DescribeHosts(store, LowerCase(request.hosts()), now, connected, guard);
  if (!hosts.ok()) return hosts.status();
  v1::ListHostsResponse response;
  int64_t expected = 0;
  int64_t reporting = 0;
  for (v1::Host& host : *hosts) {
    if (host.state() != v1::HOST_STATE_RETIRED) ++expected;
    if (host.state() == v1::HOST_STATE_REPORTING || host.state() == v1::HOST_STATE_QUIET) {
      ++reporting;
    }
    *response.add_hosts() = std::move(host);
  }
  response.set_hosts_expected(expected);
  response.set_hosts_reporting(reporting);
  return response;
}

absl::StatusOr<v1::GetHostResponse> AnswerGetHost(const Store& store,
                                                  const v1::GetHostRequest& request, absl::Time now,
                                                  const IsConnected& connected,
                                                  const QueryGuard& guard) {
  const std::string name = absl::AsciiStrToLower(request.host());
  if (name.empty()) return NoHostNamed();
  absl::StatusOr<std::vector<v1::Host>> hosts = DescribeHosts(store, {name}, now, connected, guard);
  if (!hosts.ok()) return hosts.status();
  if (hosts->empty()) return UnknownHost(name);
  absl::StatusOr<std::vector<HostCoverage>> coverage =
      store.QueryCoverage({name}, absl::UnixEpoch(), now + kFarAhead, guard);
  if (!coverage.ok()) return coverage.status();
  absl::StatusOr<std::vector<absl::CivilDay>> sealed = store.SealedDays(name, guard);
  if (!sealed.ok()) return sealed.status();

  v1::GetHostResponse response;
  *response.mutable_host() = std::move(hosts->front());
  if (!coverage->empty()) {
    HostCoverage& host = coverage->front();
    AddIntervals(host, response);
    std::stable_sort(host.gaps.begin(), host.gaps.end(), [](const auto& a, const auto& b) {
      return GetTimestamp(a.start_time()) < GetTimestamp(b.start_time());
    });
    AddNewest(host.gaps, response.mutable_gaps());
    AddNewest(host.tls_logging_gaps, response.mutable_tls_logging_gaps());
    AddNewest(host.clock_skews, response.mutable_clock_skews());
  }
  std::vector<std::string> days;
  for (const absl::CivilDay day : *sealed) days.push_back(absl::FormatCivilTime(day));
  AddNewest(days, response.mutable_sealed_days());
  return response;
}

}  // namespace mxtally
