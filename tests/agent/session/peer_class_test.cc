#include "agent/session/peer_class.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace mxtally {
namespace {

PeerClassifier Excluding(const std::vector<std::string>& entries) {
  absl::StatusOr<PeerClassifier> classifier = PeerClassifier::Create(entries);
  EXPECT_TRUE(classifier.ok()) << classifier.status();
  return classifier.ok() ? *std::move(classifier) : PeerClassifier();
}

TEST(PeerClassifierTest, LoopbackIsTheWholeNetwork) {
  const PeerClassifier classifier;
  for (const char* address : {"127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(classifier.Classify(address, "localhost"), v1::PEER_CLASS_LOOPBACK) << address;
  }
  for (const char* address : {"128.0.0.1", "::2", "::", "fe80::1", "192.0.2.1", "", "unknown"}) {
    EXPECT_EQ(classifier.Classify(address, "localhost"), v1::PEER_CLASS_EXTERNAL) << address;
  }
}

TEST(PeerClassifierTest, NetworksAndAddressesExclude) {
  const PeerClassifier classifier =
      Excluding({"192.0.2.0/25", "198.51.100.9", "2001:db8::/32", "10.0.0.1/30"});
  for (const char* address : {"192.0.2.0", "192.0.2.127", "198.51.100.9", "2001:db8:ffff::1",
                              "10.0.0.3", "::ffff:192.0.2.1"}) {
    EXPECT_EQ(classifier.Classify(address, ""), v1::PEER_CLASS_EXCLUDED) << address;
  }
  for (const char* address : {"192.0.2.128", "198.51.100.8", "2001:db9::1", "10.0.0.4"}) {
    EXPECT_EQ(classifier.Classify(address, ""), v1::PEER_CLASS_EXTERNAL) << address;
  }
}

TEST(PeerClassifierTest, EverythingCanBeExcluded) {
  EXPECT_EQ(Excluding({"0.0.0.0/0"}).Classify("192.0.2.1", ""), v1::PEER_CLASS_EXCLUDED);
  EXPECT_EQ(Excluding({"0.0.0.0/0"}).Classify("2001:db8::1", ""), v1::PEER_CLASS_EXTERNAL);
  EXPECT_EQ(Excluding({"::/0"}).Classify("192.0.2.1", ""), v1::PEER_CLASS_EXCLUDED);
}

TEST(PeerClassifierTest, DomainsExcludeByName) {
  const PeerClassifier classifier = Excluding({"Monitor.example.com", ".example.net."});
  for (const char* name :
       {"monitor.example.com", "a.monitor.example.com", "MONITOR.EXAMPLE.COM", "a.example.net"}) {
    EXPECT_EQ(classifier.Classify("192.0.2.1", name), v1::PEER_CLASS_EXCLUDED) << name;
  }
  for (const char* name : {"xmonitor.example.com", "example.com", "example.net", ""}) {
    EXPECT_EQ(classifier.Classify("192.0.2.1", name), v1::PEER_CLASS_EXTERNAL) << name;
  }
}

TEST(PeerClassifierTest, ExcludedWinsOverLoopback) {
  EXPECT_EQ(Excluding({"127.0.0.1"}).Classify("127.0.0.1", ""), v1::PEER_CLASS_EXCLUDED);
  EXPECT_EQ(Excluding({"localhost"}).Classify("127.0.0.1", "localhost"), v1::PEER_CLASS_EXCLUDED);
}

TEST(PeerClassifierTest, BadEntryIsNamed) {
  for (const char* entry : {"", ".", "192.0.2.300", "192.0.2", "192.0.2.0/33", "192.0.2.0/",
                            "192.0.2.0/-1", "192.0.2.0/+8", "192.0.2.0/8x", "2001:db8::/129",
                            "2001:db8::zz", "a..b", "a b", "host/24", "-@-", "1234"}) {
    const auto classifier = PeerClassifier::Create({"192.0.2.1", entry});
    ASSERT_FALSE(classifier.ok()) << entry;
    EXPECT_TRUE(absl::IsInvalidArgument(classifier.status()));
    EXPECT_NE(std::string(classifier.status().message()).find("\"" + std::string(entry) + "\""),
              std::string::npos);
  }
}

TEST(PeerClassifierTest, HashIsThatOfTheMeaning) {
  EXPECT_EQ(Excluding({}).list_hash(), 0);
  EXPECT_EQ(Excluding({"192.0.2.1", "a.example"}).list_hash(),
            Excluding({"A.example.", "192.0.2.1/32", "a.example"}).list_hash());
  EXPECT_EQ(Excluding({"10.0.0.0/8"}).list_hash(), Excluding({"10.1.2.3/8"}).list_hash());
  EXPECT_NE(Excluding({"a.example"}).list_hash(), Excluding({".a.example"}).list_hash());
  EXPECT_NE(Excluding({"10.0.0.0/8"}).list_hash(), Excluding({"10.0.0.0/9"}).list_hash());
}

// Hosts with different builds compare their hashes.
// FNV-1a over the sorted spellings "::ffff:192.0.2.0/120" and so on, a line each.
TEST(PeerClassifierTest, HashIsTheSameInEveryBuild) {
  EXPECT_EQ(Excluding({"192.0.2.0/24", "2001:db8::1", "monitor.example"}).list_hash(),
            0x6491ebd009212a25);
}

}  // namespace
}  // namespace mxtally
