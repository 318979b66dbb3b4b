// A scan of files in a folder of the test's own, and what it reports.

#ifndef MXTALLY_TESTS_AGENT_SCAN_SCAN_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_SCAN_SCAN_FIXTURE_H_

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "agent/scan/scan.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "mxtally/v1/session.pb.h"
#include "tests/agent/source/compress.h"
#include "tests/temporary_folder.h"

namespace mxtally {

inline constexpr char kAdminLog[] = "tests/testdata/maillog-20131103";

class ScanTest : public testing::Test {
 protected:
  ScanTest() {
    options_.format = "json";
    options_.time_zone = "UTC";
    options_.reference_time = "2026-12-01";
  }

  std::string Path(const std::string& name) { return folder_ / name; }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  static std::string Gzip(const std::string& content) { return Compress("gzip", content); }

  static std::string ReadAll(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

  // A session of `pid` in the second `at` of an hour.
  static std::string Session(int pid, const std::string& at, const std::string& counters,
                             const std::string& address = "192.0.2.1") {
    const std::string tag = "Nov  2 " + at + " mx1 postfix/smtpd[" + std::to_string(pid) + "]: ";
    return tag + "connect from x[" + address + "]\n" + tag + "disconnect from x[" + address + "] " +
           counters + "\n";
  }
  static std::string Plain(int pid, const std::string& at) {
    return Session(pid, at, "ehlo=1 quit=1 commands=2");
  }
  static std::string Tls(int pid, const std::string& at) {
    return Session(pid, at, "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7");
  }

  int Scan(const std::vector<std::string>& files) {
    options_.files = files;
    std::ostringstream out;
    std::ostringstream err;
    const int status = RunScan(options_, out, err);
    out_ = out.str();
    err_ = err.str();
    report_.Clear();
    if (options_.format == "json" && !options_.sessions && status != 2) {
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(out_, &report_).ok()) << out_;
    }
    return status;
  }

  // The value at "inbound.by_cipher.0.cipher".
  google::protobuf::Value At(const std::string& path) {
    google::protobuf::Value value;
    *value.mutable_struct_value() = report_;
    std::istringstream keys(path);
    for (std::string key; std::getline(keys, key, '.');) {
      if (value.has_list_value()) {
        value = google::protobuf::Value(value.list_value().values(std::stoi(key)));
      } else {
        EXPECT_TRUE(value.struct_value().fields().contains(key)) << path;
        value = google::protobuf::Value(value.struct_value().fields().at(key));
      }
    }
    return value;
  }
  double Number(const std::string& path) {
    const google::protobuf::Value value = At(path);
    EXPECT_TRUE(value.has_number_value()) << path;
    return value.number_value();
  }
  std::string Text(const std::string& path) { return At(path).string_value(); }
  bool IsNull(const std::string& path) { return At(path).has_null_value(); }

  // The records that --sessions printed.
  std::vector<v1::SessionRecord> Records() {
    std::vector<v1::SessionRecord> records;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &records.emplace_back()).ok())
          << line;
    }
    return records;
  }

  const TemporaryFolder folder_;
  ScanOptions options_;
  std::string out_;
  std::string err_;
  google::protobuf::Struct report_;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SCAN_SCAN_FIXTURE_H_
