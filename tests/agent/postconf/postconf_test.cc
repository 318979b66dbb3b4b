#include "agent/postconf/postconf.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/postconf/postconf_watch.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

// A program that stands for postconf.
std::string Program(const std::string& script) {
  static const TemporaryFolder folder;
  static int count = 0;
  const std::string path = folder / absl::StrCat("program_", ++count);
  std::ofstream(path) << "#!/bin/sh\n" << script;
  chmod(path.c_str(), 0755);
  return path;
}

TEST(PostconfTest, SettingsAreRead) {
  const v1::MtaConfig config = ParsePostconf(
      "smtpd_tls_loglevel = 1\nmail_version = 3.7.11\nmaillog_file = /var/log/postfix.log\n"
      "smtp_tls_loglevel = 2\nsmtp_tls_security_level = may\n");
  EXPECT_TRUE(config.has_smtpd_tls_loglevel());
  EXPECT_EQ(config.smtpd_tls_loglevel(), 1);
  EXPECT_EQ(config.mail_version(), "3.7.11");
  EXPECT_EQ(config.maillog_file(), "/var/log/postfix.log");
  EXPECT_EQ(config.smtp_tls_loglevel(), 2);
  EXPECT_EQ(config.smtp_tls_security_level(), "may");
}

TEST(PostconfTest, DefaultsAndOldReleasesAreRead) {
  const v1::MtaConfig config = ParsePostconf("smtpd_tls_loglevel = 0\nmail_version = 2.8.5\n");
  EXPECT_TRUE(config.has_smtpd_tls_loglevel()) << "0 is told";
  EXPECT_EQ(config.smtpd_tls_loglevel(), 0);
  EXPECT_EQ(config.maillog_file(), "");
  EXPECT_EQ(ParsePostconf("maillog_file =\n").maillog_file(), "");
  EXPECT_FALSE(config.has_smtp_tls_loglevel());
  EXPECT_FALSE(config.has_smtp_tls_security_level());
  const v1::MtaConfig no_tls = ParsePostconf("smtp_tls_security_level =\nsmtp_tls_loglevel = 0\n");
  EXPECT_TRUE(no_tls.has_smtp_tls_security_level()) << "empty is told";
  EXPECT_TRUE(no_tls.has_smtp_tls_loglevel()) << "0 is told";
}

TEST(PostconfTest, WhatDoesNotFitIsLeftOut) {
  for (const std::string& output :
       {std::string("smtpd_tls_loglevel = $other\n"), std::string("smtpd_tls_loglevel\n"),
        std::string("mail_version = 3\x01\n"),
        std::string("mail_version = ") + std::string(65, '3'),
        std::string("maillog_file = /") + std::string(2000, 'x'), std::string("\n=\n=="),
        std::string("smtp_tls_loglevel = x"),
        std::string("smtp_tls_security_level = ") + std::string(33, 'x'), std::string()}) {
    EXPECT_EQ(ParsePostconf(output).ByteSizeLong(), 0u) << output;
  }
}

TEST(PostconfTest, ProgramIsAskedByName) {
  PostconfOptions options;
  options.timeout = absl::Hours(1);
  options.programs = {"/nonexistent/postconf",
                      Program("echo \"smtpd_tls_loglevel = $#\"; echo \"maillog_file = /$1\"\n")};
  const absl::StatusOr<v1::MtaConfig> config = AskPostconf(options);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->smtpd_tls_loglevel(), 5);
  EXPECT_EQ(config->maillog_file(), "/smtpd_tls_loglevel");
}

TEST(PostconfTest, HostWithoutPostfixIsTold) {
  PostconfOptions options;
  options.programs = {"/nonexistent/postconf"};
  EXPECT_EQ(AskPostconf(options).status().code(), absl::StatusCode::kNotFound);
}

TEST(PostconfTest, FailureIsTold) {
  PostconfOptions options;
  options.timeout = absl::Hours(1);
  options.programs = {Program("echo 'smtpd_tls_loglevel = 1'; exit 3\n")};
  EXPECT_EQ(AskPostconf(options).status().code(), absl::StatusCode::kUnavailable);
  options.programs = {Program("kill -9 $$\n")};
  EXPECT_EQ(AskPostconf(options).status().code(), absl::StatusCode::kUnavailable);
}

TEST(PostconfTest, ProgramThatDoesNotEndIsKilled) {
  PostconfOptions options;
  options.timeout = absl::Milliseconds(50);
  options.programs = {Program("exec sleep 1000\n")};
  EXPECT_EQ(AskPostconf(options).status().code(), absl::StatusCode::kDeadlineExceeded);
  options.programs = {Program("exec >&- ; exec sleep 1000\n")};
  EXPECT_EQ(AskPostconf(options).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(PostconfTest, ProgramThatTalksWithoutEndIsKilled) {
  PostconfOptions options;
  options.timeout = absl::Hours(1);
  options.programs = {Program("exec yes 'smtpd_tls_loglevel = 1'\n")};
  EXPECT_EQ(AskPostconf(options).status().code(), absl::StatusCode::kResourceExhausted);
}

// Answers when it is asked to, and tells when it was.
class Answers {
 public:
  absl::StatusOr<v1::MtaConfig> Next() {
    const std::lock_guard lock(mutex_);
    ++asked_;
    changed_.notify_all();
    if (asked_ % 2 == 0) return absl::UnavailableError("no");
    v1::MtaConfig config;
    config.set_smtpd_tls_loglevel(asked_);
    return config;
  }
  void AwaitAsked(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_ >= times; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int asked_ = 0;
};

TEST(PostconfWatchTest, AsksAtOnceAndAgain) {
  Answers answers;
  PostconfWatch watch(
      {.ask = [&answers] { return answers.Next(); }, .interval = absl::Milliseconds(1)});
  answers.AwaitAsked(4);
}

TEST(PostconfWatchTest, StopsWithoutWaitingForTheNextQuestion) {
  Answers answers;
  PostconfWatch watch({.ask = [&answers] { return answers.Next(); }, .interval = absl::Hours(1)});
  answers.AwaitAsked(1);
  while (!watch.config()) std::this_thread::yield();
  EXPECT_EQ(watch.config()->smtpd_tls_loglevel(), 1);
}

}  // namespace
}  // namespace mxtally
