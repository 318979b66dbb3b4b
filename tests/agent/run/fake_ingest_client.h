// Streams whose other end is the test.

#ifndef MXTALLY_TESTS_AGENT_RUN_FAKE_INGEST_CLIENT_H_
#define MXTALLY_TESTS_AGENT_RUN_FAKE_INGEST_CLIENT_H_

#include <memory>
#include <optional>
#include <utility>

#include "agent/uplink/ingest_stream.h"
#include "gtest/gtest.h"

namespace mxtally {

class FakeIngestClient : public IngestClient {
 public:
  class Stream : public IngestStream {
   public:
    Stream(FakeIngestClient& client, Mailbox& mailbox) : client_(client), mailbox_(mailbox) {}
    ~Stream() override { client_.stream_ = nullptr; }

    void Write(std::string request) override {
      EXPECT_FALSE(written.has_value()) << "one write at a time";
      EXPECT_FALSE(half_closed);
      written.emplace();
      EXPECT_TRUE(written->ParseFromString(request));
    }
    void Read() override {
      EXPECT_FALSE(reading) << "one read at a time";
      reading = true;
    }
    void WritesDone() override {
      EXPECT_FALSE(written.has_value());
      half_closed = true;
    }
    absl::Status Finish() override { return end_status; }

    // ---- The test's end

    // Takes what the agent wrote; the write is then done.
    std::optional<v1::StreamSessionsRequest> TakeWritten() {
      if (!written) return std::nullopt;
      std::optional<v1::StreamSessionsRequest> request = std::exchange(written, std::nullopt);
      mailbox_.Post({StreamEvent::Type::kWritten, {}});
      return request;
    }
    void Send(v1::StreamSessionsResponse response) {
      EXPECT_TRUE(std::exchange(reading, false)) << "the agent does not read";
      mailbox_.Post({StreamEvent::Type::kMessage, std::move(response)});
    }
    void End(absl::Status status) {
      end_status = std::move(status);
      if (written) mailbox_.Post({StreamEvent::Type::kWritten, {}});
      mailbox_.Post({StreamEvent::Type::kEnded, {}});
    }

    std::optional<v1::StreamSessionsRequest> written;
    bool reading = false;
    bool half_closed = false;
    absl::Status end_status;

   private:
    FakeIngestClient& client_;
    Mailbox& mailbox_;
  };

  std::unique_ptr<IngestStream> Open(Mailbox& mailbox) override {
    EXPECT_EQ(stream_, nullptr) << "one stream at a time";
    ++opened_;
    auto stream = std::make_unique<Stream>(*this, mailbox);
    stream_ = stream.get();
    return stream;
  }

  // Null while the agent has no stream.
  Stream* stream() { return stream_; }
  int opened() const { return opened_; }

 private:
  Stream* stream_ = nullptr;
  int opened_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_RUN_FAKE_INGEST_CLIENT_H_
