// What a running agent tells `mxtally-agent status`: the file "state" beside the
// checkpoint, an mxtally.agent.v1.RunState, replaced atomically but not synced.

#ifndef MXTALLY_AGENT_CHECKPOINT_RUN_STATE_FILE_H_
#define MXTALLY_AGENT_CHECKPOINT_RUN_STATE_FILE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mxtally/agent/v1/run_state.pb.h"

namespace mxtally {

absl::Status WriteRunState(const std::string& dir, const agent::v1::RunState& state);

// nullopt: there is none, or what there is does not make sense.
absl::StatusOr<std::optional<agent::v1::RunState>> ReadRunState(const std::string& dir);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CHECKPOINT_RUN_STATE_FILE_H_
