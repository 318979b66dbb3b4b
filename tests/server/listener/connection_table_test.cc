#include "server/listener/connection_table.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace mxtally {
namespace {

constexpr auto kTaken = std::nullopt;
constexpr auto kAddressFull = ConnectionRefusal::kAddress;
constexpr auto kFull = ConnectionRefusal::kDescriptors;

class ConnectionTableTest : public testing::Test {
 protected:
  ~ConnectionTableTest() override {
    for (const int descriptor : open_) close(descriptor);
  }

  void Bounds(int of_address, int total) {
    table_.emplace(ConnectionTableOptions{
        .of_address_max = of_address, .total_max = total, .now = [this] { return now_; }});
  }
  int Open() {
    open_.push_back(socket(AF_INET, SOCK_STREAM, 0));
    return open_.back();
  }
  auto Add(const std::string& address) { return table_->Add(Open(), address); }
  void Close(size_t index) {
    close(open_.at(index));
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  absl::Time now_ = absl::UnixEpoch();
  std::vector<int> open_;
  std::optional<ConnectionTable> table_;
};

TEST_F(ConnectionTableTest, AddressHasAsManyAsItMayAndOthersAreNotAffected) {
  Bounds(2, 10);
  EXPECT_EQ(Add("a"), kTaken);
  EXPECT_EQ(Add("a"), kTaken);
  EXPECT_EQ(Add("a"), kAddressFull);
  EXPECT_EQ(Add("b"), kTaken);
  EXPECT_EQ(table_->CountOpen(), 3);
}

TEST_F(ConnectionTableTest, WithoutBoundOfAnAddressTheTotalHolds) {
  Bounds(0, 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Add("a"), kTaken);
  EXPECT_EQ(Add("a"), kFull);
  EXPECT_EQ(Add("b"), kFull);
}

TEST_F(ConnectionTableTest, PlaceOfOneThatClosedIsGivenAgain) {
  Bounds(2, 10);
  Add("a");
  Add("a");
  Close(0);
  EXPECT_EQ(Add("a"), kTaken);
  EXPECT_EQ(Add("a"), kAddressFull);
}

TEST_F(ConnectionTableTest, EntriesAreLookedAtOnceInAnInterval) {
  Bounds(1, 10);
  Add("a");
  EXPECT_EQ(Add("a"), kAddressFull);
  Close(0);
  EXPECT_EQ(Add("a"), kAddressFull);
  now_ += absl::Milliseconds(100);
  EXPECT_EQ(Add("a"), kTaken);
}

TEST_F(ConnectionTableTest, DescriptorThatIsAnotherSocketByNowIsNoOpenConnection) {
  Bounds(1, 10);
  const int descriptor = Open();
  EXPECT_EQ(table_->Add(descriptor, "a"), kTaken);
  Close(0);
  ASSERT_EQ(Open(), descriptor);
  EXPECT_EQ(table_->Add(descriptor, "a"), kTaken);
  EXPECT_EQ(table_->CountOpen(), 1);
}

TEST_F(ConnectionTableTest, DescriptorThatIsAFileByNowIsNoOpenConnection) {
  Bounds(1, 10);
  const int descriptor = Open();
  table_->Add(descriptor, "a");
  Close(0);
  open_.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(open_.back(), descriptor);
  EXPECT_EQ(table_->CountOpen(), 0);
}

TEST_F(ConnectionTableTest, ManyAddressesThatCameAndWentTakeNoPlace) {
  Bounds(1, 10);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(Add(std::to_string(i)), kTaken) << i;
    Close(0);
    now_ += absl::Milliseconds(10);
  }
  EXPECT_EQ(table_->CountOpen(), 0);
}

sockaddr_storage Peer(const std::string& text) {
  sockaddr_storage peer{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(peer);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(peer);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    peer.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    peer.ss_family = AF_INET6;
  }
  return peer;
}

TEST(CountedAddressTest, Ipv6CountsByNetworkAndIpv4InBothForms) {
  const struct {
    const char* a;
    const char* b;
    bool same;
  } kRows[] = {
      {"192.0.2.1", "192.0.2.1", true},          {"192.0.2.1", "192.0.2.2", false},
      {"192.0.2.1", "::ffff:192.0.2.1", true},   {"2001:db8::1", "2001:db8::ffff:1", true},
      {"2001:db8::1", "2001:db8:0:1::1", false}, {"::1", "127.0.0.1", false},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(CountedAddress(Peer(row.a)) == CountedAddress(Peer(row.b)), row.same)
        << row.a << " " << row.b;
  }
}

}  // namespace
}  // namespace mxtally
