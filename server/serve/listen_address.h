// "ADDR:PORT" as the command line has it.  Pure.

#ifndef MXTALLY_SERVER_SERVE_LISTEN_ADDRESS_H_
#define MXTALLY_SERVER_SERVE_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mxtally {

struct ListenAddress {
  std::string host;  // IPv6 without brackets.
  int port = 0;      // 0: any free one.

  // "127.0.0.1:4625", "[::1]:4625".
  std::string ToString() const;

  // Whether only this machine can reach it: 127.0.0.0/8, ::1, "localhost".
  bool IsLoopback() const;
};

// "127.0.0.1:4625", "[::1]:4625", "mx.example:0".
//   INVALID_ARGUMENT  says what was expected and found
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

}  // namespace mxtally

#endif  // MXTALLY_SERVER_SERVE_LISTEN_ADDRESS_H_
