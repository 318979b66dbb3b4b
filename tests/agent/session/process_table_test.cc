#include "agent/session/process_table.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace mxtally {
namespace {

class ProcessTableTest : public testing::Test {
 protected:
  uint32_t Next(std::string_view tag, int second) {
    const absl::Time stamp = absl::FromUnixSeconds(1'000'000 + second);
    return table_->NextOrdinal(table_->FindOrAdd({"", tag}), stamp, stamp, forgotten_);
  }
  void Restart(absl::Duration memory, int stamps_max) {
    table_ = std::make_unique<ProcessTable>(memory, stamps_max);
  }
  agent::v1::AssemblerState Saved() const {
    agent::v1::AssemblerState state;
    table_->Save(*state.mutable_ordinals());
    return state;
  }

  std::unique_ptr<ProcessTable> table_ = std::make_unique<ProcessTable>(absl::Seconds(100), 1000);
  int64_t forgotten_ = 0;
};

TEST_F(ProcessTableTest, CountPerTagAndStamp) {
  EXPECT_EQ(Next("a", 0), 0);
  EXPECT_EQ(Next("a", 0), 1);
  EXPECT_EQ(Next("b", 0), 0);
  EXPECT_EQ(Next("a", 1), 0);
  EXPECT_EQ(Next("a", 0), 2);
}

TEST_F(ProcessTableTest, MemoryReachesBothWays) {
  Next("a", 0);
  Next("a", 100);
  EXPECT_EQ(Next("a", 0), 1);
  EXPECT_EQ(Next("a", 100), 1);
  Next("a", 101);
  EXPECT_EQ(Next("a", 0), 0);    // Was too far behind.
  EXPECT_EQ(Next("a", 101), 0);  // Was too far ahead.
  EXPECT_EQ(forgotten_, 0);
}

TEST_F(ProcessTableTest, OneStrayStampFarAheadIsAllThatIsForgotten) {
  Next("a", 0);
  Next("a", 5);
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  table_->NextOrdinal(table_->FindOrAdd({"", "a"}), now + absl::Hours(9), now, forgotten_);
  table_->NextOrdinal(table_->FindOrAdd({"", "b"}), now, now, forgotten_);
  EXPECT_EQ(table_->size(), 3);
  EXPECT_EQ(Next("a", 5), 1);
}

TEST_F(ProcessTableTest, OldestStampIsForgottenBeyondTheBound) {
  Restart(absl::Seconds(100), 3);
  Next("a", 0);
  Next("b", 0);
  Next("a", 1);
  EXPECT_EQ(forgotten_, 0);
  Next("a", 2);
  EXPECT_EQ(forgotten_, 2);
  EXPECT_EQ(Next("a", 1), 1);
}

TEST_F(ProcessTableTest, CurrentStampIsNotForgottenForBeingTheOldest) {
  Restart(absl::Seconds(100), 2);
  Next("a", 50);
  Next("a", 51);
  EXPECT_EQ(Next("a", 10), 0);
  EXPECT_EQ(Next("a", 10), 1);
}

TEST_F(ProcessTableTest, OneStampWithTooManyTagsIsForgotten) {
  Restart(absl::Seconds(100), 2);
  for (const char* tag : {"a", "b", "c"}) Next(tag, 0);
  EXPECT_EQ(forgotten_, 3);
  EXPECT_EQ(Next("a", 0), 0);
}

TEST_F(ProcessTableTest, SavedMemoryGoesOn) {
  Next("b", 5);
  Next("a", 5);
  Next("a", 5);
  Next("a", 7);
  const agent::v1::AssemblerState saved = Saved();
  Restart(absl::Seconds(100), 1000);
  table_->Restore(saved.ordinals());
  EXPECT_EQ(Saved().SerializeAsString(), saved.SerializeAsString());
  EXPECT_EQ(Next("a", 5), 2);
  EXPECT_EQ(Next("a", 7), 1);
  EXPECT_EQ(Next("b", 5), 1);
}

TEST_F(ProcessTableTest, TagsAreSavedInOrder) {
  for (const char* tag : {"c", "a", "b"}) Next(tag, 0);
  const agent::v1::AssemblerState saved = Saved();
  ASSERT_EQ(saved.ordinals_size(), 3);
  EXPECT_EQ(saved.ordinals(0).tag(), "a");
  EXPECT_EQ(saved.ordinals(2).tag(), "c");
}

TEST_F(ProcessTableTest, WhatFollowsAStampCanBeForgotten) {
  Next("a", 0);
  Next("a", 1);
  Next("b", 2);
  table_->ForgetFrom(absl::FromUnixSeconds(1'000'001));
  EXPECT_EQ(Next("a", 0), 1);
  EXPECT_EQ(Next("a", 1), 0);
  EXPECT_EQ(Next("b", 2), 0);
  table_->ForgetAfter(absl::FromUnixSeconds(1'000'001));
  EXPECT_EQ(Next("a", 1), 1);
  EXPECT_EQ(Next("b", 2), 0);
}

TEST_F(ProcessTableTest, ProcessIsKnownWhileItHasASessionOrStamps) {
  SessionList sessions(1);
  Process& idle = table_->FindOrAdd({"", "idle"});
  idle.session = sessions.begin();
  EXPECT_EQ(table_->Find({"", "idle"}), &idle);
  table_->Free(idle);
  EXPECT_EQ(table_->Find({"", "idle"}), nullptr);

  Next("busy", 0);
  table_->Free(table_->FindOrAdd({"", "busy"}));
  EXPECT_NE(table_->Find({"", "busy"}), nullptr);
  Next("other", 101);
  EXPECT_EQ(table_->Find({"", "busy"}), nullptr);
}

TEST_F(ProcessTableTest, StampsOutOfOrderAreFoundAgain) {
  for (const int second : {5, 3, 9, 4, 5, 3}) Next("a", second);
  EXPECT_EQ(Next("a", 5), 2);
  EXPECT_EQ(Next("a", 3), 2);
  EXPECT_EQ(Next("a", 4), 1);
  EXPECT_EQ(Next("b", 3), 0);
}

}  // namespace
}  // namespace mxtally
