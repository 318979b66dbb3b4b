// What an X.509 certificate says about its owner.  Pure.

#ifndef MXTALLY_PROTO_TLS_CERTIFICATE_H_
#define MXTALLY_PROTO_TLS_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace mxtally {

struct Certificate {
  std::string subject;  // "CN=mx1.example.net,O=Example", ASCII, for people only.

  // Subject alternative names, in the order of the certificate.  DNS names are
  // in lower case.  Names with other than visible ASCII are left out: they match
  // nothing.
  std::vector<std::string> dns_names;
  std::vector<std::string> other_names;  // Mail addresses and URIs.

  absl::Time not_before;
  absl::Time not_after;  // The last second is included.

  // What to call the owner: the first DNS name, else the first other one, else
  // the subject.
  std::string name() const;
};

// The first certificate in `pem`.
//   INVALID_ARGUMENT  there is none that can be read
absl::StatusOr<Certificate> ParseCertificate(absl::string_view pem);

// Whether it is valid at `now`.
//   FAILED_PRECONDITION  "expired at ..." or "is not valid before ...", and what time it is
absl::Status CheckValidity(const Certificate& certificate, absl::Time now);

}  // namespace mxtally

#endif  // MXTALLY_PROTO_TLS_CERTIFICATE_H_
