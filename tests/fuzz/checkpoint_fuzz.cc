// Any bytes as a checkpoint file, and files with a right checksum around any body:
// the reader says what is wrong, and an assembler takes whatever the body claims.

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "agent/checkpoint/checkpoint_file.h"
#include "agent/checkpoint/crc32c.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/log_reading.h"

namespace mxtally {
namespace {

using agent::v1::Checkpoint;

// A folder that is removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "checkpoint_fuzzXXXXXX").string();
    Require(::mkdtemp(name.data()) != nullptr, "a folder");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

void AppendLittleEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::string WithHeader(const std::string& body) {
  std::string file = "mxtally1";
  AppendLittleEndian(body.size(), 8, file);
  AppendLittleEndian(Crc32c(body), 4, file);
  return file + body;
}

// The checkpoint of an agent that read `log`, some bytes of it changed.
std::string BodyOf(const std::string& log, FuzzedDataProvider& changes) {
  LogReading reading({.host = changes.ConsumeBool() ? "mx1" : ""}, FramerOptions());
  for (const Line& line : LinesOf(log)) reading.Read(View(line));
  Checkpoint checkpoint;
  checkpoint.set_host("mx1");
  *checkpoint.add_logs()->mutable_assembler() = reading.Saved();
  std::string body = checkpoint.SerializeAsString();
  while (changes.remaining_bytes() > 0) {
    const size_t at = changes.ConsumeIntegralInRange<size_t>(0, body.size() - 1);
    body[at] = changes.ConsumeIntegral<char>();
  }
  return body;
}

void GoOnFrom(const agent::v1::AssemblerState& state, const std::string& host) {
  LogReading reading({.host = host, .open_sessions_max = 10, .ordinals_max = 10}, FramerOptions());
  reading.assembler().Restore(state);
  for (const char* line :
       {"Nov  2 04:02:01 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]",
        "Nov  2 04:02:02 mx1 postfix/smtpd[1]: 4ABCDEF: client=x[192.0.2.1]",
        "Nov  2 04:02:03 mx1 postfix/smtpd[2]: disconnect from y[192.0.2.2]",
        "Nov  2 04:02:03 mx1 postfix/qmgr[3]: 4ABCDEF: from=<>, size=1, nrcpt=1 (queue active)",
        "Nov  2 04:02:03 mx1 postfix/master[4]: terminating on signal 15"}) {
    reading.Read(line);
  }
  reading.Saved();
  reading.assembler().GiveUpAll();
}

void Fuzz(FuzzedDataProvider& input) {
  static const Folder* const kFolder = [] {
    static const Folder folder;
    return &folder;
  }();
  std::string file;
  bool body_is_right = true;
  switch (input.ConsumeIntegralInRange(0, 2)) {
    case 0:
      body_is_right = false;
      file = input.ConsumeRemainingBytesAsString();
      break;
    case 1:
      file = WithHeader(input.ConsumeRemainingBytesAsString());
      break;
    default: {
      const std::string tail =
          input.ConsumeBytesAsString(input.ConsumeIntegralInRange<size_t>(0, 32));
      const std::string log = input.ConsumeRemainingBytesAsString();
      FuzzedDataProvider changes(reinterpret_cast<const uint8_t*>(tail.data()), tail.size());
      file = WithHeader(BodyOf(log, changes));
    }
  }
  std::ofstream(kFolder->path() + "/checkpoint", std::ios::binary | std::ios::trunc) << file;
  const absl::StatusOr<std::optional<Checkpoint>> read = ReadCheckpoint(kFolder->path());
  if (!read.ok()) {
    Require(absl::IsDataLoss(read.status()), "what is wrong with the file");
    return;
  }
  Require(read->has_value(), "the file is there");
  Checkpoint expected;
  Require(body_is_right || file.size() >= 20, "a file has a header");
  Require(expected.ParseFromString(file.substr(20)), "the body is the message");
  RequireEqual((*read)->SerializeAsString(), expected.SerializeAsString(), "checkpoint");
  for (const agent::v1::LogCheckpoint& log : (*read)->logs()) {
    GoOnFrom(log.assembler(), "mx1");
    GoOnFrom(log.assembler(), "");
  }
}

}  // namespace
}  // namespace mxtally

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  mxtally::Fuzz(input);
  return 0;
}
