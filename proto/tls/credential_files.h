// A certificate, its key and the authorities that peers are checked against, as
// files.  They are read whole and checked together, so that files which are just
// being replaced are never used half.  Safe to call from any thread.

#ifndef MXTALLY_PROTO_TLS_CREDENTIAL_FILES_H_
#define MXTALLY_PROTO_TLS_CREDENTIAL_FILES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/tls/certificate.h"

namespace mxtally {

// Paths of PEM files.  Certificate and key may both be empty: none.
struct CredentialFiles {
  std::string certificate = {};  // The own one, followed by intermediate ones if any.
  std::string key = {};          // Its private key, without a passphrase.
  std::string authorities = {};  // One or more.
};

struct Credentials {
  std::string certificate_pem;
  std::string key_pem;
  std::string authorities_pem;

  Certificate certificate;        // The own one; empty without one.
  absl::Time authorities_expire;  // The first of them.

  bool SameFilesAs(const Credentials& other) const;
};

// Messages name the file, what was expected and what was found.
//   NOT_FOUND, PERMISSION_DENIED, ...  a file cannot be read
//   INVALID_ARGUMENT                   what it holds is not what it should, or the
//                                      key is not the certificate's
// A certificate that is expired, or not valid yet, is no error here.
absl::StatusOr<Credentials> ReadCredentials(const CredentialFiles& files);

// Contents of a file, at most `bytes_max`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max);

}  // namespace mxtally

#endif  // MXTALLY_PROTO_TLS_CREDENTIAL_FILES_H_
