// What the summary line of a TLS handshake says, in the terms of session.proto.

#ifndef MXTALLY_AGENT_SESSION_HANDSHAKE_FACTS_H_
#define MXTALLY_AGENT_SESSION_HANDSHAKE_FACTS_H_

#include <memory>
#include <string>
#include <string_view>

#include "agent/parser/event.h"
#include "agent/parser/tls_names.h"
#include "mxtally/v1/session.pb.h"

namespace mxtally {

// Each field means what the one of the same name in session.proto's TlsFacts does.
struct HandshakeFacts {
  std::string protocol;
  std::string cipher;
  const CipherSuite* suite = nullptr;  // cipher_iana, cipher_code_point.
  int bits_used = 0;
  int bits_algorithm = 0;
  std::string kex_group;
  std::string signature;
  std::string signature_key;
  std::string signature_digest;
  std::string client_signature;
  std::string client_signature_key;
  std::string client_signature_digest;
  v1::TlsTrust trust = v1::TLS_TRUST_UNSPECIFIED;
  v1::TlsHandshake handshake = v1::TLS_HANDSHAKE_UNSPECIFIED;
};

// Never null.  A log holds few different summaries, and many of each: those that a
// thread read lately are shared.
std::shared_ptr<const HandshakeFacts> HandshakeFactsOf(const TlsSummary& summary);

// The same facts, null for none, with another trust, of which `word` is as in TlsSummary.
std::shared_ptr<const HandshakeFacts> WithTrust(const HandshakeFacts* facts, std::string_view word);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_HANDSHAKE_FACTS_H_
