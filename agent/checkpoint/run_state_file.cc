#include "agent/checkpoint/run_state_file.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "agent/checkpoint/files.h"

namespace mxtally {
namespace {

std::string StatePath(const std::string& dir) { return absl::StrCat(dir, "/state"); }

}  // namespace

absl::Status WriteRunState(const std::string& dir, const agent::v1::RunState& state) {
  const std::string temporary = StatePath(dir) + ".new";
  absl::Status written = WriteFile(temporary, state.SerializeAsString(), Durability::kLater);
  if (written.ok()) written = Rename(temporary, StatePath(dir));
  if (!written.ok()) ::unlink(temporary.c_str());
  return written;
}

absl::StatusOr<std::optional<agent::v1::RunState>> ReadRunState(const std::string& dir) {
  const absl::StatusOr<std::string> bytes = ReadFile(StatePath(dir));
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  agent::v1::RunState state;
  // After a crash of the machine it may be empty or of zeros.
  if (!state.ParseFromString(*bytes) || !state.has_write_time()) return std::nullopt;
  return state;
}

}  // namespace mxtally
