#include "agent/uplink/mailbox.h"

#include <thread>

#include "gtest/gtest.h"

namespace mxtally {
namespace {

TEST(MailboxTest, EventsComeInTheOrderPosted) {
  Mailbox mailbox;
  mailbox.Post({StreamEvent::Type::kWritten, {}});
  mailbox.Post({StreamEvent::Type::kEnded, {}});
  EXPECT_EQ(mailbox.Take()->type, StreamEvent::Type::kWritten);
  EXPECT_EQ(mailbox.Take()->type, StreamEvent::Type::kEnded);
  EXPECT_FALSE(mailbox.Take().has_value());
}

TEST(MailboxTest, ClearedEventsAreGone) {
  Mailbox mailbox;
  mailbox.Post({StreamEvent::Type::kWritten, {}});
  mailbox.Clear();
  EXPECT_FALSE(mailbox.Take().has_value());
}

TEST(MailboxTest, WaitEndsWithAnEventOfAnotherThread) {
  Mailbox mailbox;
  std::thread other([&mailbox] { mailbox.Post({StreamEvent::Type::kWritten, {}}); });
  mailbox.Wait(absl::InfiniteDuration());
  EXPECT_TRUE(mailbox.Take().has_value());
  other.join();
}

TEST(MailboxTest, WaitEndsOnceForAWakeThatCameBefore) {
  Mailbox mailbox;
  mailbox.Wake();
  mailbox.Wait(absl::InfiniteDuration());
  mailbox.Wait(absl::ZeroDuration());
}

TEST(MailboxTest, EverythingPostedIsTold) {
  int told = 0;
  Mailbox mailbox([&told] { ++told; });
  mailbox.Post({StreamEvent::Type::kWritten, {}});
  mailbox.Wake();
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace mxtally
