#include "server/serve/listen_address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mxtally {
namespace {

TEST(ListenAddress, ParsesAndPrints) {
  for (const std::string& text : std::vector<std::string>{
           "127.0.0.1:4625", "0.0.0.0:0", "[::1]:65535", "[::]:1", "mx1.example:80"}) {
    const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(ListenAddress, SaysWhatWasExpectedAndFound) {
  for (const std::string& text : std::vector<std::string>{
           "", "4625", "127.0.0.1", ":4625", "[]:1", "::1:4625", "[127.0.0.1]:1",
           "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "http://127.0.0.1:1"}) {
    const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    EXPECT_TRUE(absl::IsInvalidArgument(address.status())) << text;
    EXPECT_NE(address.status().message().find("found \"" + text + "\""), std::string::npos);
  }
}

TEST(ListenAddress, KnowsWhatOnlyThisMachineCanReach) {
  for (const std::string& text : std::vector<std::string>{"127.0.0.1:1", "127.8.0.1:1", "[::1]:1",
                                                          "localhost:1", "LOCALHOST:1"}) {
    EXPECT_TRUE(ParseListenAddress(text)->IsLoopback()) << text;
  }
  for (const std::string& text :
       std::vector<std::string>{"0.0.0.0:1", "[::]:1", "192.0.2.1:1", "localhost.example:1",
                                "128.0.0.1:1", "[2001:db8::1]:1", "127.0.0.1.example:1"}) {
    EXPECT_FALSE(ParseListenAddress(text)->IsLoopback()) << text;
  }
}

}  // namespace
}  // namespace mxtally
