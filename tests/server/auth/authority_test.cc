#include "server/auth/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/proto/tls/test_authority.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kIngest[] = "/mxtally.v1.IngestService/StreamSessions";
constexpr char kStats[] = "/mxtally.v1.StatsService/GetTlsStats";
constexpr char kRetire[] = "/mxtally.v1.FleetService/RetireHost";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr char kHealth[] = "/grpc.health.v1.Health/Check";
constexpr char kHashOfSecret[] = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

class Denials final : public AuthObserver {
 public:
  void OnDenied(const Denial& denial) override { all.push_back(denial); }
  std::vector<Denial> all;
};

class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() {
    const absl::StatusOr<AccessList> list = AccessList::Parse(
        "access",
        absl::StrCat("reader certificate grafana\noperator certificate alice@example.net\n"
                     "collector certificate loghost mx1 *.example.net\n"
                     "reader token dash ",
                     kHashOfSecret, "\n"));
    EXPECT_TRUE(list.ok()) << list.status();
    tls_.Replace(*list);
    plaintext_.Replace(*list);
  }

  // A call with a certificate of these names.
  std::string With(const std::string& names, const char* method) {
    const std::string pem = ca_.Issue(names).certificate_pem;
    return tls_.Check({.certificate_pem = pem}, method).ToString();
  }
  std::string Tls(const Peer& peer, const char* method) {
    return tls_.Check(peer, method).ToString();
  }
  std::string Plaintext(const Peer& peer, const char* method) {
    return plaintext_.Check(peer, method).ToString();
  }

  Denials denials_;
  TestAuthority ca_;
  absl::Time now_ = absl::Now();
  Authority tls_{Authority::Transport::kTls, denials_, [this] { return now_; }};
  Authority plaintext_{Authority::Transport::kPlaintext, denials_, [this] { return now_; }};
};

TEST_F(AuthorityTest, AgentsSendAndDoNotAsk) {
  EXPECT_EQ(With("DNS:mx1", kIngest), "OK");
  EXPECT_EQ(With("DNS:mx1", kHealth), "OK");
  EXPECT_EQ(With("DNS:mx1", kStats),
            "PERMISSION_DENIED: mxtally.v1.StatsService/GetTlsStats: expected the role reader, "
            "found certificate \"mx1\" with agent");
  EXPECT_EQ(With("DNS:mx1", kReflection),
            "PERMISSION_DENIED: grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo: "
            "expected the role reader, found certificate \"mx1\" with agent");
  EXPECT_THAT(With("DNS:mx1", kRetire), HasSubstr("expected the role operator"));
}

TEST_F(AuthorityTest, ReadersAskAndDoNotSend) {
  EXPECT_EQ(With("DNS:grafana", kStats), "OK");
  EXPECT_EQ(With("DNS:grafana", kReflection), "OK");
  EXPECT_EQ(With("DNS:grafana", kIngest),
            "PERMISSION_DENIED: mxtally.v1.IngestService/StreamSessions: expected the role agent, "
            "found certificate \"grafana\" with reader");
  EXPECT_THAT(With("DNS:grafana", kRetire),
              HasSubstr("expected the role operator, found certificate \"grafana\" with reader"));
}

TEST_F(AuthorityTest, OperatorsChangeAndAsk) {
  EXPECT_EQ(With("email:alice@example.net", kRetire), "OK");
  EXPECT_EQ(With("email:alice@example.net", kStats), "OK");
  EXPECT_THAT(With("email:alice@example.net", kIngest), HasSubstr("expected the role agent"));
}

TEST_F(AuthorityTest, TokensWork) {
  EXPECT_EQ(Tls({.authorization = "Bearer secret"}, kStats), "OK");
  EXPECT_EQ(Tls({.authorization = "bearer secret"}, kReflection), "OK");
  EXPECT_EQ(Tls({.authorization = "Bearer secret"}, kRetire),
            "PERMISSION_DENIED: mxtally.v1.FleetService/RetireHost: expected the role operator, "
            "found token \"dash\" with reader");
}

TEST_F(AuthorityTest, AWrongTokenIsDeniedWhateverTheCertificate) {
  const std::string pem = ca_.Issue("email:alice@example.net").certificate_pem;
  EXPECT_EQ(
      Tls({.certificate_pem = pem, .authorization = "Bearer wrong"}, kStats),
      "UNAUTHENTICATED: expected a bearer token of the server's access list, found an unknown "
      "one");
  EXPECT_EQ(Tls({.authorization = "Basic c2VjcmV0"}, kStats),
            "UNAUTHENTICATED: expected the header \"authorization: Bearer TOKEN\", found another "
            "scheme");
  for (const Denial& denial : denials_.all) {
    EXPECT_THAT(absl::StrCat(denial.caller, denial.status.ToString()),
                testing::Not(HasSubstr("wrong")));  // It may be a good one, mistyped.
  }
}

