// OpenSSL's objects, freed at the end of their owner.

#ifndef MXTALLY_PROTO_TLS_OPENSSL_POINTERS_H_
#define MXTALLY_PROTO_TLS_OPENSSL_POINTERS_H_

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace mxtally {

template <auto kFree>
struct FreeBy {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioPointer = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using NamesPointer = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;
using X509Pointer = std::unique_ptr<X509, FreeBy<X509_free>>;

}  // namespace mxtally

#endif  // MXTALLY_PROTO_TLS_OPENSSL_POINTERS_H_
