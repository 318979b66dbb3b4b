// Writes what the server reports to the log.  A kind of line comes at most once a
// minute, with the number of those left out.  Thread-safe.

#ifndef MXTALLY_SERVER_PROGRAM_INCIDENT_LOG_H_
#define MXTALLY_SERVER_PROGRAM_INCIDENT_LOG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "server/metrics/server_observer.h"

namespace mxtally {

class IncidentLog final : public ServerObserver {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  explicit IncidentLog(Clock now = std::chrono::steady_clock::now) : now_(std::move(now)) {}

  void OnStoreFailed(const absl::Status& status) override;
  void OnSessionRejected(const std::string& host, const Rejection& rejection) override;
  void OnOtherSource(const std::string& host, const std::string& collector) override;
  void OnStreamOpened(const std::string& host, int streams_of_host) override;
  void OnTwoAgents(const std::string& host, const std::string& addresses) override;
  void OnQuotaHit(const std::string& agent, Quota quota) override;
  void OnStreamEnded(const std::string& host, const absl::Status& status) override;
  void OnDenied(const Denial& denial) override;
  void OnHandshakeFailed(const std::string& why) override;
  void OnGrpcTrouble(const std::string& what) override;
  void OnFilesChanged(const absl::Status& status) override;
  void OnConnectionRefused(const std::string& address, ConnectionRefusal refusal) override;

 private:
  class Limit {
   public:
    // Whether a line may be written now; how many were left out before it.
    bool Take(const Clock& now, int64_t& left_out);

   private:
    std::mutex mutex_;
    std::chrono::steady_clock::time_point next_;
    int64_t left_out_ = 0;
  };

  const Clock now_;
  Limit store_failed_;
  Limit rejected_;
  Limit other_source_;
  Limit two_agents_;
  Limit refused_;
  Limit quota_;
  Limit denied_;
  Limit handshake_;
  Limit grpc_;
  Limit address_connections_;
  Limit descriptors_;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_PROGRAM_INCIDENT_LOG_H_
