#include "server/ingest/serialized_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mxtally/v1/ingest.pb.h"
#include "tests/server/ingest/records.h"

namespace mxtally {
namespace {

using testing::IsEmpty;

std::string Serialized(const v1::SessionBatch& batch) {
  v1::StreamSessionsRequest request;
  *request.mutable_batch() = batch;
  return request.SerializeAsString();
}

TEST(SerializedSessionsTest, AreTheSessionsOfTheBatchInOrder) {
  v1::SessionBatch batch = Batch("mx1", 1, 3);
  batch.add_counts()->mutable_hour()->set_seconds(kStamp);
  const std::string request = Serialized(batch);
  const std::vector<std::string_view> found = SerializedSessions(request);
  ASSERT_EQ(found.size(), 3U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(found[i], batch.sessions(i).SerializeAsString());
}

TEST(SerializedSessionsTest, FieldsMayStandInAnyOrder) {
  const v1::SessionBatch batch = Batch("mx1", 1, 1);
  v1::SessionBatch rest = batch;
  rest.clear_sessions();
  v1::SessionBatch sessions;
  *sessions.mutable_sessions() = batch.sessions();
  // A message is what its pieces give when they are put together.
  const std::string pieces =
      sessions.SerializeAsString() + rest.SerializeAsString() + sessions.SerializeAsString();
  v1::SessionBatch whole;
  ASSERT_TRUE(whole.ParseFromString(pieces));
  const std::string in_order = Serialized(whole);
  EXPECT_EQ(SerializedSessions(in_order).size(), 2U);
  std::string request = in_order;
  request.replace(request.size() - pieces.size(), pieces.size(), pieces);
  EXPECT_EQ(SerializedSessions(request).size(), 2U);
}

TEST(SerializedSessionsTest, ThereAreNoneInOtherMessages) {
  v1::StreamSessionsRequest request;
  EXPECT_THAT(SerializedSessions(request.SerializeAsString()), IsEmpty());
  request.mutable_hello()->set_host("mx1");
  EXPECT_THAT(SerializedSessions(request.SerializeAsString()), IsEmpty());
}

TEST(SerializedSessionsTest, ABatchInPiecesIsLeftToTheParser) {
  const std::string request = Serialized(Batch("mx1", 1, 2)) + Serialized(Batch("mx1", 1, 1));
  EXPECT_THAT(SerializedSessions(request), IsEmpty());
}

TEST(SerializedSessionsTest, WhatIsNoRequestHasNone) {
  const std::string request = Serialized(Batch("mx1", 1, 2));
  for (size_t size = 1; size < request.size(); ++size) {
    EXPECT_THAT(SerializedSessions(request.substr(0, size)), IsEmpty()) << size;
  }
}

}  // namespace
}  // namespace mxtally
