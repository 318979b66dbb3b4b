// What happens in the server: counted, as /metrics shows it, and said in words
// where an operator should hear of it.  The names are relied on; the table in
// server_metrics.cc says what each means.  Thread-safe.

#ifndef MXTALLY_SERVER_METRICS_SERVER_METRICS_H_
#define MXTALLY_SERVER_METRICS_SERVER_METRICS_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/auth/observer.h"
#include "server/ingest/observer.h"
#include "server/listener/observer.h"
#include "server/metrics/incident.h"

namespace mxtally {

// What is asked for when somebody looks.
struct LiveFigures {
  int64_t queue_bytes = 0;
  int64_t streams = 0;
  int64_t connections = 0;
  // When certificates expire; InfiniteFuture: there is none.
  absl::Time certificate_expires = absl::InfiniteFuture();
  absl::Time authorities_expire = absl::InfiniteFuture();
  absl::Time first_agent_certificate_expires = absl::InfiniteFuture();
  // The store's own: name without prefix, value.
  std::vector<std::pair<std::string, double>> store;
};

class ServerMetrics final : public IngestObserver, public AuthObserver, public ConnectionObserver {
 public:
  // `tell` hears of the incidents.
  ServerMetrics(const std::string& version, TellIncident tell);
  ~ServerMetrics() override;

  // All metrics in Prometheus' text format.
  std::string Text(const LiveFigures& live);

  void OnCommitted(int64_t batches, int64_t bytes, const BatchOutcome& outcome,
                   absl::Duration duration) override;
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
  struct Registered;  // Keeps prometheus-cpp out of this header.

  const TellIncident tell_;
  const std::unique_ptr<Registered> registered_;
  std::mutex text_mutex_;  // Series that come and go do so for one Text() at a time.
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_METRICS_SERVER_METRICS_H_
