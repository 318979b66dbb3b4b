#include "agent/cli/options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/proto/tls/test_authority.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OptionsTest : public testing::Test {
 protected:
  CommandLine Parse(std::vector<std::string> words) {
    out_.str("");
    err_.str("");
    std::vector<char*> environment;
    for (std::string& variable : environment_) environment.push_back(variable.data());
    environment.push_back(nullptr);
    return ParseCommandLine(std::move(words), environment.data(), out_, err_);
  }
  RunOptions ParseRun(std::vector<std::string> words) {
    words.insert(words.end(), {"--server", "127.0.0.1:4625", "--log", "mail.log"});
    CommandLine command = Parse(std::move(words));
    EXPECT_TRUE(std::holds_alternative<RunOptions>(command)) << err_.str();
    return std::holds_alternative<RunOptions>(command) ? std::get<RunOptions>(command)
                                                       : RunOptions();
  }
  void ExpectBadUsage(std::vector<std::string> words, const std::string& message) {
    CommandLine command = Parse(std::move(words));
    ASSERT_TRUE(std::holds_alternative<int>(command));
    EXPECT_EQ(std::get<int>(command), 2);
    EXPECT_THAT(err_.str(), HasSubstr(message));
  }

  std::vector<std::string> environment_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(OptionsTest, RunIsTheDefault) {
  EXPECT_EQ(ParseRun({}).server, "127.0.0.1:4625");
  EXPECT_EQ(ParseRun({"run"}).server, "127.0.0.1:4625");
}

TEST_F(OptionsTest, DefaultsAreTheSystems) {
  const RunOptions options = ParseRun({});
  EXPECT_FALSE(options.host.empty());
  EXPECT_EQ(options.time_zone, absl::LocalTimeZone());
  EXPECT_FALSE(options.reference_time.has_value());
  EXPECT_EQ(options.peers.list_hash(), 0);
  EXPECT_FALSE(options.once);
}

TEST_F(OptionsTest, LogsMayBeRepeatedListedOrSeparatedByCommas) {
  EXPECT_THAT(ParseRun({"--log", "a", "b", "--log", "c,d"}).logs,
              ElementsAre("a", "b", "c", "d", "mail.log"));
}

TEST_F(OptionsTest, HostsAreTakenFromTheLogOnRequest) {
  EXPECT_FALSE(ParseRun({}).hosts_from_log);
  EXPECT_EQ(ParseRun({}).hosts_max, 1000);
  const RunOptions options = ParseRun({"--hosts-from-log", "--hosts-max", "20"});
  EXPECT_TRUE(options.hosts_from_log);
  EXPECT_EQ(options.hosts_max, 20);
  ExpectBadUsage({"--server", "127.0.0.1:4625", "--log", "x", "--hosts-max", "0"}, "hosts-max");
}

TEST_F(OptionsTest, TheJournalIsReadInPlaceOfLogs) {
  EXPECT_FALSE(ParseRun({}).journal.has_value());
  const auto run = [this](std::vector<std::string> words) {
    words.insert(words.begin(), {"--server", "127.0.0.1:4625"});
    const CommandLine command = Parse(words);
    EXPECT_TRUE(std::holds_alternative<RunOptions>(command)) << err_.str();
    return std::get<RunOptions>(command);
  };
  const RunOptions system = run({"--journal"});
  ASSERT_TRUE(system.journal.has_value());
  EXPECT_EQ(system.journal->directory, "");
  EXPECT_THAT(system.logs, testing::IsEmpty());
  const RunOptions folder =
      run({"--journal-directory", "/j", "--journal-unit", "a.service,b.service"});
  ASSERT_TRUE(folder.journal.has_value());
  EXPECT_EQ(folder.journal->directory, "/j");
  EXPECT_THAT(folder.journal->units, ElementsAre("a.service", "b.service"));
  ExpectBadUsage({"--server", "127.0.0.1:4625", "--journal", "--log", "x"}, "log");
}

TEST_F(OptionsTest, HostIsLowerCase) {
  EXPECT_EQ(ParseRun({"--host", "MX1.Example.ORG"}).host, "mx1.example.org");
}

