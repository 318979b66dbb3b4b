#include "agent/cli/peer_key_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kOne(64, '1');
const std::string kTwo(64, '2');

std::vector<PeerKey> Parse(const std::string& text) {
  auto keys = ParsePeerKeys("keys", text);
  EXPECT_TRUE(keys.ok()) << keys.status();
  return keys.ok() ? *std::move(keys) : std::vector<PeerKey>();
}

std::string Error(const std::string& text) {
  const auto keys = ParsePeerKeys("keys", text);
  EXPECT_TRUE(absl::IsInvalidArgument(keys.status())) << keys.status();
  return std::string(keys.status().message());
}

TEST(PeerKeysTest, LinesAreEpochs) {
  const std::vector<PeerKey> keys = Parse("# Ours.\n\n2026q3 2026-07-01 " + kOne +
                                          "\r\n  2026q4\t2026-10-01  " + std::string(64, 'F'));
  ASSERT_EQ(keys.size(), 2);
  EXPECT_EQ(keys[0].epoch, "2026q3");
  EXPECT_EQ(keys[0].start, absl::FromCivil(absl::CivilDay(2026, 7, 1), absl::UTCTimeZone()));
  EXPECT_EQ(keys[0].secret, std::string(32, '\x11'));
  EXPECT_EQ(keys[1].epoch, "2026q4");
  EXPECT_EQ(keys[1].secret, std::string(32, '\xff'));
}

TEST(PeerKeysTest, WrongLinesAreNamed) {
  const std::string good = "a 2026-07-01 " + kOne + "\n";
  EXPECT_EQ(Error(""), "keys: expected lines of EPOCH START KEY, found none");
  EXPECT_EQ(Error("# Only this.\n"), "keys: expected lines of EPOCH START KEY, found none");
  EXPECT_EQ(Error(good + "\nb 2026-10-01\n"), "keys:3: expected EPOCH START KEY, found 2 words");
  EXPECT_EQ(Error("a 2026-07-01 " + kOne + " x"),
            "keys:1: expected EPOCH START KEY, found 4 words");
  EXPECT_EQ(Error("A 2026-07-01 " + kOne),
            "keys:1: epoch: expected at most 16 of [a-z0-9-], found \"A\"");
  EXPECT_EQ(Error("a:b 2026-07-01 " + kOne),
            "keys:1: epoch: expected at most 16 of [a-z0-9-], found \"a:b\"");
  EXPECT_EQ(Error("a 2026-07-32 " + kOne),
            "keys:1: start: expected a day like 2026-10-01, found \"2026-07-32\"");
  EXPECT_EQ(Error("a 2026-07-01 " + kOne.substr(1)),
            "keys:1: key: expected 64 hexadecimal digits, found 63 characters");
  EXPECT_EQ(Error("a 2026-07-01 " + kOne.substr(1) + "g"),
            "keys:1: key: expected 64 hexadecimal digits, found 64 characters");
  EXPECT_EQ(Error(good + "a 2026-10-01 " + kTwo),
            "keys:2: epoch: expected a name of its own, found \"a\" again");
  EXPECT_EQ(Error(good + "b 2026-10-01 " + kOne),
            "keys:2: key: expected one of its own, found that of epoch a");
  EXPECT_EQ(Error(good + "b 2026-07-01 " + kTwo),
            "keys:2: start: expected a day after that of epoch a, found \"2026-07-01\"");
}

TEST(PeerKeysTest, NoMessageTellsAKey) {
  for (const std::string& text : {kOne + " 2026-07-01 a", "a " + kOne + " 2026-07-01",
                                  "a 2026-07-01 " + kOne + "1", "a " + kOne, kOne}) {
    EXPECT_THAT(Error(text), Not(HasSubstr("1111"))) << text;
  }
}

class PeerKeyFileTest : public testing::Test {
 protected:
  PeerKeyFileTest() { Write("a 2026-07-01 " + kOne + "\n"); }

  void Write(const std::string& text) {
    std::ofstream(path_) << text;
    SetMode(0600);
  }
  void SetMode(mode_t mode) { ASSERT_EQ(::chmod(path_.c_str(), mode), 0); }
  std::string Error() {
    const auto keys = ReadPeerKeyFile(path_);
    EXPECT_FALSE(keys.ok());
    return std::string(keys.status().message());
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "peer_keys";
};

TEST_F(PeerKeyFileTest, IsReadWhenItIsKept) {
  for (const mode_t mode : {0400, 0440, 0600, 0640}) {
    SetMode(mode);
    EXPECT_TRUE(ReadPeerKeyFile(path_).ok()) << std::oct << mode;
  }
}

TEST_F(PeerKeyFileTest, IsRefusedWhenOthersMayTouchIt) {
  for (const mode_t mode : {0644, 0660, 0620, 0601, 0604, 0602}) {
    SetMode(mode);
    EXPECT_THAT(Error(), HasSubstr(path_ + ": expected mode 0640 or stricter, found 0"))
        << std::oct << mode;
  }
  SetMode(0644);
  EXPECT_THAT(Error(), HasSubstr("found 0644"));
}

TEST_F(PeerKeyFileTest, IsRefusedWhenItIsNoFile) {
  EXPECT_TRUE(absl::IsNotFound(ReadPeerKeyFile("/nowhere/keys").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadPeerKeyFile(folder_.path()).status()));
  std::remove(path_.c_str());
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(Error(), HasSubstr("expected a file of keys"));
}

TEST_F(PeerKeyFileTest, IsRefusedWhenItIsLong) {
  Write(std::string(64 * 1024 + 1, '#'));
  EXPECT_THAT(Error(), HasSubstr("expected at most 65536 bytes"));
  Write(std::string(64 * 1024, '#'));
  EXPECT_THAT(Error(), HasSubstr("found none"));
}

TEST(CheckReplacement, EpochsComeAndGoAndKeepTheirKeys) {
  const PeerKey third = {.epoch = "2026q3", .start = absl::FromUnixSeconds(3), .secret = "a"};
  const PeerKey fourth = {.epoch = "2026q4", .start = absl::FromUnixSeconds(4), .secret = "b"};
  PeerKey other = third;
  other.secret = "c";
  EXPECT_TRUE(CheckReplacement({third}, {third, fourth}).ok());
  EXPECT_TRUE(CheckReplacement({third, fourth}, {fourth}).ok());
  EXPECT_TRUE(CheckReplacement({}, {third}).ok());
  const absl::Status status = CheckReplacement({third, fourth}, {other, fourth});
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(),
            "peer keys: expected the key of epoch 2026q3 as it was, found another; give a new key "
            "a new name");
}

}  // namespace
}  // namespace mxtally
