#include "server/program/incident_log.h"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/server_metrics.h"

namespace mxtally {
namespace {

using testing::HasSubstr;

class IncidentLogTest : public testing::Test {
 protected:
  IncidentLogTest() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
    logger->set_pattern("%l: %v");
    spdlog::set_default_logger(logger);
  }
  ~IncidentLogTest() override { spdlog::set_default_logger(before_); }

  std::string Take() {
    std::string text = text_.str();
    text_.str("");
    return text;
  }
  static int64_t Lines(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  }

  const std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  IncidentLog log_{[this] { return now_; }};
  ServerMetrics metrics_{"0.1.0", [this](const Incident& incident) { log_.Tell(incident); }};
};

TEST_F(IncidentLogTest, FloodOfRejectsIsOneLineAMinuteWithItsNumber) {
  Rejection rejection{RejectKind::kTime, ""};
  rejection.reason = "end before start";
  for (int i = 0; i < 100'000; ++i) metrics_.OnSessionRejected("mx1", rejection);
  EXPECT_EQ(Take(),
            "warning: session of host mx1 rejected: end before start (0 more since the last "
            "line)\n");
  now_ += std::chrono::seconds(60);
  metrics_.OnSessionRejected("mx1", rejection);
  EXPECT_THAT(Take(), HasSubstr("(99999 more since the last line)"));
}

TEST_F(IncidentLogTest, EveryKindIsLimitedAndNoneHidesAnother) {
  Rejection rejection{RejectKind::kTime, ""};
  Denial denial;
  for (int second = 0; second < 600; ++second) {
    for (int i = 0; i < 20; ++i) {
      metrics_.OnStoreFailed(absl::ResourceExhaustedError("disk full"));
      metrics_.OnSessionRejected("mx1", rejection);
      metrics_.OnStreamEnded("mx1", absl::InvalidArgumentError("sequence"));
      metrics_.OnDenied(denial);
      metrics_.OnHandshakeFailed("no certificate");
      metrics_.OnGrpcTrouble("bind");
      metrics_.OnTwoAgents("mx1", "a and b");
      metrics_.OnOtherSource("mx1", "loghost");
      metrics_.OnConnectionRefused("192.0.2.1", ConnectionRefusal::kAddress);
      metrics_.OnConnectionRefused("", ConnectionRefusal::kDescriptors);
    }
    now_ += std::chrono::seconds(1);
  }
  const std::string text = Take();
  EXPECT_EQ(Lines(text), 10 * 10);
  for (const char* kind :
       {"store failed", "rejected", "refused", "denied", "TLS: ", "gRPC: ", "two agents",
        "not taken from the collector", "--address-connections", "limit on open files"}) {
    EXPECT_THAT(text, HasSubstr(kind));
  }
}

TEST_F(IncidentLogTest, StreamsThatComeAndGoAreNoNews) {
  for (int i = 0; i < 10'000; ++i) {
    metrics_.OnStreamOpened("mx1", 1);
    metrics_.OnStreamEnded("mx1", absl::CancelledError("gone"));
    metrics_.OnStreamEnded("mx1", absl::OkStatus());
  }
  EXPECT_EQ(Take(), "");
}

TEST_F(IncidentLogTest, ThreadsShareOneLimit) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 1000; ++n) metrics_.OnStoreFailed(absl::UnavailableError("locked"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Lines(Take()), 1);
}

}  // namespace
}  // namespace mxtally
