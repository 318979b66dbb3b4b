// A folder with a log in it, and a sink that writes down what it is told.

#ifndef MXTALLY_TESTS_AGENT_SOURCE_LOG_FIXTURE_H_
#define MXTALLY_TESTS_AGENT_SOURCE_LOG_FIXTURE_H_

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/source/log_follower.h"
#include "gtest/gtest.h"
#include "tests/agent/source/compress.h"
#include "tests/temporary_folder.h"

namespace mxtally {

class LogFolder {
 public:
  const std::string& dir() const { return folder_.path(); }
  std::string Path(const std::string& name) const { return folder_ / name; }

  void Append(const std::string& name, std::string_view text) {
    std::ofstream(Path(name), std::ios::app | std::ios::binary) << text;
    // The clock that stamps files ticks too slowly for tests.  A file written
    // later is newer.
    const auto now = std::filesystem::file_time_type::clock::now();
    clock_ = std::max(clock_ + std::chrono::milliseconds(1), now);
    std::filesystem::last_write_time(Path(name), clock_);
  }
  std::string Content(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(Path(name), std::ios::binary).rdbuf();
    return out.str();
  }
  void Rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(Path(from), Path(to));
  }
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::remove(Path(to));
    Append(to, Content(from));
  }
  // As gzip and its like do: the time stays, the plain file goes.
  void Compress(const std::string& name, const std::string& compression = "gzip") {
    static constexpr std::pair<const char*, const char*> kEndings[] = {
        {"gzip", ".gz"}, {"xz", ".xz"}, {"bzip2", ".bz2"}, {"zstd", ".zst"}};
    std::string archive = name;
    for (const auto& [known, ending] : kEndings) {
      if (compression == known) archive += ending;
    }
    std::ofstream(Path(archive), std::ios::binary) << mxtally::Compress(compression, Content(name));
    std::filesystem::last_write_time(Path(archive), std::filesystem::last_write_time(Path(name)));
    Remove(name);
  }
  // Gives `to` the time of `from`, seconds after it.
  void SetTime(const std::string& to, const std::string& from, int seconds = 0) {
    std::filesystem::last_write_time(
        Path(to), std::filesystem::last_write_time(Path(from)) + std::chrono::seconds(seconds));
  }
  // As archivers that know nothing finer do.
  void ToWholeSeconds(const std::string& name) {
    const auto time = std::filesystem::last_write_time(Path(name));
    std::filesystem::last_write_time(Path(name), std::chrono::floor<std::chrono::seconds>(time));
  }
  // Lets the link `name` go to `to`, in one step.
  void Link(const std::string& to, const std::string& name) {
    std::filesystem::create_symlink(Path(to), Path(name + ".new"));
    Rename(name + ".new", name);
  }
  void Truncate(const std::string& name, int64_t size = 0) {
    std::filesystem::resize_file(Path(name), size);
  }
  void Remove(const std::string& name) { std::filesystem::remove(Path(name)); }

 private:
  const TemporaryFolder folder_;
  std::filesystem::file_time_type clock_ = std::filesystem::file_time_type::min();
};

// Events one after another: "line", "<oversized 70000>", "<file mail.log>",
// "<gap TRUNCATED 12>".
class RecordingSink : public LineSink {
 public:
  bool OnLine(std::string_view line, int64_t /*bytes*/, int64_t end_offset) override {
    events.emplace_back(line);
    last_end_offset = end_offset;
    return --lines_wanted > 0;
  }
  bool OnOversizedLine(int64_t bytes, int64_t end_offset) override {
    events.push_back(absl::StrCat("<oversized ", bytes, ">"));
    last_end_offset = end_offset;
    return --lines_wanted > 0;
  }
  void OnFile(const std::string& path, absl::Time modified,
              std::optional<absl::Time> name_date) override {
    last_modified = modified;
    last_name_date = name_date;
    if (with_files) {
      events.push_back("<file " + std::filesystem::path(path).filename().string() + ">");
    }
  }
  void OnGap(v1::GapReason reason, int64_t bytes_min) override {
    const std::string name = v1::GapReason_Name(reason).substr(std::string("GAP_REASON_").size());
    events.push_back(absl::StrCat("<gap ", name, " ", bytes_min, ">"));
  }

  std::vector<std::string> events;
  int64_t lines_wanted = INT64_MAX;
  bool with_files = false;
  int64_t last_end_offset = 0;
  absl::Time last_modified;
  std::optional<absl::Time> last_name_date;
};

}  // namespace mxtally

#endif  // MXTALLY_TESTS_AGENT_SOURCE_LOG_FIXTURE_H_
