#include "agent/scan/hash_list.h"

#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// In ascending order.
std::vector<uint64_t> Taken(HashList& list) {
  std::vector<uint64_t> hashes;
  list.Take([&hashes](uint64_t hash) { hashes.push_back(hash); });
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

TEST(HashListTest, HandsOnWhatIsInMemoryAndInTheFile) {
  for (const uint64_t count : {0, 1, 9, 10, 11, 100'003}) {
    HashList list(10);
    std::vector<uint64_t> added;
    for (uint64_t i = 0; i < count; ++i) {
      added.push_back(i << 40);
      list.Add(added.back());
    }
    EXPECT_EQ(list.size(), count);
    EXPECT_EQ(Taken(list), added);
    EXPECT_EQ(list.size(), 0);
    EXPECT_THAT(Taken(list), IsEmpty());
  }
}

TEST(HashListTest, GoesOnAfterItWasTaken) {
  HashList list(2);
  for (const uint64_t hash : {1, 2, 3}) list.Add(hash);
  Taken(list);
  for (const uint64_t hash : {4, 5, 6}) list.Add(hash);
  EXPECT_THAT(Taken(list), ElementsAre(4, 5, 6));
}

TEST(HashListTest, KeepsAllInMemoryWhereNoFileCanBe) {
  // NOLINTBEGIN(concurrency-mt-unsafe): no other thread.
  ASSERT_EQ(setenv("TMPDIR", "/proc", 1), 0);
  HashList list(2);
  for (const uint64_t hash : {1, 2, 3, 4, 5}) list.Add(hash);
  unsetenv("TMPDIR");
  // NOLINTEND(concurrency-mt-unsafe)
  EXPECT_THAT(Taken(list), ElementsAre(1, 2, 3, 4, 5));
}

}  // namespace
}  // namespace mxtally