TEST_F(AuthorityTest, NobodyIsDenied) {
  EXPECT_EQ(Tls({}, kStats),
            "UNAUTHENTICATED: expected a client certificate or a bearer token, found neither");
  EXPECT_EQ(Tls({}, kHealth), "OK");
}

TEST_F(AuthorityTest, WithoutEncryptionEveryoneIsAgentAndReaderAndNobodyOperator) {
  EXPECT_EQ(Plaintext({}, kIngest), "OK");
  EXPECT_EQ(Plaintext({}, kStats), "OK");
  EXPECT_EQ(Plaintext({}, kReflection), "OK");
  EXPECT_EQ(Plaintext({}, kRetire),
            "PERMISSION_DENIED: mxtally.v1.FleetService/RetireHost: expected the role operator, "
            "found a caller without encryption with agent and reader; operators need TLS");
  EXPECT_EQ(Plaintext({.authorization = "Bearer secret"}, kStats),
            "UNAUTHENTICATED: expected a bearer token over TLS only, found one without encryption; "
            "others may have read it, so replace it");
}

TEST_F(AuthorityTest, ACertificateThatExpiresWhileConnectedLosesAccess) {
  const std::string pem =
      ca_.Issue({.names = "DNS:mx1", .not_after = now_ + absl::Minutes(1)}).certificate_pem;
  EXPECT_EQ(Tls({.certificate_pem = pem}, kIngest), "OK");
  now_ += absl::Minutes(2);
  EXPECT_THAT(Tls({.certificate_pem = pem}, kIngest),
              testing::StartsWith("UNAUTHENTICATED: certificate \"mx1\" expired at "));
}

TEST_F(AuthorityTest, CertificateThatIsNotValidYetIsDenied) {
  const std::string pem =
      ca_.Issue({.names = "DNS:mx1", .not_before = now_ + absl::Minutes(1)}).certificate_pem;
  EXPECT_THAT(Tls({.certificate_pem = pem}, kIngest),
              testing::StartsWith("UNAUTHENTICATED: certificate \"mx1\" is not valid before "));
}

TEST_F(AuthorityTest, AgentsWriteForTheHostsOfTheirCertificateAndNoOther) {
  const std::string pem = ca_.Issue("DNS:MX1.example.net,DNS:mx1").certificate_pem;
  const absl::StatusOr<Caller> caller = tls_.Identify({.certificate_pem = pem}, kIngest);
  ASSERT_TRUE(caller.ok());
  EXPECT_TRUE(tls_.CheckHost(*caller, kIngest, "mx1", "").ok());
  EXPECT_TRUE(tls_.CheckHost(*caller, kIngest, "mx1.example.net", "").ok());
  EXPECT_EQ(tls_.CheckHost(*caller, kIngest, "mx2", "ipv4:192.0.2.1:5").ToString(),
            "PERMISSION_DENIED: expected sessions of \"mx1.example.net\", \"mx1\" from certificate "
            "\"mx1.example.net\", found host \"mx2\"");
  ASSERT_EQ(denials_.all.size(), 1);
  EXPECT_EQ(denials_.all[0].reason, DenialReason::kHost);
  EXPECT_EQ(denials_.all[0].caller, "certificate \"mx1.example.net\" at ipv4:192.0.2.1:5");
}

TEST_F(AuthorityTest, CollectorsAreAgentsOfTheirHostAndWriteForThoseTheyAreListedFor) {
  EXPECT_EQ(With("DNS:loghost", kIngest), "OK");
  EXPECT_EQ(With("DNS:loghost", kStats),
            "PERMISSION_DENIED: mxtally.v1.StatsService/GetTlsStats: expected the role reader, "
            "found certificate \"loghost\" with collector");
  denials_.all.clear();
  const std::string pem = ca_.Issue("DNS:loghost").certificate_pem;
  const absl::StatusOr<Caller> caller = tls_.Identify({.certificate_pem = pem}, kIngest);
  ASSERT_TRUE(caller.ok());
  EXPECT_TRUE(tls_.CheckHost(*caller, kIngest, "loghost", "").ok());
  EXPECT_FALSE(tls_.CheckHost(*caller, kIngest, "mx1", "").ok());
  const absl::StatusOr<HostPatterns> hosts = tls_.CheckCollector(*caller, kIngest, "");
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  EXPECT_THAT(hosts->ToStrings(), testing::ElementsAre("*.example.net", "mx1"));
  EXPECT_TRUE(tls_.CheckCollected(*caller, kIngest, "mx1", "").ok());
  EXPECT_TRUE(tls_.CheckCollected(*caller, kIngest, "mx7.example.net", "").ok());
  denials_.all.clear();
  EXPECT_EQ(tls_.CheckCollected(*caller, kIngest, "mx2", "ipv4:192.0.2.1:5").ToString(),
            "PERMISSION_DENIED: expected hosts that certificate \"loghost\" is listed for as "
            "collector, found host \"mx2\"");
  ASSERT_EQ(denials_.all.size(), 1);
  EXPECT_EQ(denials_.all[0].reason, DenialReason::kHost);
  EXPECT_EQ(denials_.all[0].caller, "certificate \"loghost\" at ipv4:192.0.2.1:5");
}

