// The fleet's keys for `--peer-detail hmac`.
//
//     # Keys of example.org's mail hosts.
//     2026q3  2026-07-01  4fd1...  (64 hexadecimal digits)
//     2026q4  2026-10-01  b02e...
//
// EPOCH, at most 16 of [a-z0-9-], goes in front of every value made with the
// key.  It is used for sessions from START on, 00:00 UTC, by their stamp in the
// log and not by the clock: reading a log again makes the same values, and the
// whole fleet changes at one moment, whenever the hosts got their files.

#ifndef MXTALLY_AGENT_CLI_PEER_KEY_FILE_H_
#define MXTALLY_AGENT_CLI_PEER_KEY_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/session/peer_mask.h"

namespace mxtally {

// Reads a file of at most 64 KiB that only root or this user owns, its group
// may at most read, and others may not touch.
//   NOT_FOUND, PERMISSION_DENIED   it cannot be read
//   FAILED_PRECONDITION            it is no file, or others may read it or change it
//   INVALID_ARGUMENT               names file and line, what was expected and found
absl::StatusOr<std::vector<PeerKey>> ReadPeerKeyFile(const std::string& path);

// Whether `after` may take the place of `before` while the agent runs: peers that
// were sent by an epoch must not be sent by another key of the same epoch, which
// would be another record of the same session.
//   FAILED_PRECONDITION   names the epoch
absl::Status CheckReplacement(const std::vector<PeerKey>& before,
                              const std::vector<PeerKey>& after);

// Reads the content of file `path`.  No message holds a key.
absl::StatusOr<std::vector<PeerKey>> ParsePeerKeys(const std::string& path,
                                                   const std::string& text);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CLI_PEER_KEY_FILE_H_
