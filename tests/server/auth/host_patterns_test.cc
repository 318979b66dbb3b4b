#include "server/auth/host_patterns.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mxtally {
namespace {

HostPatterns Of(const std::vector<std::string>& patterns) {
  HostPatterns hosts;
  for (const std::string& pattern : patterns) {
    EXPECT_TRUE(HostPatterns::IsPattern(pattern)) << pattern;
    EXPECT_TRUE(hosts.Add(pattern)) << pattern;
    EXPECT_FALSE(hosts.Add(pattern)) << pattern;
  }
  return hosts;
}

TEST(HostPatterns, NoneContainNothing) {
  EXPECT_FALSE(HostPatterns().Contains("mx1"));
  EXPECT_FALSE(HostPatterns().Contains(""));
}

TEST(HostPatterns, ANameIsThatHostAlone) {
  const HostPatterns hosts = Of({"mx1", "mx2.example.net"});
  EXPECT_TRUE(hosts.Contains("mx1"));
  EXPECT_TRUE(hosts.Contains("mx2.example.net"));
  for (const char* other : {"mx2", "mx1.example.net", "example.net", "mx10", "amx1", ""}) {
    EXPECT_FALSE(hosts.Contains(other)) << other;
  }
}

TEST(HostPatterns, ADomainIsAllBelowItAndNotItself) {
  const HostPatterns hosts = Of({"*.example.net"});
  EXPECT_TRUE(hosts.Contains("mx1.example.net"));
  EXPECT_TRUE(hosts.Contains("mx1.dmz.example.net"));
  for (const char* other :
       {"example.net", ".example.net", "badexample.net", "mx1.example.net.evil.org", "mx1", ""}) {
    EXPECT_FALSE(hosts.Contains(other)) << other;
  }
}

TEST(HostPatterns, AStarIsAll) { EXPECT_TRUE(Of({"*"}).Contains("mx1")); }

TEST(HostPatterns, OtherTextsAreNone) {
  for (const std::string& text :
       {std::string(), std::string("**"), std::string("*mx"), std::string("mx*"), std::string("*."),
        std::string("*..net"), std::string("mx 1"), std::string("MX1"), std::string("a/b"),
        std::string(256, 'a')}) {
    EXPECT_FALSE(HostPatterns::IsPattern(text)) << text;
  }
}

}  // namespace
}  // namespace mxtally