TEST_F(AuthorityTest, AgentsThatAreNotListedTakeNoHostsFromTheirLogs) {
  const std::string pem = ca_.Issue("DNS:mx1").certificate_pem;
  const absl::StatusOr<Caller> caller = tls_.Identify({.certificate_pem = pem}, kIngest);
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ(tls_.CheckCollector(*caller, kIngest, "ipv4:192.0.2.1:5").status().ToString(),
            "PERMISSION_DENIED: hosts from the log: expected the role collector, which the "
            "server's access list gives, found certificate \"mx1\" with agent");
  ASSERT_EQ(denials_.all.size(), 1);
  EXPECT_EQ(denials_.all[0].reason, DenialReason::kRole);
  EXPECT_EQ(denials_.all[0].caller, "certificate \"mx1\" at ipv4:192.0.2.1:5");
  EXPECT_FALSE(tls_.CheckCollected(*caller, kIngest, "mx1", "").ok());
}

TEST_F(AuthorityTest, WithoutEncryptionEveryHostMayBeCollected) {
  const absl::StatusOr<Caller> caller = plaintext_.Identify({}, kIngest);
  ASSERT_TRUE(caller.ok());
  EXPECT_TRUE(plaintext_.CheckCollector(*caller, kIngest, "")->Contains("mx1"));
  EXPECT_TRUE(plaintext_.CheckCollected(*caller, kIngest, "mx1", "").ok());
}

TEST_F(AuthorityTest, AWildcardIsNoHost) {
  const std::string pem = ca_.Issue("DNS:*.example.net").certificate_pem;
  const absl::StatusOr<Caller> caller = tls_.Identify({.certificate_pem = pem}, kIngest);
  ASSERT_TRUE(caller.ok());
  EXPECT_FALSE(tls_.CheckHost(*caller, kIngest, "mx1.example.net", "").ok());
}

TEST_F(AuthorityTest, TheCommonNameIsNoHost) {
  const std::string pem = ca_.Issue(TestCertificateOptions{.common_name = "mx1"}).certificate_pem;
  const absl::StatusOr<Caller> caller = tls_.Identify({.certificate_pem = pem}, kIngest);
  ASSERT_TRUE(caller.ok());
  EXPECT_THAT(tls_.CheckHost(*caller, kIngest, "mx1", "").message(),
              "expected sessions of no host, because the certificate has no DNS name from "
              "certificate \"CN=mx1\", found host \"mx1\"");
}

TEST_F(AuthorityTest, ReadersHaveNoHostEvenIfTheirNameIsOne) {
  const std::string pem = ca_.Issue("DNS:grafana").certificate_pem;
  EXPECT_THAT(tls_.Identify({.certificate_pem = pem}, kIngest)->hosts, IsEmpty());
}

TEST_F(AuthorityTest, ListIsReplacedForTheNextCall) {
  tls_.Replace(*AccessList::Parse("access", "operator certificate grafana"));
  EXPECT_EQ(With("DNS:grafana", kRetire), "OK");
  EXPECT_THAT(Tls({.authorization = "Bearer secret"}, kStats), HasSubstr("found an unknown one"));
}

TEST_F(AuthorityTest, EveryDenialIsReportedWithWhoAndWhatPrintable) {
  Tls({.user_agent = "evil\n\x1b[2J", .address = "ipv4:192.0.2.1:5"}, "/x\n/y");
  ASSERT_EQ(denials_.all.size(), 1);
  const Denial& denial = denials_.all[0];
  EXPECT_EQ(denial.reason, DenialReason::kNoIdentity);
  EXPECT_EQ(denial.method, "/x\\n/y");
  EXPECT_EQ(denial.caller,
            "a caller without certificate and token at ipv4:192.0.2.1:5 (evil\\n\\x1b[2J)");
  EXPECT_EQ(denial.status.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(AuthorityTest, LongNamesAreCut) {
  Tls({.user_agent = std::string(10'000, 'x')}, kStats);
  EXPECT_LT(denials_.all.at(0).caller.size(), 300);
}

}  // namespace
}  // namespace mxtally
