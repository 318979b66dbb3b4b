#include "proto/tls/credential_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/tls/openssl_pointers.h"

namespace mxtally {
namespace {

// Bundles of all public authorities are about 200 KB.
constexpr size_t kFileBytesMax = size_t{4} << 20;

constexpr absl::string_view kCertificateEnd = "-----END CERTIFICATE-----";

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// A file that needs a passphrase is an error: there is nobody to ask.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::Status CheckKey(const CredentialFiles& files, const Credentials& credentials) {
  const BioPointer certificate_bio(BIO_new_mem_buf(
      credentials.certificate_pem.data(), static_cast<int>(credentials.certificate_pem.size())));
  const X509Pointer certificate(
      PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const BioPointer key_bio(
      BIO_new_mem_buf(credentials.key_pem.data(), static_cast<int>(credentials.key_pem.size())));
  const KeyPointer key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, NoPassphrase, nullptr));
  const bool match = certificate != nullptr && key != nullptr &&
                     X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.key,
                     ": expected a private key in PEM format without a passphrase, "
                     "found none"));
  }
  if (match) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(files.key, ": expected the private key of ",
                                                 files.certificate, ", found another one"));
}

// When the first of `pem` expires.  Each must be whole.
absl::StatusOr<absl::Time> FirstExpiry(absl::string_view pem) {
  absl::Time first = absl::InfiniteFuture();
  size_t begin = 0;
  do {
    size_t end = pem.find(kCertificateEnd, begin);
    end = end == absl::string_view::npos ? pem.size() : end + kCertificateEnd.size();
    absl::StatusOr<Certificate> certificate = ParseCertificate(pem.substr(begin, end - begin));
    if (!certificate.ok()) return certificate.status();
    first = std::min(first, certificate->not_after);
    begin = end;
  } while (pem.find("-----BEGIN CERTIFICATE-----", begin) != absl::string_view::npos);
  return first;
}

}  // namespace

bool Credentials::SameFilesAs(const Credentials& other) const {
  return certificate_pem == other.certificate_pem && key_pem == other.key_pem &&
         authorities_pem == other.authorities_pem;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max) {
  const std::unique_ptr<FILE, FreeBy<fclose>> file(fopen(path.c_str(), "re"));
  if (file == nullptr) return absl::ErrnoToStatus(errno, path);
  std::string text(bytes_max + 1, '\0');
  const size_t size = fread(text.data(), 1, text.size(), file.get());
  if (ferror(file.get()) != 0) return absl::ErrnoToStatus(errno, path);
  if (size > bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected at most ", bytes_max, " bytes, found more"));
  }
  text.resize(size);
  text.shrink_to_fit();
  return text;
}

absl::StatusOr<Credentials> ReadCredentials(const CredentialFiles& files) {
  Credentials credentials;
  absl::StatusOr<std::string> authorities = ReadSmallFile(files.authorities, kFileBytesMax);
  if (!authorities.ok()) return authorities.status();
  credentials.authorities_pem = *std::move(authorities);
  absl::StatusOr<absl::Time> expiry = FirstExpiry(credentials.authorities_pem);
  if (!expiry.ok()) return InFile(files.authorities, expiry.status());
  credentials.authorities_expire = *expiry;
  if (files.certificate.empty()) return credentials;

  absl::StatusOr<std::string> certificate = ReadSmallFile(files.certificate, kFileBytesMax);
  if (!certificate.ok()) return certificate.status();
  credentials.certificate_pem = *std::move(certificate);
  absl::StatusOr<std::string> key = ReadSmallFile(files.key, kFileBytesMax);
  if (!key.ok()) return key.status();
  credentials.key_pem = *std::move(key);
  absl::StatusOr<Certificate> parsed = ParseCertificate(credentials.certificate_pem);
  if (!parsed.ok()) return InFile(files.certificate, parsed.status());
  credentials.certificate = *std::move(parsed);
  // Intermediate certificates must be whole too.
  if (absl::StatusOr<absl::Time> chain = FirstExpiry(credentials.certificate_pem); !chain.ok()) {
    return InFile(files.certificate, chain.status());
  }
  if (absl::Status match = CheckKey(files, credentials); !match.ok()) return match;
  return credentials;
}

}  // namespace mxtally
