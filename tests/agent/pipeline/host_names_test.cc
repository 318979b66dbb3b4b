#include "agent/pipeline/host_names.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace mxtally {
namespace {

HostNames Listing(std::initializer_list<std::string> hosts) {
  v1::Collecting collecting;
  for (const std::string& host : hosts) collecting.add_hosts(host);
  return {"loghost.example.net", collecting};
}

TEST(HostNames, TheAgentsOwnHostNeedsNoPermission) {
  const HostNames names = Listing({});
  EXPECT_EQ(names.Find("loghost.example.net"), "loghost.example.net");
  EXPECT_EQ(names.Find("LOGHOST"), "loghost.example.net");
  EXPECT_EQ(names.Find("mx1"), "");
  EXPECT_EQ(names.Find("loghost.example.org"), "") << "another domain is another host";
}

TEST(HostNames, AListedHostIsFoundWithAndWithoutItsDomain) {
  const HostNames names = Listing({"mx1.example.net", "mx2"});
  EXPECT_EQ(names.Find("mx1.example.net"), "mx1.example.net");
  EXPECT_EQ(names.Find("MX1"), "mx1.example.net");
  EXPECT_EQ(names.Find("mx1.example.org"), "");
  EXPECT_EQ(names.Find("mx2"), "mx2");
  EXPECT_EQ(names.Find("mx2.example.net"), "mx2");
  EXPECT_EQ(names.Find("mx3"), "");
}

TEST(HostNames, AShortNameOfTwoIsNeither) {
  const HostNames names = Listing({"mx1.example.net", "mx1.example.org"});
  EXPECT_EQ(names.Find("mx1"), "");
  EXPECT_EQ(names.Find("mx1.example.org"), "mx1.example.org");
}

TEST(HostNames, PatternsPermitNamesAsTheyAre) {
  const HostNames domain = Listing({"*.dmz.example.net", "mx1"});
  EXPECT_EQ(domain.Find("mx7.dmz.example.net"), "mx7.dmz.example.net");
  EXPECT_EQ(domain.Find("a.mx7.dmz.example.net"), "a.mx7.dmz.example.net");
  EXPECT_EQ(domain.Find("mx1.dmz.example.net"), "mx1") << "listed by name first";
  for (const char* other : {"mx7", "dmz.example.net", ".dmz.example.net", "mx7.example.net"}) {
    EXPECT_EQ(domain.Find(other), "") << other;
  }
  const HostNames all = Listing({"*"});
  EXPECT_EQ(all.Find("MX9"), "mx9");
  EXPECT_EQ(all.Find("2001:db8::1"), "2001_db8__1") << "as keys have it";
  EXPECT_EQ(all.Find(""), "");
}

}  // namespace
}  // namespace mxtally