TEST_F(OptionsTest, ZoneAndReferenceTimeAreRead) {
  const RunOptions options =
      ParseRun({"--time-zone", "Europe/Amsterdam", "--reference-time", "2019-07-01"});
  EXPECT_EQ(options.time_zone.name(), "Europe/Amsterdam");
  EXPECT_EQ(*options.reference_time,
            absl::FromCivil(absl::CivilSecond(2019, 6, 30, 22), absl::UTCTimeZone()));
  EXPECT_EQ(*ParseRun({"--reference-time", "2019-07-01T00:00:00+01:00"}).reference_time,
            absl::FromCivil(absl::CivilSecond(2019, 6, 30, 23), absl::UTCTimeZone()));
}

TEST_F(OptionsTest, ExcludedPeersAreRead) {
  const RunOptions options =
      ParseRun({"--exclude-peer", "192.0.2.0/24", "--exclude-peer", "monitor.example"});
  EXPECT_EQ(options.peers.Classify("192.0.2.7", ""), v1::PEER_CLASS_EXCLUDED);
  EXPECT_EQ(options.peers.Classify("198.51.100.1", "a.monitor.example"), v1::PEER_CLASS_EXCLUDED);
}

TEST_F(OptionsTest, EnvironmentStandsInForOptions) {
  environment_ = {"MXTALLY_AGENT_SERVER=localhost:1", "MXTALLY_AGENT_LOG=a,b"};
  const CommandLine command = Parse({"--once"});
  ASSERT_TRUE(std::holds_alternative<RunOptions>(command)) << err_.str();
  EXPECT_EQ(std::get<RunOptions>(command).server, "localhost:1");
  EXPECT_THAT(std::get<RunOptions>(command).logs, ElementsAre("a", "b"));
}

TEST_F(OptionsTest, PlaintextOverTheNetworkMustBePermitted) {
  for (const char* server : {"mx.example.org:4625", "192.0.2.1:4625", "[2001:db8::1]:4625",
                             "127.0.0.1.example.org:4625"}) {
    ExpectBadUsage({"--log", "a", "--server", server}, "--plaintext");
    const CommandLine permitted = Parse({"--log", "a", "--plaintext", "--server", server});
    EXPECT_TRUE(std::holds_alternative<RunOptions>(permitted)) << server << err_.str();
  }
  for (const char* server : {"localhost:4625", "127.0.0.1:4625", "[::1]:4625"}) {
    EXPECT_TRUE(std::holds_alternative<RunOptions>(Parse({"--log", "a", "--server", server})))
        << server;
  }
}

