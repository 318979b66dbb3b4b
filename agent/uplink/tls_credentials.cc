#include "agent/uplink/tls_credentials.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/tls/certificate.h"

namespace mxtally {

absl::StatusOr<std::unique_ptr<TlsCredentials>> TlsCredentials::Load(
    TlsCredentialsOptions options) {
  std::unique_ptr<TlsCredentials> credentials(new TlsCredentials(std::move(options)));
  if (absl::Status s = credentials->Read(); !s.ok()) return s;
  return credentials;
}

absl::Status TlsCredentials::Read() {
  absl::StatusOr<Credentials> next = ReadCredentials(options_.files);
  if (!next.ok()) return next.status();
  if (credentials_ != nullptr && next->SameFilesAs(read_)) return absl::OkStatus();
  read_ = *std::move(next);
  credentials_ = grpc::SslCredentials({.pem_root_certs = read_.authorities_pem,
                                       .pem_private_key = read_.key_pem,
                                       .pem_cert_chain = read_.certificate_pem});
  return absl::OkStatus();
}

std::shared_ptr<grpc::ChannelCredentials> TlsCredentials::ForNextStream() {
  absl::Status status = Read();
  if (!status.ok()) {
    status = absl::Status(status.code(),
                          absl::StrCat(status.message(), "; what was read before stays in use"));
  } else if (absl::Status valid = CheckValidity(read_.certificate, options_.now()); !valid.ok()) {
    // The clock may be wrong, so the server decides.
    status = absl::Status(valid.code(),
                          absl::StrCat(options_.files.certificate, ": the certificate of \"",
                                       read_.certificate.name(), "\" ", valid.message()));
  }
  Tell(status);
  return credentials_;
}

void TlsCredentials::Tell(const absl::Status& status) {
  // The text of an expired certificate changes with the time.
  if (status.code() == told_.code()) return;
  told_ = status;
  options_.on_trouble(status);
}

}  // namespace mxtally
