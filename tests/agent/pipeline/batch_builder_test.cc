#include "agent/pipeline/batch_builder.h"

#include "agent/pipeline/timestamps.h"
#include "gtest/gtest.h"

namespace mxtally {
namespace {

constexpr int64_t kHour = 3600;

class BatchBuilderTest : public testing::Test {
 protected:
  static absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }
  void CountLine() { builder_.counts().set_read(builder_.counts().read() + 1); }
  std::vector<v1::SessionBatch> Finish(const v1::Cut& end = {}) {
    std::vector<v1::SessionBatch> batches;
    for (const PipelineBatch& batch : builder_.Finish(std::nullopt, end, At(9 * kHour))) {
      batches.push_back(batch.Whole());
    }
    return batches;
  }

  BatchBuilder builder_{"mail.log", 256 * 1024};
};

TEST_F(BatchBuilderTest, IsEmptyAtFirstAndAfterFinish) {
  EXPECT_TRUE(builder_.empty());
  builder_.SetTime(At(0));
  EXPECT_TRUE(builder_.empty());
  CountLine();
  EXPECT_FALSE(builder_.empty());
  EXPECT_EQ(Finish().size(), 1);
  EXPECT_TRUE(builder_.empty());
}

TEST_F(BatchBuilderTest, TimeLivesOnFromBatchToBatch) {
  builder_.SetTime(At(5 * kHour + 7));
  CountLine();
  Finish();
  CountLine();
  const v1::SessionBatch batch = Finish()[0];
  ASSERT_EQ(batch.counts_size(), 1);
  EXPECT_EQ(batch.counts(0).hour().seconds(), 5 * kHour);
}

TEST_F(BatchBuilderTest, ClockThatStepsBackGoesOnInTheEarlierHour) {
  builder_.SetTime(At(5 * kHour));
  CountLine();
  builder_.SetTime(At(5 * kHour - 1));
  CountLine();
  builder_.SetTime(At(5 * kHour + 1));
  CountLine();
  const v1::SessionBatch batch = Finish()[0];
  ASSERT_EQ(batch.counts_size(), 2);
  EXPECT_EQ(batch.counts(0).lines().read(), 1);
  EXPECT_EQ(batch.counts(1).lines().read(), 2);
}

TEST_F(BatchBuilderTest, TimesThatTheProtocolDoesNotPermitFallIntoTheNearestHour) {
  builder_.SetTime(At(-1));
  CountLine();
  EXPECT_EQ(Finish()[0].counts(0).hour().seconds(), 0);
}

TEST_F(BatchBuilderTest, LinesWithoutAnyStampCountToNow) {
  CountLine();
  EXPECT_EQ(Finish()[0].counts(0).hour().seconds(), 9 * kHour);
}

TEST_F(BatchBuilderTest, GapWithoutALineAfterItEndsNow) {
  builder_.AddGap(v1::GAP_REASON_TRUNCATED, At(100), 42);
  const v1::SessionBatch batch = Finish()[0];
  ASSERT_EQ(batch.gaps_size(), 1);
  EXPECT_EQ(batch.gaps(0).start_time().seconds(), 100);
  EXPECT_EQ(batch.gaps(0).end_time().seconds(), 9 * kHour);
  EXPECT_EQ(batch.gaps(0).bytes_min(), 42);
}

TEST_F(BatchBuilderTest, GapNeverEndsBeforeItBegins) {
  builder_.AddGap(v1::GAP_REASON_TRUNCATED, At(100), 0);
  builder_.SetTime(At(50));
  EXPECT_EQ(Finish()[0].gaps(0).end_time().seconds(), 100);
}

TEST_F(BatchBuilderTest, SessionsBeyondTheLimitTravelInBatchesWithoutCounts) {
  v1::Cut end;
  end.set_offset(7);
  v1::SessionRecord record;
  record.mutable_peer()->set_helo(std::string(1000, 'h'));
  CountLine();
  for (int i = 0; i < 500; ++i) builder_.AddSession(record);
  EXPECT_TRUE(builder_.full());
  const std::vector<v1::SessionBatch> batches = Finish(end);
  ASSERT_EQ(batches.size(), 3);
  EXPECT_FALSE(batches[0].has_start());
  EXPECT_EQ(batches[0].counts_size(), 1);
  int sessions = 0;
  for (const v1::SessionBatch& batch : batches) {
    EXPECT_EQ(batch.end().offset(), 7);
    EXPECT_LE(batch.ByteSizeLong(), 256 * 1024);
    sessions += batch.sessions_size();
  }
  EXPECT_EQ(batches[1].start().offset(), 7);
  EXPECT_EQ(batches[2].counts_size(), 0);
  EXPECT_EQ(sessions, 500);
}

}  // namespace
}  // namespace mxtally
