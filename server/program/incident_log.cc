#include "server/program/incident_log.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace mxtally {
namespace {

constexpr std::chrono::seconds kInterval(60);

}  // namespace

bool IncidentLog::Limit::Take(const Clock& clock, int64_t& left_out) {
  const auto now = clock();
  std::lock_guard lock(mutex_);
  if (now < next_) {
    ++left_out_;
    return false;
  }
  next_ = now + kInterval;
  left_out = std::exchange(left_out_, 0);
  return true;
}

void IncidentLog::OnStoreFailed(const absl::Status& status) {
  if (int64_t left_out = 0; store_failed_.Take(now_, left_out)) {
    spdlog::error("store failed, nothing of this is acknowledged: {} ({} more since the last line)",
                  status.ToString(), left_out);
  }
}

void IncidentLog::OnSessionRejected(const std::string& host, const Rejection& rejection) {
  if (int64_t left_out = 0; rejected_.Take(now_, left_out)) {
    spdlog::warn("session of host {} rejected: {} ({} more since the last line)", host,
                 rejection.reason, left_out);
  }
}

void IncidentLog::OnStreamOpened(const std::string& host, int streams_of_host) {
  spdlog::debug("host {} connected, streams: {}", host, streams_of_host);
}

void IncidentLog::OnOtherSource(const std::string& host, const std::string& collector) {
  if (int64_t left_out = 0; other_source_.Take(now_, left_out)) {
    spdlog::warn(
        "host \"{}\" is not taken from the collector \"{}\", because an agent of its own has told "
        "of it; to switch, stop that agent and retire the host ({} more since the last line)",
        host, collector, left_out);
  }
}

void IncidentLog::OnTwoAgents(const std::string& host, const std::string& addresses) {
  if (int64_t left_out = 0; two_agents_.Take(now_, left_out)) {
    spdlog::warn(
        "two agents call themselves host \"{}\", at {}: give each a name, and a certificate, of "
        "its "
        "own, or stop one ({} more since the last line)",
        host, addresses, left_out);
  }
}

void IncidentLog::OnQuotaHit(const std::string& agent, Quota quota) {
  if (int64_t left_out = 0; quota_.Take(now_, left_out)) {
    spdlog::warn("agent \"{}\" has hit its quota of {} ({} more since the last line)", agent,
                 std::string(QuotaName(quota)), left_out);
  }
}

void IncidentLog::OnStreamEnded(const std::string& host, const absl::Status& status) {
  const bool refused = absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
  if (!refused) {
    spdlog::debug("stream of host {} ended: {}", host, status.ToString());
    return;
  }
  if (int64_t left_out = 0; refused_.Take(now_, left_out)) {
    spdlog::warn("stream of host \"{}\" refused: {} ({} more since the last line)", host,
                 status.ToString(), left_out);
  }
}

void IncidentLog::OnDenied(const Denial& denial) {
  if (int64_t left_out = 0; denied_.Take(now_, left_out)) {
    spdlog::warn("denied {} to {}: {} ({} more since the last line)", denial.method, denial.caller,
                 denial.status.ToString(), left_out);
  }
}

void IncidentLog::OnHandshakeFailed(const std::string& why) {
  if (int64_t left_out = 0; handshake_.Take(now_, left_out)) {
    spdlog::warn("TLS: {} ({} more since the last line)", why, left_out);
  }
}

void IncidentLog::OnGrpcTrouble(const std::string& what) {
  if (int64_t left_out = 0; grpc_.Take(now_, left_out)) {
    spdlog::warn("gRPC: {} ({} more since the last line)", what, left_out);
  }
}

void IncidentLog::OnConnectionRefused(const std::string& address, ConnectionRefusal refusal) {
  const bool of_address = refusal == ConnectionRefusal::kAddress;
  int64_t left_out = 0;
  if (!(of_address ? address_connections_ : descriptors_).Take(now_, left_out)) return;
  if (of_address) {
    spdlog::warn(
        "connection of {} refused: it has as many as --address-connections permits ({} more since "
        "the last line)",
        address, left_out);
  } else {
    spdlog::warn(
        "connection refused: as many are open as the limit on open files permits ({} more since "
        "the last line)",
        left_out);
  }
}

void IncidentLog::OnFilesChanged(const absl::Status& status) {
  if (status.ok()) {
    spdlog::info("certificates and access list were read again and are used from now on");
  } else {
    spdlog::error("{}; what was read before stays in use", std::string(status.message()));
  }
}

}  // namespace mxtally
