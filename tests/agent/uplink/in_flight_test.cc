#include "agent/uplink/in_flight.h"

#include "gtest/gtest.h"

namespace mxtally {
namespace {

SentBatch Batch(const std::string& log, int64_t bytes) {
  return {.log = log, .bytes = bytes, .checkpoint = std::nullopt, .caught_up = std::nullopt};
}

TEST(InFlightTest, WindowBoundsTheBytesUnderWay) {
  InFlight in_flight(100);
  EXPECT_TRUE(in_flight.HasRoom(60));
  in_flight.Add(Batch("a", 60));
  EXPECT_TRUE(in_flight.HasRoom(40));
  EXPECT_FALSE(in_flight.HasRoom(41));
  ASSERT_TRUE(in_flight.Acknowledge(1).ok());
  EXPECT_TRUE(in_flight.HasRoom(100));
}

TEST(InFlightTest, BatchAloneMayBeLargerThanTheWindow) {
  InFlight in_flight(100);
  EXPECT_TRUE(in_flight.HasRoom(1000));
  in_flight.Add(Batch("a", 1000));
  EXPECT_FALSE(in_flight.HasRoom(1));
}

TEST(InFlightTest, AcknowledgesAllUpToASequenceOnce) {
  InFlight in_flight(100);
  EXPECT_EQ(in_flight.next_sequence(), 1);
  for (const char* log : {"a", "b", "c"}) in_flight.Add(Batch(log, 1));
  auto first = in_flight.Acknowledge(2);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->size(), 2);
  EXPECT_EQ(first->at(0).log, "a");
  EXPECT_EQ(first->at(1).log, "b");
  EXPECT_TRUE(in_flight.Acknowledge(2)->empty());
  EXPECT_TRUE(in_flight.Acknowledge(0)->empty());
  EXPECT_EQ(in_flight.Acknowledge(3)->size(), 1);
  EXPECT_TRUE(in_flight.empty());
}

TEST(InFlightTest, KnowsWhetherALogIsAcknowledged) {
  InFlight in_flight(100);
  in_flight.Add(Batch("a", 1));
  in_flight.Add(Batch("b", 1));
  in_flight.Acknowledge(1).IgnoreError();
  EXPECT_TRUE(in_flight.empty("a"));
  EXPECT_FALSE(in_flight.empty("b"));
}

TEST(InFlightTest, AcknowledgementOfWhatWasNotSentIsAnError) {
  InFlight in_flight(100);
  in_flight.Add(Batch("a", 1));
  EXPECT_TRUE(absl::IsInvalidArgument(in_flight.Acknowledge(2).status()));
}

TEST(InFlightTest, NewStreamBeginsAtSequenceOne) {
  InFlight in_flight(100);
  in_flight.Add(Batch("a", 100));
  in_flight.Clear();
  EXPECT_TRUE(in_flight.empty());
  EXPECT_TRUE(in_flight.HasRoom(100));
  EXPECT_EQ(in_flight.next_sequence(), 1);
}

}  // namespace
}  // namespace mxtally
