#include "server/auth/access_list.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/tls/credential_files.h"

namespace mxtally {
namespace {

constexpr size_t kHashDigits = size_t{2} * SHA256_DIGEST_LENGTH;
constexpr size_t kShownMax = 64;
constexpr size_t kFileBytesMax = size_t{4} << 20;

std::string HexSha256(absl::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

bool IsHash(absl::string_view text) {
  return text.size() == kHashDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

// DNS names are compared without regard to case, mail addresses and URIs as they are.
std::string CertificateKey(absl::string_view name) {
  const bool dns = name.find_first_of("@:/") == absl::string_view::npos;
  return dns ? absl::AsciiStrToLower(name) : std::string(name);
}

// What is wrong with a line; never shows a token's hash field whole, which may be
// the token itself by mistake.
absl::Status Wrong(const std::string& path, int line, absl::string_view expected,
                   absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ":", line, ": expected ", expected, ", found \"",
                   absl::CHexEscape(found.substr(0, kShownMax)), "\""));
}

}  // namespace

absl::StatusOr<AccessList> AccessList::Parse(const std::string& path, absl::string_view text) {
  AccessList list;
  int line = 0;
  for (const absl::string_view whole : absl::StrSplit(text, '\n')) {
    ++line;
    const std::vector<absl::string_view> words =
        absl::StrSplit(whole, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty() || words[0].front() == '#') continue;
    Role role = Role::kNone;
    if (words[0] == "reader") role = Role::kReader;
    if (words[0] == "operator") role = Role::kOperator;
    if (words[0] == "collector") role = Role::kCollector;
    if (role == Role::kNone) return Wrong(path, line, "reader, operator or collector", words[0]);
    const absl::string_view kind = words.size() > 1 ? words[1] : "";
    if (kind == "certificate") {
      if (absl::Status s = list.AddCertificate(path, line, role, words); !s.ok()) return s;
    } else if (role == Role::kCollector) {
      return Wrong(path, line, "certificate, as collectors are agents", kind);
    } else if (kind == "token") {
      if (words.size() != 4) {
        return Wrong(path, line, "a name and a SHA-256 after \"token\"",
                     absl::StrCat(words.size() - 2, " words"));
      }
      if (!IsHash(words[3])) {
        return Wrong(path, line, "the SHA-256 of the token, 64 hexadecimal digits",
                     absl::StrCat(words[3].size(), " characters"));
      }
      Token token{.name = std::string(words[2]), .role = role};
      if (!list.tokens_.emplace(absl::AsciiStrToLower(words[3]), std::move(token)).second) {
        return Wrong(path, line, "a token that is not listed yet", words[2]);
      }
    } else {
      return Wrong(path, line, "certificate or token", kind);
    }
  }
  return list;
}

absl::Status AccessList::AddCertificate(const std::string& path, int line, Role role,
                                        const std::vector<absl::string_view>& words) {
  const bool collects = role == Role::kCollector;
  if (collects ? words.size() < 4 : words.size() != 3) {
    return Wrong(
        path, line,
        collects ? "a name and hosts after \"certificate\"" : "one name after \"certificate\"",
        absl::StrCat(words.size() - 2, " words"));
  }
  const auto [listed, added] =
      certificates_.try_emplace(CertificateKey(words[2]), Entry{.role = role});
  // A collector's hosts may stand on several lines.
  if (!added && !(collects && listed->second.role == role)) {
    return Wrong(path, line, "a name that is not listed yet", words[2]);
  }
  for (size_t i = 3; i < words.size(); ++i) {
    const std::string host = absl::AsciiStrToLower(words[i]);
    if (!HostPatterns::IsPattern(host)) {
      return Wrong(path, line, "the name of a host, *.DOMAIN or *", words[i]);
    }
    if (!listed->second.hosts.Add(host)) {
      return Wrong(path, line, "a host that is not listed yet for this collector", words[i]);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AccessList> AccessList::Read(const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kFileBytesMax);
  if (!text.ok()) return text.status();
  return Parse(path, *text);
}

std::optional<AccessList::Entry> AccessList::OfCertificate(const Certificate& certificate) const {
  const Entry* entry = nullptr;
  for (const std::vector<std::string>* names : {&certificate.dns_names, &certificate.other_names}) {
    for (const std::string& name : *names) {
      const auto it = certificates_.find(CertificateKey(name));
      if (it == certificates_.end()) continue;
      if (entry == nullptr || it->second.role > entry->role) entry = &it->second;
    }
  }
  if (entry == nullptr) return std::nullopt;
  return *entry;
}

std::optional<AccessList::Token> AccessList::OfToken(absl::string_view token) const {
  // The hash is looked up, so the time that takes tells nothing of the token.
  const auto it = tokens_.find(HexSha256(token));
  if (it == tokens_.end()) return std::nullopt;
  return it->second;
}

}  // namespace mxtally
