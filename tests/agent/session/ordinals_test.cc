#include "agent/session/ordinals.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace mxtally {
namespace {

class OrdinalsTest : public testing::Test {
 protected:
  uint32_t Next(std::string_view tag, int second) {
    return ordinals_->Next(tag, absl::FromUnixSeconds(1'000'000 + second), forgotten_);
  }
  void Restart(absl::Duration memory, int pairs_max) {
    ordinals_ = std::make_unique<Ordinals>(memory, pairs_max);
  }
  agent::v1::AssemblerState Saved() const {
    agent::v1::AssemblerState state;
    ordinals_->Save(*state.mutable_ordinals());
    return state;
  }

  std::unique_ptr<Ordinals> ordinals_ = std::make_unique<Ordinals>(absl::Seconds(100), 1000);
  int64_t forgotten_ = 0;
};

TEST_F(OrdinalsTest, CountPerTagAndStamp) {
  EXPECT_EQ(Next("a", 0), 0);
  EXPECT_EQ(Next("a", 0), 1);
  EXPECT_EQ(Next("b", 0), 0);
  EXPECT_EQ(Next("a", 1), 0);
  EXPECT_EQ(Next("a", 0), 2);
}

TEST_F(OrdinalsTest, MemoryReachesBothWays) {
  Next("a", 0);
  Next("a", 100);
  EXPECT_EQ(Next("a", 0), 1);
  EXPECT_EQ(Next("a", 100), 1);
  Next("a", 101);
  EXPECT_EQ(Next("a", 0), 0);    // Was too far behind.
  EXPECT_EQ(Next("a", 101), 0);  // Was too far ahead.
  EXPECT_EQ(forgotten_, 0);
}

TEST_F(OrdinalsTest, AnOlderLogCountsFromZeroWhereverItMeetsTheMemory) {
  for (int pass = 0; pass < 2; ++pass) {
    for (int second = 0; second <= 150; ++second) EXPECT_EQ(Next("a", second), 0);
  }
}

TEST_F(OrdinalsTest, OldestStampIsForgottenBeyondTheBound) {
  Restart(absl::Seconds(100), 3);
  Next("a", 0);
  Next("b", 0);
  Next("a", 1);
  EXPECT_EQ(forgotten_, 0);
  Next("a", 2);
  EXPECT_EQ(forgotten_, 2);
  EXPECT_EQ(Next("a", 1), 1);
}

TEST_F(OrdinalsTest, CurrentStampIsNotForgottenForBeingTheOldest) {
  Restart(absl::Seconds(100), 2);
  Next("a", 50);
  Next("a", 51);
  EXPECT_EQ(Next("a", 10), 0);
  EXPECT_EQ(Next("a", 10), 1);
}

TEST_F(OrdinalsTest, OneStampWithTooManyTagsIsForgotten) {
  Restart(absl::Seconds(100), 2);
  for (const char* tag : {"a", "b", "c"}) Next(tag, 0);
  EXPECT_EQ(forgotten_, 3);
  EXPECT_EQ(Next("a", 0), 0);
}

TEST_F(OrdinalsTest, SavedMemoryGoesOn) {
  Next("b", 5);
  Next("a", 5);
  Next("a", 5);
  Next("a", 7);
  const agent::v1::AssemblerState saved = Saved();
  Restart(absl::Seconds(100), 1000);
  ordinals_->Restore(saved.ordinals());
  EXPECT_EQ(Saved().SerializeAsString(), saved.SerializeAsString());
  EXPECT_EQ(Next("a", 5), 2);
  EXPECT_EQ(Next("a", 7), 1);
  EXPECT_EQ(Next("b", 5), 1);
}

TEST_F(OrdinalsTest, TagsAreSavedInOrder) {
  for (const char* tag : {"c", "a", "b"}) Next(tag, 0);
  const agent::v1::AssemblerState saved = Saved();
  ASSERT_EQ(saved.ordinals_size(), 3);
  EXPECT_EQ(saved.ordinals(0).tag(), "a");
  EXPECT_EQ(saved.ordinals(2).tag(), "c");
}

}  // namespace
}  // namespace mxtally
