// The TLS summary line.
//
// Follows the format strings of tls_log_summary() in Postfix src/tls/tls_misc.c,
// not samples: "reused" may stand for "established", a server may add "to <SNI>"
// after the peer, and everything after the cipher bits is optional:
//
//   NAMADDR [" to " SNI] ": " PROTOCOL " with cipher " CIPHER " (" N "/" N " bits)"
//     [" key-exchange " NAME [" (" PARAMETER ")"]]
//     [" server-signature " NAME [" (" KEY ")"] [" server-digest " NAME]]
//     [" client-signature " NAME [" (" KEY ")"] [" client-digest " NAME]]

#include <string_view>

#include "agent/parser/fields.h"
#include "agent/parser/postfix.h"

namespace mxtally {
namespace {

// Takes " NAME".
bool TakeName(std::string_view& text, std::string_view& name) {
  if (!Consume(text, " ")) return false;
  name = TakeUntil(text, ' ');
  return !name.empty();
}

// Takes " NAME" and, if it follows, " (TEXT)".
void TakeNameAndParentheses(std::string_view& text, std::string_view& name,
                            std::string_view& inner) {
  if (!TakeName(text, name) || !Consume(text, " (")) return;
  inner = TakeUntil(text, ')');
  Consume(text, ")");
}

// Reads what follows the bits.  Words that are not known are passed over, so
// that a field of a newer release does not hide those after it.
void ReadSuffix(std::string_view text, TlsSummary& summary) {
  while (Consume(text, " ")) {
    const std::string_view word = TakeUntil(text, ' ');
    if (Is(word, "key-exchange")) {
      TakeNameAndParentheses(text, summary.kex, summary.kex_parameter);
    } else if (Is(word, "server-signature")) {
      TakeNameAndParentheses(text, summary.server_signature, summary.server_signature_key);
    } else if (Is(word, "server-digest")) {
      TakeName(text, summary.server_digest);
    } else if (Is(word, "client-signature")) {
      TakeNameAndParentheses(text, summary.client_signature, summary.client_signature_key);
    } else if (Is(word, "client-digest")) {
      TakeName(text, summary.client_digest);
    }
  }
}

}  // namespace

bool ParseTlsSummary(std::string_view text, TlsSummary& summary) {
  if (Consume(text, " to ")) {
    summary.sni = TakeUntil(text, ' ', ':');
    if (summary.sni.empty()) return false;
  }
  if (!Consume(text, ": ")) return false;
  summary.text = text;
  summary.protocol = TakeUntil(text, ' ');
  if (summary.protocol.empty() || !Consume(text, " with cipher ")) return false;
  summary.cipher = TakeUntil(text, ' ');
  if (summary.cipher.empty() || !Consume(text, " (") || !TakeNumber(text, summary.bits_used) ||
      !Consume(text, "/") || !TakeNumber(text, summary.bits_algorithm) ||
      !Consume(text, " bits)")) {
    return false;
  }
  ReadSuffix(text, summary);
  return true;
}

}  // namespace mxtally
