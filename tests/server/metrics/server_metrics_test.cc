#include "server/metrics/server_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::Not;

class ServerMetricsTest : public testing::Test {
 protected:
  std::string Text(const LiveFigures& live = {}) { return metrics_.Text(live); }

  ServerMetrics metrics_{"0.1.0", [](const Incident&) {}};
};

TEST_F(ServerMetricsTest, EverySeriesIsThereFromTheBeginning) {
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("mxtally_server_build_info{version=\"0.1.0\"} 1"));
  EXPECT_THAT(text, HasSubstr("mxtally_server_ingest_batches_total 0"));
  EXPECT_THAT(text, HasSubstr("sessions_total{outcome=\"inserted\"} 0"));
  EXPECT_THAT(text, HasSubstr("sessions_rejected_total{reason=\"out_of_range\"} 0"));
  EXPECT_THAT(text, HasSubstr("streams_ended_total{code=\"UNAVAILABLE\"} 0"));
  EXPECT_THAT(text, HasSubstr("mxtally_server_connections_refused_total{reason=\"address\"} 0"));
  EXPECT_THAT(text, HasSubstr("connections_refused_total{reason=\"descriptors\"} 0"));
}

TEST_F(ServerMetricsTest, CommitsAreCounted) {
  BatchOutcome outcome;
  outcome.inserted = 5;
  outcome.duplicates = 2;
  outcome.folded = 1;
  metrics_.OnCommitted(3, 1000, outcome, absl::Milliseconds(20));
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("mxtally_server_ingest_batches_total 3"));
  EXPECT_THAT(text, HasSubstr("mxtally_server_ingest_bytes_total 1000"));
  EXPECT_THAT(text, HasSubstr("sessions_total{outcome=\"inserted\"} 5"));
  EXPECT_THAT(text, HasSubstr("sessions_total{outcome=\"duplicate\"} 2"));
  EXPECT_THAT(text, HasSubstr("sessions_folded_total 1"));
  EXPECT_THAT(text, HasSubstr("commit_seconds_bucket{le=\"0.01\"} 0"));
  EXPECT_THAT(text, HasSubstr("commit_seconds_bucket{le=\"0.025\"} 1"));
}

TEST_F(ServerMetricsTest, NothingIsLabelledByHost) {
  metrics_.OnSessionRejected("mx1", {RejectKind::kTime, "end_time: ..."});
  metrics_.OnStreamOpened("mx1", 2);
  metrics_.OnStreamEnded("mx1", absl::UnavailableError("stopping"));
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("sessions_rejected_total{reason=\"time\"} 1"));
  EXPECT_THAT(text, HasSubstr("streams_opened_total 1"));
  EXPECT_THAT(text, HasSubstr("streams_of_one_host_total 1"));
  EXPECT_THAT(text, HasSubstr("streams_ended_total{code=\"UNAVAILABLE\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("mx1")));
}

TEST_F(ServerMetricsTest, LiveFiguresAreThoseOfTheMoment) {
  Text({.queue_bytes = 7, .streams = 2, .store = {{"wal_bytes", 4096}}});
  const std::string text = Text({.queue_bytes = 8, .streams = 3, .store = {{"wal_bytes", 8192}}});
  EXPECT_THAT(text, HasSubstr("mxtally_server_ingest_queue_bytes 8"));
  EXPECT_THAT(text, HasSubstr("mxtally_server_ingest_streams 3"));
  EXPECT_THAT(text, HasSubstr("mxtally_server_store_wal_bytes 8192"));
  EXPECT_THAT(text, Not(HasSubstr("4096")));
}

}  // namespace
}  // namespace mxtally
