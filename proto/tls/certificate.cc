#include "proto/tls/certificate.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proto/timestamps/timestamps.h"
#include "proto/tls/openssl_pointers.h"

namespace mxtally {
namespace {

// Visible ASCII only: a name with a NUL in it must not pass for its first half.
std::optional<std::string> Visible(const ASN1_STRING* text) {
  const absl::string_view bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                static_cast<size_t>(ASN1_STRING_length(text)));
  if (bytes.empty()) return std::nullopt;
  for (const char c : bytes) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return std::nullopt;
  }
  return std::string(bytes);
}

std::string Subject(X509* certificate) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  const char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

void AddNames(X509* x509, Certificate& certificate) {
  const NamesPointer names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      if (std::optional<std::string> text = Visible(name->d.dNSName)) {
        certificate.dns_names.push_back(absl::AsciiStrToLower(*text));
      }
    } else if (name->type == GEN_EMAIL || name->type == GEN_URI) {
      const ASN1_STRING* value =
          name->type == GEN_EMAIL ? name->d.rfc822Name : name->d.uniformResourceIdentifier;
      if (std::optional<std::string> text = Visible(value)) {
        certificate.other_names.push_back(*std::move(text));
      }
    }
  }
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm fields = {};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return absl::InfinitePast();
  return absl::FromTM(fields, absl::UTCTimeZone());
}

}  // namespace

std::string Certificate::name() const {
  if (!dns_names.empty()) return dns_names.front();
  return other_names.empty() ? subject : other_names.front();
}

absl::StatusOr<Certificate> ParseCertificate(absl::string_view pem) {
  const BioPointer bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const X509Pointer x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (x509 == nullptr) {
    return absl::InvalidArgumentError("expected a certificate in PEM format, found none");
  }
  Certificate certificate;
  certificate.subject = Subject(x509.get());
  AddNames(x509.get(), certificate);
  certificate.not_before = ToTime(X509_get0_notBefore(x509.get()));
  certificate.not_after = ToTime(X509_get0_notAfter(x509.get()));
  return certificate;
}

absl::Status CheckValidity(const Certificate& certificate, absl::Time now) {
  if (now < certificate.not_before) {
    return absl::FailedPreconditionError(absl::StrCat(
        "is not valid before ", UtcText(certificate.not_before), ", and now it is ", UtcText(now)));
  }
  if (now >= certificate.not_after + absl::Seconds(1)) {
    return absl::FailedPreconditionError(absl::StrCat("expired at ", UtcText(certificate.not_after),
                                                      ", and now it is ", UtcText(now)));
  }
  return absl::OkStatus();
}

}  // namespace mxtally