// Files of a certificate.
class TlsOptionsTest : public OptionsTest {
 protected:
  TlsOptionsTest() {
    Write("ca.pem", authority_.pem());
    Install("DNS:MX1.example.net,DNS:mx1");
  }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  void Install(const std::string& names) const {
    const TestCertificate issued = authority_.Issue(names);
    Write("cert.pem", issued.certificate_pem);
    Write("key.pem", issued.key_pem);
  }
  std::vector<std::string> Words(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"--log",      "a",
                                      "--server",   "mx.example.org:4625",
                                      "--tls-ca",   folder_ / "ca.pem",
                                      "--tls-cert", folder_ / "cert.pem",
                                      "--tls-key",  folder_ / "key.pem"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  RunOptions Options(const std::vector<std::string>& more = {}) {
    const CommandLine command = Parse(Words(more));
    EXPECT_TRUE(std::holds_alternative<RunOptions>(command)) << err_.str();
    return std::get<RunOptions>(command);
  }

  const TemporaryFolder folder_;
  TestAuthority authority_;
};

TEST_F(TlsOptionsTest, TheHostIsThatOfTheCertificateUnlessItIsSaid) {
  EXPECT_EQ(Options().host, "mx1.example.net");
  EXPECT_EQ(Options().tls.key, folder_ / "key.pem");
  EXPECT_EQ(Options({"--host", "mx1"}).host, "mx1");
}

TEST_F(TlsOptionsTest, ACertificateWithoutHostNeedsOne) {
  Install("email:alice@example.net");
  ExpectBadUsage(Words(),
                 "--tls-cert: expected a certificate with a DNS name, which is this host's, found "
                 "\"alice@example.net\"");
  EXPECT_EQ(Options({"--host", "mx1"}).host, "mx1");
}

TEST_F(TlsOptionsTest, AllThreeFilesAreNeededAndPlaintextIsNot) {
  ExpectBadUsage(
      {"--log", "a", "--server", "localhost:1", "--tls-ca", folder_ / "ca.pem"},
      "--tls-key: expected a file, because TLS needs --tls-ca, --tls-cert and --tls-key");
  ExpectBadUsage(Words({"--plaintext"}), "--plaintext: expected none with --tls-ca");
}

TEST_F(TlsOptionsTest, FilesThatCannotBeUsedAreNamed) {
  Write("key.pem", "");
  ExpectBadUsage(Words(), "/key.pem: expected a private key in PEM format without a passphrase");
  std::filesystem::remove(folder_ / "ca.pem");
  ExpectBadUsage(Words(), "/ca.pem");
}

TEST_F(OptionsTest, WrongUsageNamesTheOptionAndWhatWasExpectedAndFound) {
  ExpectBadUsage({}, "--server: expected HOST:PORT");
  ExpectBadUsage({"--server", "localhost:1"}, "--log: expected");
  for (const char* server :
       {"localhost", "localhost:0", "localhost:65536", ":1", "::1:1", "a/b:1"}) {
    ExpectBadUsage({"--log", "a", "--plaintext", "--server", server},
                   std::string("--server: expected HOST:PORT, found \"") + server + "\"");
  }
  ExpectBadUsage({"--log", "a", "--server", "localhost:1", "--host", "a b"}, "--host: expected");
  ExpectBadUsage({"--log", "a", "--server", "localhost:1", "--time-zone", "Mars"},
                 "--time-zone: expected a zone like UTC or Europe/Amsterdam, found \"Mars\"");
  ExpectBadUsage({"--log", "a", "--server", "localhost:1", "--reference-time", "soon"},
                 "--reference-time: expected");
  ExpectBadUsage({"--log", "a", "--server", "localhost:1", "--exclude-peer", "1.2.3.4/99"},
                 "--exclude-peer: ");
  ExpectBadUsage({"--frobnicate"}, "--frobnicate");
  ExpectBadUsage({"frobnicate"}, "frobnicate");
}

TEST_F(OptionsTest, CheckFindsEverythingThatRunWouldRefuse) {
  const TemporaryFolder folder;
  const std::string path = folder / "agent.toml";
  std::ofstream(path) << "server = \"mx.example.org:4625\"\n"
                         "sever = \"localhost:4625\"\n"
                         "host = \"a b\"\n"
                         "exclude-peer = [\"192.0.2.1\", \"1.2.3.4/99\"]\n"
                         "time-zone = \"Mars\"\n"
                         "reference-time = \"soon\"\n";
  for (const char* command : {"check", "run"}) {
    const CommandLine checked = Parse({command, "--config", path});
    ASSERT_TRUE(std::holds_alternative<int>(checked));
    EXPECT_EQ(std::get<int>(checked), 78);
    for (const char* error :
         {":1: server: expected a loopback address", ":2: sever: expected one of server, log",
          ":3: host: expected at most 255 of [a-z0-9._-], found \"a b\"",
          ":4: exclude-peer: expected an address, a network or a domain, found \"1.2.3.4/99\"",
          ":5: time-zone: expected a zone like", ":6: reference-time: expected a time like",
          ": log: expected a path or a pattern, found nothing"}) {
      EXPECT_THAT(err_.str(), HasSubstr(path + error));
    }
  }
}

TEST_F(OptionsTest, LogThatCannotBeOneIsRefused) {
  const TemporaryFolder folder;
  const std::string& dir = folder.path();
  for (const char* command : {"check", "run"}) {
    for (const auto& [log, error] : std::vector<std::pair<std::string, std::string>>{
             {"", "a log's path is empty"},
             {dir, "is a directory"},
             {dir + "/none/", "is a directory"},
         }) {
      ExpectBadUsage({command, "--server", "127.0.0.1:4625", "--log", log}, "--log: ");
      EXPECT_THAT(err_.str(), HasSubstr(error)) << log;
    }
  }
}

TEST_F(OptionsTest, UnitWithoutAJournalIsRefused) {
  const std::vector<std::string> kUnit = {"--journal-unit", "a.service"};
  for (std::vector<std::string> words :
       {std::vector<std::string>{"check", "--server", "127.0.0.1:4625", "--log", "mail.log"},
        {"run", "--server", "127.0.0.1:4625", "--log", "mail.log"}}) {
    words.insert(words.end(), kUnit.begin(), kUnit.end());
    ExpectBadUsage(words,
                   "--journal-unit: expected none without --journal or --journal-directory, found "
                   "\"a.service\"");
  }
}

TEST_F(OptionsTest, CheckOfAGoodFileEndsWith0) {
  const TemporaryFolder folder;
  const std::string path = folder / "agent.toml";
  std::ofstream(path) << "server = \"localhost:4625\"\nlog = [\"/var/log/mail.log\"]\n";
  EXPECT_EQ(std::get<int>(Parse({"check", "--config", path})), 0);
  EXPECT_EQ(out_.str(), path + ": good\n");
  const CommandLine command = Parse({"--config", path});
  ASSERT_TRUE(std::holds_alternative<RunOptions>(command)) << err_.str();
  EXPECT_THAT(std::get<RunOptions>(command).logs, ElementsAre("/var/log/mail.log"));
}

TEST_F(OptionsTest, PeerDetailIsFullUnlessSaidOtherwise) {
  EXPECT_EQ(ParseRun({}).peer_detail, v1::PEER_DETAIL_UNSPECIFIED);
  EXPECT_EQ(ParseRun({"--peer-detail", "full"}).peer_detail, v1::PEER_DETAIL_UNSPECIFIED);
  EXPECT_EQ(ParseRun({"--peer-detail", "prefix"}).peer_detail, v1::PEER_DETAIL_PREFIX);
  EXPECT_EQ(ParseRun({"--peer-detail", "none"}).peer_detail, v1::PEER_DETAIL_NONE);
  const TemporaryFolder folder;
  const std::string path = folder / "keys";
  std::ofstream(path) << "2026q4 2026-10-01 " << std::string(64, '4') << "\n";
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  const RunOptions hmac = ParseRun({"--peer-detail", "hmac", "--peer-key-file", path});
  EXPECT_EQ(hmac.peer_detail, v1::PEER_DETAIL_HMAC);
  ASSERT_EQ(hmac.peer_keys.size(), 1);
  EXPECT_EQ(hmac.peer_keys[0].epoch, "2026q4");
}

TEST_F(OptionsTest, PeerDetailThatCannotBeMeantIsRefused) {
  const std::vector<std::string> rest = {"--log", "a", "--server", "localhost:1"};
  const auto with = [&rest](std::vector<std::string> words) {
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  };
  for (const char* word : {"Full", "nothing", "0"}) {
    ExpectBadUsage(
        with({"--peer-detail", word}),
        std::string("--peer-detail: expected full, prefix, hmac or none, found \"") + word + "\"");
  }
  ExpectBadUsage(with({"--peer-detail", "hmac"}),
                 "--peer-key-file: expected a file of keys for peer-detail hmac, found nothing");
  ExpectBadUsage(with({"--peer-detail", "prefix", "--peer-key-file", "k"}),
                 "--peer-key-file: expected none without peer-detail hmac, found \"k\"");
  ExpectBadUsage(with({"--peer-detail", "hmac", "--peer-key-file", "/nowhere/keys"}),
                 "--peer-key-file: open /nowhere/keys: No such file");
}

TEST_F(OptionsTest, HelpAndVersionAreNoErrors) {
  for (const char* word : {"--help", "--version"}) {
    const CommandLine command = Parse({word});
    ASSERT_TRUE(std::holds_alternative<int>(command));
    EXPECT_EQ(std::get<int>(command), 0);
    EXPECT_THAT(out_.str(), HasSubstr("mxtally-agent"));
  }
  EXPECT_EQ(std::get<int>(Parse({"run", "--help"})), 0);
  EXPECT_THAT(out_.str(), HasSubstr("--state-dir"));
}

TEST_F(OptionsTest, ScanTakesItsWordsAsTheyAre) {
  const CommandLine command =
      Parse({"scan", "--format", "json", "--exclude-peer", "192.0.2.1", "a.log", "-"});
  ASSERT_TRUE(std::holds_alternative<ScanOptions>(command)) << err_.str();
  const ScanOptions& options = std::get<ScanOptions>(command);
  EXPECT_EQ(options.format, "json");
  EXPECT_THAT(options.exclude_peers, ElementsAre("192.0.2.1"));
  EXPECT_THAT(options.files, ElementsAre("a.log", "-"));
}

TEST_F(OptionsTest, ScanTakesTheJournal) {
  const CommandLine command =
      Parse({"scan", "--journal", "--journal-unit", "a.service", "--journal-directory", "/j"});
  ASSERT_TRUE(std::holds_alternative<ScanOptions>(command)) << err_.str();
  const ScanOptions& options = std::get<ScanOptions>(command);
  EXPECT_TRUE(options.journal);
  EXPECT_EQ(options.journal_directory, "/j");
  EXPECT_THAT(options.journal_units, ElementsAre("a.service"));
  EXPECT_THAT(options.files, testing::IsEmpty());
}

}  // namespace
}  // namespace mxtally
