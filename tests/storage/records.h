// Records and batches for the tests of storage/.

#ifndef MXTALLY_TESTS_STORAGE_RECORDS_H_
#define MXTALLY_TESTS_STORAGE_RECORDS_H_

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "mxtally/v1/ingest.pb.h"
#include "storage/store.h"

namespace mxtally {

// "2026-11-02T10:00:00Z", with fractions of a second if need be.
absl::Time At(const std::string& rfc3339);

// A session, in the few words that matter to a test.
struct SessionSpec {
  std::string stamp = "2026-11-02T10:00:00Z";
  std::string tag = "postfix/smtpd[1]";
  uint32_t ordinal = 0;
  uint32_t parser_version = 1;
  uint32_t lines_used = 3;
  v1::Direction direction = v1::DIRECTION_INBOUND;
  std::string service = "smtpd";
  v1::PeerClass peer_class = v1::PEER_CLASS_EXTERNAL;
  v1::TlsState tls_state = v1::TLS_STATE_ESTABLISHED;
  std::string protocol = "TLSv1.3";
  std::string cipher = "TLS_AES_256_GCM_SHA384";
  int messages = 1;
  std::string helo = "mail.example.org";
};

v1::SessionRecord Session(const SessionSpec& spec);

// A place in log file number `inode`.
v1::Cut CutAt(int64_t offset, const std::string& log_time, uint64_t inode = 7);

// Records between two cuts.
v1::SessionBatch Batch(const v1::Cut& start, const v1::Cut& end,
                       std::initializer_list<SessionSpec> sessions = {});
// The first batch of a log.
v1::SessionBatch FirstBatch(const v1::Cut& end, std::initializer_list<SessionSpec> sessions = {});

void SetTime(absl::Time time, google::protobuf::Timestamp* timestamp);

// Every row of the whole fleet between two years that hold all tests.
StatsQuery Always();

// Sessions, messages and TLS messages over all rows.
Measures Total(const StatsResult& result);

}  // namespace mxtally

#endif  // MXTALLY_TESTS_STORAGE_RECORDS_H_
