// What the lines of a session say about its encryption.

#include "tests/agent/session/session_fixture.h"

namespace mxtally {
namespace {

class TlsStateTest : public SessionFixture {
 protected:
  // TLS part of the record of one session with `events` after its start.
  v1::TlsFacts TlsOf(const std::vector<Event>& events, std::string_view tag = "postfix/smtpd[1]") {
    Restart();
    Add(tag, Connect());
    for (const Event& event : events) Add(tag, event);
    Add(tag, Connect());  // Ends a session without an end line.
    const std::vector<v1::SessionRecord> records = TakeRecords();
    EXPECT_EQ(records.size(), 1);
    return records.empty() ? v1::TlsFacts() : records[0].tls();
  }

  // "FAILED/HANDSHAKE_LINE LOST_CONNECTION".
  std::string StateOf(const std::vector<Event>& events, std::string_view tag = "postfix/smtpd[1]") {
    const v1::TlsFacts tls = TlsOf(events, tag);
    auto after = [](const std::string& name, std::string_view prefix) {
      return name.substr(prefix.size());
    };
    std::string text = after(v1::TlsState_Name(tls.state()), "TLS_STATE_") + "/" +
                       after(v1::TlsEvidence_Name(tls.evidence()), "TLS_EVIDENCE_");
    if (tls.failure() != v1::TLS_FAILURE_UNSPECIFIED) {
      text += " " + after(v1::TlsFailure_Name(tls.failure()), "TLS_FAILURE_");
    }
    return text;
  }
  std::string WrapperStateOf(const std::vector<Event>& events) {
    return StateOf(events, "postfix/smtps/smtpd[1]");
  }

