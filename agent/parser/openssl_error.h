// Errors of OpenSSL and LibreSSL as MTAs log them.

#ifndef MXTALLY_AGENT_PARSER_OPENSSL_ERROR_H_
#define MXTALLY_AGENT_PARSER_OPENSSL_ERROR_H_

#include <optional>
#include <string_view>

namespace mxtally {

struct OpensslError {
  std::string_view reason;   // "tlsv1 alert unknown ca".
  std::optional<int> alert;  // Number of the alert that the peer sent.
};

// Reads "error:CODE:LIBRARY:FUNCTION:REASON", with or without what may follow, or a
// reason alone.  The views point into `text`.
OpensslError ReadOpensslError(std::string_view text);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_PARSER_OPENSSL_ERROR_H_
