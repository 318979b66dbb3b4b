#include "server/auth/access_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::Optional;

auto HasRole(Role role) { return Optional(Field(&AccessList::Entry::role, role)); }

// Of the token "secret".
constexpr char kHash[] = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

AccessList Parse(const std::string& text) {
  const absl::StatusOr<AccessList> list = AccessList::Parse("access", text);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? *list : AccessList();
}
std::string Error(const std::string& text) {
  return std::string(AccessList::Parse("access", text).status().message());
}
Certificate Named(std::vector<std::string> dns, std::vector<std::string> others = {}) {
  Certificate certificate;
  certificate.dns_names = std::move(dns);
  certificate.other_names = std::move(others);
  return certificate;
}

TEST(AccessList, CertificatesAreFoundByEachOfTheirNames) {
  const AccessList list = Parse(
      "# who may look\n"
      "reader certificate Grafana.example.net\n"
      "\n"
      "  operator\tcertificate  alice@example.net\r\n"
      "reader certificate spiffe://example.net/Dash\n");
  EXPECT_THAT(list.OfCertificate(Named({"x", "grafana.example.net"})), HasRole(Role::kReader));
  EXPECT_THAT(list.OfCertificate(Named({}, {"alice@example.net"})), HasRole(Role::kOperator));
  EXPECT_THAT(list.OfCertificate(Named({}, {"spiffe://example.net/Dash"})), HasRole(Role::kReader));
  EXPECT_EQ(list.OfCertificate(Named({}, {"spiffe://example.net/dash"})), std::nullopt);
  EXPECT_EQ(list.OfCertificate(Named({"mx1"})), std::nullopt);
  EXPECT_EQ(list.OfCertificate(Named({})), std::nullopt);
}

TEST(AccessList, OfSeveralRolesTheHigherCounts) {
  const AccessList list = Parse("operator certificate a\nreader certificate b\n");
  EXPECT_THAT(list.OfCertificate(Named({"b", "a"})), HasRole(Role::kOperator));
  EXPECT_THAT(list.OfCertificate(Named({"a", "b"})), HasRole(Role::kOperator));
}

TEST(AccessList, CollectorsHaveHostsOnOneOrMoreLines) {
  const AccessList list = Parse(
      "collector certificate Loghost mx1 MX2.example.net\n"
      "collector certificate loghost *.dmz.example.net\n"
      "collector certificate all *\n");
  const std::optional<AccessList::Entry> loghost = list.OfCertificate(Named({"loghost"}));
  ASSERT_TRUE(loghost.has_value());
  EXPECT_EQ(loghost->role, Role::kCollector);
  EXPECT_THAT(loghost->hosts.ToStrings(),
              ElementsAre("*.dmz.example.net", "mx1", "mx2.example.net"));
  EXPECT_TRUE(list.OfCertificate(Named({"all"}))->hosts.Contains("anything"));
}

TEST(AccessList, TokensAreFoundByThemselvesAndNotByTheirHash) {
  const AccessList list = Parse(std::string("operator token dash ") + kHash + "\n");
  ASSERT_TRUE(list.OfToken("secret").has_value());
  EXPECT_EQ(list.OfToken("secret")->name, "dash");
  EXPECT_EQ(list.OfToken("secret")->role, Role::kOperator);
  for (const std::string token : {"", "Secret", "secret ", "dash", kHash}) {
    EXPECT_EQ(list.OfToken(token), std::nullopt) << token;
  }
}

TEST(AccessList, ErrorsNameTheLineAndWhatIsWrong) {
  EXPECT_EQ(Error("\nadmin certificate a"),
            "access:2: expected reader, operator or collector, found \"admin\"");
  EXPECT_EQ(Error("reader"), "access:1: expected certificate or token, found \"\"");
  EXPECT_EQ(Error("reader host mx1"), "access:1: expected certificate or token, found \"host\"");
  EXPECT_EQ(Error("reader certificate"),
            "access:1: expected one name after \"certificate\", found \"0 words\"");
  EXPECT_EQ(Error("reader certificate a b"),
            "access:1: expected one name after \"certificate\", found \"2 words\"");
  EXPECT_EQ(Error("reader token a"),
            "access:1: expected a name and a SHA-256 after \"token\", found \"1 words\"");
  EXPECT_EQ(Error("collector certificate a"),
            "access:1: expected a name and hosts after \"certificate\", found \"1 words\"");
  EXPECT_EQ(Error("collector certificate a mx1 *mx"),
            "access:1: expected the name of a host, *.DOMAIN or *, found \"*mx\"");
  EXPECT_EQ(Error("collector certificate a mx1\ncollector certificate a mx1"),
            "access:2: expected a host that is not listed yet for this collector, found \"mx1\"");
  EXPECT_EQ(Error("collector certificate a mx1\nreader certificate a"),
            "access:2: expected a name that is not listed yet, found \"a\"");
  EXPECT_EQ(Error("reader certificate a\ncollector certificate a mx1"),
            "access:2: expected a name that is not listed yet, found \"a\"");
  EXPECT_EQ(Error(std::string("collector token a ") + kHash),
            "access:1: expected certificate, as collectors are agents, found \"token\"");
  EXPECT_EQ(Error("reader certificate a\noperator certificate A"),
            "access:2: expected a name that is not listed yet, found \"A\"");
  EXPECT_EQ(Error(std::string("reader token a ") + kHash + "\nreader token b " + kHash),
            "access:2: expected a token that is not listed yet, found \"b\"");
}

TEST(AccessList, AnErrorNeverShowsATokenThatWasPutInPlaceOfItsHash) {
  EXPECT_EQ(Error("reader token a secret"),
            "access:1: expected the SHA-256 of the token, 64 hexadecimal digits, found \"6 "
            "characters\"");
}

}  // namespace
}  // namespace mxtally
