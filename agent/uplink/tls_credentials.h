// The agent's certificate, its key, and the authorities that the server is
// checked against, read again for each stream: a stream that is open is not
// touched, and the next one uses what is on disk then.
//
// One thread only.

#ifndef MXTALLY_AGENT_UPLINK_TLS_CREDENTIALS_H_
#define MXTALLY_AGENT_UPLINK_TLS_CREDENTIALS_H_

#include <grpcpp/security/credentials.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/tls/credential_files.h"

namespace mxtally {

struct TlsCredentialsOptions {
  CredentialFiles files = {};

  // Told when files cannot be used, after which those read before are, and when
  // the own certificate is out of its time, after which it is shown all the
  // same; OK when that is over.  Not told the same twice in a row.
  std::function<void(const absl::Status&)> on_trouble = [](const absl::Status&) {};

  std::function<absl::Time()> now = absl::Now;
};

class TlsCredentials {
 public:
  //   the errors of ReadCredentials()
  static absl::StatusOr<std::unique_ptr<TlsCredentials>> Load(TlsCredentialsOptions options);

  // For a new channel.  TLS 1.2 or later.
  std::shared_ptr<grpc::ChannelCredentials> ForNextStream();

 private:
  explicit TlsCredentials(TlsCredentialsOptions options) : options_(std::move(options)) {}

  absl::Status Read();
  void Tell(const absl::Status& status);

  const TlsCredentialsOptions options_;
  Credentials read_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  absl::Status told_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_UPLINK_TLS_CREDENTIALS_H_
