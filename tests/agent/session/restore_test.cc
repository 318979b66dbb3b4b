// A restored assembler goes on exactly like the one that was saved.

#include <random>

#include "absl/strings/str_cat.h"
#include "tests/agent/session/session_fixture.h"

namespace mxtally {
namespace {

using testing::ElementsAre;

class RestoreTest : public SessionFixture {
 protected:
  // One line of a process that makes connections.
  void AddRandomOutboundLine(std::mt19937& random) {
    static constexpr std::string_view kServers[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    static constexpr std::string_view kIds[] = {"4A1", "4A2", "4A3"};
    static constexpr std::string_view kDelays[] = {"0/0", "0/0.1"};
    auto one_in = [&random](int n) { return random() % n == 0; };
    const std::string tag = absl::StrCat("postfix/smtp[", random() % 6, "]");
    Event event = WithPeer(EventType::kDelivery, "mx.example", kServers[random() % 3]);
    event.outbound = true;
    event.queue_id = kIds[random() % 3];
    event.delivery = MailDelivery();
    event.delivery.connection_uses = one_in(2) ? 1 : 1 + random() % 4;
    event.delivery.queue_delays = kDelays[random() % 2];
    event.delivery.setup_delay = "0.2";
    event.delivery.connection_age_seconds = one_in(3) ? random() % 100 : -1;
    event.delivery.sent = !one_in(4);
    switch (random() % 8) {
      case 0:
        event.type = EventType::kTlsEstablished;
        event.tls = Tls().tls;
        event.tls.reused = one_in(4);
        break;
      case 1:
        event.type = EventType::kTlsFailed;
        event.reason = "-1";
        break;
      case 2:
        event.type = EventType::kServerGivenUp;
        event.delivery.trouble = static_cast<DeliveryTrouble>(1 + random() % 8);
        event.has_peer = !one_in(3);
        break;
      case 3:
        event.type = one_in(8) ? EventType::kProcessDying : EventType::kTlsLibraryProblem;
        event.has_peer = false;
        break;
      default:
        break;
    }
    Add(tag, event);
  }

  // A line of postscreen, which may hand a connection on, or of its helper.
  void AddRandomScreenedLine(std::mt19937& random) {
    static constexpr std::string_view kConnections[] = {"[192.0.2.1]:1", "[192.0.2.2]:2",
                                                        "[192.0.2.3]:3", "[192.0.2.4]:4"};
    Event event = WithPeer(EventType::kConnect, "", "192.0.2.1");
    event.connection = kConnections[random() % 4];
    event.service = "postscreen";
    event.may_be_handed_on = true;
    const std::string tag = absl::StrCat("postfix/postscreen[", random() % 2, "]");
    switch (random() % 8) {
      case 0:
      case 1:
        break;
      case 2:
      case 3:
        event.type = EventType::kHandedOn;
        break;
      case 4:
        event.type = EventType::kSessionNote;
        break;
      case 5:
        event.type = EventType::kReject;
        event.may_be_handed_on = false;
        break;
      case 6:
        event.type = EventType::kTlsSetup;
        event.service = {};
        event.may_be_handed_on = false;
        event.only_continues = true;
        return Add("postfix/tlsproxy[8]", event);
      default:
        event.type = EventType::kDisconnect;
        event.may_be_handed_on = false;
        break;
    }
    Add(tag, event);
  }

  // One line of a log in which everything happens, more often than it should.
  void AddRandomLine(std::mt19937& random) {
    auto one_in = [&random](int n) { return random() % n == 0; };
    if (one_in(2000)) Advance(absl::Hours(random() % 5) - absl::Hours(2));
    if (one_in(500)) Advance(absl::Minutes(random() % 20));
    if (one_in(5)) Advance(absl::Milliseconds(random() % 1500));
    if (one_in(300)) assembler_->OnGap();
    if (one_in(3)) return AddRandomOutboundLine(random);
    if (one_in(4)) return AddRandomScreenedLine(random);
    const std::string tag =
        absl::StrCat(one_in(5) ? "in/submission" : "postfix", "/smtpd[", random() % 8, "]");
    const std::string id = absl::StrCat("4A", random() % 40);
    switch (random() % 16) {
      case 0:
      case 1:
      case 2:
        return Add(tag, Connect());
      case 3:
      case 4:
        return Add(tag, Disconnect({{"data", 1, 1}, {"bdat", one_in(2), 1}}));
      case 5:
        return Add(tag, BareDisconnect());
      case 6:
        return Add(tag, Tls());
      case 7:
        return Add(tag, TlsFailed("-1"));
      case 8:
        return Add(tag, LibraryProblem("unknown ca", 48));
      case 9:
        return Add(tag, AbnormalEnd("lost connection", "STARTTLS"));
      case 10:
        return Add(tag, QueueId(id));
      case 11:
        return Add("postfix/qmgr[9]", one_in(4) ? Canceled(id) : Active(id));
      case 12:
        return Add("postfix/master[9]",
                   one_in(9) ? Of(EventType::kInstanceBoundary) : ProcessDied(random() % 8));
      case 13:
        return Add(tag, Of(one_in(5) ? EventType::kProcessDying : EventType::kReject));
      case 14:
        return Tick();
      default:
        return Add(tag, Note());
    }
  }

  // Reads a random log twice, once with restarts, and compares all there is.
  void ExpectSameWhereverItIsCut(uint32_t seed, int lines) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    auto read = [&](bool cut) {
      At("06:00:00");
      Restart();
      std::mt19937 random(seed);
      std::mt19937 cuts(seed + 1);
      for (int i = 0; i < lines; ++i) {
        if (cut && cuts() % 20 == 0) {
          const std::string before = Saved().SerializeAsString();
          SaveAndRestore();
          EXPECT_EQ(Saved().SerializeAsString(), before);
        }
        AddRandomLine(random);
      }
      std::vector<std::string> result = TakeTexts();
      result.push_back(absl::StrCat(std::exchange(cut_sessions_, 0), " cut, ",
                                    std::exchange(evicted_sessions_, 0), " evicted, ",
                                    std::exchange(forgotten_ordinals_, 0), " forgotten"));
      result.push_back(Saved().DebugString());
      return result;
    };
    const std::vector<std::string> whole = read(/*cut=*/false);
    const std::vector<std::string> pieces = read(/*cut=*/true);
    ASSERT_EQ(pieces.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(pieces[i], whole[i]) << "record " << i;
  }
};

TEST_F(RestoreTest, AnyLogReadsTheSameWhereverItIsCut) {
  for (uint32_t seed = 0; seed < 20; ++seed) ExpectSameWhereverItIsCut(seed, 3000);
}

TEST_F(RestoreTest, SoItDoesWhenEveryBoundIsHit) {
  options_.open_sessions_max = 5;
  options_.queue_ids_max = 6;
  options_.ordinals_max = 20;
  options_.idle_max = absl::Minutes(10);
  for (uint32_t seed = 100; seed < 120; ++seed) ExpectSameWhereverItIsCut(seed, 3000);
}

TEST_F(RestoreTest, SoItDoesWithSeveralHosts) {
  options_.host = "";
  ExpectSameWhereverItIsCut(200, 3000);
}

TEST_F(RestoreTest, SavingLeavesTheHeaderHostAlone) {
  agent::v1::AssemblerState state;
  state.set_header_host("mail");
  state.add_open_sessions();
  assembler_->Save(state);
  EXPECT_EQ(state.header_host(), "mail");
  EXPECT_EQ(state.open_sessions_size(), 0);
}

TEST_F(RestoreTest, StateIsValidUtf8WhateverTheLogHolds) {
  options_.host = "";
  Restart();
  Add("p\xff/smtpd[1]", Connect("\xfe", "\xfd"), "mx\xfc");
  Add("p\xff/smtpd[1]", QueueId("4A\xfb"), "mx\xfc");
  agent::v1::AssemblerState parsed;
  ASSERT_TRUE(parsed.ParseFromString(Saved().SerializeAsString()));
  Restart();
  assembler_->Restore(parsed);
  Add("p\xff/smtpd[1]", BareDisconnect(), "mx\xfc");
  EXPECT_THAT(TakeKeys(), ElementsAre("mx_ 12:00:00 p?/smtpd[1]#0"));
}

TEST_F(RestoreTest, AnOpenSessionTakesLittleRoom) {
  Add(Connect());
  const size_t one = Saved().ByteSizeLong();
  Add("postfix/smtpd[2]", Connect());
  EXPECT_LT(Saved().ByteSizeLong() - one, 140);
}

}  // namespace
}  // namespace mxtally