  static Event Lost(std::string_view place) { return AbnormalEnd("lost connection", place); }
  static Event Timeout(std::string_view place) { return AbnormalEnd("timeout", place); }
  static Event Starttls(int accepted, int total) {
    return Disconnect({{"ehlo", 1, 1}, {"starttls", accepted, total}});
  }
};

TEST_F(TlsStateTest, HandshakeLineSaysEstablishedWhateverFollows) {
  EXPECT_EQ(StateOf({Tls(), Starttls(1, 1)}), "ESTABLISHED/HANDSHAKE_LINE");
  EXPECT_EQ(StateOf({Tls(), Lost("STARTTLS"), Starttls(1, 1)}), "ESTABLISHED/HANDSHAKE_LINE");
  EXPECT_EQ(StateOf({Tls()}), "ESTABLISHED/HANDSHAKE_LINE");
  // The limit of new TLS sessions ended it after the handshake.
  EXPECT_EQ(StateOf({Tls(), Of(EventType::kTlsRefusedAfterHandshake), Starttls(0, 1)}),
            "ESTABLISHED/HANDSHAKE_LINE");
  EXPECT_EQ(StateOf({Of(EventType::kTlsRefusedAfterHandshake), Starttls(1, 1)}),
            "ESTABLISHED/HANDSHAKE_LINE");
}

TEST_F(TlsStateTest, CounterSaysEstablishedWithoutATlsLine) {
  EXPECT_EQ(StateOf({Starttls(1, 1)}), "ESTABLISHED/STARTTLS_COUNTER");
  EXPECT_EQ(StateOf({Starttls(1, 2)}), "ESTABLISHED/STARTTLS_COUNTER");
}

TEST_F(TlsStateTest, FailureLineNamesTheCause) {
  EXPECT_EQ(StateOf({TlsFailed("lost connection"), Lost("STARTTLS"), Starttls(0, 1)}),
            "FAILED/HANDSHAKE_LINE LOST_CONNECTION");
  EXPECT_EQ(StateOf({TlsFailed("Connection timed out"), Lost("STARTTLS"), Starttls(0, 1)}),
            "FAILED/HANDSHAKE_LINE TIMEOUT");
  EXPECT_EQ(StateOf({TlsFailed("Connection reset by peer"), Starttls(0, 1)}),
            "FAILED/HANDSHAKE_LINE SYSTEM");
  EXPECT_EQ(StateOf({TlsFailed("-1"), Starttls(0, 1)}), "FAILED/HANDSHAKE_LINE PROTOCOL");
  EXPECT_EQ(StateOf({TlsFailed("0")}), "FAILED/HANDSHAKE_LINE PROTOCOL");
}

TEST_F(TlsStateTest, LibraryProblemsTellTheAlertAndTheFirstReason) {
  const v1::TlsFacts tls =
      TlsOf({TlsFailed("-1"), LibraryProblem("sslv3 alert bad certificate"),
             LibraryProblem("tlsv1 alert unknown ca", 48), Lost("STARTTLS"), Starttls(0, 1)});
  EXPECT_EQ(tls.failure(), v1::TLS_FAILURE_ALERT);
  EXPECT_EQ(tls.alert(), 48);
  EXPECT_EQ(tls.failure_reason(), "sslv3 alert bad certificate");
}

TEST_F(TlsStateTest, CloseNotifyIsAnAlertToo) {
  const v1::TlsFacts tls = TlsOf({TlsFailed("0"), LibraryProblem("close notify", 0)});
  EXPECT_TRUE(tls.has_alert());
  EXPECT_EQ(tls.alert(), 0);
}

TEST_F(TlsStateTest, LibraryProblemOfAnEstablishedSessionIsNoFailure) {
  const v1::TlsFacts tls = TlsOf({Tls(), LibraryProblem("unexpected eof", 80), Starttls(1, 1)});
  EXPECT_EQ(tls.state(), v1::TLS_STATE_ESTABLISHED);
  EXPECT_EQ(tls.failure_reason(), "");
  EXPECT_FALSE(tls.has_alert());
}

TEST_F(TlsStateTest, CounterSaysFailedWithoutAFailureLine) {
  EXPECT_EQ(StateOf({Starttls(0, 1)}), "FAILED/STARTTLS_COUNTER");
  EXPECT_EQ(StateOf({Lost("STARTTLS"), Starttls(0, 1)}), "FAILED/STARTTLS_COUNTER LOST_CONNECTION");
  EXPECT_EQ(StateOf({Timeout("STARTTLS"), Starttls(0, 1)}), "FAILED/STARTTLS_COUNTER TIMEOUT");
  EXPECT_EQ(StateOf({Lost("RCPT"), Starttls(0, 1)}), "FAILED/STARTTLS_COUNTER");
  EXPECT_EQ(StateOf({Of(EventType::kTlsRefusedBeforeHandshake), Starttls(0, 1)}),
            "FAILED/STARTTLS_COUNTER REFUSED");
}

TEST_F(TlsStateTest, ServersOwnProblemIsTheReason) {
  const v1::TlsFacts tls =
      TlsOf({LibraryProblem("no cipher match"), Lost("STARTTLS"), Starttls(0, 1)});
  EXPECT_EQ(tls.state(), v1::TLS_STATE_FAILED);
  EXPECT_EQ(tls.failure(), v1::TLS_FAILURE_LOST_CONNECTION);
  EXPECT_EQ(tls.failure_reason(), "no cipher match");
}

TEST_F(TlsStateTest, SetupLineOfOldReleases) {
  const Event setup = Of(EventType::kTlsSetup);
  EXPECT_EQ(StateOf({setup, BareDisconnect()}), "ESTABLISHED/SETUP_LINE");
  EXPECT_EQ(StateOf({setup, QueueId("")}), "ESTABLISHED/SETUP_LINE");
  EXPECT_EQ(StateOf({setup, Lost("STARTTLS"), BareDisconnect()}),
            "FAILED/SETUP_LINE LOST_CONNECTION");
  EXPECT_EQ(StateOf({setup, Timeout("STARTTLS"), BareDisconnect()}), "FAILED/SETUP_LINE TIMEOUT");
  EXPECT_EQ(StateOf({setup, Lost("CONNECT"), BareDisconnect()}),
            "FAILED/SETUP_LINE LOST_CONNECTION");
  EXPECT_EQ(StateOf({setup, Lost("RCPT"), BareDisconnect()}), "ESTABLISHED/SETUP_LINE");
  EXPECT_EQ(StateOf({setup, TlsFailed("-1"), Lost("STARTTLS"), BareDisconnect()}),
            "FAILED/HANDSHAKE_LINE PROTOCOL");
  EXPECT_EQ(StateOf({setup}), "UNKNOWN/UNSPECIFIED");
}

TEST_F(TlsStateTest, OnlyActivityAfterTheSetupLineCounts) {
  EXPECT_EQ(StateOf({Of(EventType::kReject), Of(EventType::kTlsSetup)}), "UNKNOWN/UNSPECIFIED");
}

TEST_F(TlsStateTest, WrapperModeImpliesTlsOnceACommandWasRead) {
  EXPECT_EQ(WrapperStateOf({Disconnect({{"ehlo", 1, 1}, {"quit", 1, 1}})}),
            "ESTABLISHED/IMPLICIT_TLS");
  EXPECT_EQ(WrapperStateOf({Disconnect({{"unknown", 0, 1}})}), "ESTABLISHED/IMPLICIT_TLS");
  EXPECT_EQ(WrapperStateOf({Disconnect({})}), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(WrapperStateOf({TlsFailed("-1"), Lost("CONNECT"), Disconnect({})}),
            "FAILED/HANDSHAKE_LINE PROTOCOL");
  EXPECT_EQ(WrapperStateOf({Of(EventType::kTlsRefusedBeforeHandshake), Disconnect({})}),
            "FAILED/IMPLICIT_TLS REFUSED");
}

TEST_F(TlsStateTest, WrapperModeWithoutCountersNeedsActivity) {
  EXPECT_EQ(WrapperStateOf({BareDisconnect()}), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(WrapperStateOf({Lost("CONNECT"), BareDisconnect()}), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(WrapperStateOf({Lost("RCPT"), BareDisconnect()}), "ESTABLISHED/IMPLICIT_TLS");
  EXPECT_EQ(WrapperStateOf({Of(EventType::kReject)}), "ESTABLISHED/IMPLICIT_TLS");
  EXPECT_EQ(WrapperStateOf({Of(EventType::kAuthFailed)}), "ESTABLISHED/IMPLICIT_TLS");
  EXPECT_EQ(WrapperStateOf({QueueId("")}), "ESTABLISHED/IMPLICIT_TLS");
}

TEST_F(TlsStateTest, CountersWithoutStarttlsSayPlaintext) {
  EXPECT_EQ(StateOf({Disconnect()}), "PLAINTEXT/STARTTLS_COUNTER");
  EXPECT_EQ(StateOf({Disconnect({})}), "PLAINTEXT/STARTTLS_COUNTER");
}

TEST_F(TlsStateTest, BareEndLineMeansPlaintextForWantOfATlsLine) {
  EXPECT_EQ(StateOf({BareDisconnect()}), "PLAINTEXT/NO_TLS_LINE");
}

// At log level 0 a handshake that succeeded leaves no line, before 3.0 no counter either.
TEST_F(TlsStateTest, WhoLeavesBehindStarttlsIsNotPlaintextForWantOfATlsLine) {
  EXPECT_EQ(StateOf({Lost("STARTTLS"), BareDisconnect()}), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(StateOf({Timeout("STARTTLS"), BareDisconnect()}), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(StateOf({Lost("EHLO"), BareDisconnect()}), "PLAINTEXT/NO_TLS_LINE");
  EXPECT_EQ(StateOf({Lost("STARTTLS"), Starttls(0, 1)}), "FAILED/STARTTLS_COUNTER LOST_CONNECTION");
}

TEST_F(TlsStateTest, WithoutAnEndNothingIsKnown) {
  EXPECT_EQ(StateOf({}), "UNKNOWN/UNSPECIFIED");
  EXPECT_EQ(StateOf({QueueId("")}), "UNKNOWN/UNSPECIFIED");
}

TEST_F(TlsStateTest, HandshakeKindIsReadFromTls13Summaries) {
  struct Case {
    std::string_view protocol, kex, signature, digest;
    bool reused;
    v1::TlsHandshake expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"TLSv1.3", "X25519", "RSA-PSS", "SHA256", false, v1::TLS_HANDSHAKE_NEW},
           {"TLSv1.3", "X25519", "Ed25519", "", false, v1::TLS_HANDSHAKE_NEW},
           {"TLSv1.3", "X25519", "Ed448", "", false, v1::TLS_HANDSHAKE_NEW},
           {"TLSv1.3", "X25519", "RSA-PSS", "", false, v1::TLS_HANDSHAKE_RESUMED},
           {"TLSv1.3", "x25519", "", "", false, v1::TLS_HANDSHAKE_RESUMED},
           {"TLSv1.3", "X25519", "RSA-PSS", "SHA256", true, v1::TLS_HANDSHAKE_REUSED},
           {"TLSv1.3", "", "", "", false, v1::TLS_HANDSHAKE_UNSPECIFIED},
           {"TLSv1.2", "", "", "", false, v1::TLS_HANDSHAKE_UNSPECIFIED}}) {
    Event event = Tls(c.protocol, "TLS_AES_256_GCM_SHA384");
    event.tls.kex = c.kex;
    event.tls.server_signature = c.signature;
    event.tls.server_digest = c.digest;
    event.tls.reused = c.reused;
    EXPECT_EQ(TlsOf({event}).handshake(), c.expected) << c.kex << " " << c.signature;
  }
}

TEST_F(TlsStateTest, SummaryIsStoredInRegisteredNames) {
  Event event = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384");
  event.tls.kex = "ECDHE";
  event.tls.kex_parameter = "prime256v1";
  event.tls.trust = "Trusted";
  event.tls.sni = "MX1.Example";
  const v1::TlsFacts tls = TlsOf({event});
  EXPECT_EQ(tls.cipher_iana(), "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(tls.cipher_code_point(), 0x1302);
  EXPECT_EQ(tls.kex_group(), "secp256r1");
  EXPECT_EQ(tls.trust(), v1::TLS_TRUST_TRUSTED);
  EXPECT_EQ(tls.sni(), "mx1.example");
}

TEST_F(TlsStateTest, UnknownSuiteStaysAsLogged) {
  const v1::TlsFacts tls = TlsOf({Tls("TLSv1.9", "NEW-SUITE")});
  EXPECT_EQ(tls.protocol(), "TLSv1.9");
  EXPECT_EQ(tls.cipher(), "NEW-SUITE");
  EXPECT_EQ(tls.cipher_iana(), "");
  EXPECT_EQ(tls.cipher_code_point(), 0);
}

}  // namespace
}  // namespace mxtally
