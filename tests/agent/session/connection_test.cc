// Sessions of a process that serves several at a time: each line names its connection.

#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/agent/session/session_fixture.h"

namespace mxtally {
namespace {

using testing::IsEmpty;

class ConnectionTest : public SessionFixture {
 protected:
  static Event On(std::string_view connection, Event event) {
    event.connection = connection;
    return event;
  }
  void AddTo(std::string_view connection, const Event& event) {
    Add("smtpd[9]", On(connection, event));
  }
};

TEST_F(ConnectionTest, SessionsOfOneProcessStayApart) {
  AddTo("a", Connect("192.0.2.1"));
  AddTo("b", Connect("192.0.2.2"));
  AddTo("b", Tls());
  AddTo("a", BareDisconnect());
  AddTo("b", BareDisconnect());
  const std::vector<v1::SessionRecord> records = TakeRecords();
  ASSERT_EQ(records.size(), 2);
  EXPECT_EQ(records[0].tls().state(), v1::TLS_STATE_PLAINTEXT);
  EXPECT_EQ(records[1].tls().state(), v1::TLS_STATE_ESTABLISHED);
  EXPECT_EQ(records[0].key().tag(), "smtpd[9]");
  EXPECT_EQ(records[0].key().ordinal(), 0);
  EXPECT_EQ(records[1].key().ordinal(), 1);
}

TEST_F(ConnectionTest, LinesOfTwoProcessesAreOneSession) {
  Add("postfix/postscreen[7]", On("p", Connect()));
  Add("postfix/tlsproxy[8]", On("p", Tls()));
  Add("postfix/postscreen[7]", On("p", BareDisconnect()));
  EXPECT_EQ(TakeOnlyRecord().tls().state(), v1::TLS_STATE_ESTABLISHED);
}

TEST_F(ConnectionTest, HostsOfOneLogHaveNamesOfTheirOwn) {
  options_.host.clear();
  Restart();
  Add("smtpd[9]", On("a", Connect()), "mx1");
  Add("smtpd[9]", On("a", Connect()), "mx2");
  Add("smtpd[9]", On("a", BareDisconnect()), "mx1");
  Add("smtpd[9]", On("a", BareDisconnect()), "mx2");
  EXPECT_THAT(TakeKeys(), testing::SizeIs(2));
}

TEST_F(ConnectionTest, ANameIsFreeAfterItsEnd) {
  AddTo("a", Connect());
  AddTo("a", BareDisconnect());
  AddTo("a", Connect());
  AddTo("a", Connect());
  AddTo("a", BareDisconnect());
  const std::vector<v1::SessionRecord> records = TakeRecords();
  ASSERT_EQ(records.size(), 3);
  EXPECT_EQ(records[1].end_reason(), v1::END_REASON_SUPERSEDED);
  EXPECT_EQ(records[2].key().ordinal(), 2);
}

TEST_F(ConnectionTest, ARestartChangesNothing) {
  AddTo("a", Connect());
  AddTo("b", Connect());
  SaveAndRestore();
  AddTo("b", Tls());
  AddTo("a", BareDisconnect());
  AddTo("b", BareDisconnect());
  const std::vector<v1::SessionRecord> records = TakeRecords();
  ASSERT_EQ(records.size(), 2);
  EXPECT_EQ(records[0].tls().state(), v1::TLS_STATE_PLAINTEXT);
  EXPECT_EQ(records[1].tls().state(), v1::TLS_STATE_ESTABLISHED);
}

TEST_F(ConnectionTest, IdleOnesLeaveTombstonesThatSwallowLateLines) {
  AddTo("a", Connect());
  TickAt({"12:20:00", "12:40:00", "13:00:11"});
  ASSERT_EQ(TakeOnlyRecord().end_reason(), v1::END_REASON_IDLE);
  SaveAndRestore();
  AddTo("a", BareDisconnect());
  EXPECT_THAT(TakeRecords(), IsEmpty());
  EXPECT_EQ(assembler_->remembered(), 0);
}

TEST_F(ConnectionTest, OutboundOnesEndWhereTheLogSaysSo) {
  Event connect = Connect();
  connect.outbound = true;
  Event delivery = WithPeer(EventType::kDelivery, "mx.example", "192.0.2.7");
  delivery.outbound = true;
  delivery.queue_id = "1";
  delivery.delivery.sent = true;
  AddTo("a", connect);
  AddTo("a", delivery);
  At("12:30:00");
  SaveAndRestore();
  AddTo("a", delivery);
  Event disconnect = Of(EventType::kDisconnect);
  disconnect.outbound = true;
  AddTo("a", disconnect);
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.direction(), v1::DIRECTION_OUTBOUND);
  EXPECT_EQ(record.messages(), 1);
  EXPECT_EQ(record.tls().state(), v1::TLS_STATE_PLAINTEXT);
}

TEST_F(ConnectionTest, TheFirstLineTellsTheService) {
  Event connect = Connect();
  connect.service = "smtps";
  connect.implicit_tls = true;
  AddTo("a", connect);
  AddTo("a", Of(EventType::kReject));
  AddTo("a", BareDisconnect());
  const v1::SessionRecord record = TakeOnlyRecord();
  EXPECT_EQ(record.service(), "smtps");
  EXPECT_EQ(record.tls().evidence(), v1::TLS_EVIDENCE_IMPLICIT_TLS);
}

}  // namespace
}  // namespace mxtally
