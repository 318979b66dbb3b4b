// A delivery on a clock of its own, with real log files and a server that is
// the test.

#ifndef MXTALLY_TESTS_AGENT_RUN_DELIVERY_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_RUN_DELIVERY_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/run/delivery.h"
#include "gtest/gtest.h"
#include "tests/agent/pipeline/counting_server.h"
#include "tests/agent/run/fake_checkpoint_file.h"
#include "tests/agent/run/fake_ingest_client.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {

// What was told, one line each.
class RecordingObserver : public DeliveryObserver {
 public:
  void OnConnected(const v1::ServerWelcome& welcome) override {
    events.push_back("connected " + welcome.database_id());
  }
  void OnDisconnected(const absl::Status& status, absl::Duration delay) override {
    last_delay = delay;
    events.push_back("disconnected " + absl::StatusCodeToString(status.code()));
  }
  void OnCaughtUp(const std::string& log) override { events.push_back("caught up " + Base(log)); }
  void OnGap(const std::string& log, const v1::Gap&) override {
    events.push_back("gap " + Base(log));
  }
  void OnRejected(const v1::RejectedSession& rejected) override {
    events.push_back("rejected " + rejected.reason());
  }
  void OnLogTrouble(const std::string& log, const absl::Status& status) override {
    events.push_back(absl::StrCat("log ", Base(log), " ", absl::StatusCodeToString(status.code())));
  }
  void OnCheckpointTrouble(const absl::Status& status) override {
    events.push_back("checkpoint " + absl::StatusCodeToString(status.code()));
  }

  std::vector<std::string> Take() { return std::exchange(events, {}); }

  std::vector<std::string> events;
  absl::Duration last_delay;

 private:
  static std::string Base(const std::string& path) { return path.substr(path.rfind('/') + 1); }
};

class DeliveryTest : public testing::Test {
 protected:
  DeliveryTest() {
    options_.host = "mx1.example.org";
    options_.agent_version = "0.1.0";
    options_.logs.find = [this] { return FindLogs({folder_.Path("*.log")}); };
    options_.logs.pipeline.assembler.host = options_.host;
    options_.logs.pipeline.snapshot_interval_min = absl::ZeroDuration();
    options_.logs.pipeline.now = [this] { return clock_; };
    options_.backoff.random = [this] { return random_; };
    options_.clock = [this] { return clock_; };
    keeper_options_.host = options_.host;
  }

  // ---- The log

  void Session(int number, const std::string& log = "mail.log") {
    const std::string head =
        absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%S+00:00", clock_, absl::UTCTimeZone()),
                     " mx1 postfix/smtpd[", number, "]: ");
    folder_.Append(log, head + "connect from a.example[192.0.2.1]\n" + head +
                            "disconnect from a.example[192.0.2.1] quit=1 commands=1\n");
  }

  // ---- The agent

  // A process starts with what is on disk.
  void Start() {
    delivery_.reset();
    mailbox_.Clear();
    keeper_ = std::make_unique<CheckpointKeeper>(keeper_options_, file_);
    ASSERT_TRUE(keeper_->Load().ok());
    delivery_ = std::make_unique<Delivery>(options_, client_, mailbox_, *keeper_, observer_);
  }
  // The process is gone without a word.
  void Kill() {
    delivery_.reset();
    mailbox_.Clear();
  }
  Delivery::Pause Step() { return delivery_->Step(); }
  // Lets time pass as the agent asks for, at most `duration`, with the server
  // doing its part.
  void Run(absl::Duration duration) {
    const absl::Time until = clock_ + duration;
    for (int steps = 0; steps < 100'000; ++steps) {
      const Delivery::Pause pause = Step();
      if (delivery_->done()) return;
      if (Serve() || pause.timeout <= absl::ZeroDuration()) continue;
      if (clock_ + pause.timeout > until) {
        clock_ = until;
        return;
      }
      clock_ += pause.timeout;
    }
    FAIL() << "the agent does not come to rest";
  }

  // ---- The server

  // Does one thing that a server would do; false when there is nothing to do.
  bool Serve() {
    FakeIngestClient::Stream* stream = client_.stream();
    if (stream == nullptr || !serving_) return false;
    if (!stream->reading) return false;
    if (stream->half_closed) {
      stream->reading = false;
      stream->End(absl::OkStatus());
      return true;
    }
    std::optional<v1::StreamSessionsRequest> request = stream->TakeWritten();
    if (!request) return false;
    if (request->has_hello()) {
      hellos_.push_back(request->hello());
      stream->Send(Welcome());
    } else if (request->has_status()) {
      statuses_.push_back(request->status());
    } else {
      bytes_in_flight_ += static_cast<int64_t>(request->ByteSizeLong());
      bytes_in_flight_max_ = std::max(bytes_in_flight_max_, bytes_in_flight_);
      if (committing_) server_.Commit(request->batch());
      batches_.push_back(request->batch());
      if (committing_ && acknowledging_) stream->Send(Acknowledge(request->batch().sequence()));
    }
    return true;
  }
  v1::StreamSessionsResponse Welcome() {
    v1::StreamSessionsResponse response;
    v1::ServerWelcome& welcome = *response.mutable_welcome();
    welcome.set_database_id(database_id_);
    if (collecting_) *welcome.mutable_collecting() = *collecting_;
    if (server_.stored()) {
      v1::StoredCut& cut = *welcome.add_stored_cuts();
      cut.set_log(folder_.Path("mail.log"));
      *cut.mutable_cut() = *server_.stored();
    }
    return response;
  }
  v1::StreamSessionsResponse Acknowledge(int64_t sequence) {
    bytes_in_flight_ = 0;
    v1::StreamSessionsResponse response;
    response.set_acked_sequence(sequence);
    return response;
  }
  FakeIngestClient::Stream& stream() { return *client_.stream(); }

  LogFolder folder_;
  absl::Time clock_ = absl::FromCivil(absl::CivilHour(2026, 11, 1, 12), absl::UTCTimeZone());
  double random_ = 1;
  DeliveryOptions options_;
  CheckpointKeeperOptions keeper_options_;

  FakeCheckpointFile file_;
  Mailbox mailbox_;
  FakeIngestClient client_;
  RecordingObserver observer_;
  std::unique_ptr<CheckpointKeeper> keeper_;
  std::unique_ptr<Delivery> delivery_;

  CountingServer server_;
  std::string database_id_ = "db1";
  std::optional<v1::Collecting> collecting_;
  bool serving_ = true;
  bool committing_ = true;
  bool acknowledging_ = true;
  std::vector<v1::AgentHello> hellos_;
  std::vector<v1::AgentStatus> statuses_;
  std::vector<v1::SessionBatch> batches_;
  int64_t bytes_in_flight_ = 0;
  int64_t bytes_in_flight_max_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_RUN_DELIVERY_FIXTURE_H_
