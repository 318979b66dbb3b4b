#include "agent/parser/openssl_error.h"

#include <charconv>
#include <cstdint>

#include "agent/parser/fields.h"

namespace mxtally {
namespace {

struct Alert {
  std::string_view name;
  int number;
};

// RFC 8446 section 6 and RFC 5246 section 7.2, in OpenSSL's words.
constexpr Alert kAlerts[] = {
    {"unexpected message", 10},
    {"bad record mac", 20},
    {"decryption failed", 21},
    {"record overflow", 22},
    {"decompression failure", 30},
    {"handshake failure", 40},
    {"no certificate", 41},
    {"bad certificate", 42},
    {"unsupported certificate", 43},
    {"certificate revoked", 44},
    {"certificate expired", 45},
    {"certificate unknown", 46},
    {"illegal parameter", 47},
    {"unknown ca", 48},
    {"access denied", 49},
    {"decode error", 50},
    {"decrypt error", 51},
    {"export restriction", 60},
    {"protocol version", 70},
    {"insufficient security", 71},
    {"internal error", 80},
    {"inappropriate fallback", 86},
    {"user cancelled", 90},
    {"no renegotiation", 100},
    {"missing extension", 109},
    {"unsupported extension", 110},
    {"certificate unobtainable", 111},
    {"unrecognized name", 112},
    {"bad certificate status response", 113},
    {"bad certificate hash value", 114},
    {"unknown psk identity", 115},
    {"certificate required", 116},
    {"no application protocol", 120},
};

// A received alert is reason 1000 and its number, in the low bits of the code.
std::optional<int> AlertOfCode(std::string_view code) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), value, 16);
  if (error != std::errc() || end != code.data() + code.size()) return std::nullopt;
  const auto reason = static_cast<int>(value & 0xfff);
  if (reason < 1000 || reason > 1255) return std::nullopt;
  return reason - 1000;
}

// "tlsv1 alert unknown ca", "sslv3 alert handshake failure", "tlsv13 alert certificate
// required", and for a name that the server does not know "tlsv1 unrecognized name".
std::optional<int> AlertOfReason(std::string_view reason) {
  const std::string_view version = TakeUntil(reason, ' ');
  if (!StartsWith(version, "tlsv1") && !StartsWith(version, "sslv3") &&
      !StartsWith(version, "ssl/tls")) {
    return std::nullopt;
  }
  if (!Consume(reason, " ")) return std::nullopt;
  Consume(reason, "alert ");
  for (const Alert& alert : kAlerts) {
    if (alert.name == reason) return alert.number;
  }
  return std::nullopt;
}

}  // namespace

OpensslError ReadOpensslError(std::string_view text) {
  OpensslError error{.reason = text, .alert = std::nullopt};
  std::string_view rest = text;
  if (!Consume(rest, "error:")) {
    error.alert = AlertOfReason(text);
    return error;
  }
  const std::string_view code = TakeUntil(rest, ':');
  for (int field = 0; field < 3; ++field) {
    if (!Consume(rest, ":")) return error;
    if (field < 2) TakeUntil(rest, ':');
  }
  error.reason = TakeUntil(rest, ':');
  error.alert = AlertOfCode(code);
  return error;
}

}  // namespace mxtally
