// A folder with a real journal in it, written by systemd-journal-remote.

#ifndef MXTALLY_TESTS_AGENT_SOURCE_JOURNAL_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_SOURCE_JOURNAL_FIXTURE_H_

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/agent/source/log_fixture.h"

namespace mxtally {

class JournalFolder {
 public:
  using Fields = std::map<std::string, std::string>;

  static constexpr int64_t kStartMicroseconds = 1'793'592'121'000'000;  // 2026-11-02T04:02:01Z
  static constexpr char kFirstBoot[] = "6c7c6013a8244d6c84abd2d4d4b3e9b0";
  static constexpr char kSecondBoot[] = "0123456789abcdef0123456789abcdef";

  // What smtpd writes by way of syslog; `changes` replace fields, or remove them when empty.
  Fields Entry(const std::string& message, const Fields& changes = {}) {
    const int64_t at = kStartMicroseconds + ++entries_;
    Fields fields = {{"__REALTIME_TIMESTAMP", absl::StrCat(at)},
                     {"__MONOTONIC_TIMESTAMP", absl::StrCat(entries_)},
                     {"_BOOT_ID", kFirstBoot},
                     {"_TRANSPORT", "syslog"},
                     {"SYSLOG_FACILITY", "2"},
                     {"SYSLOG_IDENTIFIER", "postfix/smtpd"},
                     {"_PID", "1234"},
                     {"_UID", "105"},
                     {"_COMM", "smtpd"},
                     {"_SYSTEMD_UNIT", "postfix@-.service"},
                     {"_HOSTNAME", "mx1"},
                     {"MESSAGE", message}};
    for (const auto& [name, value] : changes) {
      if (value.empty()) {
        fields.erase(name);
      } else {
        fields[name] = value;
      }
    }
    return fields;
  }

  // Adds entries to the file `name`.
  void Append(const std::vector<Fields>& entries, const std::string& name = "mail.journal") {
    const std::string command = absl::StrCat(kWriter, " -o ", folder_.Path(name), " - 2>/dev/null");
    FILE* const pipe = ::popen(command.c_str(), "w");
    ASSERT_NE(pipe, nullptr);
    for (const Fields& entry : entries) {
      const std::string text = Export(entry);
      ASSERT_EQ(::fwrite(text.data(), 1, text.size(), pipe), text.size());
    }
    ASSERT_EQ(::pclose(pipe), 0) << command;
  }

  static bool CanWrite() { return ::access(kWriter, X_OK) == 0; }

  const std::string& dir() const { return folder_.dir(); }
  std::string Path(const std::string& name) const { return folder_.Path(name); }
  std::string Content(const std::string& name) const { return folder_.Content(name); }
  // Makes the file `name` anew, last written so long after the first entry.
  void Write(const std::string& name, const std::string& content, absl::Duration age) {
    folder_.Remove(name);
    folder_.Append(name, content);
    const timespec time = absl::ToTimespec(absl::FromUnixMicros(kStartMicroseconds) + age);
    const timespec times[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, Path(name).c_str(), times, 0), 0);
  }
  void Remove(const std::string& name) { folder_.Remove(name); }
  void Rename(const std::string& from, const std::string& to) { folder_.Rename(from, to); }

 private:
  static constexpr char kWriter[] = "/lib/systemd/systemd-journal-remote";

  // systemd's export format.  A value with control characters has its size
  // before it, 64 bits, little-endian.
  static std::string Export(const Fields& entry) {
    std::string text;
    for (const auto& [name, value] : entry) {
      if (std::none_of(value.begin(), value.end(), [](char c) { return c >= 0 && c < ' '; })) {
        absl::StrAppend(&text, name, "=", value, "\n");
        continue;
      }
      absl::StrAppend(&text, name, "\n");
      for (int i = 0; i < 8; ++i) text.push_back(static_cast<char>(value.size() >> (8 * i)));
      absl::StrAppend(&text, value, "\n");
    }
    return text + "\n";
  }

  LogFolder folder_;
  int64_t entries_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SOURCE_JOURNAL_FIXTURE_H_
