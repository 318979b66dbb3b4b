// GetTlsStats the slow way: plain loops over sessions, and labels as text.  It
// shares no code with the service.

#ifndef MXTALLY_TESTS_SERVER_STATS_TLS_STATS_ORACLE_H_
#define MXTALLY_TESTS_SERVER_STATS_TLS_STATS_ORACLE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "mxtally/v1/session.pb.h"
#include "mxtally/v1/stats.pb.h"

namespace mxtally {

// A request whose times are known, so that the oracle need not read them.
struct KnownRequest {
  v1::GetTlsStatsRequest request;
  absl::Time start;  // As asked, not widened.
  absl::Time end;
  absl::TimeZone zone;
  int bucket_hours = 0;  // 0: none.
};

class Oracle {
 public:
  explicit Oracle(const std::vector<v1::SessionRecord>& sessions);

  // The answer without completeness.
  v1::GetTlsStatsResponse Answer(const KnownRequest& known) const;

  // One session as rows see it.
  struct Seen {
    absl::Time hour;
    std::map<std::string, std::string> labels;
    std::string iana;
    uint32_t code_point = 0;
    int64_t messages = 0;
  };

 private:
  std::vector<Seen> sessions_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_SERVER_STATS_TLS_STATS_ORACLE_H_
