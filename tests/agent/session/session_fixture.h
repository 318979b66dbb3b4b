// A vocabulary for tests of the assembler: events without a parser.

#ifndef MXTALLY_TESTS_AGENT_SESSION_SESSION_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_SESSION_SESSION_FIXTURE_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/session/assembler.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/record_text.h"

namespace mxtally {

// Events.  Texts are literals, the views keep pointing to them.
struct Events {
  static Event Of(EventType type) {
    Event event;
    event.type = type;
    return event;
  }
  static Event WithPeer(EventType type, std::string_view name, std::string_view address) {
    Event event = Of(type);
    event.has_peer = true;
    event.peer = {.name = name, .address = address};
    return event;
  }
  static Event Connect(std::string_view address = "192.0.2.7",
                       std::string_view name = "client.example") {
    return WithPeer(EventType::kConnect, name, address);
  }
  // As Postfix 2.x writes it.
  static Event BareDisconnect() {
    return WithPeer(EventType::kDisconnect, "client.example", "192.0.2.7");
  }
  static Event Disconnect(std::initializer_list<CommandCounter> counters = {{"quit", 1, 1}}) {
    Event event = BareDisconnect();
    event.has_counters = true;
    int accepted = 0;
    int total = 0;
    for (const CommandCounter& counter : counters) {
      event.counters.push_back(counter);
      accepted += counter.accepted;
      total += counter.total;
    }
    event.counters.push_back({"commands", accepted, total});
    return event;
  }
  static Event Tls(std::string_view protocol = "TLSv1.2",
                   std::string_view cipher = "ECDHE-RSA-AES128-GCM-SHA256") {
    Event event = WithPeer(EventType::kTlsEstablished, "client.example", "192.0.2.7");
    event.tls.trust = "Anonymous";
    event.tls.protocol = protocol;
    event.tls.cipher = cipher;
    event.tls.bits_used = 128;
    event.tls.bits_algorithm = 128;
    return event;
  }
  static Event TlsFailed(std::string_view reason) {
    Event event = WithPeer(EventType::kTlsFailed, "client.example", "192.0.2.7");
    event.reason = reason;
    return event;
  }
  static Event LibraryProblem(std::string_view reason, std::optional<int> alert = std::nullopt) {
    Event event = Of(EventType::kTlsLibraryProblem);
    event.reason = reason;
    event.alert = alert;
    return event;
  }
  static Event AbnormalEnd(std::string_view reason, std::string_view place) {
    Event event = WithPeer(EventType::kAbnormalEnd, "client.example", "192.0.2.7");
    event.reason = reason;
    event.place = place;
    return event;
  }
  static Event QueueId(std::string_view id) { return WithQueueId(EventType::kQueueIdAssigned, id); }
  static Event Active(std::string_view id) { return WithQueueId(EventType::kQueueIdActive, id); }
  static Event Canceled(std::string_view id) {
    return WithQueueId(EventType::kQueueIdCanceled, id);
  }
  static Event WithQueueId(EventType type, std::string_view id) {
    Event event = Of(type);
    event.queue_id = id;
    return event;
  }
  static Event ProcessDied(int64_t pid) {
    Event event = Of(EventType::kProcessDied);
    event.program_name = "smtpd";
    event.pid = pid;
    return event;
  }
  static Event Note() { return Of(EventType::kSessionNote); }
};

class SessionFixture : public testing::Test, protected Events, private AssemblerObserver {
 protected:
  SessionFixture() {
    options_.host = "mx1";
    Restart();
  }

  // A new assembler that knows nothing; what was collected stays.
  void Restart() {
    AssemblerObserver& observer = *this;
    assembler_ = std::make_unique<Assembler>(options_, observer);
  }

  agent::v1::AssemblerState Saved() const {
    agent::v1::AssemblerState state;
    assembler_->Save(state);
    return state;
  }

  // As after a restart of the agent.
  void SaveAndRestore() {
    const agent::v1::AssemblerState state = Saved();
    Restart();
    assembler_->Restore(state);
  }

  // Log time of the lines that follow, "12:00:00" at first.
  void At(std::string_view time_of_day) {
    std::string error;
    ASSERT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M:%E*S",
                                std::string("2026-11-02 ").append(time_of_day), &now_, &error))
        << error;
  }
  void Advance(absl::Duration by) { now_ += by; }

  void Add(std::string_view tag, const Event& event, std::string_view host = "mx1") {
    const size_t bracket = tag.rfind('[');
    FramedLine line;
    line.time = now_;
    line.host = host;
    line.tag = tag;
    line.program = tag.substr(0, bracket);
    assembler_->Add(line, event);
  }
  // A line of the usual smtpd process.
  void Add(const Event& event) { Add("postfix/smtpd[1]", event); }
  void AddAll(const std::vector<Event>& events) {
    for (const Event& event : events) Add(event);
  }
  void Tick() { assembler_->Tick(now_); }
  void TickAt(std::initializer_list<std::string_view> times) {
    for (const std::string_view time : times) {
      At(time);
      Tick();
    }
  }

  // Records handed on since the last call.
  std::vector<v1::SessionRecord> TakeRecords() { return std::exchange(records_, {}); }
  std::vector<std::string> TakeTexts() {
    std::vector<std::string> texts;
    for (const v1::SessionRecord& record : TakeRecords()) texts.push_back(RecordText(record));
    return texts;
  }
  std::vector<std::string> TakeKeys() {
    std::vector<std::string> texts;
    for (const v1::SessionRecord& record : TakeRecords()) texts.push_back(KeyText(record.key()));
    return texts;
  }
  v1::SessionRecord TakeOnlyRecord() {
    std::vector<v1::SessionRecord> records = TakeRecords();
    EXPECT_EQ(records.size(), 1);
    return records.empty() ? v1::SessionRecord() : records[0];
  }

  AssemblerOptions options_;
  std::unique_ptr<Assembler> assembler_;
  absl::Time now_ = absl::FromUnixSeconds(1793620800);  // 2026-11-02 12:00:00 UTC
  int cut_sessions_ = 0;
  int evicted_sessions_ = 0;
  int forgotten_ordinals_ = 0;
  int tls_not_logged_ = 0;

 private:
  void OnSession(const Session& session) override { ToRecord(session, records_.emplace_back()); }
  void OnCutSession() override { ++cut_sessions_; }
  void OnEvictedSession() override { ++evicted_sessions_; }
  void OnForgottenOrdinal() override { ++forgotten_ordinals_; }
  void OnTlsNotLogged() override { ++tls_not_logged_; }

  std::vector<v1::SessionRecord> records_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SESSION_SESSION_FIXTURE_H_
